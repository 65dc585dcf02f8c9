// RocksDB, wrapped once: owning handles, statuses of ours, background errors into a callback.
//
// RocksDB's own log is off: the store's log is the only one. A write goes to memory; Flush puts everything that was
// written, in all families, on the disk at one stroke (atomic_flush). So what a crash leaves is always the state of one
// moment, at or after the last Flush: all that was written up to then and nothing of what came later. Only tables are
// flushed one by one. For this to hold, nothing but this class may write, flush, drop or compact, and RocksDB's own
// recovery from errors (Resume) is off: its flushes are of no one moment, and it can wait for ever for a flush that
// nobody does.
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
#include "server/storage/unflushed_keys.h"
#include "server/storage/window.h"

namespace pulseboard {

// Corruption and errors of reading -> DATA_LOSS/BLOCK_CORRUPT, no space -> DISK_FULL, anything else -> STORE_READ_ONLY;
// `context` says what was being done.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view context);

// Of an error after which the database is opened again (Rocks::Reopen): no space -> DISK_FULL, else WRITE_STALLED.
absl::Status FromRocksFailure(const rocksdb::Status& status, std::string_view context);

inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
inline rocksdb::Slice ToSlice(std::string_view view) { return {view.data(), view.size()}; }

struct ReleaseFamily {
  std::shared_ptr<rocksdb::DB> db;  // lives until its last handle is gone
  void operator()(rocksdb::ColumnFamilyHandle* handle) const noexcept;
};
// Keeps the instance of the database alive that it is of.
using FamilyPtr = std::shared_ptr<rocksdb::ColumnFamilyHandle>;
// REQUIRES: made by Rocks.
const std::shared_ptr<rocksdb::DB>& DatabaseOf(const FamilyPtr& family);

struct WindowFamily {
  Window window;
  FamilyPtr family;
};

// An iterator over a family as it is now.
class RowCursor {
 public:
  explicit RowCursor(FamilyPtr family)
      : family_(std::move(family)),
        iterator_(DatabaseOf(family_)->NewIterator(rocksdb::ReadOptions(), family_.get())) {}
  rocksdb::Iterator* operator->() const { return iterator_.get(); }

 private:
  const FamilyPtr family_;
  const std::unique_ptr<rocksdb::Iterator> iterator_;
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
  // Runs on any thread: an error after which nothing can be written until Reopen.
  std::function<void(const absl::Status&)> on_failed;
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
struct RocksCounts;

// A database directory and the instance of RocksDB that has it open. Thread-safe.
//
// An error of the disk that RocksDB meets leaves it in a state that only opening it again ends for certain. Reopen does
// that while reading goes on: the failed instance stays for those who have something of it (families, snapshots,
// iterators) and for all others until its successor has everything that it had, in memory too.
class Rocks {
 public:
  // Opens or creates with every fixed family. FAILED_PRECONDITION for a family name that is not known here.
  static absl::StatusOr<std::unique_ptr<Rocks>> Open(RocksOptions options);

  // The instance of now.
  std::shared_ptr<rocksdb::DB> db() const { return current()->db; }
  // REQUIRES: a fixed family's name.
  FamilyPtr fixed(std::string_view name) const;
  // All that are there, by name.
  std::vector<std::pair<std::string, FamilyPtr>> FixedFamilies() const;
  // The windows' families found at open or Reopen, to be taken once.
  std::vector<WindowFamily> TakeWindowFamilies();
  absl::StatusOr<FamilyPtr> CreateWindowFamily(const Window& window);

  // A row of a fixed family.
  rocksdb::Status Get(std::string_view family, std::string_view key, std::string* value) const;
  RowCursor Iterate(std::string_view family) const { return RowCursor(fixed(family)); }

  RocksStats Stats() const;
  // RocksDB takes no writes until flushes and compactions have caught up: a write now would wait for them.
  bool IsWriteStopped() const;
  // Whether the write buffers exceed their share while a flush is under way; waits up to `patience_ns` for it.
  bool WriteBuffersFull(int64_t patience_ns) const;

  // To memory. `what` goes into the error's message.
  absl::Status Write(rocksdb::WriteBatch* batch, std::string_view what);
  // Everything written before, to any family, is on the disk afterwards.
  absl::Status Flush();
  // Memory for what Reopen would have to know of what was written since the last flush.
  int64_t unflushed_bytes() const { return unflushed_.bytes(); }
  // As Flush for one fixed family alone; calls at the same time share one. REQUIRES: its rows mean nothing to other
  // families, nor theirs to it.
  absl::Status FlushTable(std::string_view table);
  // At once and for ever; so everything written before is flushed first.
  absl::Status DropFamily(const FamilyPtr& family);
  // The same for the files that lie within [from, to) as a whole. REQUIRES: those keys were deleted.
  absl::Status DropFiles(const FamilyPtr& family, std::string_view from, std::string_view to);
  // Rewrites the files of the window that have keys in [from, to) (an empty `to`: all from `from`) as one sorted run.
  // False when that was not possible now: the family is gone, other work is on these files, CancelCompactions was
  // called.
  absl::StatusOr<bool> Compact(const Window& window, std::string_view from, std::string_view to);
  // More than an eighth of the family lies in files that came after its last compaction.
  static bool NeedsCompaction(const FamilyPtr& family);
  // Ends what Compact is doing, for good.
  void CancelCompactions();

  // RocksDB has met an error: nothing can be written until Reopen.
  bool failed() const;
  // Opens the database again, with all that was written to it. Families are new afterwards (TakeWindowFamilies); those
  // from before go on reading what was there before. On an error everything is as before, failed. Nobody else may
  // create or drop families meanwhile.
  absl::Status Reopen();

 private:
  enum class FamilyKind { kTable, kRaw, kRollups };
  // RocksDB opened once.
  struct Instance {
    std::shared_ptr<RocksListener> listener;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;  // charged to the cache
    std::shared_ptr<rocksdb::DB> db;
    std::map<std::string, FamilyPtr, std::less<>> fixed;
    std::vector<WindowFamily> found;  // windows, until they are taken
    std::map<std::string, std::weak_ptr<rocksdb::ColumnFamilyHandle>, std::less<>> windows;  // guarded by flush_mu_
  };
  using InstancePtr = std::shared_ptr<Instance>;

  explicit Rocks(const RocksOptions& options);
  InstancePtr current() const {
    MutexLock lock(&current_mu_);
    return current_;
  }
  absl::StatusOr<InstancePtr> OpenInstance() PB_REQUIRES(flush_mu_);
  absl::StatusOr<std::vector<rocksdb::ColumnFamilyDescriptor>> Families(const rocksdb::DBOptions& db_options) const;
  // What `failed` has in memory only, of families that `next` has.
  absl::StatusOr<rocksdb::WriteBatch> CollectUnflushed(const Instance& failed, const Instance& next)
      PB_REQUIRES(flush_mu_);
  absl::Status FlushLocked() PB_REQUIRES(flush_mu_);
  absl::Status FlushTableNow(std::string_view name);
  static FamilyKind KindOf(const Window& window) {
    return window.bucket_ns == kRawBucket ? FamilyKind::kRaw : FamilyKind::kRollups;
  }
  rocksdb::ColumnFamilyOptions FamilyOptions(FamilyKind kind) const;

  const RocksOptions options_;
  const std::shared_ptr<rocksdb::Env> env_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  const std::shared_ptr<RocksCounts> counts_;
  // Held while families are flushed, made or dropped: a flush is of all families there are. Before the next ones.
  Mutex flush_mu_;
  // Held shared by every write, so that Reopen knows of all that was written.
  SharedMutex write_mu_;
  UnflushedKeys unflushed_;
  // Writes to one table that ask for a flush share it.
  struct TableFlushes {
    int64_t written = 0;  // that asked
    int64_t flushed = 0;  // of them, the first so many are on the disk
    bool flushing = false;
  };
  Mutex tables_mu_;  // a leaf
  CondVar table_flushed_;
  std::map<std::string, TableFlushes, std::less<>> table_flushes_ PB_GUARDED_BY(tables_mu_);
  std::vector<std::weak_ptr<rocksdb::DB>> failed_ PB_GUARDED_BY(flush_mu_);  // that may still be read
  mutable Mutex current_mu_;                                                 // a leaf
  InstancePtr current_ PB_GUARDED_BY(current_mu_);
};

// A Table on a fixed family. `rocks` must outlive it.
std::unique_ptr<Table> MakeRocksTable(Rocks* rocks, std::string_view name);

}  // namespace pulseboard
