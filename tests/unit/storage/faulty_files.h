// The machine's file system with errors at command.
#pragma once

#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/log_file.h"

namespace pulseboard {

// Thread-safe. Must outlive the files opened through it.
class FaultyFiles final : public LogFileSystem {
 public:
  // 0: work again. A failing write leaves half of its bytes behind, as a full disk does.
  void FailWrites(int errno_value) { write_error_ = errno_value; }
  void FailSyncs(int errno_value) { sync_error_ = errno_value; }

  // What a power cut now would take back, newest first: bytes as they were when their file was last synced.
  struct Unsynced {
    std::string path;
    int64_t offset = 0;
    std::string old_bytes;
  };
  std::vector<Unsynced> UnsyncedWrites() const {
    MutexLock lock(&mu_);
    return {unsynced_.rbegin(), unsynced_.rend()};
  }

  absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path, bool create) override {
    auto file = real_.Open(path, create);
    if (!file.ok()) return file;
    return std::unique_ptr<LogFile>(std::make_unique<File>(this, path, *std::move(file)));
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    MutexLock lock(&mu_);
    for (Unsynced& write : unsynced_) {
      if (write.path == from) write.path = to;
    }
    renamed_[from] = to;
    return real_.Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return real_.Remove(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override { return real_.List(directory); }
  absl::Status CreateDirectory(const std::string& path) override { return real_.CreateDirectory(path); }
  absl::Status SyncDirectory(const std::string& directory) override { return real_.SyncDirectory(directory); }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override { return real_.Lock(path); }

 private:
  class File final : public LogFile {
   public:
    File(FaultyFiles* owner, std::string path, std::unique_ptr<LogFile> real)
        : owner_(owner), path_(std::move(path)), real_(std::move(real)) {}
    absl::Status WriteAt(int64_t offset, std::string_view bytes) override {
      if (absl::Status status = owner_->NoteWrite(path_, *real_, offset, bytes.size()); !status.ok()) return status;
      const int error = owner_->write_error_;
      if (error == 0) return real_->WriteAt(offset, bytes);
      if (absl::Status status = real_->WriteAt(offset, bytes.substr(0, bytes.size() / 2)); !status.ok()) return status;
      return FileError("write", error);
    }
    absl::Status Sync() override {
      const int error = owner_->sync_error_;
      if (error != 0) return FileError("sync", error);
      absl::Status status = real_->Sync();
      if (status.ok()) owner_->NoteSync(path_);
      return status;
    }
    absl::Status Truncate(int64_t size) override { return real_->Truncate(size); }
    absl::Status ReadAt(int64_t offset, size_t size, std::string* out) const override {
      return real_->ReadAt(offset, size, out);
    }
    absl::StatusOr<int64_t> Size() const override { return real_->Size(); }

   private:
    FaultyFiles* const owner_;
    const std::string path_;  // as opened
    const std::unique_ptr<LogFile> real_;
  };

  absl::Status NoteWrite(const std::string& path, const LogFile& file, int64_t offset, size_t size) {
    std::string old_bytes;
    if (absl::Status status = file.ReadAt(offset, size, &old_bytes); !status.ok()) return status;
    old_bytes.resize(size, '\0');
    MutexLock lock(&mu_);
    unsynced_.push_back({NameNow(path), offset, std::move(old_bytes)});
    return absl::OkStatus();
  }
  void NoteSync(const std::string& path) {
    MutexLock lock(&mu_);
    std::erase_if(unsynced_, [name = NameNow(path)](const Unsynced& write) { return write.path == name; });
  }
  std::string NameNow(const std::string& path) const PB_REQUIRES(mu_) {
    const auto it = renamed_.find(path);
    return it == renamed_.end() ? path : it->second;
  }

  LogFileSystem& real_ = PosixLogFileSystem();
  std::atomic<int> write_error_{0};
  std::atomic<int> sync_error_{0};
  mutable Mutex mu_;
  std::map<std::string, std::string> renamed_ PB_GUARDED_BY(mu_);  // spare segments to what they became
  std::vector<Unsynced> unsynced_ PB_GUARDED_BY(mu_);              // oldest first
};

}  // namespace pulseboard
