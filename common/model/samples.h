// Samples as columns, and time ranges. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace pulseboard {

struct Sample {
  int64_t time_unix_nanos = 0;
  double value = 0;
};

// Two parallel columns. Where a function says "sorted", times ascend strictly: one sample per time.
struct SampleColumns {
  std::vector<int64_t> times;  // unix nanoseconds
  std::vector<double> values;

  size_t size() const { return times.size(); }
  bool empty() const { return times.empty(); }
  void reserve(size_t n) {
    times.reserve(n);
    values.reserve(n);
  }
  void push_back(int64_t time, double value) {
    times.push_back(time);
    values.push_back(value);
  }
  void clear() {
    times.clear();
    values.clear();
  }
};

// [start, end) in unix nanoseconds.
struct TimeRange {
  int64_t start = 0;
  int64_t end = 0;

  bool Contains(int64_t t) const { return t >= start && t < end; }
  bool empty() const { return end <= start; }
  bool operator==(const TimeRange&) const = default;
};

inline constexpr TimeRange kAllTime{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};

}  // namespace pulseboard
