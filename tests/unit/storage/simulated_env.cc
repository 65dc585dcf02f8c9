#include "tests/unit/storage/simulated_env.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

namespace pulseboard {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus ToIO(int error, const std::string& path) {
  if (error == 0) return IOStatus::OK();
  const std::string cause = std::generic_category().message(error);
  if (error == ENOENT) return IOStatus::PathNotFound(path, cause);
  if (error == ENOSPC) {
    IOStatus status = IOStatus::NoSpace(path, cause);
    status.SetRetryable(true);
    return status;
  }
  return IOStatus::IOError(path, cause);
}

// What all kinds of open files share.
struct Handle {
  SimulatedDisk* disk;
  std::string path;
  SimulatedDisk::InodePtr inode;

  IOStatus Read(uint64_t offset, size_t n, Slice* result, char* scratch) const {
    std::string bytes;
    *result = Slice(scratch, 0);
    if (const int error = disk->ReadInode(*inode, path, offset, n, &bytes); error != 0) return ToIO(error, path);
    std::copy(bytes.begin(), bytes.end(), scratch);
    *result = Slice(scratch, bytes.size());
    return IOStatus::OK();
  }
};

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(Handle handle) : handle_(std::move(handle)) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus status = handle_.Read(offset_, n, result, scratch);
    offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const Handle handle_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(Handle handle) : handle_(std::move(handle)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return handle_.Read(offset, n, result, scratch);
  }

 private:
  const Handle handle_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(Handle handle, uint64_t size) : handle_(std::move(handle)), size_(size) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const int error = handle_.disk->WriteInode(handle_.inode.get(), handle_.path, size_, {data.data(), data.size()});
    if (error == 0) size_ += data.size();
    return ToIO(error, handle_.path);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    if (size == size_) return IOStatus::OK();
    const int error = handle_.disk->TruncateInode(handle_.inode.get(), handle_.path, size);
    if (error == 0) size_ = size;
    return ToIO(error, handle_.path);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return ToIO(handle_.disk->SyncInode(handle_.inode.get(), handle_.path), handle_.path);
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  const Handle handle_;
  uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimulatedDisk* disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return ToIO(disk_->SyncDirectoryPath(path_), path_); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  SimulatedDisk* const disk_;
  const std::string path_;
};

class NamedLock final : public rocksdb::FileLock {
 public:
  explicit NamedLock(std::string locked) : path(std::move(locked)) {}
  const std::string path;
};

class NoLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class SimulatedFileSystem final : public rocksdb::FileSystem {
 public:
  explicit SimulatedFileSystem(SimulatedDisk* disk) : disk_(disk) {}
  const char* Name() const override { return "SimulatedFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    Handle handle{disk_, path, nullptr};
    if (const int error = disk_->OpenInode(path, false, false, &handle.inode); error != 0) return ToIO(error, path);
    *result = std::make_unique<SequentialFile>(std::move(handle));
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) override {
    Handle handle{disk_, path, nullptr};
    if (const int error = disk_->OpenInode(path, false, false, &handle.inode); error != 0) return ToIO(error, path);
    *result = std::make_unique<RandomAccessFile>(std::move(handle));
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return OpenForWriting(path, true, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return OpenForWriting(path, false, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext*) override {
    SimulatedDisk::InodePtr inode;
    if (const int error = disk_->Stat(path, &inode); error != 0) return ToIO(error, path);
    *result = std::make_unique<Directory>(disk_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    SimulatedDisk::InodePtr inode;
    const int error = disk_->Stat(path, &inode);
    return error == ENOENT ? IOStatus::NotFound(path) : ToIO(error, path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    const int error = disk_->ListDirectory(path, result);
    return error == ENOENT ? IOStatus::NotFound(path) : ToIO(error, path);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIO(disk_->RemovePath(path), path);
  }
  IOStatus Truncate(const std::string& path, size_t size, const IOOptions&, IODebugContext*) override {
    SimulatedDisk::InodePtr inode;
    if (const int error = disk_->Stat(path, &inode); error != 0) return ToIO(error, path);
    return ToIO(disk_->TruncateInode(inode.get(), path, size), path);
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIO(disk_->MakeDirectory(path), path);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    const int error = disk_->MakeDirectory(path);
    return ToIO(error == EEXIST ? 0 : error, path);
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToIO(disk_->RemovePath(path), path);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    SimulatedDisk::InodePtr inode;
    size_t bytes = 0;
    int error = disk_->Stat(path, &inode);
    if (error == 0) error = disk_->SizeOf(*inode, &bytes);
    *size = bytes;
    return ToIO(error, path);
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time, IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return ToIO(disk_->RenamePath(from, to), from);
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
    return ToIO(disk_->LinkPath(from, to), from);
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock, IODebugContext*) override {
    *lock = nullptr;
    if (!disk_->TakeLock(path)) return IOStatus::IOError(path, "is locked");
    *lock = new NamedLock(path);
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<NamedLock> owned(static_cast<NamedLock*>(lock));
    disk_->ReleaseLock(owned->path);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/";
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = std::make_shared<NoLogger>();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute, IODebugContext*) override {
    *absolute = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory, IODebugContext*) override {
    SimulatedDisk::InodePtr inode;
    if (const int error = disk_->Stat(path, &inode); error != 0) return ToIO(error, path);
    *is_directory = inode->is_directory;
    return IOStatus::OK();
  }

 private:
  IOStatus OpenForWriting(const std::string& path, bool anew, std::unique_ptr<rocksdb::FSWritableFile>* result) {
    Handle handle{disk_, path, nullptr};
    // A new file, as RocksDB promises: whoever reads the old one goes on reading it.
    if (anew) {
      const int error = disk_->RemovePath(path);
      if (error != 0 && error != ENOENT) return ToIO(error, path);
    }
    if (const int error = disk_->OpenInode(path, true, false, &handle.inode); error != 0) return ToIO(error, path);
    size_t size = 0;
    if (const int error = disk_->SizeOf(*handle.inode, &size); error != 0) return ToIO(error, path);
    *result = std::make_unique<WritableFile>(std::move(handle), size);
    return IOStatus::OK();
  }

  SimulatedDisk* const disk_;
};

// RocksDB sleeps a second after each failed piece of background work. Nothing here depends on how long.
class HastyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit HastyEnv(std::unique_ptr<rocksdb::Env> slow) : EnvWrapper(slow.get()), slow_(std::move(slow)) {}
  void SleepForMicroseconds(int micros) override { EnvWrapper::SleepForMicroseconds(std::min(micros, 1000)); }

 private:
  const std::unique_ptr<rocksdb::Env> slow_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> MakeSimulatedEnv(SimulatedDisk* disk) {
  return std::make_unique<HastyEnv>(rocksdb::NewCompositeEnv(std::make_shared<SimulatedFileSystem>(disk)));
}

}  // namespace pulseboard
