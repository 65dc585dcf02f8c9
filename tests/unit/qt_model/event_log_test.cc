#include "client-qt/model/event_log.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;

EventItem event(qint64 id, qint64 time, EventSeverity severity = EventSeverity::Info) {
  EventItem item;
  item.id = id;
  item.time = time;
  item.severity = severity;
  item.source = QStringLiteral("deploy");
  item.text = QStringLiteral("number %1").arg(id);
  return item;
}

std::vector<qint64> idsOf(const EventLog& log) {
  std::vector<qint64> ids;
  for (const EventItem& item : log.events()) ids.push_back(item.id);
  return ids;
}

TEST(EventLog, KeepsEachOnceInTheOrderOfTime) {
  EventLog log;
  EXPECT_TRUE(log.add({event(3, 30), event(1, 10)}));
  EXPECT_TRUE(log.add({event(2, 20), event(4, 10)}));
  EXPECT_FALSE(log.add({event(3, 30), event(4, 10)}));
  EXPECT_EQ(idsOf(log), (std::vector<qint64>{1, 4, 2, 3}));
}

TEST(EventLog, IsBoundedAndTheOldestGo) {
  EventLog log(100);
  for (int i = 0; i < 1'000; ++i) log.add({event(i, i)});
  ASSERT_EQ(log.events().size(), 100u);
  EXPECT_EQ(log.events().front().id, 900);
  log.trim(950);
  EXPECT_EQ(log.events().front().id, 950);
  EXPECT_EQ(log.events().size(), 50u);
}

TEST(EventLog, PutsEventsCloseToEachOtherIntoOneMarkOfTheWorstSeverity) {
  EventLog log;
  log.add({event(1, 10 * kSecond), event(2, 11 * kSecond, EventSeverity::Critical), event(3, 12 * kSecond),
           event(4, 40 * kSecond, EventSeverity::Warning)});
  const QVector<EventMark> marks = log.marks({0, 60 * kSecond}, 5 * kSecond);
  ASSERT_EQ(marks.size(), 2);
  EXPECT_EQ(marks[0].time, 10 * kSecond);
  EXPECT_EQ(marks[0].count, 3);
  EXPECT_EQ(marks[0].severity, EventSeverity::Critical);
  EXPECT_EQ(marks[1].count, 1);
  EXPECT_EQ(marks[1].severity, EventSeverity::Warning);
  const std::vector<const EventItem*> inside = log.eventsOf(marks[0]);
  ASSERT_EQ(inside.size(), 3u);
  EXPECT_EQ(inside[0]->id, 2);
  EXPECT_EQ(inside[1]->id, 1);
  EXPECT_EQ(inside[2]->id, 3);
}

TEST(EventLog, TellsOnlyMarksOfTheRange) {
  EventLog log;
  log.add({event(1, 10 * kSecond), event(2, 20 * kSecond), event(3, 30 * kSecond)});
  const QVector<EventMark> marks = log.marks({15 * kSecond, 30 * kSecond}, kSecond);
  ASSERT_EQ(marks.size(), 1);
  EXPECT_EQ(marks[0].time, 20 * kSecond);
}

TEST(EventLog, DrawsABoundedNumberOfMarksAndLosesNoEvent) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    EventLog log;
    std::vector<EventItem> all;
    const int count = static_cast<int>(random() % 5'000);
    for (int i = 0; i < count; ++i) all.push_back(event(i, static_cast<qint64>(random() % (300 * kSecond))));
    log.add(all);
    const qint64 apart = kSecond + static_cast<qint64>(random() % (20 * kSecond));
    const QVector<EventMark> marks = log.marks({0, 300 * kSecond}, apart);
    EXPECT_LE(marks.size(), 300 * kSecond / apart + 1);
    EXPECT_EQ(std::accumulate(marks.begin(), marks.end(), 0, [](int sum, const EventMark& m) { return sum + m.count; }),
              count);
    for (qsizetype i = 1; i < marks.size(); ++i) EXPECT_GE(marks[i].time - marks[i - 1].time, apart);
  }
}

TEST(EventLog, KeepsItsMarksWhileTheRangeScrolls) {
  EventLog log;
  std::vector<EventItem> all;
  for (int i = 0; i < 100; ++i) all.push_back(event(i, i * 700'000'000LL));
  log.add(all);
  const QVector<EventMark> before = log.marks({0, 70 * kSecond}, 3 * kSecond);
  for (qint64 start = 0; start < 30 * kSecond; start += 330'000'000) {
    for (const EventMark& mark : log.marks({start, 70 * kSecond}, 3 * kSecond)) {
      EXPECT_TRUE(std::any_of(before.begin(), before.end(), [&](const EventMark& old) {
        return old.time == mark.time && old.count == mark.count;
      })) << mark.time;
    }
  }
}

}  // namespace
}  // namespace pulseboard::qt
