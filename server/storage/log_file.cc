#include "server/storage/log_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

class PosixLogFile final : public LogFile {
 public:
  PosixLogFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~PosixLogFile() override { close(fd_); }
  PosixLogFile(const PosixLogFile&) = delete;
  PosixLogFile& operator=(const PosixLogFile&) = delete;

  absl::Status WriteAt(int64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError("write " + path_, errno);
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += written;
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override { return fdatasync(fd_) == 0 ? absl::OkStatus() : FileError("sync " + path_, errno); }

  absl::Status Truncate(int64_t size) override {
    return ftruncate(fd_, size) == 0 ? absl::OkStatus() : FileError("truncate " + path_, errno);
  }

  absl::Status ReadAt(int64_t offset, size_t size, std::string* out) const override {
    out->resize(size);
    size_t filled = 0;
    while (filled < size) {
      const ssize_t got = pread(fd_, out->data() + filled, size - filled, offset + static_cast<int64_t>(filled));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError("read " + path_, errno);
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    out->resize(filled);
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> Size() const override {
    struct stat info;
    if (fstat(fd_, &info) != 0) return FileError("stat " + path_, errno);
    return static_cast<int64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const int fd_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(int fd) : fd_(fd) {}
  ~PosixFileLock() override { close(fd_); }
  PosixFileLock(const PosixFileLock&) = delete;
  PosixFileLock& operator=(const PosixFileLock&) = delete;

 private:
  const int fd_;
};

class PosixFileSystem final : public LogFileSystem {
 public:
  absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path, bool create) override {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0640);
    if (fd < 0) return FileError("open " + path, errno);
    return std::unique_ptr<LogFile>(std::make_unique<PosixLogFile>(path, fd));
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    return rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : FileError("rename " + from, errno);
  }

  absl::Status Remove(const std::string& path) override {
    return unlink(path.c_str()) == 0 ? absl::OkStatus() : FileError("remove " + path, errno);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return FileError("list " + directory, error.value());
    return names;
  }

  absl::Status CreateDirectory(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? FileError("create " + path, error.value()) : absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string& directory) override {
    const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return FileError("open " + directory, errno);
    const absl::Status status = fsync(fd) == 0 ? absl::OkStatus() : FileError("sync " + directory, errno);
    close(fd);
    return status;
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) return FileError("open " + path, errno);
    auto lock = std::make_unique<PosixFileLock>(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return std::unique_ptr<FileLock>(std::move(lock));
    if (errno == EWOULDBLOCK) return std::unique_ptr<FileLock>();
    return FileError("lock " + path, errno);
  }
};

}  // namespace

absl::StatusOr<int64_t> LogFileSystem::FreeBytes(const std::string& directory) {
  struct statvfs info;
  if (statvfs(directory.c_str(), &info) != 0) return FileError("statvfs " + directory, errno);
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

LogFileSystem& PosixLogFileSystem() {
  static PosixFileSystem file_system;
  return file_system;
}

absl::Status FileError(std::string_view what, int errno_value) {
  const std::string cause = std::generic_category().message(errno_value);
  const bool full = errno_value == ENOSPC || errno_value == EDQUOT;
  return MakeError(full ? ErrorReason::kDiskFull : ErrorReason::kStoreReadOnly, std::string(what) + ": " + cause,
                   {{"cause", cause}});
}

}  // namespace pulseboard
