// live_bench: what one server does on this machine, over real sockets, client and server on the same cores. Prints a
// Markdown table. `live_bench [--seconds N]`: length of each measurement, default 10.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "tests/bench/live_loads.h"
#include "tests/bench/peers/report.h"
#include "tests/support/grpc_test.h"

namespace pulseboard::bench {
namespace {

void Row(const std::string& what, const std::string& result) {
  std::printf("| %s | %s |\n", what.c_str(), result.c_str());
  std::fflush(stdout);
}

// A fresh server for each load: none inherits another's data.
template <typename Load>
absl::Status OnFreshServer(Load load) {
  testing::ServerProcess process;
  PB_RETURN_IF_ERROR(process.Start());
  PB_ASSIGN_OR_RETURN(const testing::Login login, testing::LogInAsAdmin(process));
  return load(BenchServer{process, login});
}

absl::Status MeasurePush(int streams, int batch, double seconds) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    PB_ASSIGN_OR_RETURN(const PushResult r, RunPushStreams(server, streams, batch, seconds));
    Row(Text("PushStream, %d stream%s x %d per batch, durable", streams, streams == 1 ? "" : "s", batch),
        Text("%.2f M samples/s; server %.3f, client %.3f CPU-s per million; ack p50 %.1f / p99 %.1f ms; RSS %.0f MB",
             r.samples_per_second / 1e6, r.server_cpu_per_million, r.client_cpu_per_million, r.ack_p50_ms, r.ack_p99_ms,
             static_cast<double>(testing::ResidentBytes(server.process.pid())) / 1e6));
    return absl::OkStatus();
  });
}

absl::Status MeasureUnary(int callers, int samples, double seconds) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    PB_ASSIGN_OR_RETURN(const UnaryResult r, RunUnaryPush(server, callers, samples, seconds));
    Row(Text("unary Push, %d callers x %d rows, durable", callers, samples),
        Text("%.0f calls/s; server %.0f us CPU per call; p50 %.2f / p99 %.2f ms", r.calls_per_second,
             r.server_cpu_us_per_call, r.p50_ms, r.p99_ms));
    return absl::OkStatus();
  });
}

absl::Status MeasureViewers(int viewers, int channels, int series, std::chrono::milliseconds interval, double seconds) {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    PB_ASSIGN_OR_RETURN(const LatencyResult r, RunViewers(server, viewers, channels, series, interval, seconds));
    Row(Text("push to %d viewer%s, %d series every %d ms, fsync included", viewers, viewers == 1 ? "" : "s", series,
             static_cast<int>(interval.count())),
        Text("p50 %.2f / p99 %.2f ms; %.0f samples/s delivered; server %.1f %% of a core, RSS %.0f MB; dropped %lld",
             r.p50_ms, r.p99_ms, r.samples_per_second, r.server_cpu_percent, r.server_rss_mb,
             static_cast<long long>(r.dropped)));
    return absl::OkStatus();
  });
}

absl::Status MeasureMemory() {
  return OnFreshServer([&](const BenchServer& server) -> absl::Status {
    Row("server after start",
        Text("RSS %.0f MB", static_cast<double>(testing::ResidentBytes(server.process.pid())) / 1e6));
    PB_ASSIGN_OR_RETURN(const double bytes, RunIdleStreams(server, 1000));
    Row("1,000 idle Subscribe streams", Text("RSS %.1f KB per stream", bytes / 1e3));
    return absl::OkStatus();
  });
}

absl::Status Run(double seconds) {
  using std::chrono::milliseconds;
  std::printf("%s before the run\n\n| measured | result |\n|---|---|\n", MachineLine().c_str());
  PB_RETURN_IF_ERROR(MeasurePush(1, 1'000, seconds));
  PB_RETURN_IF_ERROR(MeasurePush(1, 5'000, seconds));
  PB_RETURN_IF_ERROR(MeasurePush(8, 1'000, seconds));
  PB_RETURN_IF_ERROR(MeasurePush(8, 5'000, seconds));
  PB_RETURN_IF_ERROR(MeasureUnary(64, 1, seconds));
  PB_RETURN_IF_ERROR(MeasureUnary(64, 10, seconds));
  PB_RETURN_IF_ERROR(MeasureViewers(1, 1, 10, milliseconds(100), seconds));
  PB_RETURN_IF_ERROR(MeasureViewers(100, 10, 10, milliseconds(100), seconds));
  PB_RETURN_IF_ERROR(MeasureViewers(100, 100, 120, milliseconds(1000), seconds));
  return MeasureMemory();
}

}  // namespace
}  // namespace pulseboard::bench

int main(int argc, char** argv) {
  double seconds = 10;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--seconds") seconds = std::atof(argv[i + 1]);
  }
  const absl::Status status = pulseboard::bench::Run(seconds);
  if (!status.ok()) std::fprintf(stderr, "live_bench: %s\n", pulseboard::StatusMessage(status).c_str());
  return status.ok() ? 0 : 1;
}
