// Sealed blocks in one RocksDB column family per tier and window. Raw blocks of one series never overlap (unless one
// was damaged).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/storage/presence.h"
#include "server/storage/rocks.h"
#include "server/storage/tiers.h"
#include "server/storage/window.h"

namespace pulseboard {

// One window's blocks, in one instance of RocksDB. Immutable; shared by the store and running reads, which keep a
// dropped window readable.
struct Partition {
  Window window;
  FamilyPtr family;
};
using PartitionPtr = std::shared_ptr<const Partition>;

// The bytes of the block with that key, as it is now.
rocksdb::Status GetBlock(const Partition& partition, std::string_view key, std::string* bytes);

// The windows of all tiers at one moment. Immutable.
class PartitionSet {
 public:
  // Ascending by time; empty for a tier that has none.
  std::vector<PartitionPtr> Overlapping(int64_t bucket_ns, TimeRange range) const;
  // The one that holds `time`; null when there is none.
  PartitionPtr Find(int64_t bucket_ns, int64_t time) const;
  // Bucket lengths of the tiers that have windows, ascending.
  std::vector<int64_t> Buckets() const;
  // Of all tiers, finest first, then ascending by time.
  std::vector<PartitionPtr> All() const;
  // The instance that all of them are of; null when there are none.
  std::shared_ptr<rocksdb::DB> db() const;

 private:
  friend class BlockStore;
  std::map<int64_t, std::map<int64_t, PartitionPtr>> tiers_;  // bucket -> start of the window -> partition
};
using PartitionSetPtr = std::shared_ptr<const PartitionSet>;

// tenant (4 bytes) | series (8) | time of the first sample (8, sign bit flipped), all big-endian: bytewise order is
// time order within a series.
std::string BlockKey(TenantId tenant, SeriesId series, int64_t start_time);
inline constexpr size_t kBlockKeyBytes = 20;
int64_t BlockKeyTime(std::string_view key);
std::pair<TenantId, SeriesId> BlockKeySeries(std::string_view key);

// A series as its blocks need it.
struct StoredSeries {
  SeriesId id = 0;
  TenantId tenant = 0;
  bool is_counter = false;
  bool has_blocks = true;  // false: known to have none where it is read
};

// An open iterator over one window. Making one costs more than a seek: keep it for several series. Not thread-safe.
class PartitionCursor {
 public:
  // `snapshot` may be null: the state now. It must outlive the cursor. Keeps to MemoryReads as they are now.
  PartitionCursor(PartitionPtr partition, const rocksdb::Snapshot* snapshot);

  const Partition& partition() const { return *partition_; }
  rocksdb::Iterator* iterator() const { return iterator_.get(); }
  // How long the blocks are that were met last, a guess for the next series. 0: not known.
  int64_t usual_length_ns() const { return usual_length_ns_; }
  void NoteLength(int64_t nanos) { usual_length_ns_ = nanos; }

 private:
  const PartitionPtr partition_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
  int64_t usual_length_ns_ = 0;
};

// Ascending walk over one series' blocks in one window. One at a time per cursor, which must outlive it.
class BlockScan {
 public:
  BlockScan(PartitionCursor* cursor, TenantId tenant, SeriesId series);

  // To the last block that starts at or before `time`, else to the first block.
  void SeekTo(int64_t time);
  // The same, but perhaps to an earlier block: faster when blocks are as long as those that the cursor met last, as
  // RocksDB seeks forward faster than backward.
  void SeekBefore(int64_t time);
  void SeekToLast();
  bool Valid() const;
  void Next() { it()->Next(); }
  int64_t start_time() const { return BlockKeyTime(ToView(it()->key())); }
  std::string_view bytes() const { return ToView(it()->value()); }
  // After Valid() returned false: OK at the end.
  absl::Status status() const;
  // Adds series, window and block to a decoding error.
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
  // Takes the windows found at open. `rocks` must outlive it.
  explicit BlockStore(Rocks* rocks);
  // Reads what is known of them; once, before anything is written.
  absl::Status Load();

  PartitionSetPtr Partitions() const;

  // The window that holds `time`, or the one that ForWrite would make for it: aligned, of `days` days, or less where
  // that would overlap with another.
  Window WindowFor(int64_t bucket_ns, int64_t time, int64_t days) const;
  // The partition of that window, created when new (15 to 75 ms). Only the thread that seals may call this and Drop.
  absl::StatusOr<PartitionPtr> ForWrite(int64_t bucket_ns, int64_t time, int64_t days);
  // Windows of the tier that end at or before `time`, oldest first.
  std::vector<PartitionPtr> EndedBy(int64_t bucket_ns, int64_t time) const;
  // Writes blocks (as Rocks::Write) and notes which series have some. All blocks are written by this; the same thread
  // as ForWrite.
  absl::Status Write(rocksdb::WriteBatch* batch);
  // Which series have blocks where.
  Presence& presence() { return presence_; }
  // After Rocks::Reopen: the windows are those of the new instance. Reads that hold the old ones go on in the old one.
  void Reload();
  // Reads the windows whose series are not known, after a crash.
  absl::Status FindPresence();
  // Drops it as a whole, after a flush of everything; reads that hold it finish undisturbed.
  absl::Status Drop(const PartitionPtr& partition);

 private:
  PartitionSetPtr TakeFound() const;
  void Replace(const std::function<void(PartitionSet*)>& change);

  Rocks* const rocks_;
  Presence presence_;
  mutable Mutex mu_;
  PartitionSetPtr partitions_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
