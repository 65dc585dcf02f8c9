#include "server/storage/newest_times.h"

#include <algorithm>

namespace pulseboard {

void NewestTimes::Replay(std::span<const SeriesId> series, std::span<const int64_t> times) {
  for (size_t i = 0; i < series.size(); ++i) {
    Newest& newest = newest_.At(series[i]);
    newest.time = std::max(newest.time, times[i]);
  }
}

void NewestTimes::Judge(std::span<const SeriesId> series, std::span<const int64_t> times, const LookUp& look_up,
                        std::vector<uint32_t>* late) {
  for (size_t i = 0; i < series.size(); ++i) {
    Newest& newest = newest_.At(series[i]);
    // What lies in blocks matters only if it could be newer than the sample at hand.
    if (!newest.known && times[i] > newest.time && times[i] <= ceiling_) {
      newest = {std::max(newest.time, look_up(series[i])), true};
    }
    if (newest.time != kNone && times[i] <= newest.time) {
      late->push_back(static_cast<uint32_t>(i));
    } else {
      undo_.push_back({series[i], newest});
      newest = {times[i], true};
    }
  }
}

void NewestTimes::Reject() {
  for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) newest_.At(it->series) = it->before;
  undo_.clear();
}

}  // namespace pulseboard
