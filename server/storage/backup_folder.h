// A folder of backups: `<name>/MANIFEST` for each, and `files/<SHA-256>`, which all of them share. A file is in `files`
// only once it is whole and on the disk, and a backup is there only once all its files are; whatever interrupts the
// work leaves at most files that no manifest names, which the next backup takes over or removes. Everything has mode
// 0600, folders 0700: a backup holds password hashes and the key of the certificate.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/backup_manifest.h"
#include "server/storage/log_file.h"
#include "server/storage/operations.h"
#include "server/storage/pacer.h"

namespace pulseboard {

BackupInfo ToBackupInfo(const BackupManifest& manifest);
// Sorted by time; a backup whose manifest is not readable stands first, with its damage. A folder that is not there is
// empty.
absl::StatusOr<BackupList> ListBackupFolder(const std::string& directory);
// BACKUP_NOT_FOUND, BACKUP_DAMAGED.
absl::StatusOr<BackupManifest> ReadBackupManifest(const std::string& directory, const std::string& name);
// Reads the file as stored and compares it with what the manifest says; `visit` (may be null) gets its bytes.
// BACKUP_DAMAGED naming the file.
absl::Status CheckBackupFile(const std::string& directory, const BackupFile& file,
                             const std::function<absl::Status(std::string_view)>& visit);

// Checks every file of a backup; damage is a finding. BACKUP_NOT_FOUND, or the watcher's error.
absl::StatusOr<VerifySummary> VerifyBackupFiles(const std::string& directory, const std::string& name,
                                                int64_t bytes_per_second, const VerifyWatcher& watch);

// The one writer of a folder; holds its lock. Not thread-safe.
class BackupWriter {
 public:
  struct Source {
    std::string file;   // to be read
    int64_t bytes = 0;  // its first so many
    std::string path;   // in the data directory
    std::string identity;
  };

  // Makes the folder when missing. STORAGE_BUSY when another process writes into it.
  static absl::StatusOr<std::unique_ptr<BackupWriter>> Open(const std::string& directory, LogFileSystem* files,
                                                            int64_t bytes_per_second);
  // Without Publish, what was added is removed again.
  ~BackupWriter();

  // Puts a file into the folder, unless it is there. `on_bytes` runs after each piece copied; its errors end the copy.
  absl::Status Add(const Source& source, const std::function<absl::Status(int64_t bytes)>& on_bytes);
  // Makes the added files a backup: all but files and bytes are `manifest`'s. BACKUP_EXISTS.
  absl::StatusOr<BackupInfo> Publish(BackupManifest manifest);
  // BACKUP_EXISTS when there is one of this name.
  absl::Status CheckFree(const std::string& name) const;
  // Removes all but the newest `keep` backups, then files that none names.
  absl::StatusOr<PrunedBackups> Prune(int32_t keep);

 private:
  BackupWriter(std::string directory, LogFileSystem* files, int64_t bytes_per_second)
      : directory_(std::move(directory)), files_(files), pacer_(bytes_per_second) {}

  std::string PoolPath(std::string_view sha256) const { return directory_ + "/files/" + std::string(sha256); }
  absl::Status Prepare();
  bool PoolHas(std::string_view sha256, int64_t bytes) const;
  absl::Status Copy(const Source& source, const std::function<absl::Status(int64_t)>& on_bytes, BackupFile* file);
  absl::Status WriteFile(const std::string& path, std::string_view content);
  absl::Status RemoveBackup(const std::string& name);
  // Files that no readable manifest names. Nothing is removed while any manifest is not readable. Returns their bytes.
  absl::StatusOr<int64_t> RemoveUnnamedFiles();

  const std::string directory_;
  LogFileSystem* const files_;
  Pacer pacer_;
  std::unique_ptr<FileLock> lock_;
  std::map<std::string, BackupFile> known_;  // by identity
  std::vector<BackupFile> added_;
  std::vector<std::string> copied_;  // paths of new files
  int64_t copied_bytes_ = 0;
};

}  // namespace pulseboard
