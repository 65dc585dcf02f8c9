#include "server/storage/rocks_env.h"

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

class RocksEnv final : public rocksdb::EnvWrapper {
 public:
  explicit RocksEnv(rocksdb::Env* base) : EnvWrapper(base) {
    file_system_ = base->GetFileSystem();
    system_clock_ = base->GetSystemClock();
  }

  rocksdb::Status LockFile(const std::string& path, rocksdb::FileLock** lock) override {
    MutexLock guard(&mu_);
    Held& held = held_[path];
    if (held.count == 0) {
      if (rocksdb::Status status = target()->LockFile(path, &held.lock); !status.ok()) {
        held_.erase(path);
        *lock = nullptr;
        return status;
      }
    }
    ++held.count;
    *lock = new SharedLock(path);
    return rocksdb::Status::OK();
  }

  rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override {
    const std::unique_ptr<SharedLock> owned(static_cast<SharedLock*>(lock));
    MutexLock guard(&mu_);
    const auto it = held_.find(owned->path);
    if (--it->second.count > 0) return rocksdb::Status::OK();
    rocksdb::FileLock* const last = it->second.lock;
    held_.erase(it);
    return target()->UnlockFile(last);
  }

 private:
  struct Held {
    rocksdb::FileLock* lock = nullptr;
    int count = 0;
  };
  Mutex mu_;
  std::map<std::string, Held> held_ PB_GUARDED_BY(mu_);
};

}  // namespace

std::shared_ptr<rocksdb::Env> MakeRocksEnv(rocksdb::Env* base) {
  return std::make_shared<RocksEnv>(base != nullptr ? base : rocksdb::Env::Default());
}

}  // namespace pulseboard
