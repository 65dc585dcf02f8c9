// What RocksDB tells of its own accord: background errors and stalls, counted and passed on.
#pragma once

#include <rocksdb/listener.h>

#include <atomic>
#include <chrono>
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

  // RocksDB has answered with this error.
  void Note(const rocksdb::Status& status) {
    if (status.ok()) return;
    MutexLock lock(&mu_);
    error_ = FromRocks(status, "rocksdb");
    noted_at_ = std::chrono::steady_clock::now();
    needs_resume_ = status.severity() < rocksdb::Status::kFatalError;
  }
  // Resume found nothing to end, or has ended it. RocksDB tells of an error before it takes it in: one told of just now
  // may still be on its way.
  void NoteResumed() {
    {
      MutexLock lock(&mu_);
      if (error_.ok() || std::chrono::steady_clock::now() < noted_at_ + kOnItsWay) return;
      error_ = absl::OkStatus();
      needs_resume_ = false;
    }
    Report(absl::OkStatus());
  }

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) noexcept override {
    ++background_errors_;
    PB_LOG(Error, "storage", "failed rocksdb work reason={} error={}", static_cast<int>(reason), status->ToString());
    Note(*status);
    if (status->severity() >= rocksdb::Status::kHardError) Report(FromRocks(*status, "rocksdb"));
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) noexcept override {
    PB_LOG(Warning, "storage", "ended rocksdb recovery was={} now={}", info.old_bg_error.ToString(),
           info.new_bg_error.ToString());
    if (!info.new_bg_error.ok()) {
      Note(info.new_bg_error);
      return Report(FromRocks(info.new_bg_error, "rocksdb"));
    }
    {
      MutexLock lock(&mu_);
      error_ = absl::OkStatus();
      needs_resume_ = false;
    }
    Report(absl::OkStatus());
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
  static constexpr std::chrono::milliseconds kOnItsWay{50};
  void Report(const absl::Status& status) const {
    if (report_) report_(status);
  }
  const std::function<void(const absl::Status&)> report_;
  std::atomic<int64_t> background_errors_{0};
  std::atomic<int64_t> write_stalls_{0};
  std::atomic<bool> needs_resume_{false};
  mutable Mutex mu_;
  absl::Status error_ PB_GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point noted_at_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
