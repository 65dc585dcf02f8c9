#include "common/client/spool.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pulseboard::client {
namespace {

std::vector<PushSample> Samples(int count, int64_t first_time = 0) {
  std::vector<PushSample> samples;
  for (int i = 0; i < count; ++i) samples.push_back({1, first_time + i, 0.5});
  return samples;
}

TEST(Spool, ClosesBatchesThatAreFull) {
  Spool spool(1000, 10, 1);
  spool.Add(Samples(25));
  EXPECT_EQ(spool.samples(), 25);
  ASSERT_NE(spool.NextUnsent(), nullptr);
  EXPECT_EQ(spool.NextUnsent()->sequence, 1);
  EXPECT_EQ(spool.NextUnsent()->size(), 10);
  spool.MarkSent();
  EXPECT_EQ(spool.NextUnsent()->sequence, 2);
  spool.MarkSent();
  EXPECT_EQ(spool.NextUnsent(), nullptr);
  EXPECT_TRUE(spool.has_open());
  spool.CloseOpen();
  EXPECT_EQ(spool.NextUnsent()->size(), 5);
}

TEST(Spool, SendsAllAgainAfterARewindExceptWhatIsAcked) {
  Spool spool(1000, 1, 7);
  spool.Add(Samples(4));
  for (int i = 0; i < 3; ++i) spool.MarkSent();
  const Spool::Acked acked = spool.Ack(8);
  EXPECT_EQ(acked.batches, 2);
  EXPECT_EQ(acked.samples, 2);
  EXPECT_EQ(spool.in_flight(), 1);
  spool.Rewind();
  EXPECT_EQ(spool.NextUnsent()->sequence, 9);
  EXPECT_EQ(spool.NextUnsent()->send_count, 1);
  EXPECT_EQ(spool.max_sent_sequence(), 9);
}

TEST(Spool, DropsTheOldestThatIsNotInFlight) {
  Spool spool(10, 2, 1);
  spool.Add(Samples(10));
  spool.MarkSent();
  EXPECT_EQ(spool.room(), 0);
  EXPECT_EQ(spool.DropOldest(3), 4) << "whole batches";
  EXPECT_EQ(spool.room(), 4);
  EXPECT_EQ(spool.in_flight(), 1);
  EXPECT_EQ(spool.NextUnsent()->sequence, 4);
  EXPECT_EQ(spool.DropOldest(10), 4) << "what is in flight stays";
  EXPECT_EQ(spool.samples(), 2);
}

TEST(Spool, NumbersAnewInTheSameOrder) {
  Spool spool(100, 1, 1);
  spool.Add(Samples(3, 100));
  spool.Renumber(50);
  spool.Add(Samples(1, 200));
  for (int64_t i = 0; i < 4; ++i) {
    ASSERT_NE(spool.NextUnsent(), nullptr);
    EXPECT_EQ(spool.NextUnsent()->sequence, 50 + i);
    spool.MarkSent();
  }
}

TEST(Spool, CountsRightUnderRandomUse) {
  std::mt19937_64 random(1);
  Spool spool(500, 7, 1);
  int64_t expected = 0, acked_up_to = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 6) {
      case 0:
      case 1: {
        const auto count = static_cast<int64_t>(random() % 30);
        if (count > spool.room()) expected -= spool.DropOldest(count);
        if (count <= spool.room()) {
          spool.Add(Samples(static_cast<int>(count)));
          expected += count;
        }
        break;
      }
      case 2:
        spool.CloseOpen();
        break;
      case 3:
        if (SpooledBatch* next = spool.NextUnsent()) {
          EXPECT_GT(next->sequence, acked_up_to);
          spool.MarkSent();
        }
        break;
      case 4:
        if (random() % 8 == 0) spool.Rewind();
        break;
      case 5:
        acked_up_to = std::max(acked_up_to, spool.max_sent_sequence() - static_cast<int64_t>(random() % 3));
        expected -= spool.Ack(acked_up_to).samples;
        break;
    }
    ASSERT_EQ(spool.samples(), expected);
    ASSERT_GE(spool.room(), 0);
  }
}

}  // namespace
}  // namespace pulseboard::client
