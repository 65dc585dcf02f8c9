// ChangeWindow: how much a series changed over a sliding window, sample by sample. Samples that come late are put where
// they belong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/model/samples.h"

namespace pulseboard {

// Thread-compatible. Adding a sample costs amortised O(1); a late one costs what lies behind it.
class ChangeWindow {
 public:
  // `counts`: the series is a counter, so a lower value means that it began anew at 0. At most `max_samples` are held;
  // of more, the older half is thinned out.
  ChangeWindow(int64_t window_ns, bool counts, size_t max_samples)
      : window_ns_(window_ns), counts_(counts), max_samples_(max_samples) {}

  // One with the time of another replaces it. NaN is left out.
  void Add(int64_t time, double value);

  struct Change {
    double amount = 0;   // newest - oldest, or the increase of a counter
    double seconds = 0;  // between the two
    double oldest = 0;   // the value that it started from
  };
  // From the newest sample that is a window older than the newest of all (or the oldest of all, when the samples reach
  // back over half a window at least) to the newest; nothing when they do not.
  std::optional<Change> Get() const;

  const std::deque<Sample>& samples() const { return samples_; }
  size_t size() const { return samples_.size(); }

 private:
  // From one sample to the next.
  double Step(const Sample& from, const Sample& to) const {
    return to.value >= from.value ? to.value - from.value : to.value;
  }
  void Recount();
  void Trim();

  int64_t window_ns_;
  bool counts_;
  size_t max_samples_;
  std::deque<Sample> samples_;  // ascending by time
  double increase_ = 0;         // of counters: the sum of all steps
  size_t subtracted_ = 0;       // steps taken off `increase_` since it was counted
};

}  // namespace pulseboard
