// From a backup to a data directory. Works on files alone: no store is open.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/storage/operations.h"

namespace pulseboard {

// Makes `data_directory`, which must be missing or empty (FAILED_PRECONDITION), from a backup: `backup` is the backup's
// own folder, or the folder of backups, then the newest whole one is taken. Every byte is compared with its SHA-256 on
// the way into a folder beside `data_directory`, which takes its place by one rename at the end: what can be seen is
// whole. BACKUP_NOT_FOUND, BACKUP_DAMAGED naming the file, DISK_FULL.
absl::StatusOr<BackupInfo> RestoreBackup(const std::string& backup, const std::string& data_directory,
                                         const BackupWatcher& watch);

}  // namespace pulseboard
