#include "server/app/signals.h"

#include <gtest/gtest.h>

#include <csignal>

namespace pulseboard {
namespace {

TEST(SignalWaiter, TakesSignalsInTurn) {
  SignalWaiter signals;
  EXPECT_EQ(signals.WaitFor(std::chrono::nanoseconds(0)), std::nullopt);
  raise(SIGHUP);
  EXPECT_EQ(signals.Wait(), SIGHUP);
  raise(SIGTERM);
  EXPECT_EQ(signals.WaitFor(std::chrono::seconds(10)), SIGTERM);
  EXPECT_EQ(signals.WaitFor(std::chrono::milliseconds(1)), std::nullopt);
}

}  // namespace
}  // namespace pulseboard
