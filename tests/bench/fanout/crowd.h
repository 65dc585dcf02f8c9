// Crowd: many raw viewers of one server in this process. They decode no more than they must, so that the client's share
// of the machine is small.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/bench/live_loads.h"

namespace pulseboard::bench {

struct CrowdOptions {
  int viewers = 0;
  int channels = 10;
  int frames_per_second = 20;
  bool with_latencies = false;                      // decodes each message for its times
  std::function<std::string(int viewer)> selector;  // what each watches
};

class CrowdViewer;

// Not thread-safe but for the counters.
class Crowd {
 public:
  Crowd();
  ~Crowd();  // cancels and waits
  // Opens all and waits until they are live.
  absl::Status Open(const BenchServer& server, const CrowdOptions& options);
  // The viewer stops reading, with the stream open.
  void Stall(int viewer);

  int64_t samples() const { return samples_; }
  int64_t messages() const { return messages_; }
  // Push to receipt of all messages since the last call, in milliseconds, of all viewers but `except` (-1: none).
  std::vector<double> TakeMillis(int except = -1);

 private:
  friend class CrowdViewer;
  std::atomic<int64_t> samples_{0};
  std::atomic<int64_t> messages_{0};
  std::atomic<int64_t> live_{0};
  std::atomic<int64_t> ended_{0};
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<CrowdViewer>> viewers_;
};

}  // namespace pulseboard::bench
