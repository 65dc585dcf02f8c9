// Turns chunks of the head into blocks: one UTC day per block, at most block_samples each, merged with the blocks that
// are already there, the newer write winning.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "server/storage/block_store.h"
#include "server/storage/head.h"
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
  Sealer(BlockStore* blocks, const SeriesIndex* index, int32_t block_samples)
      : blocks_(blocks), index_(index), block_samples_(static_cast<size_t>(block_samples)) {}

  // Writes the chunks in one batch, not yet synced. Samples of days before `oldest_day` are left out. Chunks of one
  // series must be in the order in which they were filled.
  absl::Status Seal(std::span<const SealingChunkPtr> chunks, int64_t oldest_day, SealStats* stats);

 private:
  // The last block of a series in the day it was last sealed in, so that appending needs no read.
  struct Tail {
    bool known = false;
    int64_t day = 0;
    int64_t start = 0;
    int64_t max_time = 0;
    size_t count = 0;
  };
  // Where a series' samples of one day go.
  struct Target {
    const SeriesInfo* series;
    PartitionPtr partition;
    rocksdb::WriteBatch* batch;
    SealStats* stats;
  };
  struct Columns {
    std::span<const int64_t> times;
    std::span<const double> values;
  };

  absl::Status WriteChunks(std::span<const SealingChunkPtr> chunks, int64_t oldest_day, SealStats* stats);
  absl::Status SealSeries(const SeriesInfo& series, const SampleColumns& samples, int64_t oldest_day,
                          rocksdb::WriteBatch* batch, SealStats* stats);
  absl::Status SealDay(const Target& target, Columns samples);
  absl::Status AppendToTail(const Target& target, const Tail& tail, Columns samples);
  absl::Status MergeIntoDay(const Target& target, Columns samples);
  // Merges `samples` with one block, whose bytes are given, and replaces it.
  absl::Status MergeIntoBlock(const Target& target, int64_t block_start, std::string_view block, Columns samples);
  absl::Status PutBlocks(const Target& target, Columns samples);

  BlockStore* const blocks_;
  const SeriesIndex* const index_;
  const size_t block_samples_;
  std::deque<Tail> tails_;  // by series id
  Tail last_put_;
};

}  // namespace pulseboard
