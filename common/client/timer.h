// Timer: one call after a while, on a gRPC thread.
#pragma once

#include <grpcpp/alarm.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace pulseboard::client {

// Not thread-safe: guard it with the owner's lock. `fire` may still be starting while Cancel() or the destructor
// returns, so it must hold its owner weakly and look at the owner's state. Set and Cancel never run `fire` themselves.
class Timer {
 public:
  // Replaces what was set before.
  void Set(std::chrono::nanoseconds after, std::function<void()> fire) {
    alarm_ = std::make_unique<grpc::Alarm>();  // gRPC forbids setting an alarm again while it is pending
    alarm_->Set(std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::microseconds>(after),
                [fire = std::move(fire)](bool expired) {
                  if (expired) fire();
                });
  }
  void Cancel() { alarm_.reset(); }
  bool set() const { return alarm_ != nullptr; }

 private:
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace pulseboard::client
