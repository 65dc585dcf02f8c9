#include "server/alert/threshold.h"

#include <gtest/gtest.h>

#include <limits>

namespace pulseboard {
namespace {

using enum Judgement;

AlertCondition Above() {
  AlertCondition c;
  c.comparison = AlertComparison::kAbove;
  c.warning = AlertBounds{.high = 80, .recovery_high = 70};
  c.critical = AlertBounds{.high = 90, .recovery_high = 85};
  return c;
}

std::vector<Judgement> Judge(const AlertCondition& condition, const std::vector<double>& values) {
  std::vector<Judgement> out;
  Judgement before = kClear;
  for (const double value : values) {
    out.push_back(JudgeValue(condition, value, before));
    if (out.back() != kUnknown) before = out.back();
  }
  return out;
}

TEST(Threshold, EndsALevelAtItsRecoveryBoundOnly) {
  EXPECT_EQ(Judge(Above(), {80, 80.1, 75, 90, 90.5, 87, 85, 80, 71, 70, 75}),
            (std::vector<Judgement>{kClear, kWarning, kWarning, kWarning, kCritical, kCritical, kWarning, kWarning,
                                    kWarning, kClear, kClear}));
}

TEST(Threshold, DoesNotFlapWhileTheValueSwingsAboutTheBound) {
  Judgement before = JudgeValue(Above(), 81, kClear);
  for (int i = 0; i < 1'000; ++i) {
    before = JudgeValue(Above(), i % 2 == 0 ? 79.9 : 80.1, before);
    ASSERT_EQ(before, kWarning);
  }
}

TEST(Threshold, KnowsBelowOutsideAndInside) {
  AlertCondition below;
  below.comparison = AlertComparison::kBelow;
  below.critical = AlertBounds{.low = 10, .recovery_low = 12};
  EXPECT_EQ(Judge(below, {10, 9, 11, 12}), (std::vector<Judgement>{kClear, kCritical, kCritical, kClear}));
  AlertCondition outside;
  outside.comparison = AlertComparison::kOutside;
  outside.warning = AlertBounds{.low = 10, .high = 20, .recovery_low = 12, .recovery_high = 18};
  EXPECT_EQ(Judge(outside, {10, 20, 9, 11, 12, 21, 19, 18}),
            (std::vector<Judgement>{kClear, kClear, kWarning, kWarning, kClear, kWarning, kWarning, kClear}));
  AlertCondition inside;
  inside.comparison = AlertComparison::kInside;
  inside.warning = AlertBounds{.low = 10, .high = 20, .recovery_low = 8, .recovery_high = 22};
  EXPECT_EQ(Judge(inside, {9, 10, 8, 7.9, 20, 22, 22.1}),
            (std::vector<Judgement>{kClear, kWarning, kWarning, kClear, kWarning, kWarning, kClear}));
}

TEST(Threshold, KnowsThatNoNumberIsUnknown) {
  EXPECT_EQ(JudgeValue(Above(), std::numeric_limits<double>::quiet_NaN(), kCritical), kUnknown);
  EXPECT_EQ(JudgeValue(Above(), std::numeric_limits<double>::infinity(), kClear), kCritical);
}

}  // namespace
}  // namespace pulseboard
