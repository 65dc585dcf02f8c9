#include "server/storage/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kAll = 1'000'000;

class HeadTest : public ::testing::Test {
 protected:
  int64_t Add(SeriesId series, std::vector<int64_t> times, int64_t now = 0) {
    const std::vector<SeriesId> ids(times.size(), series);
    std::vector<double> values(times.begin(), times.end());
    return head_.Apply(++commit_, now, ids, times, values);
  }
  std::vector<int64_t> Times(SeriesId series) {
    SampleColumns all;
    for (const SampleRun& run : head_.Runs(series)) MergeRun(run.times(), run.values(), &all);
    return all.times;
  }
  Head head_{8};
  int64_t commit_ = 0;
};

TEST_F(HeadTest, SortsWhatComesOutOfOrder) {
  EXPECT_EQ(Add(1, {5, 3, 9, 1, 3}), 3);
  EXPECT_THAT(Times(1), ElementsAre(1, 3, 5, 9));
  EXPECT_EQ(head_.sample_count(), 4);
  EXPECT_THAT(Times(2), IsEmpty());
}

TEST_F(HeadTest, ARunNeverChangesUnderItsReader) {
  Add(1, {10, 20, 30});
  const std::vector<SampleRun> before = head_.Runs(1);
  Add(1, {40});      // appended behind
  Add(1, {15, 20});  // inserted and overwritten: in a copy
  EXPECT_THAT(std::vector<int64_t>(before[0].times().begin(), before[0].times().end()), ElementsAre(10, 20, 30));
  EXPECT_THAT(Times(1), ElementsAre(10, 15, 20, 30, 40));
}

TEST_F(HeadTest, SealsFullChunksAndKeepsThemReadableUntilRemoved) {
  Add(1, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(head_.sealing_count(), 1u);
  EXPECT_THAT(Times(1), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  const auto sealing = head_.Sealing(10, kAll);
  head_.RemoveSealed(sealing);
  EXPECT_THAT(Times(1), ElementsAre(9));
  EXPECT_EQ(head_.sample_count(), 1);
}

TEST_F(HeadTest, HandsOutNoMoreChunksThanHoldSoManySamples) {
  for (SeriesId series : {1, 2, 3}) Add(series, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(head_.Sealing(10, 1).size(), 1u);  // at least one
  EXPECT_EQ(head_.Sealing(10, 9).size(), 2u);
  EXPECT_EQ(head_.Sealing(10, kAll).size(), 3u);
}

TEST_F(HeadTest, SealsLongChunksFirstAndOnlyBeyondTheBytes) {
  Add(1, {1});     // oldest, but short: a block of it would cost as much as one of a thousand
  Add(2, {1, 2});  // long from a quarter of a block on
  Add(3, {1, 2, 3});
  EXPECT_FALSE(head_.HasLongBeyond(kAll));
  head_.SealLong(kAll);
  EXPECT_EQ(head_.sealing_count(), 0u);
  ASSERT_TRUE(head_.HasLongBeyond(head_.bytes() - 1));
  head_.SealLong(head_.bytes() - 1);
  ASSERT_EQ(head_.sealing_count(), 1u);
  EXPECT_EQ(head_.Sealing(1, kAll)[0]->series, 2u);
  head_.SealLong(0);
  EXPECT_EQ(head_.sealing_count(), 2u);
  EXPECT_FALSE(head_.HasLongBeyond(0));  // the short one stays
  EXPECT_THAT(Times(1), ElementsAre(1));
}

TEST_F(HeadTest, AChunkThatWasSealedOtherwiseIsLongNoMore) {
  Add(1, {1, 2}, 5);
  head_.SealOpenedBefore(5);
  Add(1, {3});
  head_.SealLong(0);
  EXPECT_EQ(head_.sealing_count(), 1u);
  EXPECT_THAT(Times(1), ElementsAre(1, 2, 3));
}

TEST_F(HeadTest, ALaterRunOverwritesAnEarlierOne) {
  Add(1, {1, 2, 3, 4, 5, 6, 7, 8});
  const std::vector<SeriesId> ids = {1};
  const std::vector<int64_t> times = {3};
  const std::vector<double> values = {99};
  head_.Apply(++commit_, 0, ids, times, values);
  SampleColumns all;
  for (const SampleRun& run : head_.Runs(1)) MergeRun(run.times(), run.values(), &all);
  EXPECT_EQ(all.size(), 8u);
  EXPECT_EQ(all.values[2], 99);
}

TEST_F(HeadTest, KnowsTheOldestCommitItStillNeeds) {
  EXPECT_FALSE(head_.OldestCommit().has_value());
  Add(1, {1});                       // commit 1
  Add(2, {1, 2, 3, 4, 5, 6, 7, 8});  // commit 2, full at once
  Add(1, {2});                       // commit 3
  EXPECT_EQ(head_.OldestCommit(), 1);
  head_.SealOpenedBefore(0);
  EXPECT_EQ(head_.OldestCommit(), 1);
  const auto sealing = head_.Sealing(1, kAll);  // series 2 was first
  head_.RemoveSealed(sealing);
  EXPECT_EQ(head_.OldestCommit(), 1);
  head_.RemoveSealed(head_.Sealing(1, kAll));
  EXPECT_FALSE(head_.OldestCommit().has_value());
  EXPECT_EQ(head_.bytes(), 0);
}

TEST_F(HeadTest, SealsByAgeOnlyWhatIsOldEnough) {
  Add(1, {1}, 100);
  Add(2, {1}, 200);
  Add(1, {2}, 300);  // the chunk was opened at 100
  head_.SealOpenedBefore(150);
  ASSERT_EQ(head_.sealing_count(), 1u);
  EXPECT_EQ(head_.Sealing(9, kAll)[0]->series, 1u);
  EXPECT_EQ(head_.Sealing(9, kAll)[0]->run.count, 2u);
}

TEST_F(HeadTest, KnowsWhetherBlocksCanMatter) {
  EXPECT_TRUE(head_.MayHaveBlocksFrom(1, 0)) << "nothing is known after a restart";
  head_.AddNewSeries(1);
  EXPECT_FALSE(head_.MayHaveBlocksFrom(1, std::numeric_limits<int64_t>::min() + 1));
  Add(1, {1, 2, 3, 4, 5, 6, 7, 8});
  head_.RemoveSealed(head_.Sealing(1, kAll));
  EXPECT_TRUE(head_.MayHaveBlocksFrom(1, 8));
  EXPECT_FALSE(head_.MayHaveBlocksFrom(1, 9));
}

TEST_F(HeadTest, LatestFromBlocksYieldsToWhatCameMeanwhile) {
  bool known = true;
  Add(1, {50});
  head_.Latest(1, &known);
  EXPECT_FALSE(known);
  head_.SetLatestFromBlocks(1, Sample{50, -1});
  EXPECT_EQ(head_.Latest(1, &known)->value, 50);
  EXPECT_TRUE(known);
  Add(2, {50});
  head_.SetLatestFromBlocks(2, Sample{60, -1});
  EXPECT_EQ(head_.Latest(2, &known)->time_unix_nanos, 60);
}

}  // namespace
}  // namespace pulseboard
