// Whether the store takes writes, and if not, why. Fed by the log, by RocksDB's background errors, by sealing and by
// the disk's free space; read on every append.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace pulseboard {

// Thread-safe.
class StoreHealth {
 public:
  // What a writer is told, whatever broke inside: the reasons below, with RetryInfo where waiting helps.
  static absl::Status AsRefusal(const absl::Status& status);

  // OK, RESOURCE_EXHAUSTED/DISK_FULL or WRITE_STALLED, or FAILED_PRECONDITION/STORE_READ_ONLY.
  absl::Status Check() const {
    if (healthy_.load(std::memory_order_acquire)) return absl::OkStatus();
    MutexLock lock(&mu_);
    return WorstLocked();
  }
  void SetLog(const absl::Status& status);
  void SetRocks(const absl::Status& status);
  // The head is full and sealing, which would make room, fails; OK once it works again.
  void SetSealing(const absl::Status& status);
  // Less space than the reserve; OK when there is more again.
  void SetSpace(const absl::Status& status);
  absl::Status rocks() const {
    MutexLock lock(&mu_);
    return rocks_;
  }

 private:
  const absl::Status& WorstLocked() const PB_REQUIRES(mu_) {
    if (!log_.ok()) return log_;
    if (!rocks_.ok()) return rocks_;
    return sealing_.ok() ? space_ : sealing_;
  }
  void UpdateLocked() PB_REQUIRES(mu_);

  mutable Mutex mu_;
  absl::Status log_ PB_GUARDED_BY(mu_);
  absl::Status rocks_ PB_GUARDED_BY(mu_);
  absl::Status sealing_ PB_GUARDED_BY(mu_);
  absl::Status space_ PB_GUARDED_BY(mu_);
  std::atomic<bool> healthy_{true};
};

}  // namespace pulseboard
