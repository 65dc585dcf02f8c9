// The few file operations of the write-ahead log, behind an interface so that tests can make the disk fail.
// Errors carry their meaning: DISK_FULL (ENOSPC, EDQUOT) may pass, STORE_READ_ONLY (anything else) may not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard {

// One open file. Thread-safe in so far as pread and pwrite are.
class LogFile {
 public:
  virtual ~LogFile() = default;
  virtual absl::Status WriteAt(int64_t offset, std::string_view bytes) = 0;
  // fdatasync.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(int64_t size) = 0;
  // Fills `out` with up to `size` bytes; fewer at the end of the file.
  virtual absl::Status ReadAt(int64_t offset, size_t size, std::string* out) const = 0;
  virtual absl::StatusOr<int64_t> Size() const = 0;
};

// Held while it lives. A process that ends, however it ends, lets go.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe.
class LogFileSystem {
 public:
  virtual ~LogFileSystem() = default;
  // `create`: truncates or makes the file; otherwise it must exist.
  virtual absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path, bool create) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  // Names in `directory`, unsorted, without `.` and `..`.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual absl::Status CreateDirectory(const std::string& path) = 0;
  // Makes creations, renames and removals in `directory` durable.
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;
  // What is left for us on the disk of `directory`. By default: as the machine says.
  virtual absl::StatusOr<int64_t> FreeBytes(const std::string& directory);
  // Makes the file when missing. Null when somebody else holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// The machine's file system. Lives for ever.
LogFileSystem& PosixLogFileSystem();

// The status for `errno_value` after `what` (e.g. "write /data/wal/1.wal").
absl::Status FileError(std::string_view what, int errno_value);

}  // namespace pulseboard
