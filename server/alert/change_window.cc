#include "server/alert/change_window.h"

#include <algorithm>
#include <cmath>

#include "common/base/clock.h"

namespace pulseboard {

void ChangeWindow::Add(int64_t time, double value) {
  if (std::isnan(value)) return;
  const Sample sample{time, value};
  if (samples_.empty() || time > samples_.back().time_unix_nanos) {
    if (counts_ && !samples_.empty()) increase_ += Step(samples_.back(), sample);
    samples_.push_back(sample);
    Trim();
    return;
  }
  const auto at = std::lower_bound(samples_.begin(), samples_.end(), time,
                                   [](const Sample& s, int64_t t) { return s.time_unix_nanos < t; });
  if (at->time_unix_nanos == time) {
    at->value = value;
  } else {
    samples_.insert(at, sample);
  }
  Trim();
  Recount();
}

void ChangeWindow::Trim() {
  const int64_t start = samples_.back().time_unix_nanos - window_ns_;
  // One sample at or before the start stays: it says what the value was there.
  while (samples_.size() > 1 && samples_[1].time_unix_nanos <= start) {
    if (counts_) {
      increase_ -= Step(samples_[0], samples_[1]);
      ++subtracted_;
    }
    samples_.pop_front();
  }
  if (samples_.size() > max_samples_) {
    // The ends stay; of counters, a reset between two that go may be missed.
    std::deque<Sample> kept;
    for (size_t i = 0; i < samples_.size(); ++i) {
      if (i % 2 == 0 || i > samples_.size() / 2) kept.push_back(samples_[i]);
    }
    samples_.swap(kept);
    Recount();
  }
  // Differences of rounded sums drift: counted anew once per window, which costs O(1) per sample.
  if (subtracted_ > samples_.size()) Recount();
}

void ChangeWindow::Recount() {
  subtracted_ = 0;
  increase_ = 0;
  if (!counts_) return;
  for (size_t i = 1; i < samples_.size(); ++i) increase_ += Step(samples_[i - 1], samples_[i]);
}

std::optional<ChangeWindow::Change> ChangeWindow::Get() const {
  if (samples_.size() < 2) return std::nullopt;
  const int64_t reach = samples_.back().time_unix_nanos - samples_.front().time_unix_nanos;
  if (reach < window_ns_ / 2) return std::nullopt;
  return Change{counts_ ? increase_ : samples_.back().value - samples_.front().value,
                static_cast<double>(reach) / static_cast<double>(kNanosPerSecond), samples_.front().value};
}

}  // namespace pulseboard
