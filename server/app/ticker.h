// Ticker: calls a function again and again on a thread of its own.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "common/base/mutex.h"

namespace pulseboard {

// The first call comes at once; the next start `interval` after the start of the one before, at the earliest.
class Ticker {
 public:
  Ticker(std::chrono::nanoseconds interval, std::function<void()> tick);
  // Waits for a call under way.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run();

  const std::chrono::nanoseconds interval_;
  const std::function<void()> tick_;
  Mutex mu_;
  CondVar stop_;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pulseboard
