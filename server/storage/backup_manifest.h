// What a backup consists of: the MANIFEST file of a backup. Bytes: FORMAT.md, "Backup".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard {

inline constexpr int kBackupFormat = 1;
inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr char kBackupFilesName[] = "files";  // beside the backups: the files of all of them, by SHA-256

struct BackupFile {
  std::string path;  // in the data directory
  int64_t bytes = 0;
  std::string sha256;  // lower-case hex; also the file's name in the folder
  // Equal for files that are equal for certain, so that they need not be read again; empty: not known.
  std::string identity;
};

struct BackupManifest {
  std::string name;
  std::string store_id;  // lower-case hex
  int64_t store_format = 0;
  int64_t commit_sequence = 0;
  int64_t create_unix_nanos = 0;
  int64_t copied_bytes = 0;
  std::vector<BackupFile> files;

  int64_t bytes() const;
};

std::string EncodeManifest(const BackupManifest& manifest);
// DATA_LOSS/BACKUP_DAMAGED for anything else than a whole manifest of a known format whose paths all stay inside the
// data directory. `file` is named in errors.
absl::StatusOr<BackupManifest> ParseManifest(std::string_view bytes, const std::string& file);

// INVALID_ARGUMENT/BAD_FIELD unless `name` may be a backup's.
absl::Status CheckBackupName(std::string_view field, std::string_view name);
// `20240131T235959Z`.
std::string BackupNameFor(int64_t unix_nanos);
absl::Status BackupDamaged(const std::string& file, std::string_view what);

}  // namespace pulseboard
