// What an operator does with a store: status, backup, verification, deleting. Plain values and one interface.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "common/model/selector.h"

namespace pulseboard {

// What one tenant has in one window. Counts and times only when asked for.
struct TenantUsage {
  TenantId tenant = 0;
  int64_t bytes = 0;  // on disk, RocksDB's estimate
  int64_t blocks = 0;
  int64_t samples = 0;  // in rollup tiers: buckets
  int64_t oldest_unix_nanos = 0;
  int64_t newest_unix_nanos = 0;
};

struct WindowStatus {
  std::string family;
  TimeRange range;
  std::vector<TenantUsage> tenants;  // ascending; those without data left out
};

struct TierStatus {
  std::string tier;  // `raw`, `1m` …
  int64_t retention_ns = 0;
  std::vector<WindowStatus> windows;  // ascending by time
};

struct StorageStatus {
  std::string store_id;
  std::vector<TierStatus> tiers;  // finest first
  int64_t log_bytes = 0;
  int64_t recovery_bytes = 0;  // of it, to be replayed after a crash
  int64_t commit_sequence = 0;
  int64_t checkpoint_sequence = 0;
  int64_t head_samples = 0;
  int64_t head_bytes = 0;
  int64_t series = 0;
  int64_t free_bytes = 0;
};

struct BackupInfo {
  std::string name;
  int64_t create_unix_nanos = 0;
  int64_t commit_sequence = 0;
  std::string store_id;
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t copied_bytes = 0;  // what the folder did not have yet
  std::string damage;        // why the manifest is not readable; then only the name is set
};

struct BackupList {
  std::vector<BackupInfo> backups;  // oldest first
  int64_t bytes = 0;                // of all files in the folder, shared ones once
};

struct PrunedBackups {
  std::vector<std::string> names;  // oldest first
  int64_t freed_bytes = 0;
};

struct BackupProgress {
  int64_t files = 0;
  int64_t total_files = 0;
  int64_t bytes = 0;
  int64_t total_bytes = 0;
};

struct VerifyProgress {
  std::string place;
  int64_t bytes = 0;
  int64_t total_bytes = 0;  // estimated
};

// Something wrong, and where. Fields that do not apply are 0 or empty.
struct VerifyFinding {
  std::string family;  // column family, `log` or `backup`
  TenantId tenant = 0;
  SeriesId series = 0;
  int64_t block_start = 0;
  std::string file;
  int64_t offset = 0;
  std::string description;
};

struct VerifySummary {
  int64_t blocks = 0;
  int64_t samples = 0;
  int64_t rollup_blocks = 0;
  int64_t rollups = 0;
  int64_t unchecked_rollups = 0;  // what they were made of is gone
  int64_t series = 0;
  int64_t producers = 0;
  int64_t log_commits = 0;
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t findings = 0;
};

// Runs on the caller's thread, often: be quick. Returning an error ends the work with it.
struct VerifyWatcher {
  std::function<absl::Status(const VerifyProgress&)> on_progress;
  std::function<void(const VerifyFinding&)> on_finding;
};
using BackupWatcher = std::function<absl::Status(const BackupProgress&)>;

struct DeleteRequest {
  TenantId tenant = 0;
  Selector selector;
  TimeRange range = kAllTime;
  bool dry_run = false;
};

struct DeleteResult {
  int64_t series = 0;  // with samples in the range
  int64_t samples = 0;
  int64_t commit_sequence = 0;  // later commits stay
};

// Of one store. Thread-safe; every call does its work on the caller's thread, which it holds for as long as that takes
// (seconds to hours): not for RPC threads. One of CreateBackup, PruneBackups, VerifyBackup, Verify and Delete runs at a
// time; a further one gets RESOURCE_EXHAUSTED/STORAGE_BUSY.
class StoreOperations {
 public:
  virtual ~StoreOperations() = default;

  virtual absl::StatusOr<StorageStatus> Status(bool count_samples) = 0;

  // Backups are in StoreOptions::backup_directory; FAILED_PRECONDITION/BACKUPS_OFF when it is empty.
  // `name` empty: made from the time. BAD_FIELD, BACKUP_EXISTS, DISK_FULL.
  virtual absl::StatusOr<BackupInfo> CreateBackup(const std::string& name, const BackupWatcher& watch) = 0;
  virtual absl::StatusOr<BackupList> ListBackups() = 0;
  virtual absl::StatusOr<PrunedBackups> PruneBackups(int32_t keep) = 0;
  // BACKUP_NOT_FOUND; damage is a finding.
  virtual absl::StatusOr<VerifySummary> VerifyBackup(const std::string& name, const VerifyWatcher& watch) = 0;

  // Of the state at one commit. Damage is a finding.
  virtual absl::StatusOr<VerifySummary> Verify(const VerifyWatcher& watch) = 0;

  // Durable when it returns. After an error it is either not begun, or the store finishes it by itself before it seals
  // anything else, also after a restart.
  virtual absl::StatusOr<DeleteResult> Delete(const DeleteRequest& request) = 0;
};

}  // namespace pulseboard
