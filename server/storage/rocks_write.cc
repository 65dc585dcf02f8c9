// What changes RocksDB, and what of it is on the disk.
#include <rocksdb/convenience.h>

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "server/storage/rocks.h"
#include "server/storage/rocks_listener.h"

namespace pulseboard {
namespace {

constexpr uint64_t kCompactedFileBytes = 256 << 20;

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
  RocksTable(Rocks* rocks, std::string_view name) : rocks_(rocks), family_(rocks->fixed(name)), name_(name) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    std::string value;
    const rocksdb::Status status = rocks_->db()->Get(rocksdb::ReadOptions(), family_, ToSlice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return FromRocks(status, "read table " + name_);
    return std::optional<std::string>(std::move(value));
  }

  absl::Status Write(std::vector<Change> changes) override {
    rocksdb::WriteBatch batch;
    for (const Change& change : changes) {
      const rocksdb::Status status =
          change.value ? batch.Put(family_, change.key, *change.value) : batch.Delete(family_, change.key);
      if (!status.ok()) return FromRocks(status, "write table " + name_);
    }
    PB_RETURN_IF_ERROR(rocks_->Write(&batch, "write table " + name_));
    return rocks_->FlushTable(family_);
  }

  absl::Status Scan(std::string_view prefix, std::string_view start,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> it(rocks_->db()->NewIterator(rocksdb::ReadOptions(), family_));
    for (it->Seek(ToSlice(std::max(prefix, start))); it->Valid(); it->Next()) {
      if (!ToView(it->key()).starts_with(prefix) || !visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocks(it->status(), "scan table " + name_);
  }

 private:
  Rocks* const rocks_;
  rocksdb::ColumnFamilyHandle* const family_;
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
  return FromRocks(db_->Write(options, batch), what);
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
  PB_RETURN_IF_ERROR(ReadyLocked());
  std::vector<FamilyPtr> windows;
  std::erase_if(window_handles_, [&windows](const auto& handle) {
    windows.push_back(handle.lock());
    return windows.back() == nullptr;
  });
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  for (const auto& [name, family] : fixed_) families.push_back(family.get());
  for (const FamilyPtr& family : windows) {
    if (family != nullptr) families.push_back(family.get());
  }
  const rocksdb::Status status = db_->Flush(AtOnce(), families);
  listener_->Note(status);
  return FromRocks(status, "flush");
}

absl::Status Rocks::FlushTable(rocksdb::ColumnFamilyHandle* table) {
  MutexLock lock(&flush_mu_);
  PB_RETURN_IF_ERROR(ReadyLocked());
  const rocksdb::Status status = db_->Flush(AtOnce(), table);
  listener_->Note(status);
  return FromRocks(status, "flush table " + table->GetName());
}

absl::Status Rocks::DropFamily(const FamilyPtr& family) {
  MutexLock lock(&flush_mu_);
  PB_RETURN_IF_ERROR(FlushLocked());
  PB_RETURN_IF_ERROR(FromRocks(db_->DropColumnFamily(family.get()), "drop family " + family->GetName()));
  std::erase_if(window_handles_, [&family](const auto& handle) { return handle.lock() == family; });
  return absl::OkStatus();
}

absl::Status Rocks::DropFiles(rocksdb::ColumnFamilyHandle* family, std::string_view from, std::string_view to) {
  MutexLock lock(&flush_mu_);
  PB_RETURN_IF_ERROR(FlushLocked());
  const rocksdb::Slice begin = ToSlice(from);
  const rocksdb::Slice end = ToSlice(to);
  return FromRocks(rocksdb::DeleteFilesInRange(db_.get(), family, &begin, &end, /*include_end=*/false), "drop files");
}

absl::StatusOr<bool> Rocks::Compact(rocksdb::ColumnFamilyHandle* family, std::string_view from, std::string_view to) {
  rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(family, &metadata);
  const Files files = FilesWithin(metadata, from, to);
  if (files.names.empty()) return true;
  rocksdb::CompactionOptions options;
  options.compression = rocksdb::kDisableCompressionOption;  // as the family says
  options.output_file_size_limit = kCompactedFileBytes;
  const rocksdb::Status status = db_->CompactFiles(options, family, files.names, files.level);
  const bool not_now = status.IsAborted() || status.IsInvalidArgument() || status.IsIncomplete() ||
                       status.IsColumnFamilyDropped() || status.IsShutdownInProgress();
  if (not_now) return false;
  PB_RETURN_IF_ERROR(FromRocks(status, "compact " + family->GetName()));
  return true;
}

bool Rocks::NeedsCompaction(rocksdb::ColumnFamilyHandle* family) const {
  rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(family, &metadata);
  return !metadata.levels.empty() && metadata.levels.front().size > metadata.size / 8;
}

void Rocks::CancelCompactions() { db_->DisableManualCompaction(); }

bool Rocks::NeedsResume() const { return listener_->needs_resume(); }

absl::Status Rocks::Resume() {
  MutexLock lock(&flush_mu_);
  return ReadyLocked();
}

absl::Status Rocks::ReadyLocked() {
  if (!listener_->needs_resume()) return listener_->error();
  PB_RETURN_IF_ERROR(FromRocks(db_->Resume(), "resume rocksdb"));
  listener_->NoteResumed();
  return listener_->error();
}

std::unique_ptr<Table> MakeRocksTable(Rocks* rocks, std::string_view name) {
  return std::make_unique<RocksTable>(rocks, name);
}

}  // namespace pulseboard
