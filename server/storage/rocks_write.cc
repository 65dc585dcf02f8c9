// What changes RocksDB, and what of it is on the disk.
#include <rocksdb/convenience.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "server/storage/rocks.h"
#include "server/storage/rocks_listener.h"

namespace pulseboard {
namespace {

constexpr uint64_t kCompactedFileBytes = 256 << 20;
// Each keeps its memtables for as long as somebody reads them.
constexpr size_t kMaxFailedInstances = 3;

// The files that have keys in [from, to), and the level that takes them all.
struct Files {
  std::vector<std::string> names;
  int level = 1;
};

Files FilesWithin(const rocksdb::ColumnFamilyMetaData& family, std::string_view from, std::string_view to) {
  Files files;
  for (const rocksdb::LevelMetaData& level : family.levels) {
    if (!level.files.empty()) files.level = std::max(files.level, level.level);
    for (const rocksdb::SstFileMetaData& file : level.files) {
      if (file.largestkey >= from && (to.empty() || file.smallestkey < to)) files.names.push_back(file.name);
    }
  }
  return files;
}

class RocksTable final : public Table {
 public:
  RocksTable(Rocks* rocks, std::string_view name) : rocks_(rocks), name_(name) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    std::string value;
    const rocksdb::Status status = rocks_->Get(name_, key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return FromRocks(status, "read table " + name_);
    return std::optional<std::string>(std::move(value));
  }

  absl::Status Write(std::vector<Change> changes) override {
    const FamilyPtr family = rocks_->fixed(name_);
    rocksdb::WriteBatch batch;
    for (const Change& change : changes) {
      const rocksdb::Status status =
          change.value ? batch.Put(family.get(), change.key, *change.value) : batch.Delete(family.get(), change.key);
      if (!status.ok()) return FromRocks(status, "write table " + name_);
    }
    PB_RETURN_IF_ERROR(rocks_->Write(&batch, "write table " + name_));
    return rocks_->FlushTable(name_);
  }

  absl::Status Scan(std::string_view prefix, std::string_view start,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const RowCursor it = rocks_->Iterate(name_);
    for (it->Seek(ToSlice(std::max(prefix, start))); it->Valid(); it->Next()) {
      if (!ToView(it->key()).starts_with(prefix) || !visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocks(it->status(), "scan table " + name_);
  }

 private:
  Rocks* const rocks_;
  const std::string name_;
};

rocksdb::FlushOptions AtOnce() {
  rocksdb::FlushOptions options;
  options.allow_write_stall = true;  // what waits is sealing, and it needs the flush
  return options;
}

}  // namespace

absl::Status Rocks::Write(rocksdb::WriteBatch* batch, std::string_view what) {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  ReaderLock lock(&write_mu_);
  const InstancePtr instance = current();
  PB_RETURN_IF_ERROR(instance->listener->error());
  const rocksdb::Status status = instance->db->Write(options, batch);
  unflushed_.Note(*batch);
  instance->listener->Fail(status);
  return FromRocksFailure(status, what);
}

absl::Status Rocks::Flush() {
  MutexLock lock(&flush_mu_);
  return FlushLocked();
}

// RocksDB itself picks the families for a flush before it holds writers up (in CompactRange, in Checkpoint): one that
// is empty then and written to before the flush begins would be left out, and the state on the disk would be of no
// moment. Given all families, it flushes those that are not empty when writers are held up.
//
// After an error, flushes would queue up in RocksDB and be done one after the other when it goes on; one of them that
// finds its memtables flushed and then fails ends the process (an assertion in RollbackMemtableFlush).
absl::Status Rocks::FlushLocked() {
  const InstancePtr instance = current();
  PB_RETURN_IF_ERROR(instance->listener->error());
  std::vector<FamilyPtr> windows;
  std::erase_if(instance->windows, [&windows](const auto& window) {
    windows.push_back(window.second.lock());
    return windows.back() == nullptr;
  });
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  for (const auto& [name, family] : instance->fixed) families.push_back(family.get());
  for (const FamilyPtr& family : windows) {
    if (family != nullptr) families.push_back(family.get());
  }
  unflushed_.BeginFlush();
  const rocksdb::Status status = instance->db->Flush(AtOnce(), families);
  unflushed_.EndFlush(status.ok());
  instance->listener->Fail(status);
  return FromRocksFailure(status, "flush");
}

absl::Status Rocks::FlushTable(std::string_view name) {
  int64_t up_to = 0;
  {
    MutexLock lock(&tables_mu_);
    TableFlushes& table = table_flushes_[std::string(name)];
    const int64_t own = ++table.written;
    while (table.flushing && table.flushed < own) table_flushed_.Wait(&tables_mu_);
    if (table.flushed >= own) return absl::OkStatus();
    table.flushing = true;
    up_to = table.written;
  }
  absl::Status status = FlushTableNow(name);
  MutexLock lock(&tables_mu_);
  TableFlushes& table = table_flushes_.find(name)->second;
  table.flushing = false;
  if (status.ok()) table.flushed = up_to;
  table_flushed_.NotifyAll();
  return status;
}

absl::Status Rocks::FlushTableNow(std::string_view name) {
  MutexLock lock(&flush_mu_);
  const InstancePtr instance = current();
  PB_RETURN_IF_ERROR(instance->listener->error());
  const rocksdb::Status status = instance->db->Flush(AtOnce(), instance->fixed.find(name)->second.get());
  instance->listener->Fail(status);
  return FromRocksFailure(status, "flush table " + std::string(name));
}

absl::Status Rocks::DropFamily(const FamilyPtr& family) {
  MutexLock lock(&flush_mu_);
  PB_RETURN_IF_ERROR(FlushLocked());
  const InstancePtr instance = current();
  const rocksdb::Status status = instance->db->DropColumnFamily(family.get());
  instance->listener->Fail(status);
  PB_RETURN_IF_ERROR(FromRocksFailure(status, "drop family " + family->GetName()));
  instance->windows.erase(family->GetName());
  return absl::OkStatus();
}

absl::Status Rocks::DropFiles(const FamilyPtr& family, std::string_view from, std::string_view to) {
  MutexLock lock(&flush_mu_);
  PB_RETURN_IF_ERROR(FlushLocked());
  const rocksdb::Slice begin = ToSlice(from);
  const rocksdb::Slice end = ToSlice(to);
  const InstancePtr instance = current();
  const rocksdb::Status status =
      rocksdb::DeleteFilesInRange(instance->db.get(), family.get(), &begin, &end, /*include_end=*/false);
  instance->listener->Fail(status);
  return FromRocksFailure(status, "drop files");
}

// CompactFiles removes what it has made when the manifest can't be synced, though the manifest may name it from then
// on: RocksDB would refuse to open it. (Its flushes and its own compactions keep their files in that case.) So no file
// goes until it is known how that ended, and none at all when it was not the tables that failed.
absl::StatusOr<bool> Rocks::Compact(const Window& window, std::string_view from, std::string_view to) {
  FamilyPtr family;
  InstancePtr instance;
  {
    MutexLock lock(&flush_mu_);
    instance = current();
    const auto it = instance->windows.find(FamilyName(window));
    if (it != instance->windows.end()) family = it->second.lock();
  }
  if (family == nullptr) return false;
  const std::shared_ptr<rocksdb::DB>& db = DatabaseOf(family);
  rocksdb::ColumnFamilyMetaData metadata;
  db->GetColumnFamilyMetaData(family.get(), &metadata);
  const Files files = FilesWithin(metadata, from, to);
  if (files.names.empty()) return true;
  rocksdb::CompactionOptions options;
  options.compression = rocksdb::kDisableCompressionOption;  // as the family says
  options.output_file_size_limit = kCompactedFileBytes;
  PB_RETURN_IF_ERROR(FromRocks(db->DisableFileDeletions(), "compact"));
  const rocksdb::Status status = db->CompactFiles(options, family.get(), files.names, files.level);
  const bool not_now = status.IsAborted() || status.IsInvalidArgument() || status.IsIncomplete() ||
                       status.IsColumnFamilyDropped() || status.IsShutdownInProgress();
  const bool of_tables = status.ToString().find(".sst") != std::string::npos;  // errors name their file
  if (status.ok() || not_now || of_tables) {
    PB_RETURN_IF_ERROR(FromRocks(db->EnableFileDeletions(/*force=*/false), "compact"));
  } else {
    instance->listener->Fail(status);
  }
  if (not_now) return false;
  PB_RETURN_IF_ERROR(FromRocks(status, "compact " + family->GetName()));
  return true;
}

bool Rocks::NeedsCompaction(const FamilyPtr& family) {
  rocksdb::ColumnFamilyMetaData metadata;
  DatabaseOf(family)->GetColumnFamilyMetaData(family.get(), &metadata);
  return !metadata.levels.empty() && metadata.levels.front().size > metadata.size / 8;
}

void Rocks::CancelCompactions() { db()->DisableManualCompaction(); }

absl::Status Rocks::Reopen() {
  MutexLock lock(&flush_mu_);
  std::erase_if(failed_, [](const auto& instance) { return instance.expired(); });
  if (failed_.size() >= kMaxFailedInstances) {
    return MakeError(ErrorReason::kWriteStalled, "earlier instances of RocksDB that failed are still being read");
  }
  WriterLock write_lock(&write_mu_);
  const InstancePtr failed = current();
  if (failed->listener->error().ok()) return absl::OkStatus();
  // From here on it only reads. It must not remove files either: its successor gives their numbers out again.
  rocksdb::CancelAllBackgroundWork(failed->db.get(), /*wait=*/true);
  PB_RETURN_IF_ERROR(FromRocks(failed->db->DisableFileDeletions(), "reopen rocksdb"));
  PB_ASSIGN_OR_RETURN(InstancePtr next, OpenInstance());
  PB_ASSIGN_OR_RETURN(rocksdb::WriteBatch unflushed, CollectUnflushed(*failed, *next));
  // In one batch: a flush puts all of it on the disk or nothing, so what a crash leaves is of one moment as ever.
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  PB_RETURN_IF_ERROR(FromRocks(next->db->Write(options, &unflushed), "reopen rocksdb"));
  PB_LOG(Warning, "storage", "opened rocksdb again unflushed_rows={} bytes={}", unflushed.Count(),
         unflushed.GetDataSize());
  failed_.push_back(failed->db);
  MutexLock current_lock(&current_mu_);
  current_ = std::move(next);
  return absl::OkStatus();
}

absl::StatusOr<rocksdb::WriteBatch> Rocks::CollectUnflushed(const Instance& failed, const Instance& next) {
  std::map<uint32_t, FamilyPtr> families;  // by the number that batches and all instances know them by
  for (const auto& [name, family] : failed.fixed) families.emplace(family->GetID(), family);
  for (const auto& [name, window] : failed.windows) {
    // Missing in the next: its end was answered with an error, but is on the disk.
    if (FamilyPtr family = window.lock(); family != nullptr && next.windows.contains(name)) {
      families.emplace(family->GetID(), std::move(family));
    }
  }
  rocksdb::WriteBatch batch;
  rocksdb::Status status;
  std::set<std::pair<uint32_t, std::string>> done;
  const auto range = [&](uint32_t id, std::string_view from, std::string_view to) {
    const auto family = families.find(id);
    if (family == families.end() || !status.ok()) return;  // dropped since
    status = batch.DeleteRange(family->second.get(), ToSlice(from), ToSlice(to));
  };
  std::string value;
  const auto key = [&](uint32_t id, std::string_view row) {
    const auto family = families.find(id);
    if (family == families.end() || !status.ok() || !done.emplace(id, row).second) return;
    rocksdb::ColumnFamilyHandle* const handle = family->second.get();
    status = failed.db->Get(rocksdb::ReadOptions(), handle, ToSlice(row), &value);
    if (status.ok()) {
      status = batch.Put(handle, ToSlice(row), value);
    } else if (status.IsNotFound()) {
      status = batch.Delete(handle, ToSlice(row));
    }
  };
  unflushed_.Visit(range, key);
  if (!status.ok()) return FromRocks(status, "collect what is not flushed");
  return batch;
}

std::unique_ptr<Table> MakeRocksTable(Rocks* rocks, std::string_view name) {
  return std::make_unique<RocksTable>(rocks, name);
}

}  // namespace pulseboard
