#include "common/analysis/pattern_novelty.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace pulseboard {
namespace {

constexpr size_t kPattern = PatternNovelty::kPattern;

// By definition: every stretch that ended at least a stretch and at most kHistory numbers ago.
double Definition(const std::vector<double>& values) {
  std::vector<double> squares;
  const size_t end = values.size();
  for (size_t lag = kPattern; lag <= PatternNovelty::kHistory && lag + kPattern <= end; ++lag) {
    double square = 0;
    for (size_t k = 1; k <= kPattern; ++k) square += std::pow(values[end - k] - values[end - k - lag], 2);
    squares.push_back(square);
  }
  if (squares.size() < PatternNovelty::kNeighbour) return 0;
  std::sort(squares.begin(), squares.end());
  return std::sqrt(squares[PatternNovelty::kNeighbour - 1] / kPattern);
}

TEST(PatternNovelty, IsTheThirdNearestDistance) {
  std::mt19937_64 random(1);
  PatternNovelty novelty;
  std::vector<double> values;
  for (int i = 0; i < 6'000; ++i) {
    values.push_back(static_cast<double>(i % 100) + static_cast<double>(random() % 1'000) / 100);
    const double distance = novelty.Observe(values.back());
    if (i < 200 || i % 97 == 0) {
      EXPECT_NEAR(distance, Definition(values), 0.01) << i;
    }
  }
}

TEST(PatternNovelty, ForgetsTheRoundingThatAnOutlierLeft) {
  std::mt19937_64 random(2);
  PatternNovelty novelty;
  std::vector<double> values;
  double distance = 0;
  for (int i = 0; i < 3'000; ++i) {
    values.push_back(i == 2'500 ? 1e9 : static_cast<double>(random() % 1'000) / 1'000);
    distance = novelty.Observe(values.back());
  }
  EXPECT_NEAR(distance, Definition(values), 1e-3);
}

}  // namespace
}  // namespace pulseboard
