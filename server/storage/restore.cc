#include "server/storage/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "common/base/errors.h"
#include "server/storage/backup_folder.h"
#include "server/storage/log_file.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;

// The backup folder and the name of the backup in it.
absl::Status Locate(const std::string& backup, std::string* directory, std::string* name) {
  std::error_code error;
  const fs::path path = fs::absolute(backup, error).lexically_normal();
  const fs::path own = path.has_filename() ? path : path.parent_path();
  if (fs::exists(own / kManifestName, error)) {
    *directory = own.parent_path().string();
    *name = own.filename().string();
    return absl::OkStatus();
  }
  *directory = own.string();
  PB_ASSIGN_OR_RETURN(const BackupList list, ListBackupFolder(*directory));
  if (!list.backups.empty() && list.backups.back().damage.empty()) {
    *name = list.backups.back().name;
    return absl::OkStatus();
  }
  return MakeError(ErrorReason::kBackupNotFound, "there is no whole backup in " + *directory,
                   {{"directory", *directory}});
}

absl::Status CheckTarget(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) return absl::OkStatus();
  if (fs::is_directory(directory, error) && fs::is_empty(directory, error) && !error) return absl::OkStatus();
  return absl::FailedPreconditionError("restore: " + directory + " is not an empty directory; nothing is overwritten");
}

absl::Status MakePrivateDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) fs::permissions(path, fs::perms::owner_all, error);
  return error ? FileError("create " + path.string(), error.value()) : absl::OkStatus();
}

class RestoredFile {
 public:
  explicit RestoredFile(const std::string& path)
      : path_(path), fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)), error_(errno) {}
  ~RestoredFile() {
    if (fd_ >= 0) close(fd_);
  }
  RestoredFile(const RestoredFile&) = delete;
  RestoredFile& operator=(const RestoredFile&) = delete;

  absl::Status Append(std::string_view bytes) const {
    if (fd_ < 0) return FileError("create " + path_, error_);
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError("write " + path_, errno);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }
  absl::Status Sync() const {
    if (fd_ < 0) return FileError("create " + path_, error_);
    return fsync(fd_) == 0 ? absl::OkStatus() : FileError("sync " + path_, errno);
  }

 private:
  const std::string path_;
  const int fd_;
  const int error_;  // of opening
};

// Writes all files below `target`, and has them on the disk.
absl::Status CopyFiles(const std::string& directory, const BackupManifest& manifest, const fs::path& target,
                       const BackupWatcher& watch) {
  BackupProgress progress;
  progress.total_files = static_cast<int64_t>(manifest.files.size());
  progress.total_bytes = manifest.bytes();
  std::set<fs::path> folders = {target};
  PB_RETURN_IF_ERROR(MakePrivateDirectory(target));
  for (const BackupFile& file : manifest.files) {
    const fs::path path = target / file.path;
    for (fs::path folder = path.parent_path(); folders.insert(folder).second; folder = folder.parent_path()) {
      PB_RETURN_IF_ERROR(MakePrivateDirectory(folder));
    }
    const RestoredFile to(path.string());
    const auto append = [&](std::string_view piece) {
      progress.bytes += static_cast<int64_t>(piece.size());
      const absl::Status appended = to.Append(piece);
      return appended.ok() && watch ? watch(progress) : appended;
    };
    PB_RETURN_IF_ERROR(CheckBackupFile(directory, file, append));
    PB_RETURN_IF_ERROR(to.Sync());
    ++progress.files;
  }
  for (const fs::path& folder : folders) PB_RETURN_IF_ERROR(PosixLogFileSystem().SyncDirectory(folder.string()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BackupInfo> RestoreBackup(const std::string& backup, const std::string& data_directory,
                                         const BackupWatcher& watch) {
  std::string directory;
  std::string name;
  PB_RETURN_IF_ERROR(Locate(backup, &directory, &name));
  PB_ASSIGN_OR_RETURN(const BackupManifest manifest, ReadBackupManifest(directory, name));
  std::error_code error;
  const fs::path absolute = fs::absolute(data_directory, error).lexically_normal();
  const std::string target = (absolute.has_filename() ? absolute : absolute.parent_path()).string();
  PB_RETURN_IF_ERROR(CheckTarget(target));
  const std::string unfinished = target + ".restoring";
  fs::remove_all(unfinished, error);  // left by an interrupted restore
  absl::Status status = CopyFiles(directory, manifest, unfinished, watch);
  if (status.ok()) status = PosixLogFileSystem().Rename(unfinished, target);
  if (status.ok()) status = PosixLogFileSystem().SyncDirectory(fs::path(target).parent_path().string());
  if (status.ok()) return ToBackupInfo(manifest);
  fs::remove_all(unfinished, error);
  return WithContext(status, "restore " + name);
}

}  // namespace pulseboard
