// RocksListener: RocksDB's background errors and stalls, logged, counted and passed on.
#pragma once

#include <rocksdb/listener.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "server/storage/rocks.h"

namespace pulseboard {

// Of all instances of one database, one after the other.
struct RocksCounts {
  std::atomic<int64_t> background_errors{0};
  std::atomic<int64_t> write_stalls{0};
};

// Of one instance. Thread-safe.
class RocksListener final : public rocksdb::EventListener {
 public:
  // `report` (which must not call back) is told once, of the error after which the instance is not to be used for
  // writing any more.
  RocksListener(std::shared_ptr<RocksCounts> counts, std::function<void(const absl::Status&)> report)
      : counts_(std::move(counts)), report_(std::move(report)) {}

  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // What has stopped the instance's work; OK when nothing has. It has been reported when this returns it.
  absl::Status error() const {
    MutexLock lock(&mu_);
    return error_;
  }
  // RocksDB has answered a flush or a write with this error: whatever it may try by itself, it is not waited for.
  void Fail(const rocksdb::Status& status) {
    if (status.ok() || status.IsShutdownInProgress()) return;
    MutexLock lock(&mu_);
    if (!error_.ok()) return;
    error_ = FromRocksFailure(status, "write");
    failed_.store(true, std::memory_order_release);  // first: the report wakes who looks for it
    if (report_) report_(error_);
  }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) noexcept override {
    ++counts_->background_errors;
    PB_LOG(Error, "storage", "failed rocksdb work reason={} error={}", static_cast<int>(reason), status->ToString());
    // A compaction that may be tried again, RocksDB tries again.
    const bool harmless = reason == rocksdb::BackgroundErrorReason::kCompaction &&
                          status->severity() < rocksdb::Status::Severity::kHardError;
    if (!harmless) Fail(*status);
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) noexcept override {
    const bool worse = info.condition.cur != rocksdb::WriteStallCondition::kNormal;
    if (worse) ++counts_->write_stalls;
    PB_LOG(Info, "storage", "changed rocksdb stall family={} condition={}", info.cf_name,
           !worse                                                         ? "normal"
           : info.condition.cur == rocksdb::WriteStallCondition::kDelayed ? "delayed"
                                                                          : "stopped");
  }

 private:
  const std::shared_ptr<RocksCounts> counts_;
  const std::function<void(const absl::Status&)> report_;
  std::atomic<bool> failed_{false};
  mutable Mutex mu_;
  absl::Status error_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
