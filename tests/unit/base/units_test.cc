#include "common/base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace pulseboard {
namespace {

TEST(Units, ReadsDurations) {
  EXPECT_EQ(ParseDuration("0"), 0);
  EXPECT_EQ(ParseDuration("1ns"), 1);
  EXPECT_EQ(ParseDuration("250ms"), 250 * kNanosPerMilli);
  EXPECT_EQ(ParseDuration("15m"), 900 * kNanosPerSecond);
  EXPECT_EQ(ParseDuration("1h30m"), 5400 * kNanosPerSecond);
  EXPECT_EQ(ParseDuration("30d"), 30 * kNanosPerDay);
  EXPECT_EQ(ParseDuration("1y2w"), 379 * kNanosPerDay);
  for (const char* text :
       {"", "5", "s", "1.5s", "-1s", "1 s", "1s5", "1sm", "30m1h", "1h2h", "1M", "99999999d", "+1s"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseDuration("1s5ms", kNanosPerMilli), 1'005 * kNanosPerMilli);
  EXPECT_EQ(ParseDuration("5us", kNanosPerMilli), std::nullopt);
}

TEST(Units, ReadsBytes) {
  EXPECT_EQ(ParseBytes("0"), 0);
  EXPECT_EQ(ParseBytes("1024"), 1024);
  EXPECT_EQ(ParseBytes("64KiB"), 64 << 10);
  EXPECT_EQ(ParseBytes("2GiB"), int64_t{2} << 30);
  for (const char* text : {"", "KiB", "1KB", "1kib", "-1", "1.5MiB", "1 MiB", "9000000TiB", "1MiB2"}) {
    EXPECT_EQ(ParseBytes(text), std::nullopt) << text;
  }
}

TEST(Units, WritesWhatItReads) {
  for (const int64_t nanos : {int64_t{0}, int64_t{1}, 1500 * kNanosPerMilli, 90 * kNanosPerSecond, 3 * kNanosPerDay,
                              std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(ParseDuration(FormatDuration(nanos)), nanos);
  }
  EXPECT_EQ(FormatDuration(900 * kNanosPerSecond), "15m");
  EXPECT_EQ(FormatDuration(1500 * kNanosPerMilli), "1s500ms");
  EXPECT_EQ(FormatDuration(400 * kNanosPerDay), "400d");
  EXPECT_EQ(FormatDuration(-90 * kNanosPerMinute), "-1h30m");
  EXPECT_EQ(FormatDuration(0), "0");
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{1025}, int64_t{3} << 40}) {
    EXPECT_EQ(ParseBytes(FormatBytes(bytes)), bytes);
  }
  EXPECT_EQ(FormatBytes(64 << 20), "64MiB");
}

TEST(Units, WritesNumbersAsShortAsTheyCanBeReadBack) {
  EXPECT_EQ(ShortestDecimal(0.1), "0.1");
  EXPECT_EQ(ShortestDecimal(-3), "-3");
  EXPECT_EQ(ShortestDecimal(1e300), "1e+300");
  EXPECT_EQ(ShortestDecimal(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(ShortestDecimal(std::numeric_limits<double>::infinity()), "inf");
}

}  // namespace
}  // namespace pulseboard
