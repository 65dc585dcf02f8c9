#include "server/live/ref_table.h"

#include <gtest/gtest.h>

#include <limits>

namespace pulseboard {
namespace {

TEST(RefTable, ASeriesHasOneRefAsLongAsItIsHeld) {
  RefTable refs;
  const uint32_t cpu = refs.Hold(7);
  EXPECT_EQ(refs.Hold(7), cpu);
  EXPECT_NE(refs.Hold(7 + (uint64_t{1} << 32)), cpu) << "the low half of the id is the same";
  refs.Release(7);
  EXPECT_EQ(refs.Hold(7), cpu);
  refs.Release(7);
  refs.Release(7);
  EXPECT_NE(refs.Hold(7), cpu) << "not given out again soon";
}

TEST(RefTable, NumbersInUseAreSkippedWhenAllHaveBeenGivenOut) {
  RefTable refs(std::numeric_limits<uint32_t>::max());
  const uint32_t last = refs.Take();
  EXPECT_EQ(last, std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(refs.Take(), 1U) << "0 is no ref";
  EXPECT_EQ(refs.Hold(3), 2U);
  refs.Free(last);
  EXPECT_EQ(refs.size(), 2U);
}

}  // namespace
}  // namespace pulseboard
