// Waiting for a condition instead of sleeping.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace pulseboard::testing {

// True as soon as `condition()` is, false after `timeout`. Generous: only a failing test waits for all of it.
template <std::predicate Condition>
bool Eventually(Condition condition, std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Waits until `value()` stays the same for a while: a stream whose flow control holds it. What comes a little later all
// the same must not matter to the test: that would only make it prove less.
template <std::invocable Value>
bool ComesToRest(Value value) {
  constexpr std::chrono::milliseconds kRest(200);
  auto last = value();
  auto since = std::chrono::steady_clock::now();
  return Eventually([&] {
    const auto now = std::chrono::steady_clock::now();
    if (auto current = value(); current != last) {
      last = current;
      since = now;
    }
    return now - since >= kRest;
  });
}

}  // namespace pulseboard::testing
