#include "client-qt/model/time_window.h"

#include <gtest/gtest.h>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kSecond = kNanosPerSecond;

TEST(TimeWindow, FollowsNowWhileLive) {
  const TimeWindow window = TimeWindow::last(60);
  EXPECT_EQ(window.at(100 * kSecond), (TimeRange{40 * kSecond, 100 * kSecond}));
  EXPECT_EQ(window.at(101 * kSecond).end, 101 * kSecond);
  EXPECT_EQ(window.text(), "Last 1 min");
}

TEST(TimeWindow, StandsStillWhilePausedAndFollowsAgainAfterwards) {
  TimeWindow window = TimeWindow::last(60);
  window.pause(100 * kSecond);
  EXPECT_EQ(window.mode(), TimeWindow::Mode::Paused);
  EXPECT_EQ(window.at(500 * kSecond), (TimeRange{40 * kSecond, 100 * kSecond}));
  window.pause(500 * kSecond);
  EXPECT_EQ(window.at(500 * kSecond).end, 100 * kSecond);
  window.goLive();
  EXPECT_EQ(window.at(500 * kSecond), (TimeRange{440 * kSecond, 500 * kSecond}));
}

TEST(TimeWindow, KeepsACustomRangeAtLeastASecondLong) {
  EXPECT_EQ(TimeWindow::custom(10 * kSecond, 5 * kSecond).at(0), (TimeRange{10 * kSecond, 11 * kSecond}));
  EXPECT_EQ(TimeWindow::last(-5).lengthNanos(), kSecond);
}

TEST(TimeWindow, ZoomsAboutThePointUnderTheMouse) {
  TimeWindow window = TimeWindow::custom(0, 100 * kSecond);
  window.zoom(0.5, 25 * kSecond, 0);
  EXPECT_EQ(window.at(0), (TimeRange{12 * kSecond + kSecond / 2, 62 * kSecond + kSecond / 2}));
  window.zoom(1e12, 25 * kSecond, 0);
  EXPECT_EQ(window.lengthNanos(), 400 * kNanosPerDay);
}

TEST(TimeWindow, ShiftsFromWhatIsShown) {
  TimeWindow window = TimeWindow::last(60);
  window.shift(-30 * kSecond, 100 * kSecond);
  EXPECT_EQ(window.mode(), TimeWindow::Mode::Custom);
  EXPECT_EQ(window.at(0), (TimeRange{10 * kSecond, 70 * kSecond}));
}

TEST(TimeWindow, OffersFiveMinutesToThirtyDays) {
  const auto& presets = TimeWindow::presets();
  EXPECT_EQ(presets.front().text, "Last 5 min");
  EXPECT_EQ(presets.back().text, "Last 30 d");
  EXPECT_EQ(presets.back().seconds, 30 * 86'400);
}

}  // namespace
}  // namespace pulseboard::qt
