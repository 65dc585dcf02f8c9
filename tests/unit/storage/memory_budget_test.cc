// One limit for head, cache and write buffers, held while much more than that is pushed.
#include "server/storage/memory_budget.h"

#include <atomic>

#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

TEST(MemoryBudget, SharesOutAllAndNotMore) {
  for (const int64_t memory : {int64_t{0}, int64_t{1}, int64_t{100} << 20, int64_t{7} << 30}) {
    const MemoryShares shares = ShareMemory(memory);
    EXPECT_EQ(shares.head + shares.cache + shares.decoded, std::max(memory, kMinMemoryBytes));
    EXPECT_LT(shares.write_buffers, shares.cache);
  }
  EXPECT_GE(DefaultMemoryBytes(), kMinMemoryBytes);
  EXPECT_LE(DefaultMemoryBytes(), kMaxDefaultMemoryBytes);
}

class MemoryBudgetTest : public StoreTest {};

TEST_F(MemoryBudgetTest, IsHeldWhileManyTimesAsMuchIsPushed) {
  options_.memory_bytes = kMinMemoryBytes;
  options_.wal_segment_bytes = 16 << 20;
  options_.block_samples = 64;
  const MemoryShares shares = ShareMemory(options_.memory_bytes);
  Open();
  constexpr int kSeries = 5'000;
  constexpr int kRounds = 400;  // 2 M samples: 32 MB of plain columns, and each chunk of 64 more
  std::vector<SeriesId> series;
  for (int i = 0; i < kSeries; ++i) series.push_back(Series("m", {{"n", std::to_string(i)}}));
  std::atomic<int> acked = 0;
  int64_t most_head = 0, most_buffers = 0, most_cache = 0;
  for (int round = 0; round < kRounds; ++round) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    batch.ack_mode = AckMode::kBuffered;
    batch.series = series;
    batch.times.assign(kSeries, kStart + round * kNanosPerSecond);
    for (int i = 0; i < kSeries; ++i) batch.values.push_back(round * 0.1 + i / 3.0);  // full doubles: no small blocks
    absl::Status queued;
    while (HasReason(queued = store_->Append(batch, [&](const auto& receipt) { acked += receipt.ok() ? 1 : 0; }),
                     ErrorReason::kIngestBacklogFull)) {
      std::this_thread::yield();  // back-pressure, as it should be
    }
    ASSERT_TRUE(queued.ok()) << queued;
    const StoreStats stats = store_->Stats();
    most_head = std::max(most_head, stats.head_bytes);
    most_buffers = std::max(most_buffers, stats.write_buffer_bytes);
    most_cache = std::max(most_cache, stats.write_buffer_bytes + stats.block_cache_bytes);
  }
  WaitUntil([&] { return acked == kRounds; });
  RecordProperty("most_head_bytes", std::to_string(most_head));
  RecordProperty("most_write_buffer_bytes", std::to_string(most_buffers));
  EXPECT_GT(store_->Stats().sealed_samples, int64_t{kSeries} * kRounds / 4) << "all fitted: this proves nothing";
  EXPECT_LE(most_head, shares.head);
  // One batch of sealed blocks goes in between two looks at the limit.
  EXPECT_LE(most_buffers, shares.write_buffers + (2 << 20));
  EXPECT_LE(most_cache, shares.cache);
  for (int i = 0; i < kSeries; i += 97) ASSERT_EQ(Read(series[static_cast<size_t>(i)]).size(), kRounds);
}

}  // namespace
}  // namespace pulseboard
