#include "common/analysis/rollup.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace pulseboard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Rollup Fold(const std::vector<double>& values, bool is_counter = false) {
  RollupFold fold(is_counter);
  for (size_t i = 0; i < values.size(); ++i) fold.AddSample(static_cast<int64_t>(i) * 10, values[i]);
  return fold.Take();
}

TEST(Rollup, HoldsWhatTheBucketHeld) {
  const Rollup r = Fold({3, 1, 4, 1, 5, 2});
  EXPECT_EQ(r.count, 6);
  EXPECT_EQ(r.sum, 16);
  EXPECT_EQ(r.min, 1);
  EXPECT_EQ(r.min_time, 10) << "the first of the smallest";
  EXPECT_EQ(r.max, 5);
  EXPECT_EQ(r.max_time, 40);
  EXPECT_EQ(r.first, 3);
  EXPECT_EQ(r.first_time, 0);
  EXPECT_EQ(r.last, 2);
  EXPECT_EQ(r.last_time, 50);
  EXPECT_EQ(r.resets, 0);
}

TEST(Rollup, CountsNansAndLeavesThemOut) {
  const Rollup r = Fold({kNan, 3, kNan, 1, kNan});
  EXPECT_EQ(r.count, 2);
  EXPECT_EQ(r.nan_count, 3);
  EXPECT_EQ(r.sum, 4);
  EXPECT_EQ(r.first_time, 10);
  EXPECT_EQ(r.last_time, 30);
  const Rollup none = Fold({kNan, kNan});
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(none.nan_count, 2);
  EXPECT_TRUE(std::isnan(none.min) && std::isnan(none.last));
  EXPECT_EQ(none.first_time, 0);
  EXPECT_EQ(none.last_time, 10);
}

TEST(Rollup, IncreaseOfACounterIsExactOverResets) {
  EXPECT_EQ(Fold({10, 15, 3, 7, 0, 2}, true).Increase(), 5 + 3 + 4 + 0 + 2);
  EXPECT_EQ(Fold({10, kNan, 15}, true).Increase(), 5);
  EXPECT_EQ(Fold({10, 15, 3}, false).resets, 0);
}

TEST(Rollup, SumsOfDecimalsAreTheDecimal) {
  std::mt19937_64 random(1);
  int off = 0;
  for (int run = 0; run < 2'000; ++run) {
    int64_t exact = 0;
    std::vector<double> values;
    for (int i = 0; i < 60; ++i) {
      const auto cents = static_cast<int64_t>(random() % 1'000'000);
      exact += cents;
      values.push_back(static_cast<double>(cents) / 100);
    }
    off += Fold(values).sum == static_cast<double>(exact) / 100 ? 0 : 1;
  }
  EXPECT_LT(off, 100);
}

TEST(Rollup, InfinitiesGiveInfinityOrOneKindOfNan) {
  EXPECT_EQ(Fold({1, kInfinity, 2}).sum, kInfinity);
  EXPECT_EQ(Fold({1, -kInfinity}).min, -kInfinity);
  EXPECT_EQ(std::bit_cast<uint64_t>(Fold({kInfinity, -kInfinity}).sum), std::bit_cast<uint64_t>(kNan));
  EXPECT_EQ(Fold({std::numeric_limits<double>::max(), std::numeric_limits<double>::max()}).sum, kInfinity);
}

TEST(Rollup, FoldsIntoAlignedBucketsAlsoBeforeTheEpoch) {
  const std::vector<int64_t> times = {-11, -10, -1, 0, 9, 35};
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  RollupColumns out;
  FoldSamples(times, values, 10, false, &out);
  EXPECT_EQ(out.starts, (std::vector<int64_t>{-20, -10, 0, 30}));
  EXPECT_EQ(out.counts, (std::vector<int64_t>{1, 2, 2, 1}));
  EXPECT_EQ(out.sums, (std::vector<double>{1, 5, 9, 6}));
  RollupColumns coarser;
  FoldRollups(out, 20, false, &coarser);
  EXPECT_EQ(coarser.starts, (std::vector<int64_t>{-20, 0, 20}));
  EXPECT_EQ(coarser.counts, (std::vector<int64_t>{3, 2, 1}));
}

TEST(Rollup, FoldsColumnsAsSampleBySample) {
  std::mt19937_64 random(7);
  for (int run = 0; run < 2'000; ++run) {
    const bool counter = run % 2 == 0;
    std::vector<int64_t> times;
    std::vector<double> values;
    for (int64_t i = 0; i < 40; ++i) {
      times.push_back(i);
      values.push_back(random() % 6 == 0 ? kNan : static_cast<double>(random() % 20) / 10 - 1);
    }
    RollupColumns columns;
    FoldSamples(times, values, 20, counter, &columns);
    ASSERT_EQ(columns.size(), 2U);
    for (size_t bucket = 0; bucket < 2; ++bucket) {
      RollupFold fold(counter);
      for (size_t i = 20 * bucket; i < 20 * bucket + 20; ++i) fold.AddSample(times[i], values[i]);
      const Rollup one = fold.Take(), other = columns.Get(bucket);
      // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): bit for bit, and there is no padding
      ASSERT_EQ(std::memcmp(&one, &other, sizeof(Rollup)), 0) << "run " << run << " bucket " << bucket;
    }
  }
}

TEST(Rollup, FoldsTheFieldsAskedForFromThoseTheyNeed) {
  std::mt19937_64 random(6);
  for (int run = 0; run < 200; ++run) {
    std::vector<int64_t> times;
    std::vector<double> values;
    for (int64_t i = 0; i < 400; ++i) {
      times.push_back(i * 3);
      values.push_back(random() % 4 == 0 ? kNan : static_cast<double>(random() % 50));
    }
    RollupColumns finer, all;
    FoldSamples(times, values, 10, true, &finer);
    FoldRollups(finer, 60, true, &all);
    for (const RollupFields fields : {kLineFields, kLineFields | RollupField::kCount, RollupFields(RollupField::kSum),
                                      RollupFields(RollupField::kResets)}) {
      RollupColumns few, out;
      FoldSamples(times, values, 10, true, &few, FieldsToFold(fields));
      few.Keep(FieldsToFold(fields));
      FoldRollups(few, 60, true, &out, fields);
      RollupColumns expected = all;
      out.Keep(fields);
      expected.Keep(fields);
      ASSERT_EQ(out.starts, expected.starts);
      ASSERT_EQ(out.counts, expected.counts);
      ASSERT_EQ(out.nan_counts, expected.nan_counts);
      ASSERT_EQ(out.sums, expected.sums);
      ASSERT_EQ(out.resets, expected.resets);
      ASSERT_EQ(out.first_times, expected.first_times);
      ASSERT_EQ(out.max_times, expected.max_times);
      for (size_t i = 0; i < out.mins.size(); ++i) {
        ASSERT_EQ(std::bit_cast<uint64_t>(out.mins[i]), std::bit_cast<uint64_t>(expected.mins[i]));
        ASSERT_EQ(std::bit_cast<uint64_t>(out.lasts[i]), std::bit_cast<uint64_t>(expected.lasts[i]));
      }
    }
  }
}

// All but the sum is the same whichever way it is put together.
TEST(Rollup, MergesLikeOneFoldOverAll) {
  std::mt19937_64 random(2);
  for (int run = 0; run < 3'000; ++run) {
    const bool counter = run % 2 == 0;
    std::vector<double> values(1 + random() % 12);
    for (double& v : values) v = random() % 5 == 0 ? kNan : static_cast<double>(random() % 20);
    const size_t cut = random() % (values.size() + 1);
    RollupFold a(counter), b(counter), all(counter);
    for (size_t i = 0; i < values.size(); ++i) {
      (i < cut ? a : b).AddSample(static_cast<int64_t>(i), values[i]);
      all.AddSample(static_cast<int64_t>(i), values[i]);
    }
    const Rollup merged = MergeRollups(a.empty() ? Rollup() : a.Take(), b.empty() ? Rollup() : b.Take(), counter);
    const Rollup whole = all.Take();
    EXPECT_EQ(merged.count, whole.count);
    EXPECT_EQ(merged.nan_count, whole.nan_count);
    EXPECT_EQ(merged.sum, whole.sum);  // whole numbers: no rounding
    EXPECT_EQ(merged.first_time, whole.first_time);
    EXPECT_EQ(merged.last_time, whole.last_time);
    EXPECT_EQ(merged.min_time, whole.min_time);
    EXPECT_EQ(merged.max_time, whole.max_time);
    EXPECT_EQ(merged.resets, whole.resets);
    if (whole.count == 0) continue;
    EXPECT_EQ(merged.min, whole.min);
    EXPECT_EQ(merged.max, whole.max);
    EXPECT_EQ(merged.first, whole.first);
    EXPECT_EQ(merged.last, whole.last);
  }
}

TEST(Rollup, ARunIsWhatItsSamplesAre) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2'000; ++round) {
    const bool counter = round % 2 == 0;
    RollupFold by_run(counter), one_by_one(counter);
    int64_t time = 0;
    for (int run = static_cast<int>(random() % 3); run >= 0; --run) {
      std::vector<int64_t> times;
      std::vector<double> values;
      for (size_t n = random() % 40; n > 0; --n) {
        times.push_back(time += 10);
        const bool nan = round % 5 == 0 && random() % 8 == 0;
        values.push_back(nan ? kNan : static_cast<double>(random() % 2'000'000) / 100 - 5'000);
        one_by_one.AddSample(times.back(), values.back());
      }
      by_run.AddRun(times, values);
    }
    if (one_by_one.empty()) continue;
    const Rollup a = by_run.Take(), b = one_by_one.Take();
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(a.nan_count, b.nan_count);
    EXPECT_NEAR(a.sum, b.sum, 1e-12 * std::fabs(b.sum));
    EXPECT_EQ(a.first_time, b.first_time);
    EXPECT_EQ(a.last_time, b.last_time);
    if (b.count == 0) continue;
    EXPECT_EQ(a.min, b.min);
    EXPECT_EQ(a.max, b.max);
    EXPECT_EQ(a.first, b.first);
    EXPECT_EQ(a.last, b.last);
    EXPECT_NEAR(a.resets, b.resets, 1e-9) << "added up in another order";
  }
}

TEST(Rollup, ARunBeyondTheFiniteAddsUpAsItsSamplesDo) {
  for (const std::vector<double>& values :
       {std::vector<double>{1, kInfinity, 2, 3, 4, 5, 6, 7, 8, 9}, {kInfinity, 1, 2, 3, -kInfinity, 4, 5, 6, 7, 8}}) {
    std::vector<int64_t> times(values.size());
    RollupFold fold(false);
    fold.AddRun(times, values);
    const Rollup a = fold.Take(), b = Fold(values);
    EXPECT_TRUE(a.sum == b.sum || (std::isnan(a.sum) && std::isnan(b.sum)));
    EXPECT_EQ(a.max, b.max);
  }
}

}  // namespace
}  // namespace pulseboard
