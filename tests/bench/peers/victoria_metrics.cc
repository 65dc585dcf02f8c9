#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "common/base/errors.h"
#include "tests/bench/peers/http_peer.h"
#include "tests/bench/peers/victoria_metrics.h"

namespace pulseboard::bench {
namespace {

// Its ack means: in memory. What is in blocks of recent rows reaches the disk within seconds; there is no log.
class Victoria : public HttpPeer {
 public:
  Victoria(const PeerPrograms& programs, VictoriaWay way)
      : HttpPeer("VictoriaMetrics", WayName(way), programs.victoria, way == VictoriaWay::kBlocks ? 1 : 2),
        programs_(programs),
        way_(way) {}

  std::string AckMeaning() const override { return "in memory"; }

  absl::Status Prepare(const Workload& workload) override {
    workload_ = &workload;
    if (way_ == VictoriaWay::kText) frames_ = InfluxLines(workload, {.steps = 20, .hosts = 50});
    if (way_ == VictoriaWay::kColumns) frames_ = VictoriaColumns(workload, {.steps = 360, .hosts = 4});
    return way_ == VictoriaWay::kBlocks ? ExportBlocks(workload) : absl::OkStatus();
  }

  absl::Status Settle() override { return SettleVictoria(port()); }

  absl::StatusOr<int64_t> DataBytes() override { return BytesBelow(data_dir() + "/data"); }

  absl::StatusOr<std::vector<SampleColumns>> ReadHost(int host) override {
    PB_RETURN_IF_ERROR(Get("/internal/force_flush").status());
    const std::string match = "{hostname=\"" + HostName(host) + "\"}";
    PB_ASSIGN_OR_RETURN(const std::string lines, Get("/api/v1/export?match=" + UrlEncode(match)));
    std::vector<SampleColumns> out(kMetricsPerHost);
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) {
      const auto series = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (series.is_discarded()) return absl::InternalError("VictoriaMetrics exported what is no JSON");
      const std::string name = series["metric"]["__name__"].get<std::string>().substr(4);
      const auto at = std::find(kCpuMetrics.begin(), kCpuMetrics.end(), name);
      if (at == kCpuMetrics.end()) continue;
      SampleColumns& columns = out[static_cast<size_t>(at - kCpuMetrics.begin())];
      for (const auto& time : series["timestamps"]) columns.times.push_back(time.get<int64_t>() * 1'000'000);
      for (const auto& value : series["values"]) columns.values.push_back(value.get<double>());
    }
    return out;
  }

 protected:
  std::vector<std::string> Command() const override { return VictoriaCommand(program(), port(), data_dir()); }
  std::string HealthPath() const override { return "/health"; }
  std::string LoadPath() const override {
    if (way_ == VictoriaWay::kText) return "/write";
    return way_ == VictoriaWay::kColumns ? "/api/v1/import" : "/api/v1/import/native";
  }

 private:
  static std::string WayName(VictoriaWay way) {
    if (way == VictoriaWay::kText) return "text lines, 2 connections";
    return way == VictoriaWay::kColumns ? "JSON columns, 2 connections" : "its own compressed blocks, one request";
  }
  // Blocks are what another one exports.
  absl::Status ExportBlocks(const Workload& workload) {
    Victoria source(programs_, VictoriaWay::kColumns);
    PB_RETURN_IF_ERROR(source.Prepare(workload));
    PB_RETURN_IF_ERROR(source.StartFresh());
    PB_RETURN_IF_ERROR(source.Load().status());
    PB_RETURN_IF_ERROR(source.Settle());
    PB_ASSIGN_OR_RETURN(std::string blocks, ExportNative(source.port(), "{__name__=~\"cpu_.+\"}"));
    frames_ = {{std::move(blocks), workload.samples()}};
    return absl::OkStatus();
  }

  const PeerPrograms programs_;
  const VictoriaWay way_;
};

}  // namespace

std::unique_ptr<Peer> MakeVictoria(const PeerPrograms& programs, VictoriaWay way) {
  return std::make_unique<Victoria>(programs, way);
}

std::vector<std::string> VictoriaCommand(const std::string& program, int port, const std::string& data_dir) {
  return {program, "-httpListenAddr=127.0.0.1:" + std::to_string(port), "-storageDataPath=" + data_dir,
          "-retentionPeriod=100y"};
}

absl::Status SettleVictoria(int port) {
  PB_RETURN_IF_ERROR(HttpGet(port, "/internal/force_flush").status());
  PB_RETURN_IF_ERROR(HttpGet(port, "/internal/force_merge").status());
  for (int i = 0; i < 240; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    PB_ASSIGN_OR_RETURN(const std::string metrics, HttpGet(port, "/metrics"));
    std::istringstream in(metrics);
    double merging = 0;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("vm_active_merges") || line.starts_with("vm_active_force_merges")) {
        merging += std::atof(line.c_str() + line.rfind(' '));
      }
    }
    if (merging == 0) return absl::OkStatus();
  }
  return absl::DeadlineExceededError("VictoriaMetrics goes on merging");
}

absl::StatusOr<std::string> ExportNative(int port, std::string_view match) {
  return HttpGet(port, "/api/v1/export/native?match=" + UrlEncode(match));
}

}  // namespace pulseboard::bench
