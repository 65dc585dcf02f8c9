#include "server/app/config_value.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/clock.h"

namespace pulseboard {
namespace {

TEST(ConfigValue, ReadsDurations) {
  EXPECT_EQ(ParseDuration("0"), 0);
  EXPECT_EQ(ParseDuration("1ns"), 1);
  EXPECT_EQ(ParseDuration("250ms"), 250 * kNanosPerMilli);
  EXPECT_EQ(ParseDuration("15m"), 900 * kNanosPerSecond);
  EXPECT_EQ(ParseDuration("1h30m"), 5400 * kNanosPerSecond);
  EXPECT_EQ(ParseDuration("30d"), 30 * kNanosPerDay);
  for (const char* text : {"", "5", "s", "1.5s", "-1s", "1 s", "1w", "1s5", "1sm", "99999999d", "+1s"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(ConfigValue, ReadsBytes) {
  EXPECT_EQ(ParseBytes("0"), 0);
  EXPECT_EQ(ParseBytes("1024"), 1024);
  EXPECT_EQ(ParseBytes("64KiB"), 64 << 10);
  EXPECT_EQ(ParseBytes("2GiB"), int64_t{2} << 30);
  for (const char* text : {"", "KiB", "1KB", "1kib", "-1", "1.5MiB", "1 MiB", "9000000TiB", "1MiB2"}) {
    EXPECT_EQ(ParseBytes(text), std::nullopt) << text;
  }
}

TEST(ConfigValue, ReadsIntegersAndBools) {
  EXPECT_EQ(ParseInteger("-5"), -5);
  EXPECT_EQ(ParseInteger("9223372036854775807"), std::numeric_limits<int64_t>::max());
  for (const char* text : {"", "x", "5x", "0x10", "9223372036854775808", "1.0"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseBool("true"), true);
  EXPECT_EQ(ParseBool("false"), false);
  for (const char* text : {"", "True", "yes", "1"}) EXPECT_EQ(ParseBool(text), std::nullopt) << text;
}

TEST(ConfigValue, WritesWhatItReads) {
  for (const int64_t nanos : {int64_t{0}, int64_t{1}, 1500 * kNanosPerMilli, 90 * kNanosPerSecond, 3 * kNanosPerDay}) {
    EXPECT_EQ(ParseDuration(FormatDuration(nanos)), nanos);
  }
  EXPECT_EQ(FormatDuration(900 * kNanosPerSecond), "15m");
  EXPECT_EQ(FormatDuration(1500 * kNanosPerMilli), "1500ms");
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{1025}, int64_t{3} << 40}) {
    EXPECT_EQ(ParseBytes(FormatBytes(bytes)), bytes);
  }
  EXPECT_EQ(FormatBytes(64 << 20), "64MiB");
}

}  // namespace
}  // namespace pulseboard
