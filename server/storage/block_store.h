// Sealed blocks in one RocksDB column family per UTC day. Blocks of one series never overlap (unless one was damaged).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/storage/rocks.h"

namespace pulseboard {

// One day's blocks. Immutable; shared by the store and running reads, which keep a dropped day readable.
struct Partition {
  int64_t day = 0;
  FamilyPtr family;
};
using PartitionPtr = std::shared_ptr<const Partition>;

// tenant (4 bytes) | series (8) | time of the first sample (8, sign bit flipped), all big-endian: bytewise order is
// time order within a series.
std::string BlockKey(TenantId tenant, SeriesId series, int64_t start_time);
inline constexpr size_t kBlockKeyBytes = 20;
int64_t BlockKeyTime(std::string_view key);

// An open iterator over one day. Making one costs more than a seek: keep it for several series. Not thread-safe.
class PartitionCursor {
 public:
  // `snapshot` may be null: the state now. Both must outlive it.
  PartitionCursor(PartitionPtr partition, rocksdb::DB* db, const rocksdb::Snapshot* snapshot);

  const Partition& partition() const { return *partition_; }
  rocksdb::Iterator* iterator() const { return iterator_.get(); }

 private:
  const PartitionPtr partition_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Ascending walk over one series' blocks in one day. One at a time per cursor, which must outlive it.
class BlockScan {
 public:
  BlockScan(PartitionCursor* cursor, TenantId tenant, SeriesId series);

  // To the last block that starts at or before `time`, else to the first block.
  void SeekTo(int64_t time);
  void SeekToLast();
  bool Valid() const;
  void Next() { it()->Next(); }
  int64_t start_time() const { return BlockKeyTime(ToView(it()->key())); }
  std::string_view bytes() const { return ToView(it()->value()); }
  // After Valid() returned false: OK at the end.
  absl::Status status() const;
  // Adds series, day and block to a decoding error.
  absl::Status Describe(const absl::Status& status) const;

 private:
  rocksdb::Iterator* it() const { return cursor_->iterator(); }

  PartitionCursor* const cursor_;
  const TenantId tenant_;
  const SeriesId series_;
  const std::string prefix_;  // of this series' keys
};

// Thread-safe. Does no I/O under its lock.
class BlockStore {
 public:
  // `rocks` must outlive it.
  explicit BlockStore(Rocks* rocks);

  const std::shared_ptr<rocksdb::DB>& db() const { return rocks_->db(); }
  // Ascending by day.
  std::vector<PartitionPtr> Overlapping(TimeRange range) const;
  std::vector<PartitionPtr> All() const { return Overlapping(kAllTime); }
  // Null when there is none.
  PartitionPtr Find(int64_t day) const;
  // Creates the day when new. Only the thread that seals may call this and DropBefore.
  absl::StatusOr<PartitionPtr> ForWrite(int64_t day);
  // Drops the days before `day`; reads that hold one finish undisturbed. Returns how many.
  absl::StatusOr<int64_t> DropBefore(int64_t day);

 private:
  Rocks* const rocks_;
  mutable Mutex mu_;
  std::map<int64_t, PartitionPtr> partitions_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
