#include "common/analysis/tail_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>

namespace pulseboard {
namespace {

using Draw = std::function<double(std::mt19937_64&)>;

// The share of blocks whose greatest number was more surprising than `surprise`, after the history is full.
double ShareAbove(double surprise, const Draw& draw) {
  std::mt19937_64 random(9);
  TailModel model;
  int above = 0;
  constexpr int kSeen = 20'000;
  for (int block = -TailModel::kBlocks; block < kSeen; ++block) {
    double most = 0;
    for (int i = 0; i < TailModel::kBlockSamples; ++i) {
      const double value = draw(random);
      most = std::max(most, model.Surprise(value));
      model.Learn(value);
    }
    if (block >= 0 && most > surprise) ++above;
  }
  return static_cast<double>(above) / kSeen;
}

TEST(TailModel, IsAProbabilityThatMeansTheSameForAnyDistribution) {
  const std::array<Draw, 3> draws = {
      [](std::mt19937_64& random) { return std::normal_distribution<double>(100, 5)(random); },
      [](std::mt19937_64& random) { return std::exponential_distribution<double>(1e-6)(random); },
      [](std::mt19937_64& random) { return std::lognormal_distribution<double>(0, 0.5)(random); },
  };
  for (const Draw& draw : draws) {
    EXPECT_NEAR(ShareAbove(1, draw), 0.1, 0.035);
    EXPECT_NEAR(ShareAbove(2, draw), 0.01, 0.008);
  }
}

TEST(TailModel, UnderstatesWhatHasAnUpperEnd) {
  const Draw draw = [](std::mt19937_64& random) { return -std::uniform_real_distribution<double>(0, 1)(random); };
  EXPECT_LE(ShareAbove(1, draw), 0.1);
  EXPECT_LE(ShareAbove(2, draw), 0.01);
}

TEST(TailModel, SaysNothingBeforeItKnowsEnough) {
  TailModel model;
  for (int i = 0; i < TailModel::kLeastBlocks * TailModel::kBlockSamples; ++i) {
    EXPECT_EQ(model.Surprise(1e9), 0) << i;
    model.Learn(i % 7);
  }
  EXPECT_EQ(model.Surprise(1e9), TailModel::kGreatestSurprise);
  EXPECT_LT(model.Surprise(6), 1);
}

TEST(TailModel, ForgetsWhatIsOlderThanItsBlocks) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  TailModel model;
  for (int i = 0; i < 50 * TailModel::kBlockSamples; ++i) model.Learn(1'000 + normal(random));
  EXPECT_EQ(model.Surprise(100), 0);
  for (int i = 0; i < TailModel::kBlocks * TailModel::kBlockSamples; ++i) model.Learn(normal(random));
  EXPECT_EQ(model.Surprise(100), TailModel::kGreatestSurprise);
}

}  // namespace
}  // namespace pulseboard
