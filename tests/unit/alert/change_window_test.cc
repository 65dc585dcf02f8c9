#include "server/alert/change_window.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "common/base/clock.h"

namespace pulseboard {
namespace {

constexpr int64_t kSecond = kNanosPerSecond;

TEST(ChangeWindow, SaysNothingBeforeItHasSeenHalfAWindow) {
  ChangeWindow window(10 * kSecond, false, 1'000);
  EXPECT_FALSE(window.Get());
  window.Add(0, 1);
  window.Add(4 * kSecond, 2);
  EXPECT_FALSE(window.Get());
  window.Add(5 * kSecond, 4);
  ASSERT_TRUE(window.Get());
  EXPECT_EQ(window.Get()->amount, 3);
  EXPECT_EQ(window.Get()->seconds, 5);
}

TEST(ChangeWindow, CountsThroughTheResetOfACounter) {
  ChangeWindow window(10 * kSecond, true, 1'000);
  window.Add(0, 100);
  window.Add(5 * kSecond, 110);
  window.Add(6 * kSecond, 3);  // began anew
  window.Add(10 * kSecond, 7);
  ASSERT_TRUE(window.Get());
  EXPECT_EQ(window.Get()->amount, 10 + 3 + 4);
}

TEST(ChangeWindow, TakesInWhatComesLate) {
  ChangeWindow window(10 * kSecond, true, 1'000);
  window.Add(0, 0);
  window.Add(10 * kSecond, 5);
  EXPECT_EQ(window.Get()->amount, 5);
  window.Add(5 * kSecond, 40);  // so there was a reset
  EXPECT_EQ(window.Get()->amount, 45);
  window.Add(5 * kSecond, 2);  // a new value for the time
  EXPECT_EQ(window.Get()->amount, 5);
}

TEST(ChangeWindow, EqualsALoopOverAllSamples) {
  std::mt19937_64 random(3);
  for (int run = 0; run < 300; ++run) {
    const bool counts = run % 2 == 0;
    const auto length = static_cast<int64_t>(1 + random() % 20) * kSecond;
    ChangeWindow window(length, counts, 100'000);
    std::map<int64_t, double> all;
    int64_t newest = 0;
    for (int i = 0; i < 200; ++i) {
      newest += static_cast<int64_t>(random() % 3) * kSecond;
      // Late ones not so late that their place was thrown away already.
      const bool late = random() % 5 == 0 && !all.empty();
      const int64_t time =
          late ? std::max<int64_t>(newest - static_cast<int64_t>(random() % 4) * kSecond, newest - length) : newest;
      const auto value = static_cast<double>(random() % 1'000) / 8;
      window.Add(time, value);
      all[time] = value;
      newest = std::max(newest, all.rbegin()->first);
      auto first = all.upper_bound(all.rbegin()->first - length);
      if (first != all.begin()) --first;
      const int64_t reach = all.rbegin()->first - first->first;
      const auto got = window.Get();
      ASSERT_EQ(got.has_value(), first->first != all.rbegin()->first && reach >= length / 2) << run << " " << i;
      if (!got) continue;
      double expected = all.rbegin()->second - first->second;
      if (counts) {
        expected = 0;
        for (auto it = std::next(first); it != all.end(); ++it) {
          const double before = std::prev(it)->second;
          expected += it->second >= before ? it->second - before : it->second;
        }
      }
      ASSERT_NEAR(got->amount, expected, 1e-9) << run << " " << i;
      ASSERT_EQ(got->oldest, first->second);
    }
  }
}

TEST(ChangeWindow, HoldsNoMoreThanItMay) {
  ChangeWindow window(5 * kNanosPerHour, true, 64);
  for (int64_t i = 0; i < 10'000; ++i) window.Add(i * kSecond, static_cast<double>(i));
  EXPECT_LE(window.size(), 64U);
  EXPECT_DOUBLE_EQ(window.Get()->amount, 9'999);
}

}  // namespace
}  // namespace pulseboard
