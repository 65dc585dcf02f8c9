// What RocksDB tells of its own accord: background errors and stalls, counted and passed on.
#pragma once

#include <rocksdb/listener.h>

#include <atomic>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "server/storage/rocks.h"

namespace pulseboard {

// Thread-safe.
class RocksListener final : public rocksdb::EventListener {
 public:
  explicit RocksListener(std::function<void(const absl::Status&)> report) : report_(std::move(report)) {}

  int64_t background_errors() const { return background_errors_.load(); }
  int64_t write_stalls() const { return write_stalls_.load(); }
  // RocksDB has stopped its work because of an error that may be over by now.
  bool needs_resume() const { return needs_resume_.load(); }
  // What has stopped RocksDB's work, until it goes on again.
  absl::Status error() const {
    MutexLock lock(&mu_);
    return error_;
  }

  // RocksDB calls this before it takes the error in itself: a Resume at once may find nothing to end.
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) noexcept override {
    ++background_errors_;
    PB_LOG(Error, "storage", "failed rocksdb work reason={} error={}", static_cast<int>(reason), status->ToString());
    needs_resume_ = MayPass(*status);
    SetError(FromRocks(*status, "rocksdb"));
    if (status->severity() >= rocksdb::Status::kHardError) Report(FromRocks(*status, "rocksdb"));
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) noexcept override {
    PB_LOG(Warning, "storage", "ended rocksdb recovery was={} now={}", info.old_bg_error.ToString(),
           info.new_bg_error.ToString());
    needs_resume_ = MayPass(info.new_bg_error);
    SetError(FromRocks(info.new_bg_error, "rocksdb"));
    Report(FromRocks(info.new_bg_error, "rocksdb"));
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) noexcept override {
    const bool worse = info.condition.cur != rocksdb::WriteStallCondition::kNormal;
    if (worse) ++write_stalls_;
    PB_LOG(Info, "storage", "changed rocksdb stall family={} condition={}", info.cf_name,
           !worse                                                         ? "normal"
           : info.condition.cur == rocksdb::WriteStallCondition::kDelayed ? "delayed"
                                                                          : "stopped");
  }

 private:
  static bool MayPass(const rocksdb::Status& status) {
    return !status.ok() && status.severity() < rocksdb::Status::kFatalError;
  }
  void SetError(absl::Status error) {
    MutexLock lock(&mu_);
    error_ = std::move(error);
  }
  void Report(const absl::Status& status) const {
    if (report_) report_(status);
  }
  const std::function<void(const absl::Status&)> report_;
  std::atomic<int64_t> background_errors_{0};
  std::atomic<int64_t> write_stalls_{0};
  std::atomic<bool> needs_resume_{false};
  mutable Mutex mu_;
  absl::Status error_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
