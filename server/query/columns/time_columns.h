// TimeColumns: a range of time cut into columns, of fixed length or by a calendar in a zone.
//
// Columns of fixed length are whole multiples of it since the epoch, those of a calendar are whole days, weeks, months
// or years of their zone: a day is 23 or 25 hours long when its clocks change. The range cuts what is read of the first
// and the last one, not where they are said to begin: asked again a minute later, columns keep their names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/model/samples.h"

namespace pulseboard {

inline constexpr int64_t kMaxColumns = 100'000;

enum class CalendarUnit : uint8_t { kNone, kDay, kWeek, kMonth, kYear };

// `count` units make one column: two days, three months. Days count from 1970-01-01, months and years from the year 0.
struct CalendarStep {
  CalendarUnit unit = CalendarUnit::kNone;
  int32_t count = 1;              // 1 to 1000
  std::string time_zone;          // IANA name; empty: UTC
  int32_t first_day_of_week = 1;  // of kWeek: 1 Monday … 7 Sunday
};

// Either a fixed length or a calendar.
struct ColumnStep {
  int64_t step_ns = 0;
  CalendarStep calendar;
};

// How much earlier the period to compare with lies: a fixed time, or calendar units (see CalendarStep; `count` of
// them).
struct PeriodOffset {
  int64_t offset_ns = 0;
  CalendarStep calendar;
  bool none() const { return offset_ns == 0 && calendar.unit == CalendarUnit::kNone; }
};

// bounds[i] to bounds[i + 1] is a column; ascending, but not strictly once shifted.
struct TimeColumns {
  std::vector<int64_t> bounds;
  size_t size() const { return bounds.empty() ? 0 : bounds.size() - 1; }
};

// BAD_FIELD for names that this machine's tz database does not have. Empty: UTC.
absl::StatusOr<absl::TimeZone> FindTimeZone(std::string_view field, const std::string& name);

// Columns that cover `range`; none for an empty one. BAD_FIELD for a step that makes no sense, or makes more than
// kMaxColumns.
absl::StatusOr<TimeColumns> CutIntoColumns(TimeRange range, const ColumnStep& step);
// One column, the range itself.
TimeColumns SingleColumn(TimeRange range);
// The same columns earlier. By calendar, a bound keeps its time of day; a day that a shorter month does not have is its
// last one, a time that the clocks skip is when they do.
absl::StatusOr<TimeColumns> Earlier(const TimeColumns& columns, const PeriodOffset& offset);

}  // namespace pulseboard
