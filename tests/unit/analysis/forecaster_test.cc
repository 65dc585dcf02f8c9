#include "common/analysis/forecaster.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "common/analysis/seasonality.h"

namespace pulseboard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Make(int samples, const std::function<double(int)>& value) {
  std::vector<double> values;
  for (int i = 0; i < samples; ++i) values.push_back(value(i));
  return values;
}

double Wave(int i, double period) { return std::sin(2 * std::numbers::pi * i / period); }

double MeanAbsoluteError(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Seasonality, FindsNoneOneOrTwoPeriods) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise;
  EXPECT_TRUE(FindPeriods(Make(900, [&](int) { return noise(random); })).empty());
  EXPECT_TRUE(FindPeriods(Make(900, [](int) { return 4.0; })).empty());
  EXPECT_TRUE(FindPeriods(Make(5, [](int i) { return i; })).empty());
  const std::vector<int> hourly =
      FindPeriods(Make(400, [&](int i) { return 10 * Wave(i, 60) + 4 * Wave(i, 20) + 0.05 * noise(random); }));
  ASSERT_FALSE(hourly.empty());
  EXPECT_EQ(hourly.back() % 60, 0);
  const std::vector<int> weekly = FindPeriods(
      Make(1'000, [&](int i) { return (i / 24 % 7 < 5 ? 1.0 : 0.3) * (20 + 10 * Wave(i, 24)) + 0.5 * noise(random); }));
  EXPECT_EQ(weekly, (std::vector<int>{24, 168}));
}

TEST(Forecaster, FollowsDaysAndWeeks) {
  const auto value = [](int i) { return (i / 24 % 7 < 5 ? 1.0 : 0.3) * (200 + 100 * Wave(i, 24)); };
  const absl::StatusOr<Forecast> forecast = MakeForecast(Make(1'000, value), 168);
  ASSERT_TRUE(forecast.ok());
  const std::vector<double> truth = Make(168, [&](int i) { return value(1'000 + i); });
  EXPECT_LT(MeanAbsoluteError(forecast->point, truth), 12);  // of a swing of 240
}

TEST(Forecaster, ContinuesATrendAndAConstant) {
  const absl::StatusOr<Forecast> trend = MakeForecast(Make(300, [](int i) { return 100 + 2.0 * i; }), 20);
  ASSERT_TRUE(trend.ok());
  EXPECT_NEAR(trend->point.back(), 100 + 2.0 * 319, 15);
  const absl::StatusOr<Forecast> flat = MakeForecast(std::vector<double>(50, 3.5), 20);
  ASSERT_TRUE(flat.ok());
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(flat->point[i], 3.5, 1e-9);
    EXPECT_NEAR(flat->lower_95[i], 3.5, 1e-9);
    EXPECT_NEAR(flat->upper_95[i], 3.5, 1e-9);
  }
}

TEST(Forecaster, BandsHoldWhatTheyPromise) {
  int64_t in_80 = 0;
  int64_t in_95 = 0;
  int64_t all = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> noise;
    double level = 100;
    const std::vector<double> values = Make(524, [&](int i) {
      level += noise(random) * (seed % 3);
      return level + 20 * Wave(i, 24) + 2 * noise(random);
    });
    const absl::StatusOr<Forecast> forecast = MakeForecast(std::span(values).first(500), 24);
    ASSERT_TRUE(forecast.ok());
    for (size_t i = 0; i < 24; ++i, ++all) {
      ASSERT_LE(forecast->lower_95[i], forecast->lower_80[i]);
      ASSERT_LE(forecast->lower_80[i], forecast->point[i]);
      ASSERT_GE(forecast->upper_95[i], forecast->upper_80[i]);
      in_80 += values[500 + i] >= forecast->lower_80[i] && values[500 + i] <= forecast->upper_80[i];
      in_95 += values[500 + i] >= forecast->lower_95[i] && values[500 + i] <= forecast->upper_95[i];
    }
  }
  EXPECT_NEAR(static_cast<double>(in_80) / static_cast<double>(all), 0.80, 0.08);
  EXPECT_NEAR(static_cast<double>(in_95) / static_cast<double>(all), 0.95, 0.04);
}

TEST(Forecaster, BearsGapsAndOutliers) {
  std::mt19937_64 random(5);
  const auto value = [](int i) { return 100 + 40 * Wave(i, 24); };
  std::vector<double> values = Make(500, value);
  for (int i = 0; i < 60; ++i) values[20 + random() % 440] = kNan;
  for (int i = 300; i < 330; ++i) values[static_cast<size_t>(i)] = kNan;
  for (int i = 0; i < 6; ++i) values[20 + random() % 440] = 1e5;
  const absl::StatusOr<Forecast> forecast = MakeForecast(values, 24);
  ASSERT_TRUE(forecast.ok());
  EXPECT_LT(MeanAbsoluteError(forecast->point, Make(24, [&](int i) { return value(500 + i); })), 15);
}

TEST(Forecaster, AGapAtTheEndIsForecastOver) {
  const auto value = [](int i) { return 100 + 40 * Wave(i, 24); };
  std::vector<double> values = Make(490, value);
  values.resize(500, kNan);
  const absl::StatusOr<Forecast> forecast = MakeForecast(values, 24);
  ASSERT_TRUE(forecast.ok());
  ASSERT_EQ(forecast->point.size(), 24U);
  EXPECT_LT(MeanAbsoluteError(forecast->point, Make(24, [&](int i) { return value(500 + i); })), 2);
}

TEST(Forecaster, WhatNeverWasNegativeStaysSo) {
  std::mt19937_64 random(8);
  const absl::StatusOr<Forecast> forecast =
      MakeForecast(Make(200, [&](int i) { return std::max(0.0, 100.0 - i) + (random() % 2 == 0 ? 0 : 1); }), 50);
  ASSERT_TRUE(forecast.ok());
  for (const double lower : forecast->lower_95) EXPECT_GE(lower, 0);
}

TEST(Forecaster, AnswersForAnySeriesThatIsLongEnough) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 300; ++round) {
    const int samples = 4 + static_cast<int>(random() % 120);
    const double scale = std::pow(10.0, static_cast<double>(random() % 300) - 150);
    const std::vector<double> values =
        Make(samples, [&](int) { return scale * (static_cast<double>(random() % 1'000) - 300 * (round % 2)); });
    const absl::StatusOr<Forecast> forecast = MakeForecast(values, 1 + static_cast<int>(random() % 60));
    ASSERT_TRUE(forecast.ok()) << forecast.status();
    for (const double point : forecast->point) ASSERT_TRUE(std::isfinite(point)) << round;
    for (const double upper : forecast->upper_95) ASSERT_TRUE(std::isfinite(upper)) << round;
  }
}

TEST(Forecaster, RefusesWhatItCannotForecast) {
  const std::vector<double> values = {1, 2, 3, 4, 5};
  EXPECT_EQ(MakeForecast(values, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeForecast(values, kMostForecastSteps + 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeForecast(std::span(values).first(3), 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeForecast(std::vector<double>(9, kNan), 4).status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<double> infinite = values;
  infinite[2] = std::numeric_limits<double>::infinity();
  EXPECT_EQ(MakeForecast(infinite, 4).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pulseboard
