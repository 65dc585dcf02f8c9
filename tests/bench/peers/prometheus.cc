#include <signal.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/errors.h"
#include "tests/bench/peers/http_peer.h"

namespace pulseboard::bench {
namespace {

class Prometheus : public HttpPeer {
 public:
  explicit Prometheus(const PeerPrograms& programs)
      : HttpPeer("Prometheus", "remote write, 20 samples a series, 2 connections", programs.prometheus, 2) {}

  std::string AckMeaning() const override { return "in the OS"; }

  absl::Status Prepare(const Workload& workload) override {
    workload_ = &workload;
    frames_ = RemoteWrite(workload, {.steps = 20, .hosts = 50});
    return absl::OkStatus();
  }

  absl::Status StartFresh() override {
    testing::WriteFile(File("prometheus.yml"), "global: {scrape_interval: 1h}\n");
    return HttpPeer::StartFresh();
  }

  // A snapshot with head: all samples as blocks.
  absl::Status Settle() override {
    return HttpConnection(port()).Call("POST", "/api/v1/admin/tsdb/snapshot", "", "").status();
  }

  absl::StatusOr<int64_t> DataBytes() override {
    int64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir() + "/snapshots")) {
      if (entry.is_regular_file() && entry.path().parent_path().filename() == "chunks") {
        bytes += static_cast<int64_t>(entry.file_size());
      }
    }
    return bytes;
  }

  absl::StatusOr<std::vector<SampleColumns>> ReadHost(int host) override {
    const std::string range = std::to_string(workload().steps * 10) + "s";
    const std::string query = "{hostname=\"" + HostName(host) + "\"}[" + range + "]";
    const int64_t last = workload().Time(workload().steps - 1) / 1'000'000'000;
    PB_ASSIGN_OR_RETURN(const std::string text,
                        Get("/api/v1/query?query=" + UrlEncode(query) + "&time=" + std::to_string(last)));
    const auto answer = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (answer.is_discarded()) return absl::InternalError("Prometheus answered what is no JSON");
    std::vector<SampleColumns> out(kMetricsPerHost);
    for (const auto& series : answer["data"]["result"]) {
      const std::string name = series["metric"]["__name__"].get<std::string>().substr(4);
      const auto at = std::find(kCpuMetrics.begin(), kCpuMetrics.end(), name);
      if (at == kCpuMetrics.end()) continue;
      SampleColumns& columns = out[static_cast<size_t>(at - kCpuMetrics.begin())];
      for (const auto& pair : series["values"]) {
        const std::string number = pair[1].get<std::string>();
        double value = 0;
        std::from_chars(number.data(), number.data() + number.size(), value);
        columns.times.push_back(static_cast<int64_t>(pair[0].get<double>() * 1000 + 0.5) * 1'000'000);
        columns.values.push_back(value);
      }
    }
    return out;
  }

 protected:
  std::vector<std::string> Command() const override {
    return {program(),
            "--config.file=" + File("prometheus.yml"),
            "--storage.tsdb.path=" + data_dir(),
            "--storage.tsdb.retention.time=100y",
            "--web.enable-remote-write-receiver",
            "--web.enable-admin-api",
            "--query.max-samples=500000000",
            "--web.listen-address=127.0.0.1:" + std::to_string(port())};
  }
  std::string HealthPath() const override { return "/-/ready"; }
  std::string LoadPath() const override { return "/api/v1/write"; }
  std::string LoadHeaders() const override {
    return "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n";
  }
};

}  // namespace

std::unique_ptr<Peer> MakePrometheus(const PeerPrograms& programs) { return std::make_unique<Prometheus>(programs); }

}  // namespace pulseboard::bench
