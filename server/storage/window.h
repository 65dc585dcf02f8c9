// A window: the span of whole UTC days whose blocks of one tier share a RocksDB column family, which is dropped as a
// whole. Windows of one tier never overlap.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/model/samples.h"
#include "server/storage/tiers.h"

namespace pulseboard {

// Days count from 1970-01-01 UTC and may be negative.
constexpr int64_t DayOf(int64_t unix_nanos) {
  return unix_nanos / kNanosPerDay - (unix_nanos % kNanosPerDay < 0 ? 1 : 0);
}
// The greatest multiple of `step` that is not above `value`. REQUIRES: step > 0, the result fits.
constexpr int64_t FloorTo(int64_t value, int64_t step) {
  const int64_t rest = value % step;
  return value - (rest < 0 ? rest + step : rest);
}

struct Window {
  int64_t bucket_ns = kRawBucket;  // the tier
  int64_t start_day = 0;
  int64_t days = 1;

  // Unix nanoseconds, cut to what a time can be.
  int64_t start() const { return StartOf(start_day); }
  int64_t end() const { return StartOf(start_day + days); }
  TimeRange range() const { return {start(), end()}; }
  bool Overlaps(const Window& other) const {
    return start_day < other.start_day + other.days && other.start_day < start_day + days;
  }
  auto operator<=>(const Window&) const = default;

 private:
  static constexpr int64_t StartOf(int64_t day) {
    constexpr int64_t kLastDay = std::numeric_limits<int64_t>::max() / kNanosPerDay;
    if (day > kLastDay) return std::numeric_limits<int64_t>::max();
    if (day < -kLastDay) return std::numeric_limits<int64_t>::min();
    return day * kNanosPerDay;
  }
};

// Length of a new window: the smallest power of two days that gives a tier of this retention at most 30 windows (and,
// from 16 days on, at least 15). Powers of two counted from the epoch nest, so that windows made under another setting
// never cut across each other.
int64_t WindowDays(int64_t retention_ns);
// The window of that length which holds `time`.
Window WindowAt(int64_t bucket_ns, int64_t time, int64_t days);

// `raw.20240131`, `raw.20240101.4`, `1m.20240101.8`: tier, first day, number of days (left out for one raw day).
std::string FamilyName(const Window& window);
// Nothing when `name` is not a window's.
std::optional<Window> ParseFamilyName(std::string_view name);
// `2024-01-31`, for messages.
std::string FormatDay(int64_t day);

}  // namespace pulseboard
