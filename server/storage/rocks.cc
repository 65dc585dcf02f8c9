#include "server/storage/rocks.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/families.h"

namespace pulseboard {
// Background errors and stalls, counted and told.
class RocksListener final : public rocksdb::EventListener {
 public:
  explicit RocksListener(std::function<void(const absl::Status&)> report) : report_(std::move(report)) {}

  // No error since the last recovery.
  bool is_well() const { return is_well_.load(); }
  int64_t background_errors() const { return background_errors_.load(); }
  int64_t write_stalls() const { return write_stalls_.load(); }
  // A write to RocksDB's own log failed since the last recovery.
  bool log_met_error() const { return log_met_error_.load(); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) noexcept override {
    is_well_ = false;
    ++background_errors_;
    if (reason == rocksdb::BackgroundErrorReason::kWriteCallback ||
        reason == rocksdb::BackgroundErrorReason::kMemTable) {
      log_met_error_ = true;
    }
    PB_LOG(Error, "storage", "failed rocksdb work reason={} error={}", static_cast<int>(reason), status->ToString());
    if (status->severity() >= rocksdb::Status::kHardError) Report(FromRocks(*status, "rocksdb"));
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) noexcept override {
    PB_LOG(Warning, "storage", "ended rocksdb recovery was={} now={}", info.old_bg_error.ToString(),
           info.new_bg_error.ToString());
    is_well_ = info.new_bg_error.ok();
    if (info.new_bg_error.ok()) log_met_error_ = false;
    Report(FromRocks(info.new_bg_error, "rocksdb"));
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) noexcept override {
    const bool worse = info.condition.cur != rocksdb::WriteStallCondition::kNormal;
    if (worse) ++write_stalls_;
    PB_LOG(Info, "storage", "changed rocksdb stall family={} condition={}", info.cf_name,
           !worse                                                         ? "normal"
           : info.condition.cur == rocksdb::WriteStallCondition::kDelayed ? "delayed"
                                                                          : "stopped");
  }

 private:
  void Report(const absl::Status& status) const {
    if (report_) report_(status);
  }
  const std::function<void(const absl::Status&)> report_;
  std::atomic<bool> is_well_{true};
  std::atomic<int64_t> background_errors_{0};
  std::atomic<int64_t> write_stalls_{0};
  std::atomic<bool> log_met_error_{false};
};

namespace {

// A rarely written family pins the log of all: bound the log and the memory of all families together.
constexpr uint64_t kMaxTotalWalBytes = 256 << 20;
constexpr size_t kArenaBlockBytes = 64 << 10;  // of a memtable: many families have one, few of them are full
constexpr std::chrono::milliseconds kFlushPoll{5};
constexpr size_t kRawTableBlockBytes = 16 << 10;  // a few compressed blocks of ours per SST block

void CloseDatabase(rocksdb::DB* db, const RocksListener& listener) {
  // A log file that met an error must not be touched again: RocksDB, as Debian builds it, aborts.
  const rocksdb::Status synced = listener.is_well() ? db->SyncWAL() : rocksdb::Status::OK();
  for (const rocksdb::Status& status : {synced, db->Close()}) {
    if (!status.ok() && !status.IsNotSupported()) {
      PB_LOG(Error, "storage", "failed closing rocksdb error={}", status.ToString());
    }
  }
  delete db;
}

class NoInfoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class RocksTable final : public Table {
 public:
  RocksTable(Rocks* rocks, std::string_view name) : db_(rocks->db()), family_(rocks->fixed(name)), name_(name) {}

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override {
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), family_, ToSlice(key), &value);
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
    rocksdb::WriteOptions options;
    options.sync = true;
    return FromRocks(db_->Write(options, &batch), "write table " + name_);
  }

  absl::Status Scan(std::string_view prefix, std::string_view start,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions(), family_));
    for (it->Seek(ToSlice(std::max(prefix, start))); it->Valid(); it->Next()) {
      if (!ToView(it->key()).starts_with(prefix) || !visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocks(it->status(), "scan table " + name_);
  }

 private:
  const std::shared_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* const family_;
  const std::string name_;
};

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view context) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = std::string(context) + ": " + status.ToString();
  ErrorReason reason = ErrorReason::kStoreReadOnly;
  if (status.IsCorruption()) reason = ErrorReason::kBlockCorrupt;
  if (status.IsNoSpace()) reason = ErrorReason::kDiskFull;
  if (status.IsShutdownInProgress()) reason = ErrorReason::kShuttingDown;
  return MakeError(reason, message, {{"cause", status.ToString()}});
}

void ReleaseFamily::operator()(rocksdb::ColumnFamilyHandle* handle) const noexcept {
  if (const rocksdb::Status status = db->DestroyColumnFamilyHandle(handle); !status.ok()) {
    PB_LOG(Error, "storage", "failed releasing family error={}", status.ToString());
  }
}

Rocks::Rocks(const RocksOptions& options)
    : options_(options),
      cache_(rocksdb::NewLRUCache(static_cast<size_t>(options.cache_bytes))),
      write_buffers_(
          std::make_shared<rocksdb::WriteBufferManager>(static_cast<size_t>(options.write_buffer_bytes), cache_)),
      listener_(std::make_shared<RocksListener>(options.on_background_status)) {}

rocksdb::ColumnFamilyOptions Rocks::FamilyOptions(FamilyKind kind) const {
  rocksdb::ColumnFamilyOptions family;
  family.compression = rocksdb::kLZ4Compression;
  family.arena_block_size = kArenaBlockBytes;
  if (kind == FamilyKind::kRaw) {
    // These values are compressed already: another try costs time and gains nothing.
    family.compression = rocksdb::kNoCompression;
  } else if (kind == FamilyKind::kRollups) {
    family.bottommost_compression = rocksdb::kZSTD;  // short blocks of few buckets resemble each other
  }
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache_;
  if (kind != FamilyKind::kTable) table.block_size = kRawTableBlockBytes;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

absl::StatusOr<std::unique_ptr<Rocks>> Rocks::Open(RocksOptions options) {
  std::unique_ptr<Rocks> rocks(new Rocks(options));
  rocksdb::DBOptions db_options;
  if (options.env != nullptr) db_options.env = options.env;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.max_total_wal_size = kMaxTotalWalBytes;
  db_options.write_buffer_manager = rocks->write_buffers_;
  db_options.max_background_jobs = 2;
  db_options.keep_log_file_num = 4;
  db_options.avoid_flush_during_shutdown = true;  // only what PrepareForErrors writes is in no log
  // Many families of few files each: sixteen threads per family would be most of the time that opening takes.
  db_options.max_file_opening_threads = 1;
  const std::shared_ptr<RocksListener> listener = rocks->listener_;
  db_options.listeners.push_back(listener);

  std::vector<std::string> names;
  if (db_options.env->FileExists(options.directory + "/CURRENT").ok()) {
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, options.directory, &names);
    if (!listed.ok()) return FromRocks(listed, "list families of " + options.directory);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, rocks->FamilyOptions(FamilyKind::kTable));
  for (const FixedFamily& family : kFixedFamilies) {
    if (options.read_only && std::find(names.begin(), names.end(), family.name) == names.end()) continue;
    descriptors.emplace_back(std::string(family.name), rocks->FamilyOptions(FamilyKind::kTable));
  }
  for (const std::string& name : names) {
    if (name == rocksdb::kDefaultColumnFamilyName || IsFixedFamily(name)) continue;
    const std::optional<Window> window = ParseFamilyName(name);
    if (!window) {
      return absl::FailedPreconditionError("open " + options.directory + ": column family '" + Printable(name) +
                                           "' is not known to this version; a newer pulseboardd wrote here");
    }
    descriptors.emplace_back(name, rocks->FamilyOptions(KindOf(*window)));
  }

  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  if (options.read_only) db_options.info_log = std::make_shared<NoInfoLog>();
  const rocksdb::Status opened =
      options.read_only ? rocksdb::DB::OpenForReadOnly(db_options, options.directory, descriptors, &handles, &db)
                        : rocksdb::DB::Open(db_options, options.directory, descriptors, &handles, &db);
  if (!opened.ok()) return FromRocks(opened, "open " + options.directory);
  rocks->db_.reset(db, [listener](rocksdb::DB* closing) { CloseDatabase(closing, *listener); });
  for (size_t i = 0; i < handles.size(); ++i) {
    FamilyPtr family(handles[i], ReleaseFamily{rocks->db_});
    if (const std::optional<Window> window = ParseFamilyName(descriptors[i].name)) {
      rocks->windows_.push_back({*window, std::move(family)});
    } else {
      rocks->fixed_.emplace(descriptors[i].name, std::move(family));
    }
  }
  return rocks;
}

rocksdb::ColumnFamilyHandle* Rocks::fixed(std::string_view name) const {
  const auto it = fixed_.find(name);
  if (it == fixed_.end()) {
    PB_LOG(Error, "storage", "BUG: no fixed family '{}'", name);
    std::abort();
  }
  return it->second.get();
}

std::vector<std::pair<std::string, rocksdb::ColumnFamilyHandle*>> Rocks::FixedFamilies() const {
  std::vector<std::pair<std::string, rocksdb::ColumnFamilyHandle*>> out;
  for (const auto& [name, family] : fixed_) out.emplace_back(name, family.get());
  return out;
}

absl::StatusOr<FamilyPtr> Rocks::CreateWindowFamily(const Window& window) {
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const std::string name = FamilyName(window);
  const rocksdb::Status status = db_->CreateColumnFamily(FamilyOptions(KindOf(window)), name, &handle);
  if (!status.ok()) return FromRocks(status, "create family " + name);
  return FamilyPtr(handle, ReleaseFamily{db_});
}

RocksStats Rocks::Stats() const {
  RocksStats stats;
  stats.write_buffer_bytes = static_cast<int64_t>(write_buffers_->memory_usage());
  stats.cache_bytes = static_cast<int64_t>(cache_->GetUsage());
  stats.background_errors = listener_->background_errors();
  stats.write_stalls = listener_->write_stalls();
  return stats;
}

bool Rocks::IsWriteStopped() const {
  uint64_t stopped = 0;
  return db_->GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped) && stopped != 0;
}

bool Rocks::WriteBuffersFull(int64_t patience_ns) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience_ns);
  while (write_buffers_->memory_usage() > write_buffers_->buffer_size()) {
    // Without a flush under way nothing is to be waited for: the next write starts one.
    uint64_t running = 0;
    if (!db_->GetIntProperty(rocksdb::DB::Properties::kNumRunningFlushes, &running) || running == 0) return false;
    if (std::chrono::steady_clock::now() >= end) return true;
    std::this_thread::sleep_for(kFlushPoll);
  }
  return false;
}

absl::Status Rocks::Sync() { return FromRocks(db_->SyncWAL(), "sync rocksdb"); }

bool Rocks::HasUnflushed() const {
  uint64_t entries = 0;
  return db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries) && entries > 0;
}

absl::Status Rocks::PrepareForErrors() {
  if (HasUnflushed()) return absl::OkStatus();
  rocksdb::WriteOptions options;
  options.disableWAL = true;  // of no interest after a restart
  return FromRocks(db_->Put(options, rocksdb::Slice("unflushed"), rocksdb::Slice()), "prepare rocksdb for errors");
}

absl::Status Rocks::Resume() {
  if (listener_->log_met_error() && !HasUnflushed())
    return MakeError(ErrorReason::kStoreReadOnly, "resume rocksdb: only a restart can");
  return FromRocks(db_->Resume(), "resume rocksdb");
}

std::unique_ptr<Table> MakeRocksTable(Rocks* rocks, std::string_view name) {
  return std::make_unique<RocksTable>(rocks, name);
}

}  // namespace pulseboard
