#include "client-qt/net/latency_window.h"

#include <algorithm>

namespace pulseboard::qt {
namespace {

constexpr int64_t kBucketNanos = 100 * kNanosPerMilli;

double percentileMs(std::vector<int64_t>* values, double share) {
  if (values->empty()) return -1;
  const auto at = values->begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values->size() - 1) + 0.5);
  std::nth_element(values->begin(), at, values->end());
  return static_cast<double>(*at) / static_cast<double>(kNanosPerMilli);
}

}  // namespace

void LatencyWindow::addFrame(int64_t pushed_unix_nanos, int64_t arrived_unix_nanos, int64_t samples) {
  const int64_t now = clock_.MonotonicNanos();
  MutexLock lock(&mu_);
  if (pushed_unix_nanos > 0) {
    // The clocks of two machines may disagree: a frame cannot arrive before it was sent.
    const int64_t latency = std::max<int64_t>(arrived_unix_nanos - pushed_unix_nanos, 0);
    if (latencies_.size() < kFrames) {
      latencies_.push_back(latency);
    } else {
      latencies_[next_] = latency;
    }
    next_ = (next_ + 1) % kFrames;
  }
  if (!arrivals_.empty() && now - arrivals_.back().monotonic < kBucketNanos) {
    arrivals_.back().samples += samples;
  } else {
    arrivals_.push_back({now, samples});
  }
  while (now - arrivals_.front().monotonic > kRateNanos) arrivals_.pop_front();
}

void LatencyWindow::addGap(int64_t dropped_samples) {
  MutexLock lock(&mu_);
  dropped_ += dropped_samples;
  ++gaps_;
}

void LatencyWindow::clear() {
  MutexLock lock(&mu_);
  started_ = clock_.MonotonicNanos();
  latencies_.clear();
  next_ = 0;
  arrivals_.clear();
  dropped_ = 0;
  gaps_ = 0;
}

LatencyStats LatencyWindow::stats() const {
  const int64_t now = clock_.MonotonicNanos();
  LatencyStats out;
  std::vector<int64_t> latencies;
  {
    MutexLock lock(&mu_);
    latencies = latencies_;
    int64_t samples = 0;
    for (const Arrival& arrival : arrivals_) {
      if (now - arrival.monotonic <= kRateNanos) samples += arrival.samples;
    }
    const int64_t span = std::clamp(now - started_, kNanosPerSecond, kRateNanos);
    out.points_per_second =
        static_cast<double>(samples) * static_cast<double>(kNanosPerSecond) / static_cast<double>(span);
    out.dropped_samples = dropped_;
    out.gap_count = gaps_;
  }
  out.push_to_receive_p50_ms = percentileMs(&latencies, 0.50);
  out.push_to_receive_p99_ms = percentileMs(&latencies, 0.99);
  return out;
}

}  // namespace pulseboard::qt
