#include "client-qt/model/series_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void addOne(SeriesStore* store, qint64 time, double value) { store->add({time}, {value}); }

SeriesStore everySecond(int count, size_t max_samples = 100'000) {
  SeriesStore store(max_samples);
  for (int i = 0; i < count; ++i) addOne(&store, i * kSecond, i);
  return store;
}

int pointsOf(const QVector<QVector<QPointF>>& runs) {
  int count = 0;
  for (const auto& run : runs) count += static_cast<int>(run.size());
  return count;
}

TEST(SeriesStore, InsertsLateSamplesWhereTheyBelong) {
  SeriesStore store(100);
  store.add({1 * kSecond, 3 * kSecond}, {1, 3});
  addOne(&store, 2 * kSecond, 2);
  ASSERT_EQ(store.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(store.time(i), static_cast<qint64>(i + 1) * kSecond);
    EXPECT_EQ(store.value(i), static_cast<double>(i + 1));
  }
}

TEST(SeriesStore, ReplacesTheValueOfAnEqualTime) {
  SeriesStore store = everySecond(5);
  addOne(&store, 2 * kSecond, 20);
  addOne(&store, 4 * kSecond, 40);
  EXPECT_EQ(store.size(), 5u);
  EXPECT_EQ(store.value(2), 20);
  EXPECT_EQ(store.value(4), 40);
}

TEST(SeriesStore, AgreesWithAMapUnderRandomWrites) {
  std::mt19937 random(7);
  SeriesStore store(1'000'000);
  std::map<qint64, double> naive;
  for (int step = 0; step < 3'000; ++step) {
    const qint64 time = static_cast<qint64>(random() % 500) * kSecond;
    if (random() % 40 == 0) {
      const qint64 end = time + static_cast<qint64>(random() % 50) * kSecond;
      store.replace({time, end}, {}, {}, 0);
      naive.erase(naive.lower_bound(time), naive.lower_bound(std::max(end, time)));
    } else if (random() % 200 == 0) {
      store.trim(time / 4);
      naive.erase(naive.begin(), naive.lower_bound(time / 4));
    } else {
      addOne(&store, time, step);
      naive[time] = step;
    }
  }
  ASSERT_EQ(store.size(), naive.size());
  size_t i = 0;
  for (const auto& [time, value] : naive) {
    EXPECT_EQ(store.time(i), time);
    EXPECT_EQ(store.value(i), value);
    ++i;
  }
}

TEST(SeriesStore, ForgetsTheOldestBeyondItsLimit) {
  const SeriesStore store = everySecond(5'000, 1'500);
  EXPECT_EQ(store.size(), 1'500u);
  EXPECT_EQ(store.time(0), 3'500 * kSecond);
  EXPECT_EQ(store.value(1'499), 4'999);
}

TEST(SeriesStore, LearnsItsIntervalInSpiteOfAnOutage) {
  SeriesStore store = everySecond(20);
  addOne(&store, 500 * kSecond, 1);
  addOne(&store, 501 * kSecond, 1);
  EXPECT_EQ(store.interval(), kSecond);
}

TEST(SeriesStore, BreaksTheLineAtMoreThanThreeIntervals) {
  SeriesStore store = everySecond(10);              // 0..9
  addOne(&store, 12 * kSecond, 1);                  // 3 intervals: no hole
  addOne(&store, 12 * kSecond + 3'100'000'000, 1);  // 3.1: a hole
  const auto runs = store.runs({0, 100 * kSecond}, 1'000);
  ASSERT_EQ(runs.size(), 2);
  EXPECT_EQ(runs[0].size(), 11);
  EXPECT_EQ(runs[1].size(), 1);
  const auto holes = store.holes({0, 100 * kSecond});
  ASSERT_EQ(holes.size(), 1u);
  EXPECT_EQ(holes[0].start, 12 * kSecond);
}

TEST(SeriesStore, TakesNanAsAGapAndNeverDrawsIt) {
  SeriesStore store = everySecond(10);
  addOne(&store, 4 * kSecond, kNan);
  addOne(&store, 5 * kSecond, kNan);
  const auto runs = store.runs({0, 20 * kSecond}, 1'000);
  ASSERT_EQ(runs.size(), 2);
  EXPECT_EQ(pointsOf(runs), 8);
  const auto holes = store.holes({0, 20 * kSecond});
  ASSERT_EQ(holes.size(), 1u);
  EXPECT_EQ(holes[0].start, 3 * kSecond);
  EXPECT_EQ(holes[0].end, 6 * kSecond);
  EXPECT_FALSE(store.nearest(4 * kSecond) && std::isnan(store.nearest(4 * kSecond)->value));
}

TEST(SeriesStore, KeepsEveryPeakWhenItReducesToPixels) {
  SeriesStore store(1'000'000);
  std::mt19937 random(3);
  for (int i = 0; i < 50'000; ++i) addOne(&store, i * kSecond, static_cast<double>(random() % 100));
  addOne(&store, 25'000 * kSecond, 1e6);
  addOne(&store, 30'000 * kSecond, -1e6);
  const int width = 400;
  const auto runs = store.runs({0, 50'000 * kSecond}, width);
  ASSERT_EQ(runs.size(), 1);
  EXPECT_LE(runs[0].size(), 4 * (width + 2));
  double low = 0, high = 0;
  for (qsizetype i = 0; i < runs[0].size(); ++i) {
    low = std::min(low, runs[0][i].y());
    high = std::max(high, runs[0][i].y());
    if (i > 0) {
      EXPECT_LT(runs[0][i - 1].x(), runs[0][i].x());
    }
  }
  EXPECT_EQ(high, 1e6);
  EXPECT_EQ(low, -1e6);
}

TEST(SeriesStore, SeesNoHolesInsidePixelColumns) {
  // As M4 answers: first, min, max, last of columns of 60 s each of a 1 s series.
  std::vector<qint64> times;
  std::vector<double> values;
  for (int column = 0; column < 50; ++column) {
    for (const int offset : {0, 7, 48, 59}) {
      times.push_back((column * 60 + offset) * kSecond);
      values.push_back(offset);
    }
  }
  SeriesStore store(100'000);
  store.replace({0, 3'000 * kSecond}, times, values, 60 * kSecond);
  EXPECT_EQ(store.runs({0, 3'000 * kSecond}, 1'000).size(), 1);
}

TEST(SeriesStore, IncludesOneSampleBeyondEachEdge) {
  const SeriesStore store = everySecond(100);
  const auto runs = store.runs({10 * kSecond + 1, 20 * kSecond}, 500);
  ASSERT_EQ(runs.size(), 1);
  EXPECT_EQ(runs[0].front().x(), 10'000);
  EXPECT_EQ(runs[0].back().x(), 20'000);
}

}  // namespace
}  // namespace pulseboard::qt
