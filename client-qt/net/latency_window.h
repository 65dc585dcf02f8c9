// LatencyWindow: true latency of the newest frames, and how many points come in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "client-qt/model/types.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace pulseboard::qt {

// Thread-safe: filled on gRPC threads, read on the GUI thread.
class LatencyWindow {
 public:
  static constexpr size_t kFrames = 4'096;
  static constexpr int64_t kRateNanos = 5 * kNanosPerSecond;

  explicit LatencyWindow(const Clock& clock = SystemClock()) : clock_(clock), started_(clock.MonotonicNanos()) {}

  // A live frame of `samples` samples; `pushed` 0 when the pusher did not say.
  void addFrame(int64_t pushed_unix_nanos, int64_t arrived_unix_nanos, int64_t samples) PB_EXCLUDES(mu_);
  void addGap(int64_t dropped_samples) PB_EXCLUDES(mu_);
  void clear() PB_EXCLUDES(mu_);
  LatencyStats stats() const PB_EXCLUDES(mu_);

 private:
  struct Arrival {
    int64_t monotonic;
    int64_t samples;
  };
  const Clock& clock_;
  mutable Mutex mu_;
  int64_t started_ PB_GUARDED_BY(mu_);
  std::vector<int64_t> latencies_ PB_GUARDED_BY(mu_);  // ring of kFrames
  size_t next_ PB_GUARDED_BY(mu_) = 0;
  std::deque<Arrival> arrivals_ PB_GUARDED_BY(mu_);  // one per 100 ms of the last kRateNanos
  int64_t dropped_ PB_GUARDED_BY(mu_) = 0;
  int64_t gaps_ PB_GUARDED_BY(mu_) = 0;
};

}  // namespace pulseboard::qt
