#include "server/identity/login_throttle.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

LoginThrottleOptions Small() {
  LoginThrottleOptions options;
  options.free_failures = 3;
  options.max_accounts = 4;
  return options;
}

void Fail(LoginThrottle* throttle, std::string_view key, int times) {
  for (int i = 0; i < times; ++i) throttle->RecordFailure(key);
}

int64_t WaitMs(LoginThrottle* throttle, std::string_view key) {
  const absl::Status status = throttle->Check(key);
  if (status.ok()) return 0;
  EXPECT_TRUE(HasReason(status, ErrorReason::kLoginBusy));
  return GetErrorDetail(status)->retry_after_ms.value();
}

TEST(LoginThrottle, LetsTheFreeFailuresPass) {
  const ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 3);
  EXPECT_EQ(WaitMs(&throttle, "a"), 0);
}

TEST(LoginThrottle, DoublesTheWaitUpToItsLimit) {
  ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 3);
  for (const int64_t seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    Fail(&throttle, "a", 1);
    EXPECT_EQ(WaitMs(&throttle, "a"), seconds * 1000);
    clock.Advance(seconds * kNanosPerSecond);
    EXPECT_EQ(WaitMs(&throttle, "a"), 0);
  }
  Fail(&throttle, "a", 1000);  // no overflow however long it goes on
  EXPECT_EQ(WaitMs(&throttle, "a"), 60'000);
}

TEST(LoginThrottle, CountsEachAccountForItself) {
  const ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 10);
  EXPECT_GT(WaitMs(&throttle, "a"), 0);
  EXPECT_EQ(WaitMs(&throttle, "b"), 0);
}

TEST(LoginThrottle, ForgetsAfterSuccessAndAfterQuietTime) {
  ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 10);
  throttle.RecordSuccess("a");
  EXPECT_EQ(WaitMs(&throttle, "a"), 0);
  EXPECT_EQ(throttle.size(), 0);

  Fail(&throttle, "b", 10);
  clock.Advance(901 * kNanosPerSecond);
  Fail(&throttle, "b", 3);
  EXPECT_EQ(WaitMs(&throttle, "b"), 0);
}

TEST(LoginThrottle, IsNotMovedByStepsOfTheWallClock) {
  ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 4);
  clock.StepWall(kNanosPerDay);
  EXPECT_EQ(WaitMs(&throttle, "a"), 1000);
}

TEST(LoginThrottle, RemembersABoundedNumberOfAccounts) {
  const ManualClock clock(0);
  LoginThrottle throttle(Small(), clock);
  Fail(&throttle, "a", 10);
  for (int i = 0; i < 100; ++i) Fail(&throttle, "other" + std::to_string(i), 1);
  EXPECT_EQ(throttle.size(), 4);
  EXPECT_EQ(WaitMs(&throttle, "a"), 0);
}

}  // namespace
}  // namespace pulseboard
