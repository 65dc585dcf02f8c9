#include "server/storage/rocks.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/families.h"
#include "server/storage/rocks_listener.h"

namespace pulseboard {
namespace {

constexpr size_t kArenaBlockBytes = 64 << 10;  // of a memtable: many families have one, few of them are full
constexpr int kWriteBuffers = 4;               // of a family: one is written to while others are being flushed
constexpr std::chrono::milliseconds kFlushPoll{5};
constexpr size_t kRawTableBlockBytes = 16 << 10;  // a few compressed blocks of ours per SST block

void CloseDatabase(rocksdb::DB* db) {
  if (const rocksdb::Status status = db->Close(); !status.ok() && !status.IsNotSupported()) {
    PB_LOG(Error, "storage", "failed closing rocksdb error={}", status.ToString());
  }
  delete db;
}

// What RocksDB has to say goes into our log, errors only. Its own LOG file is not for use: on a full disk the writer of
// that file, as Debian builds it, ends the process (an assertion in WritableFileWriter::Append).
class InfoLog final : public rocksdb::Logger {
 public:
  InfoLog() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char text[512];
    if (std::vsnprintf(text, sizeof(text), format, arguments) <= 0) return;
    PB_LOG(Error, "storage", "rocksdb says: {}", std::string_view(text));
  }
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
  family.max_write_buffer_number = kWriteBuffers;
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
  db_options.atomic_flush = true;  // see the header
  db_options.write_buffer_manager = rocks->write_buffers_;
  db_options.max_background_jobs = 2;
  db_options.info_log = std::make_shared<InfoLog>();
  db_options.avoid_flush_during_shutdown = true;  // the store flushes when it closes in peace
  // Many families of few files each: sixteen threads per family would be most of the time that opening takes.
  db_options.max_file_opening_threads = 1;
  db_options.listeners.push_back(rocks->listener_);

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
  const rocksdb::Status opened =
      options.read_only ? rocksdb::DB::OpenForReadOnly(db_options, options.directory, descriptors, &handles, &db)
                        : rocksdb::DB::Open(db_options, options.directory, descriptors, &handles, &db);
  if (!opened.ok()) return FromRocks(opened, "open " + options.directory);
  rocks->db_.reset(db, CloseDatabase);
  MutexLock lock(&rocks->flush_mu_);
  for (size_t i = 0; i < handles.size(); ++i) {
    FamilyPtr family(handles[i], ReleaseFamily{rocks->db_});
    if (const std::optional<Window> window = ParseFamilyName(descriptors[i].name)) {
      rocks->window_handles_.push_back(family);
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
  MutexLock lock(&flush_mu_);
  const rocksdb::Status status = db_->CreateColumnFamily(FamilyOptions(KindOf(window)), name, &handle);
  if (!status.ok()) return FromRocks(status, "create family " + name);
  FamilyPtr family(handle, ReleaseFamily{db_});
  window_handles_.push_back(family);
  return family;
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

}  // namespace pulseboard
