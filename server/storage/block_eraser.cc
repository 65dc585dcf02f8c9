#include "server/storage/block_eraser.h"

#include <string>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/codec/block.h"
#include "server/storage/head.h"

namespace pulseboard {
namespace {

// The samples outside `range`.
SampleColumns Without(const SampleColumns& samples, TimeRange range) {
  const IndexRange gone = IndicesWithin(samples.times, range);
  SampleColumns kept;
  kept.reserve(samples.size() - gone.count);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i < gone.first || i >= gone.first + gone.count) kept.push_back(samples.times[i], samples.values[i]);
  }
  return kept;
}

}  // namespace

absl::StatusOr<int64_t> BlockEraser::Erase(TenantId tenant, SeriesId series, TimeRange range,
                                           rocksdb::WriteBatch* batch) {
  int64_t samples = 0;
  for (const PartitionPtr& partition : partitions_->Overlapping(kRawBucket, range)) {
    PB_ASSIGN_OR_RETURN(const int64_t erased, EraseInWindow(partition, tenant, series, range, batch));
    samples += erased;
  }
  return samples;
}

absl::StatusOr<int64_t> BlockEraser::EraseInWindow(const PartitionPtr& partition, TenantId tenant, SeriesId series,
                                                   TimeRange range, rocksdb::WriteBatch* batch) {
  std::unique_ptr<PartitionCursor>& cursor = cursors_[partition.get()];
  if (cursor == nullptr) cursor = std::make_unique<PartitionCursor>(partition, nullptr);
  BlockScan scan(cursor.get(), tenant, series);
  int64_t samples = 0;
  for (scan.SeekTo(range.start); scan.Valid() && scan.start_time() < range.end; scan.Next()) {
    const std::string key = BlockKey(tenant, series, scan.start_time());
    PB_ASSIGN_OR_RETURN(const int64_t erased, EraseInBlock(*partition, scan, key, range, batch));
    samples += erased;
  }
  PB_RETURN_IF_ERROR(scan.status());
  return samples;
}

absl::StatusOr<int64_t> BlockEraser::EraseInBlock(const Partition& partition, const BlockScan& scan,
                                                  std::string_view key, TimeRange range, rocksdb::WriteBatch* batch) {
  rocksdb::ColumnFamilyHandle* const family = partition.family.get();
  const absl::StatusOr<BlockHeader> header = ReadBlockHeader(scan.bytes());
  if (header.ok() && header->max_time < range.start) return 0;
  SampleColumns samples;
  const bool whole = header.ok() && header->min_time >= range.start && header->max_time < range.end;
  const absl::Status decoded = whole ? absl::OkStatus() : DecodeBlock(scan.bytes(), &samples);
  if (!decoded.ok()) {
    PB_LOG(Error, "storage", "erased damaged block error={}", StatusMessage(scan.Describe(decoded)));
  }
  if (whole || !decoded.ok()) {
    if (batch != nullptr) PB_RETURN_IF_ERROR(FromRocks(batch->Delete(family, ToSlice(key)), "erase block"));
    return whole ? int64_t{header->count} : int64_t{0};
  }
  const SampleColumns kept = Without(samples, range);
  const auto erased = static_cast<int64_t>(samples.size() - kept.size());
  if (batch == nullptr || erased == 0) return erased;
  if (kept.times.front() != samples.times.front()) {
    PB_RETURN_IF_ERROR(FromRocks(batch->Delete(family, ToSlice(key)), "erase block"));
  }
  std::string new_key(key);
  if (kept.times.front() != samples.times.front()) {
    new_key = key.substr(0, kBlockKeyBytes - sizeof(int64_t));
    PutBigEndian(&new_key, TimeToOrdered(kept.times.front()));
  }
  const std::string bytes = EncodeBlock(kept.times, kept.values);
  PB_RETURN_IF_ERROR(FromRocks(batch->Put(family, new_key, bytes), "rewrite block"));
  return erased;
}

}  // namespace pulseboard
