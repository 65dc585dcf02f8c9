#include "common/client/backoff.h"

#include <gtest/gtest.h>

#include <set>

namespace pulseboard::client {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToTheLastStepWithinItsJitter) {
  Backoff backoff({milliseconds(100), milliseconds(1500)});
  for (const int64_t step : {100, 200, 400, 800, 1500, 1500}) {
    const int64_t wait = backoff.Next().count();
    EXPECT_GE(wait, step / 2);
    EXPECT_LE(wait, step);
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next().count(), 100);
}

TEST(Backoff, SpreadsClientsThatStartTogether) {
  std::set<int64_t> waits;
  for (uint64_t seed = 0; seed < 50; ++seed)
    waits.insert(Backoff({milliseconds(1000), milliseconds(1000)}, seed).Next().count());
  EXPECT_GT(waits.size(), 30U);
}

}  // namespace
}  // namespace pulseboard::client
