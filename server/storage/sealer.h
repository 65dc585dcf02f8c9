// Turns chunks of the head into blocks: never across a window, at most block_samples each, merged with the blocks that
// are already there, the newer write winning; the buckets they touch leave the
// rollups in the same batch.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/storage/block_store.h"
#include "server/storage/head.h"
#include "server/storage/id_table.h"
#include "server/storage/rollup_keeper.h"
#include "server/storage/series_index.h"

namespace pulseboard {

struct SealStats {
  int64_t blocks = 0;
  int64_t samples = 0;  // in written blocks, so rewritten ones count again
  int64_t bytes = 0;
  int64_t expired_samples = 0;  // older than the retention, left out
};

// Not thread-safe: one caller at a time. The pointees must outlive it.
class Sealer {
 public:
  Sealer(BlockStore* blocks, const SeriesIndex* index, const std::vector<Tier>* tiers, RollupKeeper* rollups,
         int32_t block_samples)
      : blocks_(blocks),
        index_(index),
        tiers_(tiers),
        rollups_(rollups),
        block_samples_(static_cast<size_t>(block_samples)) {}

  // What is kept of a tenant, in unix nanoseconds.
  using OldestTime = std::function<int64_t(TenantId)>;

  // Writes the chunks in one batch (as Rocks::Write). Samples whose window ends at or before `oldest_time`
  // are left out. Chunks of one series must be in the order in which they were filled.
  absl::Status Seal(std::span<const SealingChunkPtr> chunks, const OldestTime& oldest_time, SealStats* stats);
  // To be called when somebody else changes blocks of the series.
  void ForgetTail(SeriesId series) { tails_.Erase(series); }

 private:
  // The last block of a series in the window it was last sealed in, so that appending needs no read.
  struct Tail {
    int64_t start = 0;
    int64_t max_time = 0;
    uint32_t count = 0;     // 0: not known
    int32_t start_day = 0;  // of the window
  };
  // Where a series' samples of one window go.
  struct Target {
    const StoredSeries* series;
    PartitionPtr partition;
    rocksdb::WriteBatch* batch;
    SealStats* stats;
  };
  struct Columns {
    std::span<const int64_t> times;
    std::span<const double> values;
  };

  absl::Status WriteChunks(std::span<const SealingChunkPtr> chunks, const OldestTime& oldest_time, SealStats* stats);
  absl::Status SealSeries(const StoredSeries& series, Columns samples, int64_t oldest_time, rocksdb::WriteBatch* batch,
                          SealStats* stats);
  absl::Status SealWindow(const Target& target, Columns samples);
  absl::Status AppendToTail(const Target& target, const Tail& tail, Columns samples);
  absl::Status MergeIntoWindow(const Target& target, Columns samples);
  // Merges `samples` with one block, whose bytes are given, and replaces it.
  absl::Status MergeIntoBlock(const Target& target, int64_t block_start, std::string_view block, Columns samples);
  absl::Status PutBlocks(const Target& target, Columns samples);

  BlockStore* const blocks_;
  const SeriesIndex* const index_;
  const std::vector<Tier>* const tiers_;
  RollupKeeper* const rollups_;
  const size_t block_samples_;
  IdTable<Tail> tails_;
  Tail last_put_;
};

}  // namespace pulseboard
