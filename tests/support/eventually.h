// Eventually: waits for a condition instead of sleeping.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace pulseboard::testing {

// True as soon as `condition()` is, false after `timeout`. Generous: only a failing test waits for all of it.
template <std::predicate Condition>
bool Eventually(Condition condition, std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace pulseboard::testing
