// After an error of RocksDB: it is opened again, with all that it had in memory, while reading goes on.
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"

namespace pulseboard {
namespace {

// Writers are told to come again for so long; then that an operator should look. It is tried on all the same.
constexpr int64_t kPatienceNanos = 10 * kNanosPerSecond;

// What writers are told when that fails.
absl::Status AsPassing(const absl::Status& error) {
  if (HasReason(error, ErrorReason::kDiskFull) || HasReason(error, ErrorReason::kWriteStalled)) return error;
  return MakeError(ErrorReason::kWriteStalled,
                   "RocksDB has met an error and could not be opened again yet: " + StatusMessage(error),
                   {{"cause", StatusMessage(error)}});
}

}  // namespace

// Runs on any thread, also RocksDB's.
void DurableStore::NoteRocksFailure(const absl::Status& error) { health_.SetRocks(error); }

// False while RocksDB can't be written to.
bool DurableStore::RecoverRocks() {
  if (!rocks_->failed()) return true;
  const int64_t began = SystemClock().MonotonicNanos();
  rocks_pace_.NoteFailure(began);
  if (!rocks_pace_.IsDue(began)) return false;
  absl::Status status;
  {
    MutexLock lock(&maintenance_mu_);
    status = ReopenRocks();
  }
  const int64_t ended = SystemClock().MonotonicNanos();
  const int64_t failing_ns = rocks_pace_.failing_for(ended);
  rocks_pace_.NoteTry(status.ok(), began, ended);
  if (status.ok()) {
    PB_LOG(Warning, "storage", "recovered rocksdb after_ms={} took_ms={}", failing_ns / kNanosPerMilli,
           (ended - began) / kNanosPerMilli);
    health_.SetRocks(status);
    return true;
  }
  PB_LOG(Error, "storage", "failed opening rocksdb again next_try_ms={} error={}",
         (rocks_pace_.next() - ended) / kNanosPerMilli, StatusMessage(status));
  const bool for_long = failing_ns > kPatienceNanos && !HasReason(status, ErrorReason::kDiskFull);
  health_.SetRocks(for_long ? StoreHealth::AsRefusal(status) : AsPassing(status));
  return false;
}

// What the head and the index know stays true: what was written to RocksDB is in it again.
absl::Status DurableStore::ReopenRocks() {
  PB_RETURN_IF_ERROR(rocks_->Reopen());
  blocks_->Reload();
  return absl::OkStatus();
}

}  // namespace pulseboard
