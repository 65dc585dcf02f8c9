#include "server/storage/health.h"

#include "common/base/errors.h"
#include "common/base/log.h"

namespace pulseboard {
namespace {

constexpr int64_t kRetryAfterMs = 1000;

}  // namespace

absl::Status StoreHealth::AsRefusal(const absl::Status& status) {
  if (status.ok()) return status;
  if (HasReason(status, ErrorReason::kDiskFull) || HasReason(status, ErrorReason::kWriteStalled)) {
    return WithRetryAfterMs(status, kRetryAfterMs);
  }
  if (HasReason(status, ErrorReason::kStoreReadOnly)) return status;
  return MakeError(ErrorReason::kStoreReadOnly, StatusMessage(status), {{"cause", StatusMessage(status)}});
}

void StoreHealth::SetLog(const absl::Status& status) {
  MutexLock lock(&mu_);
  log_ = AsRefusal(status);
  UpdateLocked();
}

void StoreHealth::SetRocks(const absl::Status& status) {
  MutexLock lock(&mu_);
  rocks_ = AsRefusal(status);
  UpdateLocked();
}

void StoreHealth::SetSealing(const absl::Status& status) {
  MutexLock lock(&mu_);
  sealing_ = AsRefusal(status);
  UpdateLocked();
}

void StoreHealth::SetSpace(const absl::Status& status) {
  MutexLock lock(&mu_);
  space_ = AsRefusal(status);
  UpdateLocked();
}

void StoreHealth::UpdateLocked() {
  const bool healthy = WorstLocked().ok();
  if (healthy == healthy_.exchange(healthy, std::memory_order_release)) return;
  if (healthy) {
    PB_LOG(Warning, "storage", "accepts writes again");
  } else {
    PB_LOG(Error, "storage", "refuses writes error={}", StatusMessage(WorstLocked()));
  }
}

}  // namespace pulseboard
