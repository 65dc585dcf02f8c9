#include "server/live/pending_samples.h"

#include <gtest/gtest.h>

#include <vector>

namespace pulseboard {
namespace {

TEST(PendingSamples, MakesOneFrameOfAllCommits) {
  std::atomic<int64_t> held{0};
  PendingSamples pending;
  EXPECT_TRUE(pending.empty());
  pending.Append(7, {70, 71, 72}, std::vector<PendingRow>{{1, false, 10, 1}});
  pending.Append(9, {90, 91, 92}, std::vector<PendingRow>{{1, false, 20, 2}, {3, false, 20, 3}});
  EXPECT_EQ(pending.first_commit(), 7);
  {
    const LiveFramePtr frame = pending.TakeFrame(held);
    EXPECT_EQ(frame->first_commit, 7);
    EXPECT_EQ(frame->last_commit, 9);
    EXPECT_EQ(frame->times.pushed_unix_nanos, 70) << "times of the oldest commit";
    EXPECT_EQ(frame->sample_count, 3);
    EXPECT_EQ(held, frame->bytes) << "a frame accounts for itself";
    EXPECT_TRUE(pending.empty());
  }
  EXPECT_EQ(held, 0);
  pending.Append(10, {100, 0, 0}, std::vector<PendingRow>{{1, false, 30, 1}});
  EXPECT_EQ(pending.TakeFrame(held)->first_commit, 10);
}

TEST(PendingSamples, SortsColumnsAndLetsTheLastWriteWin) {
  std::atomic<int64_t> held{0};
  PendingSamples pending;
  pending.Append(1, {}, std::vector<PendingRow>{{2, false, 30, 1}, {1, false, 10, 2}, {2, true, 20, 3}});
  pending.Append(2, {}, std::vector<PendingRow>{{2, true, 30, 4}, {2, true, 5, 5}, {2, true, 5, 6}});
  const LiveFramePtr frame = pending.TakeFrame(held);
  const auto& samples = frame->samples.columns();
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].ref, 1U);
  EXPECT_EQ(samples[1].samples.times, (std::vector<int64_t>{30}));
  EXPECT_EQ(samples[1].samples.values, (std::vector<double>{1}));
  const auto& amends = frame->amends.columns();
  ASSERT_EQ(amends.size(), 1U);
  EXPECT_EQ(amends[0].samples.times, (std::vector<int64_t>{5, 20, 30}));
  EXPECT_EQ(amends[0].samples.values, (std::vector<double>{6, 3, 4}));
  EXPECT_EQ(frame->sample_count + frame->amend_count, 5);
}

TEST(SharedColumns, AreEncodedOnce) {
  const SharedColumns columns(std::vector<LiveColumn>{{1, {}}});
  int made = 0;
  const auto encode = [&made](const std::vector<LiveColumn>& from) {
    ++made;
    return std::make_shared<const size_t>(from.size());
  };
  EXPECT_EQ(*columns.Encoded<size_t>(encode), 1U);
  EXPECT_EQ(columns.Encoded<size_t>(encode), columns.Encoded<size_t>(encode));
  EXPECT_EQ(made, 1);
}

}  // namespace
}  // namespace pulseboard
