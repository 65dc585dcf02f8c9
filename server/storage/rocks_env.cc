#include "server/storage/rocks_env.h"

#include <rocksdb/file_system.h>

#include <map>
#include <string>
#include <utility>

#include "common/base/mutex.h"

namespace pulseboard {
namespace {

class SharedLock final : public rocksdb::FileLock {
 public:
  explicit SharedLock(std::string locked) : path(std::move(locked)) {}
  const std::string path;
};

class SharedLockFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "SharedLockFileSystem"; }

  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options, rocksdb::FileLock** lock,
                             rocksdb::IODebugContext* debug) override {
    MutexLock guard(&mu_);
    Held& held = held_[path];
    if (held.count == 0) {
      if (rocksdb::IOStatus status = target()->LockFile(path, options, &held.lock, debug); !status.ok()) {
        held_.erase(path);
        *lock = nullptr;
        return status;
      }
    }
    ++held.count;
    *lock = new SharedLock(path);
    return rocksdb::IOStatus::OK();
  }

  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    const std::unique_ptr<SharedLock> owned(static_cast<SharedLock*>(lock));
    MutexLock guard(&mu_);
    const auto it = held_.find(owned->path);
    if (--it->second.count > 0) return rocksdb::IOStatus::OK();
    rocksdb::FileLock* const last = it->second.lock;
    held_.erase(it);
    return target()->UnlockFile(last, options, debug);
  }

 private:
  struct Held {
    rocksdb::FileLock* lock = nullptr;
    int count = 0;
  };
  Mutex mu_;
  std::map<std::string, Held> held_ PB_GUARDED_BY(mu_);
};

class RocksEnv final : public rocksdb::EnvWrapper {
 public:
  explicit RocksEnv(rocksdb::Env* base) : EnvWrapper(base) {
    file_system_ = std::make_shared<SharedLockFileSystem>(base->GetFileSystem());
    system_clock_ = base->GetSystemClock();
  }
};

}  // namespace

std::shared_ptr<rocksdb::Env> MakeRocksEnv(rocksdb::Env* base) {
  return std::make_shared<RocksEnv>(base != nullptr ? base : rocksdb::Env::Default());
}

}  // namespace pulseboard
