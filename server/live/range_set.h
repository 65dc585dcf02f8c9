// RangeSet: stretches of time, apart from each other. When there are too many, the two oldest are joined with what is
// between them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "common/model/samples.h"

namespace pulseboard {

// A value; not thread-safe.
class RangeSet {
 public:
  explicit RangeSet(size_t max_ranges = 64) : max_ranges_(max_ranges) {}

  void Add(TimeRange range) {
    if (range.empty()) return;
    auto it = ends_.upper_bound(range.start);
    if (it != ends_.begin() && std::prev(it)->second >= range.start) --it;
    while (it != ends_.end() && it->first <= range.end) {
      range = {std::min(range.start, it->first), std::max(range.end, it->second)};
      it = ends_.erase(it);
    }
    ends_[range.start] = range.end;
    if (ends_.size() <= max_ranges_) return;
    // What is new is seldom scattered.
    const auto second = std::next(ends_.begin());
    ends_.begin()->second = second->second;
    ends_.erase(second);
  }
  bool empty() const { return ends_.empty(); }
  // All of them, ascending; none is left.
  std::vector<TimeRange> Take() {
    std::vector<TimeRange> ranges;
    for (const auto& [start, end] : ends_) ranges.push_back({start, end});
    ends_.clear();
    return ranges;
  }

 private:
  size_t max_ranges_;
  std::map<int64_t, int64_t> ends_;  // by start
};

}  // namespace pulseboard
