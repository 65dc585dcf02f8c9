#include "common/analysis/quantile_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace pulseboard {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The values at the two ranks that φ lies between.
std::pair<double, double> Neighbours(std::vector<double> values, double phi) {
  std::sort(values.begin(), values.end());
  const auto low = static_cast<size_t>(phi * static_cast<double>(values.size() - 1));
  return {values[low], values[std::min(low + 1, values.size() - 1)]};
}

TEST(QuantileSketch, StaysWithinItsErrorForAnyDistribution) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 12; ++round) {
    std::vector<double> values;
    QuantileSketch whole, left, right;
    const size_t size = round % 3 == 0 ? 1'000 : 20'000;
    for (size_t i = 0; i < size; ++i) {
      const double exponent = static_cast<double>(random() % 600) - 300;
      double value = round % 2 == 0 ? std::pow(10, exponent) : static_cast<double>(random() % 2'000) - 1'000;
      if (random() % 50 == 0) value = 0;
      if (random() % 1'000 == 0) value = random() % 2 == 0 ? kInfinity : -kInfinity;
      if (round % 4 == 1) value = -value;
      values.push_back(value);
      whole.Add(value);
      (random() % 3 == 0 ? left : right).Add(value);
    }
    whole.Add(std::numeric_limits<double>::quiet_NaN());
    left.Merge(right);
    EXPECT_EQ(whole.exact(), size <= QuantileSketch::kExactValues);
    EXPECT_EQ(whole.count(), static_cast<int64_t>(size));
    EXPECT_EQ(left.count(), whole.count());
    for (double phi = 0; phi <= 1; phi += 0.01) {
      const auto [below, above] = Neighbours(values, phi);
      for (QuantileSketch* sketch : {&whole, &left}) {
        const double got = sketch->Quantile(phi);
        const double error = sketch->relative_error() * 1.0001;
        if (std::isinf(below) || std::isinf(above)) continue;
        EXPECT_GE(got, below - std::abs(below) * error - 1e-300) << phi;
        EXPECT_LE(got, above + std::abs(above) * error + 1e-300) << phi;
      }
    }
  }
}

TEST(QuantileSketch, KnowsItsEdges) {
  QuantileSketch sketch;
  EXPECT_TRUE(std::isnan(sketch.Quantile(0.5)));
  sketch.Add(3);
  EXPECT_EQ(sketch.Quantile(0.5), 3);
  EXPECT_EQ(sketch.Quantile(-0.1), -kInfinity);
  EXPECT_EQ(sketch.Quantile(1.1), kInfinity);
  for (int i = 0; i < 10'000; ++i) sketch.Add(i);
  EXPECT_EQ(sketch.Quantile(0), 0) << "the ends are exact";
  EXPECT_EQ(sketch.Quantile(1), 9'999);
  sketch.clear();
  EXPECT_EQ(sketch.count(), 0);
}

}  // namespace
}  // namespace pulseboard
