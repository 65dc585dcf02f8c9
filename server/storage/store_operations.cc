#include "server/storage/store_operations.h"

#include <rocksdb/sst_file_reader.h>
#include <rocksdb/unique_id.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "server/storage/backup_folder.h"
#include "server/storage/durable_store.h"
#include "server/storage/meta_keys.h"
#include "server/storage/sha256.h"
#include "server/storage/wal_segment.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBusyRetryMs = 1000;

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return hex;
}

// The folder in which a backup holds on to the files of its moment.
class Staging {
 public:
  explicit Staging(std::string path) : path_(std::move(path)) { Remove(); }
  ~Staging() { Remove(); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const std::string& path() const { return path_; }

 private:
  void Remove() const {
    std::error_code error;
    fs::remove_all(path_, error);
    if (error) PB_LOG(Warning, "storage", "left backup staging path={} error={}", path_, error.message());
  }
  const std::string path_;
};

// RocksDB gives each table an id that no other table anywhere has; empty when it can't be read.
std::string TableIdentity(const std::string& path) {
  rocksdb::SstFileReader reader{rocksdb::Options()};
  if (!reader.Open(path).ok()) return "";
  const auto properties = reader.GetTableProperties();
  std::string id;
  if (properties == nullptr || !rocksdb::GetExtendedUniqueIdFromTableProperties(*properties, &id).ok()) return "";
  return "table:" + ToHex(id);
}

// A segment is only ever appended to: its header, which holds a random salt, and a length say what is in it.
std::string SegmentIdentity(const std::string& path, int64_t bytes) {
  std::string header;
  const auto read = VisitFile(path, kSegmentHeaderBytes, [&header](std::string_view piece) {
    header.append(piece);
    return absl::OkStatus();
  });
  return read.ok() && DecodeSegmentHeader(header) ? "log:" + ToHex(header) + ":" + std::to_string(bytes) : "";
}

absl::StatusOr<std::vector<BackupWriter::Source>> ListSources(const std::string& staging, const StoreCut& cut,
                                                              const StoreOptions& options) {
  std::vector<BackupWriter::Source> sources;
  std::error_code error;
  for (fs::directory_iterator it(staging + "/db", error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    const auto bytes = static_cast<int64_t>(it->file_size());
    sources.push_back({path, bytes, "db/" + it->path().filename().string(),
                       it->path().extension() == ".sst" ? TableIdentity(path) : std::string()});
  }
  if (error) return FileError("list " + staging, error.value());
  for (const LogPart& part : cut.log) {
    sources.push_back({part.path, part.bytes, "wal/" + fs::path(part.path).filename().string(),
                       SegmentIdentity(part.path, part.bytes)});
  }
  for (const std::string& name : options.backup_files) {
    const fs::path path = fs::path(options.directory) / name;
    if (!fs::exists(path, error)) continue;
    sources.push_back({path.string(), static_cast<int64_t>(fs::file_size(path, error)), name, ""});
    if (error) return FileError("look at " + path.string(), error.value());
  }
  std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return sources;
}

absl::Status AddAll(const std::vector<BackupWriter::Source>& sources, const BackupWatcher& watch,
                    BackupWriter* writer) {
  BackupProgress progress;
  progress.total_files = static_cast<int64_t>(sources.size());
  for (const auto& source : sources) progress.total_bytes += source.bytes;
  const auto on_bytes = [&](int64_t bytes) {
    progress.bytes += bytes;
    return watch ? watch(progress) : absl::OkStatus();
  };
  for (const auto& source : sources) {
    PB_RETURN_IF_ERROR(writer->Add(source, on_bytes));
    ++progress.files;
  }
  return absl::OkStatus();
}

class DurableStoreOperations final : public StoreOperations {
 public:
  explicit DurableStoreOperations(DurableStore* store) : store_(store) { const Staging leftover(StagingPath()); }

  absl::StatusOr<StorageStatus> Status(bool count_samples) override;
  absl::StatusOr<BackupInfo> CreateBackup(const std::string& name, const BackupWatcher& watch) override;
  absl::StatusOr<BackupList> ListBackups() override;
  absl::StatusOr<PrunedBackups> PruneBackups(int32_t keep) override;
  absl::StatusOr<VerifySummary> VerifyBackup(const std::string& name, const VerifyWatcher& watch) override;
  absl::StatusOr<VerifySummary> Verify(const VerifyWatcher& watch) override;
  absl::StatusOr<DeleteResult> Delete(const DeleteRequest& request) override;

 private:
  // The right to work, given back by its destructor.
  class Turn {
   public:
    explicit Turn(DurableStoreOperations* owner) : owner_(owner) {}
    ~Turn() {
      if (owner_ == nullptr) return;
      MutexLock lock(&owner_->mu_);
      owner_->busy_with_.clear();
    }
    Turn(Turn&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;

   private:
    DurableStoreOperations* owner_;
  };

  absl::StatusOr<Turn> TakeTurn(std::string_view what);
  absl::Status RequireBackups() const;
  const std::string& folder() const { return store_->options().backup_directory; }
  std::string StagingPath() const { return store_->options().directory + "/backup.staging"; }

  DurableStore* const store_;
  Mutex mu_;
  std::string busy_with_ PB_GUARDED_BY(mu_);  // empty: with nothing
};

absl::StatusOr<DurableStoreOperations::Turn> DurableStoreOperations::TakeTurn(std::string_view what) {
  MutexLock lock(&mu_);
  if (!busy_with_.empty()) {
    return WithRetryAfterMs(
        MakeError(ErrorReason::kStorageBusy, busy_with_ + " is under way; one at a time", {{"underWay", busy_with_}}),
        kBusyRetryMs);
  }
  busy_with_ = what;
  return Turn(this);
}

absl::Status DurableStoreOperations::RequireBackups() const {
  if (!folder().empty()) return absl::OkStatus();
  return MakeError(ErrorReason::kBackupsOff, "storage.backup_directory is not set: this server makes no backups");
}

absl::StatusOr<BackupInfo> DurableStoreOperations::CreateBackup(const std::string& name, const BackupWatcher& watch) {
  PB_RETURN_IF_ERROR(RequireBackups());
  BackupManifest manifest;
  manifest.create_unix_nanos = store_->options().clock->NowUnixNanos();
  manifest.name = name.empty() ? BackupNameFor(manifest.create_unix_nanos) : name;
  PB_RETURN_IF_ERROR(CheckBackupName("name", manifest.name));
  PB_ASSIGN_OR_RETURN(const Turn turn, TakeTurn("a backup"));
  PB_ASSIGN_OR_RETURN(const auto writer, BackupWriter::Open(folder(), &store_->files(), store_->options().backup_rate));
  PB_RETURN_IF_ERROR(writer->CheckFree(manifest.name));

  const Staging staging(StagingPath());
  PB_ASSIGN_OR_RETURN(const StoreCut cut, store_->CutForBackup(staging.path()));
  manifest.store_id = store_->store_id();
  manifest.store_format = kStoreFormat;
  manifest.commit_sequence = cut.commit_sequence;
  PB_ASSIGN_OR_RETURN(const auto sources, ListSources(staging.path(), cut, store_->options()));
  PB_RETURN_IF_ERROR(WithContext(AddAll(sources, watch, writer.get()), "backup " + manifest.name));
  return writer->Publish(std::move(manifest));
}

absl::StatusOr<BackupList> DurableStoreOperations::ListBackups() {
  PB_RETURN_IF_ERROR(RequireBackups());
  return ListBackupFolder(folder());
}

absl::StatusOr<PrunedBackups> DurableStoreOperations::PruneBackups(int32_t keep) {
  PB_RETURN_IF_ERROR(RequireBackups());
  if (keep < 1) return BadField("keep", std::to_string(keep), "1 or more");
  PB_ASSIGN_OR_RETURN(const Turn turn, TakeTurn("pruning of backups"));
  PB_ASSIGN_OR_RETURN(const auto writer, BackupWriter::Open(folder(), &store_->files(), 0));
  return writer->Prune(keep);
}

absl::StatusOr<VerifySummary> DurableStoreOperations::VerifyBackup(const std::string& name,
                                                                   const VerifyWatcher& watch) {
  PB_RETURN_IF_ERROR(RequireBackups());
  PB_RETURN_IF_ERROR(CheckBackupName("name", name));
  PB_ASSIGN_OR_RETURN(const Turn turn, TakeTurn("verification of a backup"));
  return VerifyBackupFiles(folder(), name, store_->options().verify_rate, watch);
}

absl::StatusOr<StorageStatus> DurableStoreOperations::Status(bool count_samples) {
  return store_->ReadStatus(count_samples);
}

absl::StatusOr<VerifySummary> DurableStoreOperations::Verify(const VerifyWatcher& watch) {
  PB_ASSIGN_OR_RETURN(const Turn turn, TakeTurn("a verification"));
  PB_ASSIGN_OR_RETURN(VerifySource source, store_->CutForVerify());
  source.bytes_per_second = store_->options().verify_rate;
  return VerifyEverything(std::move(source), watch);
}

absl::StatusOr<DeleteResult> DurableStoreOperations::Delete(const DeleteRequest& request) {
  PB_ASSIGN_OR_RETURN(const Turn turn, TakeTurn("a deletion"));
  return store_->DeleteSamples(request);
}

}  // namespace

std::unique_ptr<StoreOperations> MakeStoreOperations(DurableStore* store) {
  return std::make_unique<DurableStoreOperations>(store);
}

}  // namespace pulseboard
