#include "server/storage/tiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/storage/window.h"

namespace pulseboard {
namespace {

constexpr int64_t kRaw = 30 * kNanosPerDay;

TEST(Tiers, ParseAndFormatRoundTrip) {
  for (const char* text : {"1m:180d,1h:1825d,1d:7300d", "10s:30d,5m:60d", "90s:31d,6h:400d", ""}) {
    const auto tiers = ParseTiers(text, kRaw);
    ASSERT_TRUE(tiers.ok()) << tiers.status();
    EXPECT_EQ(FormatTiers(*tiers), text);
  }
  EXPECT_EQ(*ParseTiers(kDefaultTiers, kRaw), DefaultTiers());
  EXPECT_EQ(*ParseTiers(" 60s:4320h , 60m:1825d,24h:7300d", kRaw), DefaultTiers());
}

TEST(Tiers, RefusesWithTheValueAndWhatWouldBeAccepted) {
  const auto error = [](std::string_view text) { return StatusMessage(ParseTiers(text, kRaw).status()); };
  EXPECT_THAT(error("7m:180d"), ::testing::StartsWith("got a bucket of 7m; "));
  EXPECT_THAT(error("5h:180d"), ::testing::StartsWith("got a bucket of 5h; "));
  EXPECT_THAT(error("2d:180d"), ::testing::StartsWith("got a bucket of 2d; "));
  EXPECT_THAT(error("1h:180d,1m:180d"), ::testing::StartsWith("got 1m after 1h; "));
  EXPECT_THAT(error("4m:180d,10m:180d"), ::testing::StartsWith("got 10m after 4m; "));
  EXPECT_THAT(error("1m:29d"), ::testing::StartsWith("got 1m:29d; at least the retention of the finer tier, 30d"));
  EXPECT_THAT(error("1m:180d,1h:90d"), ::testing::StartsWith("got 1h:90d; at least the retention of the finer tier"));
  for (const char* text : {"1m", "1m:", ":1d", "1m:180d,", ",", "1m:180d,,1h:200d", "m:1d", "0m:180d", "-1m:180d",
                           "1w:180d", "1m:40000d", "1.5m:180d"}) {
    if (std::string_view(text) == "1m:180d,") continue;  // a trailing comma is harmless
    EXPECT_FALSE(ParseTiers(text, kRaw).ok()) << text;
  }
  EXPECT_FALSE(ParseTiers("1s:30d,2s:30d,4s:30d,8s:30d,24s:30d,72s:30d,6m:30d,30m:30d,1h:30d", kRaw).ok());
}

TEST(Tiers, SpansHoldWholeBucketsAndNestInWindows) {
  for (int64_t seconds = 1; seconds <= 86'400; ++seconds) {
    const TierOptions tier = {seconds * kNanosPerSecond, 400 * kNanosPerDay};
    if (!CheckTiers({&tier, 1}, kRaw).ok()) continue;
    const Tier laid = LayOutTiers(kRaw, {&tier, 1}, {}).back();
    EXPECT_EQ(laid.span_ns % laid.bucket_ns, 0) << seconds;
    EXPECT_EQ(laid.span_ns % laid.step_ns, 0) << seconds;
    EXPECT_EQ(laid.step_ns % laid.bucket_ns, 0) << seconds;
    EXPECT_LE(laid.span_ns / laid.bucket_ns, 500) << seconds;
    EXPECT_TRUE(laid.span_ns % kNanosPerDay == 0 || kNanosPerDay % laid.span_ns == 0) << seconds;
  }
}

TEST(Tiers, LaysOutTheDefaults) {
  const std::vector<Tier> tiers = LayOutTiers(kRaw, DefaultTiers(), {});
  ASSERT_EQ(tiers.size(), 4u);
  EXPECT_EQ(tiers[1].span_ns, 8 * kNanosPerHour);
  EXPECT_EQ(tiers[1].step_ns, 2 * kNanosPerHour);
  EXPECT_EQ(tiers[1].window_days, 8);
  EXPECT_EQ(tiers[2].span_ns, 16 * kNanosPerDay);
  EXPECT_EQ(tiers[2].step_ns, 2 * kNanosPerDay);
  EXPECT_EQ(tiers[3].span_ns, 256 * kNanosPerDay);
  EXPECT_EQ(tiers[3].source, 2u);
}

TEST(Tiers, OneNoLongerConfiguredGoesWithTheFinerOne) {
  const int64_t on_disk[] = {4 * kNanosPerMinute, kNanosPerHour};
  const std::vector<TierOptions> configured = {{kNanosPerMinute, 60 * kNanosPerDay},
                                               {kNanosPerHour, 99 * kNanosPerDay}};
  const std::vector<Tier> tiers = LayOutTiers(kRaw, configured, on_disk);
  ASSERT_EQ(tiers.size(), 4u);
  EXPECT_EQ(tiers[2].bucket_ns, 4 * kNanosPerMinute);
  EXPECT_FALSE(tiers[2].filled);
  EXPECT_EQ(tiers[2].retention_ns, 60 * kNanosPerDay);
  EXPECT_TRUE(tiers[3].filled);
  EXPECT_EQ(tiers[3].source, 1u) << "folded from what is kept";
}

}  // namespace
}  // namespace pulseboard
