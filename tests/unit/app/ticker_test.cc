#include "server/app/ticker.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/eventually.h"

namespace pulseboard {
namespace {

using testing::Eventually;

TEST(Ticker, CallsAtOnceAndAgain) {
  std::atomic<int> ticks = 0;
  const Ticker ticker(std::chrono::milliseconds(1), [&] { ++ticks; });
  EXPECT_TRUE(Eventually([&] { return ticks >= 5; }));
}

TEST(Ticker, StopsAtOnceHoweverLongItsInterval) {
  std::atomic<int> ticks = 0;
  const auto start = std::chrono::steady_clock::now();
  {
    const Ticker ticker(std::chrono::hours(1), [&] { ++ticks; });
    ASSERT_TRUE(Eventually([&] { return ticks == 1; }));
  }
  EXPECT_EQ(ticks, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(1));
}

}  // namespace
}  // namespace pulseboard
