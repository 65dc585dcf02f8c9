#include <signal.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <thread>

#include "common/base/errors.h"
#include "tests/bench/peers/http_peer.h"

namespace pulseboard::bench {
namespace {

// Defaults of the package: wal-fsync-delay = 0, every write is fsynced.
class Influx : public HttpPeer {
 public:
  explicit Influx(const PeerPrograms& programs)
      : HttpPeer("InfluxDB", "text lines, 2 connections", programs.influx, 2) {}

  std::string AckMeaning() const override { return "fsynced"; }

  absl::Status Prepare(const Workload& workload) override {
    workload_ = &workload;
    frames_ = InfluxLines(workload, {.steps = 100, .hosts = 50});
    return absl::OkStatus();
  }

  absl::Status StartFresh() override {
    WriteConfig("");
    return HttpPeer::StartFresh();
  }

  // With short cold times, so that the log becomes files and each shard's files one; until the size stands still.
  absl::Status Settle() override {
    Stop();
    WriteConfig(" cache-snapshot-write-cold-duration = \"2s\"\n compact-full-write-cold-duration = \"4s\"\n");
    PB_RETURN_IF_ERROR(Restart());
    int64_t size = -1;
    for (int still = 0, i = 0; still < 8 && i < 120; ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      const int64_t now = BytesBelow(data_dir());
      still = now == size ? still + 1 : 0;
      size = now;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> DataBytes() override {
    return BytesBelow(data_dir(), ".tsm") + BytesBelow(data_dir() + "/wal/bench", ".wal");
  }

  absl::StatusOr<std::vector<SampleColumns>> ReadHost(int host) override {
    const std::string query = "SELECT * FROM cpu WHERE hostname='" + HostName(host) + "'";
    PB_ASSIGN_OR_RETURN(const std::string text,
                        HttpConnection(port()).Call("GET", "/query?db=bench&epoch=ns&q=" + UrlEncode(query),
                                                    "Accept: application/csv\r\n", ""));
    std::vector<SampleColumns> out(kMetricsPerHost);
    std::istringstream in(text);
    std::string line, cell;
    std::vector<size_t> metric_of;  // by column; kMetricsPerHost: none
    size_t time_column = 0;
    while (std::getline(in, line)) {
      std::istringstream cells(line);
      int64_t time = 0;
      const bool heading = metric_of.empty();
      for (size_t column = 0; std::getline(cells, cell, ','); ++column) {
        if (heading) {
          if (cell == "time") time_column = column;
          metric_of.push_back(
              static_cast<size_t>(std::find(kCpuMetrics.begin(), kCpuMetrics.end(), cell) - kCpuMetrics.begin()));
        } else if (column == time_column) {
          time = std::atoll(cell.c_str());
        } else if (column < metric_of.size() && metric_of[column] < kMetricsPerHost) {
          double value = 0;
          std::from_chars(cell.data(), cell.data() + cell.size(), value);
          out[metric_of[column]].times.push_back(time);
          out[metric_of[column]].values.push_back(value);
        }
      }
    }
    return out;
  }

 protected:
  std::vector<std::string> Command() const override { return {program(), "-config", File("influx.conf")}; }
  std::string HealthPath() const override { return "/ping"; }
  std::string LoadPath() const override { return "/write?db=bench"; }
  absl::Status AfterFirstStart() override {
    const std::string form = "q=" + UrlEncode("CREATE DATABASE bench");
    return HttpConnection(port())
        .Call("POST", "/query", "Content-Type: application/x-www-form-urlencoded\r\n", form)
        .status();
  }

 private:
  void WriteConfig(const std::string& extra) const {
    const std::string dir = data_dir();
    testing::WriteFile(File("influx.conf"),
                       "reporting-disabled = true\nbind-address = \"127.0.0.1:" + std::to_string(rpc_port_) +
                           "\"\n[meta]\n dir = \"" + dir + "/meta\"\n[data]\n dir = \"" + dir +
                           "/data\"\n wal-dir = \"" + dir + "/wal\"\n" + extra +
                           "[http]\n bind-address = \"127.0.0.1:" + std::to_string(port()) +
                           "\"\n log-enabled = false\n[monitor]\n store-enabled = false\n");
  }

  const int rpc_port_ = testing::PickPort();
};

}  // namespace

std::unique_ptr<Peer> MakeInflux(const PeerPrograms& programs) { return std::make_unique<Influx>(programs); }

}  // namespace pulseboard::bench
