// RetryPace: when to try something again that failed, so that a lasting error costs little and a short one is over
// soon.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/base/clock.h"

namespace pulseboard {

// Times are monotonic nanoseconds. Not thread-safe.
class RetryPace {
 public:
  static constexpr int64_t kFirstWait = 10 * kNanosPerMilli;
  static constexpr int64_t kLongestWait = 200 * kNanosPerMilli;
  // The same when it fails again and again though each try goes well, or when trying takes long.
  static constexpr int64_t kLongestRest = 30 * kNanosPerSecond;
  // A failure so soon after a success counts as the same one.
  static constexpr int64_t kSettled = 60 * kNanosPerSecond;
  // Of all time, trying takes this part at most.
  static constexpr int64_t kCostFactor = 10;

  // It failed; repeated calls until the next NoteTry change nothing.
  void NoteFailure(int64_t now) {
    if (failing_) return;
    failing_ = true;
    const bool settled = !succeeded_ || now - succeeded_at_ >= kSettled;
    rest_ = settled ? kFirstWait : std::min(rest_ * 2, kLongestRest);
    wait_ = kFirstWait;
    if (settled) failing_since_ = now;
    next_ = now + rest_;
  }
  // It was tried again.
  void NoteTry(bool ok, int64_t began, int64_t ended) {
    if (ok) {
      failing_ = false;
      succeeded_ = true;
      succeeded_at_ = ended;
      return;
    }
    wait_ = std::max(std::min(wait_ * 2, kLongestWait), std::min(kCostFactor * (ended - began), kLongestRest));
    next_ = ended + wait_;
  }

  bool failing() const { return failing_; }
  bool IsDue(int64_t now) const { return failing_ && now >= next_; }
  int64_t next() const { return next_; }
  int64_t failing_for(int64_t now) const { return failing_ ? now - failing_since_ : 0; }

 private:
  bool failing_ = false;
  bool succeeded_ = false;
  int64_t succeeded_at_ = 0;
  int64_t failing_since_ = 0;
  int64_t rest_ = kFirstWait;  // before the first try
  int64_t wait_ = kFirstWait;  // between tries
  int64_t next_ = 0;
};

}  // namespace pulseboard
