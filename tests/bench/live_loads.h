// The loads of live_bench: each drives a server process over real sockets and returns what it measured.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/support/client.h"
#include "tests/support/process.h"

namespace pulseboard::bench {

struct BenchServer {
  testing::ServerProcess& process;
  const testing::Login& login;
};

// The q-quantile (0 to 1) of `values`, which is sorted by it; 0 for none.
double Quantile(std::vector<double>* values, double q);

struct PushResult {
  double samples_per_second = 0;      // acknowledged as fsynced
  double server_cpu_per_million = 0;  // CPU seconds
  double client_cpu_per_million = 0;
  double ack_p50_ms = 0;  // from write to ack
  double ack_p99_ms = 0;
  int64_t samples = 0;
};

// `streams` PushStreams at once, each of 1,000 series with two-decimal gauges, as fast as the server's window lets
// them.
absl::StatusOr<PushResult> RunPushStreams(const BenchServer& server, int streams, int batch_samples, double seconds);

struct UnaryResult {
  double calls_per_second = 0;
  double server_cpu_us_per_call = 0;
  double p50_ms = 0;
  double p99_ms = 0;
};

// `callers` unary Push calls under way at any time, each of `samples` rows.
absl::StatusOr<UnaryResult> RunUnaryPush(const BenchServer& server, int callers, int samples, double seconds);

struct LatencyResult {
  double p50_ms = 0;
  double p99_ms = 0;
  double samples_per_second = 0;  // delivered to all viewers together
  double server_cpu_percent = 0;  // of one core
  double server_rss_mb = 0;
  int64_t frames = 0;
  int64_t dropped = 0;
};

// One pusher of `series` samples every `interval`, `viewers` streams over `channels` connections that watch them all.
// Latency: from the pusher's send to the viewer's receipt of the frame, fsync included.
absl::StatusOr<LatencyResult> RunViewers(const BenchServer& server, int viewers, int channels, int series,
                                         std::chrono::milliseconds interval, double seconds);

// Resident bytes of the server per open Subscribe stream without traffic.
absl::StatusOr<double> RunIdleStreams(const BenchServer& server, int streams);

}  // namespace pulseboard::bench
