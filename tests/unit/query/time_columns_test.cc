#include "server/query/columns/time_columns.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <random>

#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int64_t kHour = 3'600 * kNanosPerSecond;

// The C library's idea of a zone, while it lives. One at a time, and without other threads: it is the environment's.
class LocalZone {
 public:
  explicit LocalZone(const std::string& name) {
    ::setenv("TZ", name.empty() ? "UTC" : name.c_str(), 1);
    ::tzset();
  }
  ~LocalZone() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  std::tm At(int64_t unix_nanos) const {
    const auto seconds =
        static_cast<std::time_t>(unix_nanos / kNanosPerSecond - (unix_nanos % kNanosPerSecond < 0 ? 1 : 0));
    std::tm out{};
    ::localtime_r(&seconds, &out);
    return out;
  }
  // Number of the local day since 1970-01-01.
  int64_t Day(int64_t unix_nanos) const {
    std::tm day = At(unix_nanos);
    day.tm_hour = day.tm_min = day.tm_sec = 0;
    return ::timegm(&day) / 86'400;
  }
};

int64_t FloorDiv(int64_t a, int64_t b) {
  int64_t q = a / b;
  while (q * b > a) --q;
  while ((q + 1) * b <= a) ++q;
  return q;
}

// A number that is the same for exactly the times of one column.
int64_t ColumnKey(int64_t time, const ColumnStep& step, const LocalZone& zone) {
  const CalendarStep& c = step.calendar;
  switch (c.unit) {
    case CalendarUnit::kNone:
      return FloorDiv(time, step.step_ns);
    case CalendarUnit::kDay:
      return FloorDiv(zone.Day(time), c.count);
    case CalendarUnit::kWeek:  // 1970-01-01 was a Thursday: day 4 a Monday
      return FloorDiv(zone.Day(time) - 3 - c.first_day_of_week, 7 * c.count);
    case CalendarUnit::kMonth: {
      const std::tm t = zone.At(time);
      return FloorDiv((t.tm_year + 1900) * 12 + t.tm_mon, c.count);
    }
    case CalendarUnit::kYear:
      return FloorDiv(zone.At(time).tm_year + 1900, c.count);
  }
  return 0;
}

int64_t Utc(int year, int month, int day, int hour = 0, int minute = 0) {
  std::tm t{};
  t.tm_year = year - 1900;
  t.tm_mon = month - 1;
  t.tm_mday = day;
  t.tm_hour = hour;
  t.tm_min = minute;
  return ::timegm(&t) * kNanosPerSecond;
}

ColumnStep Calendar(CalendarUnit unit, std::string zone, int32_t count = 1, int32_t first_day = 1) {
  return {0, {unit, count, std::move(zone), first_day}};
}

TEST(TimeColumns, DaysAreAsLongAsTheirClocksMakeThem) {
  const auto spring =
      CutIntoColumns({Utc(2026, 3, 27, 23), Utc(2026, 3, 30, 22)}, Calendar(CalendarUnit::kDay, "Europe/Berlin"));
  ASSERT_TRUE(spring.ok());
  EXPECT_EQ(spring->bounds, (std::vector<int64_t>{Utc(2026, 3, 27, 23), Utc(2026, 3, 28, 23), Utc(2026, 3, 29, 22),
                                                  Utc(2026, 3, 30, 22)}));
  const auto autumn =
      CutIntoColumns({Utc(2026, 10, 25), Utc(2026, 10, 25, 1)}, Calendar(CalendarUnit::kDay, "Europe/Berlin"));
  ASSERT_EQ(autumn->size(), 1U);
  EXPECT_EQ(autumn->bounds[1] - autumn->bounds[0], 25 * kHour);
}

TEST(TimeColumns, AMidnightThatTheClocksSkipIsWhenTheyDo) {
  // In Havana 2026-03-08 begins at 01:00.
  const auto columns =
      CutIntoColumns({Utc(2026, 3, 8, 12), Utc(2026, 3, 8, 13)}, Calendar(CalendarUnit::kDay, "America/Havana"));
  EXPECT_EQ(columns->bounds, (std::vector<int64_t>{Utc(2026, 3, 8, 5), Utc(2026, 3, 9, 4)}));
}

TEST(TimeColumns, AreTheCalendarOfTheCLibraryInEveryZone) {
  const std::vector<std::string> zones = {"",
                                          "Europe/Berlin",
                                          "America/New_York",
                                          "America/Havana",
                                          "America/Sao_Paulo",
                                          "Australia/Lord_Howe",
                                          "Asia/Kathmandu",
                                          "Pacific/Apia",
                                          "Africa/Casablanca",
                                          "Antarctica/Troll"};
  std::mt19937_64 random(7);
  for (int round = 0; round < 400; ++round) {
    const std::string& zone = zones[random() % zones.size()];
    const auto unit = static_cast<CalendarUnit>(1 + random() % 4);
    const ColumnStep step =
        Calendar(unit, zone, 1 + static_cast<int32_t>(random() % 5), 1 + static_cast<int32_t>(random() % 7));
    const int64_t start = Utc(2009, 1, 1) + static_cast<int64_t>(random() % (17ull * 365 * 24)) * kHour;
    const TimeRange range{start, start + static_cast<int64_t>(random() % (3 * 365 * 24)) * kHour + 1};
    const auto columns = CutIntoColumns(range, step);
    ASSERT_TRUE(columns.ok()) << StatusMessage(columns.status());
    const LocalZone local(zone);
    EXPECT_LE(columns->bounds.front(), range.start);
    EXPECT_GE(columns->bounds.back(), range.end);
    EXPECT_GT(columns->bounds[1], range.start) << "no column before the range";
    EXPECT_LT(columns->bounds[columns->size() - 1], range.end) << "none after it";
    for (size_t i = 0; i < columns->size(); ++i) {
      const int64_t from = columns->bounds[i], to = columns->bounds[i + 1];
      ASSERT_LT(from, to);
      const int64_t key = ColumnKey(from, step, local);
      ASSERT_EQ(ColumnKey(to - 1, step, local), key) << zone << " round " << round;
      ASSERT_NE(ColumnKey(from - 1, step, local), key) << zone << " round " << round;
      ASSERT_EQ(ColumnKey(from + static_cast<int64_t>(random() % static_cast<uint64_t>(to - from)), step, local), key);
    }
  }
}

TEST(TimeColumns, AnEarlierPeriodKeepsTheTimeOfDay) {
  const auto day =
      CutIntoColumns({Utc(2026, 4, 4, 22), Utc(2026, 4, 5, 22)}, Calendar(CalendarUnit::kDay, "Europe/Berlin"));
  const auto week_before = Earlier(*day, {0, {CalendarUnit::kWeek, 1, "Europe/Berlin", 1}});
  EXPECT_EQ(week_before->bounds, (std::vector<int64_t>{Utc(2026, 3, 28, 23), Utc(2026, 3, 29, 22)}));
  const auto fixed = Earlier(*day, {7 * 24 * kHour, {}});
  EXPECT_EQ(fixed->bounds[0], Utc(2026, 3, 28, 22));
  const TimeColumns ends{{Utc(2026, 3, 30, 12), Utc(2026, 3, 31, 12)}};
  const auto month_before = Earlier(ends, {0, {CalendarUnit::kMonth, 1, "", 1}});
  EXPECT_EQ(month_before->bounds, (std::vector<int64_t>{Utc(2026, 2, 28, 12), Utc(2026, 2, 28, 12)}));
  const auto year_before = Earlier({{Utc(2028, 2, 29, 1)}}, {0, {CalendarUnit::kYear, 1, "", 1}});
  EXPECT_EQ(year_before->bounds[0], Utc(2027, 2, 28, 1));
}

TEST(TimeColumns, SayWhatIsWrong) {
  const TimeRange range{0, kHour};
  const auto refused = [&](const ColumnStep& step, TimeRange in) {
    return HasReason(CutIntoColumns(in, step).status(), ErrorReason::kBadField);
  };
  EXPECT_TRUE(refused({0, {}}, range));
  EXPECT_TRUE(refused({-kHour, {}}, range));
  EXPECT_TRUE(refused({kNanosPerMilli, {}}, range)) << "3,600,000 columns";
  EXPECT_TRUE(refused({kHour, {CalendarUnit::kDay, 1, "", 1}}, range)) << "both";
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kDay, "Mars/Olympus"), range));
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kDay, "/etc/localtime"), range));
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kDay, "file:/etc/localtime"), range));
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kDay, "../UTC"), range));
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kDay, "", 0), range));
  EXPECT_TRUE(refused(Calendar(CalendarUnit::kWeek, "", 1, 8), range));
  EXPECT_EQ(CutIntoColumns({5, 5}, {kHour, {}})->size(), 0U);
}

}  // namespace
}  // namespace pulseboard
