// Signals as something to wait for, so that no work happens in a handler.
#pragma once

#include <chrono>
#include <optional>

namespace pulseboard {

// SIGTERM, SIGINT and SIGHUP. Make it before any other thread starts: threads inherit that these are blocked.
class SignalWaiter {
 public:
  SignalWaiter();

  // The next signal.
  int Wait();
  // Nothing when the time ran out first.
  std::optional<int> WaitFor(std::chrono::nanoseconds limit);
};

}  // namespace pulseboard
