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
#include "server/storage/rocks_env.h"
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
  if (status.IsCorruption() || status.IsIOError()) reason = ErrorReason::kBlockCorrupt;
  if (status.IsNoSpace()) reason = ErrorReason::kDiskFull;
  if (status.IsShutdownInProgress()) reason = ErrorReason::kShuttingDown;
  return MakeError(reason, message, {{"cause", status.ToString()}});
}

absl::Status FromRocksFailure(const rocksdb::Status& status, std::string_view context) {
  if (status.ok() || status.IsNoSpace() || status.IsShutdownInProgress()) return FromRocks(status, context);
  return MakeError(ErrorReason::kWriteStalled,
                   std::string(context) + ": RocksDB has met an error and is being opened again: " + status.ToString(),
                   {{"cause", status.ToString()}});
}

void ReleaseFamily::operator()(rocksdb::ColumnFamilyHandle* handle) const noexcept {
  if (const rocksdb::Status status = db->DestroyColumnFamilyHandle(handle); !status.ok()) {
    PB_LOG(Error, "storage", "failed releasing family error={}", status.ToString());
  }
}

const std::shared_ptr<rocksdb::DB>& DatabaseOf(const FamilyPtr& family) {
  return std::get_deleter<ReleaseFamily>(family)->db;
}

Rocks::Rocks(const RocksOptions& options)
    : options_(options),
      env_(MakeRocksEnv(options.env)),
      cache_(rocksdb::NewLRUCache(static_cast<size_t>(options.cache_bytes))),
      counts_(std::make_shared<RocksCounts>()) {}

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
  MutexLock lock(&rocks->flush_mu_);
  PB_ASSIGN_OR_RETURN(InstancePtr instance, rocks->OpenInstance());
  MutexLock current_lock(&rocks->current_mu_);
  rocks->current_ = std::move(instance);
  return rocks;
}

absl::StatusOr<std::vector<rocksdb::ColumnFamilyDescriptor>> Rocks::Families(
    const rocksdb::DBOptions& db_options) const {
  std::vector<std::string> names;
  if (env_->FileExists(options_.directory + "/CURRENT").ok()) {
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, options_.directory, &names);
    if (!listed.ok()) return FromRocks(listed, "list families of " + options_.directory);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(rocksdb::kDefaultColumnFamilyName, FamilyOptions(FamilyKind::kTable));
  for (const FixedFamily& family : kFixedFamilies) {
    if (options_.read_only && std::find(names.begin(), names.end(), family.name) == names.end()) continue;
    families.emplace_back(std::string(family.name), FamilyOptions(FamilyKind::kTable));
  }
  for (const std::string& name : names) {
    if (name == rocksdb::kDefaultColumnFamilyName || IsFixedFamily(name)) continue;
    const std::optional<Window> window = ParseFamilyName(name);
    if (!window) {
      return absl::FailedPreconditionError("open " + options_.directory + ": column family '" + Printable(name) +
                                           "' is not known to this version; a newer pulseboardd wrote here");
    }
    families.emplace_back(name, FamilyOptions(KindOf(*window)));
  }
  return families;
}

absl::StatusOr<Rocks::InstancePtr> Rocks::OpenInstance() {
  if (!options_.read_only) {
    // RocksDB would do so, after complaining that it is not there.
    PB_RETURN_IF_ERROR(FromRocks(env_->CreateDirIfMissing(options_.directory), "create " + options_.directory));
  }
  auto instance = std::make_shared<Instance>();
  instance->listener = std::make_shared<RocksListener>(counts_, options_.on_failed);
  instance->write_buffers =
      std::make_shared<rocksdb::WriteBufferManager>(static_cast<size_t>(options_.write_buffer_bytes), cache_);
  rocksdb::DBOptions db_options;
  db_options.env = env_.get();
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.atomic_flush = true;           // see the header
  db_options.max_bgerror_resume_count = 0;  // see the header
  db_options.write_buffer_manager = instance->write_buffers;
  db_options.max_background_jobs = 2;
  db_options.info_log = std::make_shared<InfoLog>();
  db_options.avoid_flush_during_shutdown = true;  // the store flushes when it closes in peace
  // Many families of few files each: sixteen threads per family would be most of the time that opening takes.
  db_options.max_file_opening_threads = 1;
  db_options.listeners.push_back(instance->listener);
  PB_ASSIGN_OR_RETURN(const std::vector<rocksdb::ColumnFamilyDescriptor> families, Families(db_options));

  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status opened =
      options_.read_only ? rocksdb::DB::OpenForReadOnly(db_options, options_.directory, families, &handles, &db)
                         : rocksdb::DB::Open(db_options, options_.directory, families, &handles, &db);
  if (!opened.ok()) return FromRocks(opened, "open " + options_.directory);
  instance->db.reset(db, [env = env_](rocksdb::DB* last) { CloseDatabase(last); });  // which needs its Env
  for (size_t i = 0; i < handles.size(); ++i) {
    FamilyPtr family(handles[i], ReleaseFamily{instance->db});
    if (const std::optional<Window> window = ParseFamilyName(families[i].name)) {
      instance->windows.emplace(families[i].name, family);
      instance->found.push_back({*window, std::move(family)});
    } else {
      instance->fixed.emplace(families[i].name, std::move(family));
    }
  }
  return instance;
}

FamilyPtr Rocks::fixed(std::string_view name) const {
  const InstancePtr instance = current();
  const auto it = instance->fixed.find(name);
  if (it == instance->fixed.end()) {
    PB_LOG(Error, "storage", "BUG: no fixed family '{}'", name);
    std::abort();
  }
  return it->second;
}

std::vector<std::pair<std::string, FamilyPtr>> Rocks::FixedFamilies() const {
  const InstancePtr instance = current();
  return {instance->fixed.begin(), instance->fixed.end()};
}

std::vector<WindowFamily> Rocks::TakeWindowFamilies() {
  MutexLock lock(&flush_mu_);
  return std::exchange(current()->found, {});
}

absl::StatusOr<FamilyPtr> Rocks::CreateWindowFamily(const Window& window) {
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const std::string name = FamilyName(window);
  MutexLock lock(&flush_mu_);
  const InstancePtr instance = current();
  PB_RETURN_IF_ERROR(instance->listener->error());
  const rocksdb::Status status = instance->db->CreateColumnFamily(FamilyOptions(KindOf(window)), name, &handle);
  instance->listener->Fail(status);
  if (!status.ok()) return FromRocksFailure(status, "create family " + name);
  FamilyPtr family(handle, ReleaseFamily{instance->db});
  instance->windows.insert_or_assign(name, family);
  return family;
}

rocksdb::Status Rocks::Get(std::string_view family, std::string_view key, std::string* value) const {
  const FamilyPtr pinned = fixed(family);
  return DatabaseOf(pinned)->Get(rocksdb::ReadOptions(), pinned.get(), ToSlice(key), value);
}

RocksStats Rocks::Stats() const {
  const InstancePtr instance = current();
  RocksStats stats;
  stats.write_buffer_bytes = static_cast<int64_t>(instance->write_buffers->memory_usage());
  stats.cache_bytes = static_cast<int64_t>(cache_->GetUsage());
  stats.background_errors = counts_->background_errors;
  stats.write_stalls = counts_->write_stalls;
  return stats;
}

bool Rocks::failed() const { return current()->listener->failed(); }

bool Rocks::IsWriteStopped() const {
  uint64_t stopped = 0;
  return db()->GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped) && stopped != 0;
}

bool Rocks::WriteBuffersFull(int64_t patience_ns) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience_ns);
  const InstancePtr instance = current();
  while (instance->write_buffers->memory_usage() > instance->write_buffers->buffer_size()) {
    // Without a flush under way nothing is to be waited for: the next write starts one.
    uint64_t running = 0;
    if (!instance->db->GetIntProperty(rocksdb::DB::Properties::kNumRunningFlushes, &running) || running == 0)
      return false;
    if (std::chrono::steady_clock::now() >= end) return true;
    std::this_thread::sleep_for(kFlushPoll);
  }
  return false;
}

}  // namespace pulseboard
