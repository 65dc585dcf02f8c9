// Cadence: how often a series speaks, learnt from its commits, and whether it has fallen silent by that measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/base/clock.h"

namespace pulseboard {

// A value of 24 bytes. Times are monotonic nanoseconds.
class Cadence {
 public:
  Cadence() = default;
  // What was learnt before, and `last_ns` for when it came last.
  Cadence(int64_t last_ns, int64_t interval_ns, int32_t arrivals)
      : last_ns_(last_ns), interval_ns_(interval_ns), arrivals_(std::clamp(arrivals, 0, kLearnt)) {}

  // The series came at `now_ns`.
  void Note(int64_t now_ns) {
    if (arrivals_ > 0 && now_ns > last_ns_) {
      const int64_t step = now_ns - last_ns_;
      // The first step as it is, then an eighth of the way to each. One long silence moves it by its own length at
      // most.
      const int64_t toward = arrivals_ == 1 ? step : std::min(step, 2 * interval_ns_);
      interval_ns_ = arrivals_ == 1 ? toward : interval_ns_ + (toward - interval_ns_) / 8;
    }
    if (now_ns > last_ns_ || arrivals_ == 0) arrivals_ = std::min(arrivals_ + 1, kLearnt);
    last_ns_ = now_ns;
    stale_ = false;
  }

  // True once for each silence: after three of its intervals, and kGraceNanos at least, since it last came. Never
  // before it came kLearnt times.
  bool FallsSilent(int64_t now_ns) {
    if (stale_ || arrivals_ < kLearnt) return false;
    stale_ = now_ns > silent_from_ns();
    return stale_;
  }
  // Until then its silence is its own way; without end before it came kLearnt times.
  int64_t silent_from_ns() const {
    if (arrivals_ < kLearnt) return std::numeric_limits<int64_t>::max();
    return last_ns_ + std::max(3 * interval_ns_, interval_ns_ + kGraceNanos);
  }

  bool stale() const { return stale_; }
  int64_t interval_ns() const { return interval_ns_; }  // 0: not known yet
  int64_t last_ns() const { return last_ns_; }
  int32_t arrivals() const { return arrivals_; }  // counted up to kLearnt

  static constexpr int32_t kLearnt = 4;
  static constexpr int64_t kGraceNanos = 2 * kNanosPerSecond;

 private:
  int64_t last_ns_ = 0;
  int64_t interval_ns_ = 0;
  int32_t arrivals_ = 0;  // up to kLearnt
  bool stale_ = false;
};

}  // namespace pulseboard
