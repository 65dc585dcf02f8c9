#include "server/live/pending_samples.h"

#include <gtest/gtest.h>

#include <vector>

namespace pulseboard {
namespace {

constexpr int64_t kPlenty = 1 << 20;

std::vector<PendingRow> Rows(uint32_t ref, int64_t first_time, int count) {
  std::vector<PendingRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back({ref, false, first_time + i, static_cast<double>(first_time + i)});
  return rows;
}

TEST(PendingSamples, GivesWholeCommitsOldestFirst) {
  PendingSamples pending;
  for (int64_t commit = 1; commit <= 5; ++commit)
    pending.Append(commit, {commit, 0, 0}, Rows(1, commit * 100, 10), kPlenty);
  PendingSamples::Frame frame = pending.TakeFrame(25);
  EXPECT_EQ(frame.last_commit, 2);
  EXPECT_EQ(frame.times.pushed_unix_nanos, 1) << "times of the oldest commit";
  EXPECT_EQ(frame.sample_count, 20);
  frame = pending.TakeFrame(1);
  EXPECT_EQ(frame.last_commit, 3) << "one commit at least, whatever its size";
  EXPECT_EQ(frame.sample_count, 10);
  EXPECT_EQ(pending.TakeFrame(1'000).last_commit, 5);
  EXPECT_TRUE(pending.empty());
  EXPECT_EQ(pending.bytes(), 0);
}

TEST(PendingSamples, SortsColumnsAndLetsTheLastWriteWin) {
  PendingSamples pending;
  pending.Append(1, {}, std::vector<PendingRow>{{2, false, 30, 1}, {1, false, 10, 2}, {2, true, 20, 3}}, kPlenty);
  pending.Append(2, {}, std::vector<PendingRow>{{2, true, 30, 4}, {2, true, 5, 5}, {2, true, 5, 6}}, kPlenty);
  const PendingSamples::Frame frame = pending.TakeFrame(100);
  ASSERT_EQ(frame.columns.samples.size(), 2U);
  EXPECT_EQ(frame.columns.samples[0].ref, 1U);
  EXPECT_EQ(frame.columns.samples[1].samples.times, (std::vector<int64_t>{30}));
  EXPECT_EQ(frame.columns.samples[1].samples.values, (std::vector<double>{1}));
  ASSERT_EQ(frame.columns.amends.size(), 1U);
  EXPECT_EQ(frame.columns.amends[0].samples.times, (std::vector<int64_t>{5, 20, 30}));
  EXPECT_EQ(frame.columns.amends[0].samples.values, (std::vector<double>{6, 3, 4}));
  EXPECT_EQ(frame.sample_count, 5);
}

TEST(PendingSamples, DropsTheOldestIntoOneGap) {
  PendingSamples pending;
  EXPECT_EQ(pending.Append(1, {}, Rows(1, 1'000, 100), 4'000), 0);
  const int64_t dropped = pending.Append(2, {}, Rows(1, 500, 100), 4'000);
  EXPECT_GT(dropped, 0);
  EXPECT_LE(pending.bytes(), 4'000);
  EXPECT_EQ(static_cast<int64_t>(pending.size()), 200 - dropped);
  const int64_t more = pending.Append(3, {}, Rows(1, 2'000, 100), 4'000);
  const auto gap = pending.TakeGap();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->dropped_sample_count, dropped + more);
  EXPECT_EQ(gap->start_time_unix_nanos, 500);
  EXPECT_EQ(gap->end_time_unix_nanos, 1'099);
  EXPECT_FALSE(pending.TakeGap());
}

TEST(PendingSamples, KeepsTheNewestRowsOfACommitThatIsTooLarge) {
  PendingSamples pending;
  pending.Append(1, {}, Rows(1, 0, 10), 2'400);
  const int64_t dropped = pending.Append(2, {}, Rows(1, 100, 1'000), 2'400);
  EXPECT_EQ(static_cast<int64_t>(pending.size()) + dropped, 1'010);
  const PendingSamples::Frame frame = pending.TakeFrame(10'000);
  EXPECT_EQ(frame.last_commit, 2);
  EXPECT_EQ(frame.columns.samples.at(0).samples.times.back(), 1'099);
}

TEST(PendingSamples, TriesWithoutChangingAnything) {
  PendingSamples pending;
  EXPECT_TRUE(pending.TryAppend(1, {}, Rows(1, 0, 10), 1'000));
  EXPECT_FALSE(pending.TryAppend(2, {}, Rows(1, 0, 100), 1'000));
  EXPECT_EQ(pending.size(), 10U);
  EXPECT_FALSE(pending.has_gap());
  pending.Clear();
  EXPECT_TRUE(pending.empty());
}

}  // namespace
}  // namespace pulseboard
