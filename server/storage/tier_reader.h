// Reads one series from the blocks of all tiers, and from runs of the head where there are any: samples as they are,
// rollups from span blocks where those speak for a bucket, else derived from the next finer tier, down to samples.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/codec/block.h"
#include "common/codec/rollup_block.h"
#include "common/model/rollups.h"
#include "common/model/samples.h"
#include "server/storage/block_store.h"
#include "server/storage/decoded_blocks.h"
#include "server/storage/head.h"
#include "server/storage/store.h"
#include "server/storage/tiers.h"

namespace pulseboard {

// Times whose bucket, whatever its length, begins and ends at a time as well.
inline constexpr TimeRange kBucketTimes = {kAllTime.start + 2 * kNanosPerDay, kAllTime.end - 2 * kNanosPerDay};

// The span block of a tier that speaks for `time`: the aligned stretch of the tier's span length, cut to the window.
TimeRange SpanRange(const Tier& tier, const Window& window, int64_t time);

// Keeps iterators open from one series to the next: what is written after the first read is not seen, unless by luck.
// Not thread-safe.
class TierReader {
 public:
  // `snapshot` and `decoded` may be null. Pointees must outlive it.
  TierReader(const rocksdb::Snapshot* snapshot, PartitionSetPtr partitions, const std::vector<Tier>* tiers,
             DecodedBlocks* decoded = nullptr);

  // Appends the samples of raw blocks within `range`, which lies after what is in `out`.
  absl::Status ReadBlocks(const StoredSeries& series, TimeRange range, SampleColumns* out);
  // Those of blocks and runs; runs oldest first, later ones win.
  absl::Status ReadSamples(const StoredSeries& series, std::span<const SampleRun> runs, TimeRange range,
                           SampleColumns* out);
  // Appends the buckets of tiers[tier] within `range`, whole ones, after what is in `out`. REQUIRES: tier >= 1.
  absl::Status ReadRollups(const StoredSeries& series, std::span<const SampleRun> runs, size_t tier, TimeRange range,
                           RollupFields fields, RollupColumns* out);
  // The same from the tier's source, whatever is stored for the tier itself. All columns are there, those of `fields`
  // right.
  absl::Status Derive(const StoredSeries& series, std::span<const SampleRun> runs, size_t tier,
                      std::span<const TimeRange> ranges, RollupFields fields, RollupColumns* out);

  const ReadStats& stats() const { return stats_; }

 private:
  struct Stored {
    RollupColumns columns;
    std::vector<TimeRange> derive;  // ascending, apart
  };

  PartitionCursor* CursorOf(const PartitionPtr& partition);
  // Appends the samples of one block within `range`, which lies after what is in `out`.
  absl::Status ReadBlock(const BlockScan& scan, const BlockHeader& header, TimeRange range, SampleColumns* out);
  absl::Status ReadBlocksOf(PartitionCursor* cursor, const StoredSeries& series, TimeRange range, SampleColumns* out);
  absl::Status ReadSpans(PartitionCursor* cursor, const StoredSeries& series, TimeRange range, RollupFields fields,
                         int64_t* covered, Stored* out);

  const rocksdb::Snapshot* const snapshot_;
  const PartitionSetPtr partitions_;  // null: there are no blocks
  const std::vector<Tier>* const tiers_;
  DecodedBlocks* const decoded_;
  std::unordered_map<const Partition*, std::unique_ptr<PartitionCursor>> cursors_;
  ReadStats stats_;
};

}  // namespace pulseboard
