// RetryAlarm: tries again a little later, and later each time, without a thread that waits.
#pragma once

#include <grpcpp/alarm.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace pulseboard {

// For a batch that the store has no room for. Thread-compatible: Set may be called from inside the last one's `retry`.
class RetryAlarm {
 public:
  // Runs `retry` on a gRPC thread after 5 ms, doubled with each call since Reset up to 160 ms. `retry` must hold its
  // stream weakly: the alarm is the stream's and must not keep it.
  void Set(std::function<void()> retry) {
    const int64_t wait_ms = kFirstRetryMs << std::min(retries_++, kMaxDoublings);
    alarm_ = std::make_unique<grpc::Alarm>();  // a new one each time: this may run inside the last one's function
    alarm_->Set(std::chrono::system_clock::now() + std::chrono::milliseconds(wait_ms),
                [retry = std::move(retry)](bool /*fired*/) { retry(); });
  }
  void Reset() { retries_ = 0; }

 private:
  static constexpr int64_t kFirstRetryMs = 5;
  static constexpr int32_t kMaxDoublings = 5;

  int32_t retries_ = 0;
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace pulseboard
