#include "client-qt/net/latency_window.h"

#include <gtest/gtest.h>

namespace pulseboard::qt {
namespace {

TEST(LatencyWindow, KnowsNothingBeforeTheFirstFrame) {
  ManualClock clock(0);
  const LatencyWindow window(clock);
  EXPECT_LT(window.stats().push_to_receive_p50_ms, 0);
  EXPECT_EQ(window.stats().points_per_second, 0);
}

TEST(LatencyWindow, TellsPercentilesOfTheNewestFrames) {
  ManualClock clock(0);
  LatencyWindow window(clock);
  for (int i = 0; i < 5'000; ++i) window.addFrame(1, 1 + 900 * kNanosPerMilli, 1);  // older ones drop out
  for (size_t i = 0; i < LatencyWindow::kFrames; ++i) {
    window.addFrame(1, 1 + (i % 50 == 0 ? 50 : 7) * kNanosPerMilli, 1);
  }
  EXPECT_DOUBLE_EQ(window.stats().push_to_receive_p50_ms, 7);
  EXPECT_DOUBLE_EQ(window.stats().push_to_receive_p99_ms, 50);
}

TEST(LatencyWindow, IgnoresFramesWithoutAPushTime) {
  ManualClock clock(0);
  LatencyWindow window(clock);
  window.addFrame(0, 5, 10);
  EXPECT_LT(window.stats().push_to_receive_p50_ms, 0);
}

TEST(LatencyWindow, CountsPointsPerSecondOfTheLastSeconds) {
  ManualClock clock(0);
  LatencyWindow window(clock);
  for (int i = 0; i < 100; ++i) {
    clock.Advance(100 * kNanosPerMilli);
    window.addFrame(1, 2, 20);
  }
  EXPECT_NEAR(window.stats().points_per_second, 200, 10);
  clock.Advance(10 * kNanosPerSecond);
  EXPECT_EQ(window.stats().points_per_second, 0);
}

TEST(LatencyWindow, AddsUpWhatWasDropped) {
  LatencyWindow window;
  window.addGap(10);
  window.addGap(5);
  EXPECT_EQ(window.stats().dropped_samples, 15);
  EXPECT_EQ(window.stats().gap_count, 2);
  window.clear();
  EXPECT_EQ(window.stats().gap_count, 0);
}

}  // namespace
}  // namespace pulseboard::qt
