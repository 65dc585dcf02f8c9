// The machine's file system with errors at command.
#pragma once

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/storage/log_file.h"

namespace pulseboard {

// Thread-safe. Must outlive the files opened through it.
class FaultyFiles final : public LogFileSystem {
 public:
  // 0: work again. A failing write leaves half of its bytes behind, as a full disk does.
  void FailWrites(int errno_value) { write_error_ = errno_value; }
  void FailSyncs(int errno_value) { sync_error_ = errno_value; }

  absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path, bool create) override {
    auto file = real_.Open(path, create);
    if (!file.ok()) return file;
    return std::unique_ptr<LogFile>(std::make_unique<File>(this, *std::move(file)));
  }
  absl::Status Rename(const std::string& from, const std::string& to) override { return real_.Rename(from, to); }
  absl::Status Remove(const std::string& path) override { return real_.Remove(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override { return real_.List(directory); }
  absl::Status CreateDirectory(const std::string& path) override { return real_.CreateDirectory(path); }
  absl::Status SyncDirectory(const std::string& directory) override { return real_.SyncDirectory(directory); }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override { return real_.Lock(path); }

 private:
  class File final : public LogFile {
   public:
    File(FaultyFiles* owner, std::unique_ptr<LogFile> real) : owner_(owner), real_(std::move(real)) {}
    absl::Status WriteAt(int64_t offset, std::string_view bytes) override {
      const int error = owner_->write_error_;
      if (error == 0) return real_->WriteAt(offset, bytes);
      if (absl::Status status = real_->WriteAt(offset, bytes.substr(0, bytes.size() / 2)); !status.ok()) return status;
      return FileError("write", error);
    }
    absl::Status Sync() override {
      const int error = owner_->sync_error_;
      return error == 0 ? real_->Sync() : FileError("sync", error);
    }
    absl::Status Truncate(int64_t size) override { return real_->Truncate(size); }
    absl::Status ReadAt(int64_t offset, size_t size, std::string* out) const override {
      return real_->ReadAt(offset, size, out);
    }
    absl::StatusOr<int64_t> Size() const override { return real_->Size(); }

   private:
    FaultyFiles* const owner_;
    const std::unique_ptr<LogFile> real_;
  };

  LogFileSystem& real_ = PosixLogFileSystem();
  std::atomic<int> write_error_{0};
  std::atomic<int> sync_error_{0};
};

}  // namespace pulseboard
