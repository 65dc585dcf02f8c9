#include "server/query/columns/time_columns.h"

#include <algorithm>

#include "absl/time/civil_time.h"
#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int32_t kMaxUnits = 1'000;
// Calendars reach so far: beyond, nanoseconds run out.
constexpr int64_t kLastInstant = int64_t{9'223'000'000} * kNanosPerSecond;

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

// Whole units of a calendar, numbered.
class Calendar {
 public:
  Calendar(const CalendarStep& step, absl::TimeZone zone) : step_(step), zone_(zone) {}

  // The column that holds an instant.
  int64_t ColumnOf(int64_t unix_nanos) const {
    return ColumnOfDay(absl::ToCivilDay(absl::FromUnixNanos(unix_nanos), zone_));
  }
  int64_t StartOf(int64_t column) const { return absl::ToUnixNanos(absl::FromCivil(FirstDay(column), zone_)); }

 private:
  int64_t ColumnOfDay(absl::CivilDay day) const {
    switch (step_.unit) {
      case CalendarUnit::kWeek:
        return FloorDivide(day - FirstWeekStart(), 7 * int64_t{step_.count});
      case CalendarUnit::kMonth:
        return FloorDivide(day.year() * 12 + day.month() - 1, step_.count);
      case CalendarUnit::kYear:
        return FloorDivide(day.year(), step_.count);
      default:
        return FloorDivide(day - absl::CivilDay(1970, 1, 1), step_.count);
    }
  }
  absl::CivilDay FirstDay(int64_t column) const {
    const int64_t units = column * step_.count;
    switch (step_.unit) {
      case CalendarUnit::kWeek:
        return FirstWeekStart() + 7 * units;
      case CalendarUnit::kMonth:
        return absl::CivilDay(absl::CivilMonth(0, 1) + units);
      case CalendarUnit::kYear:
        return absl::CivilDay(units, 1, 1);
      default:
        return absl::CivilDay(1970, 1, 1) + units;
    }
  }
  // 1970-01-05 was a Monday.
  absl::CivilDay FirstWeekStart() const { return absl::CivilDay(1970, 1, 4) + step_.first_day_of_week; }

  const CalendarStep step_;
  const absl::TimeZone zone_;
};

absl::Status CheckCalendar(std::string_view field, const CalendarStep& step) {
  if (step.count < 1 || step.count > kMaxUnits) {
    return BadField(std::string(field) + ".count", std::to_string(step.count), "1 to " + std::to_string(kMaxUnits));
  }
  if (step.first_day_of_week < 1 || step.first_day_of_week > 7) {
    return BadField(std::string(field) + ".first_day_of_week", std::to_string(step.first_day_of_week),
                    "1 (Monday) to 7 (Sunday)");
  }
  return absl::OkStatus();
}

absl::Status TooMany(std::string_view field, int64_t count) {
  return BadField(field, std::to_string(count) + " columns",
                  "a step that makes at most " + std::to_string(kMaxColumns));
}

absl::StatusOr<TimeColumns> CutFixed(TimeRange range, int64_t step_ns) {
  if (step_ns < kNanosPerMilli) return BadField("step", std::to_string(step_ns) + " ns", "at least one millisecond");
  TimeColumns columns;
  if (range.empty()) return columns;
  const int64_t first = FloorDivide(range.start, step_ns);
  const int64_t last = FloorDivide(range.end - 1, step_ns);
  if (last - first >= kMaxColumns) return TooMany("step", last - first + 1);
  columns.bounds.reserve(static_cast<size_t>(last - first) + 2);
  for (int64_t column = first; column <= last; ++column) columns.bounds.push_back(column * step_ns);
  int64_t end = 0;
  if (__builtin_mul_overflow(last + 1, step_ns, &end)) end = kAllTime.end;
  columns.bounds.push_back(end);
  return columns;
}

absl::StatusOr<TimeColumns> CutByCalendar(TimeRange range, const CalendarStep& step) {
  PB_RETURN_IF_ERROR(CheckCalendar("calendar", step));
  PB_ASSIGN_OR_RETURN(const absl::TimeZone zone, FindTimeZone("calendar.time_zone", step.time_zone));
  TimeColumns columns;
  if (range.empty()) return columns;
  if (range.start < -kLastInstant || range.end > kLastInstant) {
    return BadField("end_time", std::to_string(range.end), "a time before 2262-04-09 for calendar columns");
  }
  const Calendar calendar(step, zone);
  const int64_t first = calendar.ColumnOf(range.start);
  const int64_t last = calendar.ColumnOf(range.end - 1);
  if (last - first >= kMaxColumns) return TooMany("calendar", last - first + 1);
  columns.bounds.reserve(static_cast<size_t>(last - first) + 2);
  for (int64_t column = first; column <= last + 1; ++column) columns.bounds.push_back(calendar.StartOf(column));
  return columns;
}

int64_t EarlierByCalendar(int64_t unix_nanos, const CalendarStep& step, absl::TimeZone zone) {
  const int64_t seconds = FloorDivide(unix_nanos, kNanosPerSecond);
  const absl::CivilSecond then = absl::ToCivilSecond(absl::FromUnixSeconds(seconds), zone);
  absl::CivilDay day(then);
  if (step.unit == CalendarUnit::kDay || step.unit == CalendarUnit::kWeek) {
    day -= int64_t{step.count} * (step.unit == CalendarUnit::kWeek ? 7 : 1);
  } else {
    const absl::CivilMonth month =
        absl::CivilMonth(then) - int64_t{step.count} * (step.unit == CalendarUnit::kYear ? 12 : 1);
    const int64_t last_day = absl::CivilDay(month + 1) - absl::CivilDay(month);
    day = absl::CivilDay(month) + (std::min<int64_t>(then.day(), last_day) - 1);
  }
  const absl::CivilSecond earlier(day.year(), day.month(), day.day(), then.hour(), then.minute(), then.second());
  return absl::ToUnixNanos(absl::FromCivil(earlier, zone)) + (unix_nanos - seconds * kNanosPerSecond);
}

}  // namespace

absl::StatusOr<absl::TimeZone> FindTimeZone(std::string_view field, const std::string& name) {
  absl::TimeZone zone = absl::UTCTimeZone();
  if (name.empty()) return zone;
  // What is no name must not reach the file system.
  const bool is_path = name.find("..") != std::string::npos || name.starts_with('/') || name.starts_with("file:");
  if (name.size() > 64 || is_path || name == "localtime" || !absl::LoadTimeZone(name, &zone)) {
    return BadField(field, name, "the IANA name of a zone that this machine knows, e.g. Europe/Berlin,");
  }
  return zone;
}

absl::StatusOr<TimeColumns> CutIntoColumns(TimeRange range, const ColumnStep& step) {
  const bool by_calendar = step.calendar.unit != CalendarUnit::kNone;
  if (by_calendar && step.step_ns != 0) return BadField("calendar", "a calendar beside step", "one of both");
  return by_calendar ? CutByCalendar(range, step.calendar) : CutFixed(range, step.step_ns);
}

TimeColumns SingleColumn(TimeRange range) {
  return range.empty() ? TimeColumns{} : TimeColumns{{range.start, range.end}};
}

absl::StatusOr<TimeColumns> Earlier(const TimeColumns& columns, const PeriodOffset& offset) {
  TimeColumns out = columns;
  if (offset.calendar.unit == CalendarUnit::kNone) {
    for (int64_t& bound : out.bounds) {
      if (__builtin_sub_overflow(bound, offset.offset_ns, &bound)) return BadField("compare.offset", "", "less");
    }
    return out;
  }
  if (offset.offset_ns != 0) return BadField("compare.calendar", "a calendar beside offset", "one of both");
  PB_RETURN_IF_ERROR(CheckCalendar("compare.calendar", offset.calendar));
  PB_ASSIGN_OR_RETURN(const absl::TimeZone zone, FindTimeZone("compare.calendar.time_zone", offset.calendar.time_zone));
  int64_t least = kAllTime.start;
  for (int64_t& bound : out.bounds) {
    if (bound < -kLastInstant || bound > kLastInstant) {
      return BadField("end_time", std::to_string(bound), "a time before 2262-04-09 for calendar offsets");
    }
    // Two ends of a month may have the same day in a shorter one: never backwards.
    bound = least = std::max(least, EarlierByCalendar(bound, offset.calendar, zone));
  }
  return out;
}

}  // namespace pulseboard
