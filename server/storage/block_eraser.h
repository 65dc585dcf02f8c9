// Takes samples out of sealed blocks.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "absl/status/status.h"
#include "server/storage/block_store.h"

namespace pulseboard {

// Not thread-safe; only while nothing is being sealed.
class BlockEraser {
 public:
  // Of the windows of now.
  explicit BlockEraser(const BlockStore& blocks) : partitions_(blocks.Partitions()) {}

  // Adds to `batch` what takes the raw samples of one series within `range` out of its blocks; a null batch only
  // counts. A block that does not decode goes as a whole when any of it may lie within the range. Returns how many
  // samples that is, those of blocks that do not decode left out.
  absl::StatusOr<int64_t> Erase(TenantId tenant, SeriesId series, TimeRange range, rocksdb::WriteBatch* batch);

 private:
  absl::StatusOr<int64_t> EraseInWindow(const PartitionPtr& partition, TenantId tenant, SeriesId series,
                                        TimeRange range, rocksdb::WriteBatch* batch);
  absl::StatusOr<int64_t> EraseInBlock(const Partition& partition, const BlockScan& scan, std::string_view key,
                                       TimeRange range, rocksdb::WriteBatch* batch);

  const PartitionSetPtr partitions_;
  std::unordered_map<const Partition*, std::unique_ptr<PartitionCursor>> cursors_;
};

}  // namespace pulseboard
