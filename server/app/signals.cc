#include "server/app/signals.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace pulseboard {
namespace {

sigset_t Waited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

SignalWaiter::SignalWaiter() {
  const sigset_t set = Waited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is told by the write
}

int SignalWaiter::Wait() {
  const sigset_t set = Waited();
  while (true) {
    const int signal = sigwaitinfo(&set, nullptr);
    if (signal > 0) return signal;
  }
}

std::optional<int> SignalWaiter::WaitFor(std::chrono::nanoseconds limit) {
  const sigset_t set = Waited();
  const auto nanos = std::max<int64_t>(0, limit.count());
  const timespec timeout{static_cast<time_t>(nanos / 1'000'000'000), static_cast<long>(nanos % 1'000'000'000)};
  const int signal = sigtimedwait(&set, nullptr, &timeout);
  if (signal > 0) return signal;
  return std::nullopt;  // also after an interruption: callers ask again until their own deadline
}

}  // namespace pulseboard
