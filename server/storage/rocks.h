// RocksDB, wrapped once: owning handles, statuses of ours, background errors into a callback.
//
// RocksDB's own log is off: the store's log is the only one. A write goes to memory; Flush puts everything that was
// written, in all families, on the disk at one stroke (atomic_flush). So what a crash leaves is always the state of one
// moment, at or after the last Flush: all that was written up to then and nothing of what came later. Only tables are
// flushed one by one. For this to hold, nothing but this class may write, flush, drop or compact.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "server/storage/table.h"
#include "server/storage/window.h"

namespace pulseboard {

// Corruption -> DATA_LOSS/BLOCK_CORRUPT, no space -> DISK_FULL, anything else -> STORE_READ_ONLY; `context` says what
// was being done.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view context);

inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }

struct ReleaseFamily {
  std::shared_ptr<rocksdb::DB> db;  // lives until its last handle is gone
  void operator()(rocksdb::ColumnFamilyHandle* handle) const noexcept;
};
using FamilyPtr = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

struct WindowFamily {
  Window window;
  FamilyPtr family;
};

// Releases itself. Keeps the database alive.
class Snapshot {
 public:
  explicit Snapshot(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)), snapshot_(db_->GetSnapshot()) {}
  ~Snapshot() { db_->ReleaseSnapshot(snapshot_); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const rocksdb::Snapshot* get() const { return snapshot_; }

 private:
  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_;
};

struct RocksOptions {
  std::string directory;
  int64_t cache_bytes = 192 << 20;         // blocks and write buffers of all families together
  int64_t write_buffer_bytes = 128 << 20;  // of them, at most
  // Runs on a RocksDB thread: an error after which RocksDB takes no writes, or OK when it takes them again.
  std::function<void(const absl::Status&)> on_background_status;
  bool read_only = false;       // changes nothing, not even an info log; the database must exist
  rocksdb::Env* env = nullptr;  // for tests that make the disk fail; null: the machine's own
};

struct RocksStats {
  int64_t write_buffer_bytes = 0;
  int64_t cache_bytes = 0;  // write buffers included
  int64_t background_errors = 0;
  int64_t write_stalls = 0;  // times a family began to be slowed or stopped
};

class RocksListener;

// Thread-safe.
class Rocks {
 public:
  // Opens or creates with every fixed family. FAILED_PRECONDITION for a family name that is not known here.
  static absl::StatusOr<std::unique_ptr<Rocks>> Open(RocksOptions options);

  const std::shared_ptr<rocksdb::DB>& db() const { return db_; }
  // REQUIRES: a fixed family's name.
  rocksdb::ColumnFamilyHandle* fixed(std::string_view name) const;
  // All that are there, by name.
  std::vector<std::pair<std::string, rocksdb::ColumnFamilyHandle*>> FixedFamilies() const;
  // The windows' families found at open, to be taken once.
  std::vector<WindowFamily> TakeWindowFamilies() { return std::move(windows_); }
  absl::StatusOr<FamilyPtr> CreateWindowFamily(const Window& window);

  RocksStats Stats() const;
  // RocksDB takes no writes until flushes and compactions have caught up: a write now would wait for them.
  bool IsWriteStopped() const;
  // Whether the write buffers exceed their share while a flush is under way; waits up to `patience_ns` for it.
  bool WriteBuffersFull(int64_t patience_ns) const;

  // To memory. `what` goes into the error's message.
  absl::Status Write(rocksdb::WriteBatch* batch, std::string_view what);
  // Everything written before, to any family, is on the disk afterwards.
  absl::Status Flush();
  // The same for one family alone. REQUIRES: its rows mean nothing to other families, nor theirs to it.
  absl::Status FlushTable(rocksdb::ColumnFamilyHandle* table);
  // At once and for ever; so everything written before is flushed first.
  absl::Status DropFamily(const FamilyPtr& family);
  // The same for the files that lie within [from, to) as a whole. REQUIRES: those keys were deleted.
  absl::Status DropFiles(rocksdb::ColumnFamilyHandle* family, std::string_view from, std::string_view to);
  // Rewrites the files that have keys in [from, to) (an empty `to`: all from `from`) as one sorted run. False when that
  // was not possible now: the family is gone, other work is on these files, CancelCompactions was called.
  absl::StatusOr<bool> Compact(rocksdb::ColumnFamilyHandle* family, std::string_view from, std::string_view to);
  // More than an eighth of the family lies in files that came after its last compaction.
  bool NeedsCompaction(rocksdb::ColumnFamilyHandle* family) const;
  // Ends what Compact is doing, for good.
  void CancelCompactions();

  // After an error that Resume may end.
  bool NeedsResume() const;
  // Tries to leave the state after a background error; when that worked, on_background_status is told.
  absl::Status Resume();

 private:
  explicit Rocks(const RocksOptions& options);
  absl::Status FlushLocked() PB_REQUIRES(flush_mu_);
  absl::Status ReadyLocked() PB_REQUIRES(flush_mu_);
  enum class FamilyKind { kTable, kRaw, kRollups };
  static FamilyKind KindOf(const Window& window) {
    return window.bucket_ns == kRawBucket ? FamilyKind::kRaw : FamilyKind::kRollups;
  }
  rocksdb::ColumnFamilyOptions FamilyOptions(FamilyKind kind) const;

  const RocksOptions options_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;  // charged to the cache
  std::shared_ptr<RocksListener> listener_;
  std::shared_ptr<rocksdb::DB> db_;
  std::map<std::string, FamilyPtr, std::less<>> fixed_;
  std::vector<WindowFamily> windows_;
  // Held while families are flushed, made or dropped: a flush is of all families there are.
  Mutex flush_mu_;
  std::vector<std::weak_ptr<rocksdb::ColumnFamilyHandle>> window_handles_ PB_GUARDED_BY(flush_mu_);
};

// A Table on a fixed family. `rocks` must outlive it.
std::unique_ptr<Table> MakeRocksTable(Rocks* rocks, std::string_view name);

}  // namespace pulseboard
