#include "server/storage/families.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/endian.h"
#include "server/storage/block_store.h"

namespace pulseboard {
namespace {

TEST(Families, DayNamesRoundTrip) {
  EXPECT_EQ(RawFamilyName(0), "raw.19700101");
  EXPECT_EQ(RawFamilyName(DayOf(1'706'659'200 * kNanosPerSecond)), "raw.20240131");
  for (int64_t day = -106'751; day <= 106'751; day += 97) EXPECT_EQ(ParseRawFamilyName(RawFamilyName(day)), day);
  EXPECT_EQ(FormatDay(0), "1970-01-01");
}

TEST(Families, RefusesNamesThatAreNoDay) {
  for (const char* name : {"raw.", "raw.2024013", "raw.202401311", "raw.20240230", "raw.20241301", "raw.2024-1-1",
                           "RAW.20240131", "m1.20240131", "default", ""}) {
    EXPECT_FALSE(ParseRawFamilyName(name).has_value()) << name;
  }
  EXPECT_TRUE(IsFixedFamily("users"));
  EXPECT_FALSE(IsFixedFamily("default"));
}

TEST(Families, DaysRoundDownBeforeTheEpoch) {
  EXPECT_EQ(DayOf(0), 0);
  EXPECT_EQ(DayOf(-1), -1);
  EXPECT_EQ(DayOf(-kNanosPerDay), -1);
  EXPECT_EQ(DayOf(-kNanosPerDay - 1), -2);
  EXPECT_EQ(DayOf(kNanosPerDay - 1), 0);
}

TEST(BlockKey, BytesOrderLikeTenantSeriesAndTime) {
  EXPECT_LT(BlockKey(1, 9, 9), BlockKey(2, 1, 1));
  EXPECT_LT(BlockKey(1, 255, 9), BlockKey(1, 256, 1));
  EXPECT_LT(BlockKey(1, 1, -1), BlockKey(1, 1, 0));
  EXPECT_LT(BlockKey(1, 1, std::numeric_limits<int64_t>::min()), BlockKey(1, 1, -1));
  EXPECT_EQ(BlockKeyTime(BlockKey(7, 8, -42)), -42);
}

}  // namespace
}  // namespace pulseboard
