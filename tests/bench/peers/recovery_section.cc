// How long a start takes after a kill -9.
#include <chrono>
#include <cstdio>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"

namespace pulseboard::bench {
namespace {

constexpr double kMostSeconds = 10;
constexpr int kHosts = 1'000, kHours = 3;

absl::StatusOr<int64_t> CountSamples(Peer* peer, const Workload& workload) {
  int64_t samples = 0;
  for (int host = 0; host < workload.hosts; ++host) {
    PB_ASSIGN_OR_RETURN(const std::vector<SampleColumns> series, peer->ReadHost(host));
    for (const SampleColumns& one : series) samples += static_cast<int64_t>(one.size());
  }
  return samples;
}

}  // namespace

absl::StatusOr<SectionResult> RunRecovery(const BenchSettings& settings) {
  const int64_t start = SystemClock().NowUnixNanos() / kNanosPerDay * kNanosPerDay - 2 * kNanosPerDay;
  const Workload workload = MakeWorkload(settings.quick ? kHosts / 5 : kHosts, kHours, Precision::kTwoDecimals, start);
  std::fprintf(stderr, "recovery: %.1f M samples\n", static_cast<double>(workload.samples()) / 1e6);
  const std::unique_ptr<Peer> peer = MakePulseboard(1);
  PB_RETURN_IF_ERROR(peer->Prepare(workload));
  PB_RETURN_IF_ERROR(peer->StartFresh());
  PB_RETURN_IF_ERROR(peer->Load().status());
  peer->Kill();
  const int64_t log_bytes = BytesBelow(peer->data_dir() + "/wal");
  const int64_t begin = SystemClock().MonotonicNanos();
  PB_RETURN_IF_ERROR(peer->Restart());
  const double seconds = static_cast<double>(SystemClock().MonotonicNanos() - begin) / 1e9;
  PB_ASSIGN_OR_RETURN(const int64_t samples, CountSamples(peer.get(), workload));
  peer->Kill();
  const bool complete = samples == workload.samples();
  MarkdownTable table({"what", "result"});
  table.Add({Text("%.1f M samples of %d series pushed, acked, kill -9; until it is ready and has logged a client in",
                  static_cast<double>(workload.samples()) / 1e6, workload.hosts * kMetricsPerHost),
             Text("%.2f s; %lld MiB of log files; %lld of %lld samples there", seconds,
                  static_cast<long long>(log_bytes >> 20), static_cast<long long>(samples),
                  static_cast<long long>(workload.samples()))});
  return SectionResult{table.text(),
                       {{Text("start after kill -9 with %.1f M samples", static_cast<double>(workload.samples()) / 1e6),
                         Text("%.1f s%s", seconds, complete ? "" : ", samples missing"),
                         "10 M samples in < 10 s, none lost", complete && seconds < kMostSeconds}}};
}

}  // namespace pulseboard::bench
