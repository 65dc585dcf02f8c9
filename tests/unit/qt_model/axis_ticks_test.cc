#include "client-qt/model/axis_ticks.h"

#include <gtest/gtest.h>

#include <QDateTime>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;
const QTimeZone kParis("Europe/Paris");

qint64 at(const char* local, const QTimeZone& zone = kParis) {
  QDateTime time = QDateTime::fromString(QString::fromLatin1(local), Qt::ISODate);
  time.setTimeZone(zone);
  return time.toSecsSinceEpoch() * kSecond;
}

std::vector<std::string> texts(const QVector<TimeTick>& ticks) {
  std::vector<std::string> out;
  for (const TimeTick& tick : ticks) out.push_back(tick.text.toStdString());
  return out;
}

TEST(TimeTicks, StandAtNaturalSteps) {
  const auto ticks = timeTicks({at("2026-11-24T12:01:13"), at("2026-11-24T12:29:50")}, 7, kParis);
  EXPECT_EQ(texts(ticks), (std::vector<std::string>{"12:05", "12:10", "12:15", "12:20", "12:25"}));
}

TEST(TimeTicks, StayTheSameInstantsWhileTheRangeScrolls) {
  const qint64 start = at("2026-11-24T12:00:00");
  for (int second = 0; second < 120; ++second) {
    const TimeRange range{start + second * kSecond, start + (second + 300) * kSecond};
    for (const TimeTick& tick : timeTicks(range, 6, kParis)) EXPECT_EQ(tick.unix_nanos % (60 * kSecond), 0);
  }
}

TEST(TimeTicks, NeverExceedTheLabelsThatFit) {
  const qint64 start = at("2026-03-01T00:00:00");
  for (const qint64 seconds : {10, 300, 3'600, 86'400, 7 * 86'400, 30 * 86'400, 400 * 86'400}) {
    for (const int labels : {3, 6, 10}) {
      EXPECT_LE(timeTicks({start, start + seconds * kSecond}, labels, kParis).size(), labels + 1)
          << seconds << " " << labels;
    }
  }
}

TEST(TimeTicks, KeepLocalHoursAcrossTheChangeOfTheClock) {
  // In Paris the night of 2026-10-25 has 25 hours.
  const auto ticks = timeTicks({at("2026-10-24T18:00:00"), at("2026-10-25T18:00:00")}, 5, kParis);
  EXPECT_EQ(texts(ticks).front(), "18:00");
  EXPECT_EQ(ticks[1].text, "25 Oct");
}

TEST(TimeTicks, NameDaysAndMonths) {
  const auto days = timeTicks({at("2026-11-01T00:00:00"), at("2026-11-08T00:00:00")}, 8, kParis);
  EXPECT_EQ(days.front().text, "1 Nov");
  const auto months = timeTicks({at("2026-01-01T00:00:00"), at("2026-12-31T00:00:00")}, 12, kParis);
  EXPECT_EQ(months[1].text, "Mar 2026");
}

TEST(ValueAxis, StartsAtZeroWhenZeroIsNear) {
  const ValueAxis axis = valueAxis({12, 87}, "%");
  EXPECT_EQ(axis.min, 0);
  EXPECT_EQ(axis.max, 100);
  EXPECT_GE(axis.ticks.size(), 4);
  EXPECT_LE(axis.ticks.size(), 6);
}

TEST(ValueAxis, ZoomsInOnValuesFarFromZero) {
  const ValueAxis axis = valueAxis({980, 1'010}, "1");
  EXPECT_GE(axis.min, 900);
  EXPECT_LE(axis.max, 1'100);
}

TEST(ValueAxis, StepsByPowersOfTwoForBytes) {
  const double gib = static_cast<double>(1ull << 30);
  const ValueAxis axis = valueAxis({0, 7.2 * gib}, "By");
  EXPECT_EQ(axis.max, 8 * gib);
  EXPECT_EQ(axis.ticks[1], 2 * gib);
}

TEST(ValueAxis, CoversItsRangeAlways) {
  for (const double scale : {1e-9, 1e-3, 1.0, 37.0, 1e6, 1e15}) {
    for (const auto& [low, high] : {std::pair{0.0, 1.0}, {-3.0, 7.0}, {5.0, 5.0}, {0.0, 0.0}, {-9.0, -8.5}}) {
      const ValueAxis axis = valueAxis({low * scale, high * scale}, "1");
      EXPECT_LE(axis.min, low * scale);
      EXPECT_GE(axis.max, high * scale);
      EXPECT_LT(axis.min, axis.max);
      EXPECT_LE(axis.ticks.size(), 8);
    }
  }
}

TEST(ValueAxis, GrowsAtOnceAndShrinksLate) {
  const ValueAxis shown = valueAxis({0, 90}, "%");
  EXPECT_EQ(steadyAxis(shown, valueAxis({0, 60}, "%")).max, shown.max);
  EXPECT_GT(steadyAxis(shown, valueAxis({0, 150}, "%")).max, shown.max);
  EXPECT_LT(steadyAxis(shown, valueAxis({0, 10}, "%")).max, shown.max);
}

}  // namespace
}  // namespace pulseboard::qt
