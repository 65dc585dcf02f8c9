#include "common/analysis/anomaly_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

namespace pulseboard {
namespace {

using Reason = AnomalyDetector::Reason;

struct Alarm {
  int at;
  Reason reason;
};

std::vector<Alarm> AlarmsOf(const std::function<double(int)>& stream, int samples) {
  AnomalyDetector detector;
  std::vector<Alarm> alarms;
  for (int i = 0; i < samples; ++i) {
    const AnomalyDetector::Verdict verdict = detector.Observe(stream(i));
    EXPECT_GE(verdict.score, 0);
    EXPECT_LE(verdict.score, 1);
    EXPECT_EQ(verdict.alarm, verdict.score >= AnomalyDetector::kThreshold);
    if (verdict.alarm) alarms.push_back({i, verdict.reason});
  }
  return alarms;
}

// A day of 288 samples: load that rises and falls, noise on it.
class Day {
 public:
  double operator()(int i) {
    return 50 + 30 * std::sin(2 * std::numbers::pi * i / 288) + std::normal_distribution<double>(0, 1)(random_);
  }

 private:
  std::mt19937_64 random_{7};
};

TEST(AnomalyDetector, IsSilentOverAConstantAndOverAPeriodicStream) {
  EXPECT_TRUE(AlarmsOf([](int) { return 17.25; }, 5'000).empty());
  EXPECT_TRUE(AlarmsOf([](int i) { return i % 24 == 0 ? 100.0 : 1.0; }, 5'000).empty());
  EXPECT_TRUE(AlarmsOf([](int i) { return std::sin(2 * std::numbers::pi * i / 288); }, 5'000).empty());
}

TEST(AnomalyDetector, SeldomAlarmsOnNoise) {
  size_t alarms = 0;
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::exponential_distribution<double> heavy;
    alarms += AlarmsOf([&](int) { return seed % 2 == 0 ? normal(random) : heavy(random); }, 10'000).size();
  }
  // Of 100,000 samples without anything to find.
  EXPECT_LT(alarms, 100U);
}

TEST(AnomalyDetector, FindsASpikeInADay) {
  Day day;
  const std::vector<Alarm> alarms = AlarmsOf([&](int i) { return day(i) + (i >= 3'000 && i < 3'006 ? 80 : 0); }, 3'200);
  const auto found = std::find_if(alarms.begin(), alarms.end(), [](const Alarm& a) { return a.at >= 3'000; });
  ASSERT_NE(found, alarms.end());
  EXPECT_LT(found->at, 3'006);
}

TEST(AnomalyDetector, FindsADayThatDoesNotRiseThoughNoValueIsUnusual) {
  Day day;
  const auto stream = [&](int i) { return i >= 3'456 && i < 3'600 ? 50.0 : day(i); };
  const std::vector<Alarm> alarms = AlarmsOf(stream, 3'650);
  const auto found = std::find_if(alarms.begin(), alarms.end(), [](const Alarm& a) { return a.at >= 3'456; });
  ASSERT_NE(found, alarms.end());
  EXPECT_LT(found->at, 3'600);
}

TEST(AnomalyDetector, TellsHigherFromLowerLevels) {
  for (const double step : {+40.0, -40.0}) {
    std::mt19937_64 random(3);
    std::normal_distribution<double> noise;
    const std::vector<Alarm> alarms =
        AlarmsOf([&](int i) { return 100 + noise(random) * 3 + (i >= 2'000 ? step : 0); }, 2'500);
    const auto found = std::find_if(alarms.begin(), alarms.end(), [](const Alarm& a) { return a.at >= 2'000; });
    ASSERT_NE(found, alarms.end());
    EXPECT_LT(found->at, 2'012);
    EXPECT_EQ(found->reason == Reason::kJump || found->reason == Reason::kLevelHigh, step > 0);
    // The level settles: what is the new usual alarms no more.
    EXPECT_LE(std::count_if(alarms.begin(), alarms.end(), [](const Alarm& a) { return a.at >= 2'000; }), 4);
  }
}

TEST(AnomalyDetector, DependsOnNothingThatCameLater) {
  Day day;
  std::vector<double> stream;
  for (int i = 0; i < 2'000; ++i) stream.push_back(day(i));
  AnomalyDetector whole;
  AnomalyDetector part;
  for (size_t i = 0; i < stream.size(); ++i) {
    const double score = whole.Observe(stream[i]).score;
    if (i < 1'500) {
      EXPECT_EQ(part.Observe(stream[i]).score, score);
    }
  }
}

TEST(AnomalyDetector, IsTheSameForAStreamInAnotherUnitOrFromAnotherZero) {
  Day first;
  Day second;
  AnomalyDetector plain;
  AnomalyDetector scaled;
  int alarms = 0;
  for (int i = 0; i < 4'000; ++i) {
    const double odd = i > 3'000 && i < 3'040 ? 60 : 0;
    const AnomalyDetector::Verdict a = plain.Observe(first(i) + odd);
    const AnomalyDetector::Verdict b = scaled.Observe(1e6 + 1024 * (second(i) + odd));
    EXPECT_NEAR(a.score, b.score, 0.02) << i;
    alarms += a.alarm;
  }
  EXPECT_GE(alarms, 1);
}

TEST(AnomalyDetector, PassesOverWhatIsNoNumberAndBearsAnyNumber) {
  AnomalyDetector detector;
  const size_t bytes = detector.bytes();
  std::mt19937_64 random(11);
  for (int i = 0; i < 20'000; ++i) {
    double value = static_cast<double>(random() % 100);
    switch (random() % 50) {
      case 0:
        value = std::numeric_limits<double>::quiet_NaN();
        break;
      case 1:
        value = std::numeric_limits<double>::infinity();
        break;
      case 2:
        value = std::numeric_limits<double>::max();
        break;
      case 3:
        value = std::numeric_limits<double>::lowest();
        break;
      case 4:
        value = std::numeric_limits<double>::denorm_min();
        break;
      default:
        break;
    }
    const AnomalyDetector::Verdict verdict = detector.Observe(value);
    ASSERT_GE(verdict.score, 0);
    ASSERT_LE(verdict.score, 1);
    if (!std::isfinite(value)) {
      EXPECT_EQ(verdict.score, 0);
    }
  }
  EXPECT_EQ(detector.bytes(), bytes);
  EXPECT_LE(bytes, 32'768U);
}

}  // namespace
}  // namespace pulseboard
