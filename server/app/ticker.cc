#include "server/app/ticker.h"

#include <utility>

namespace pulseboard {

Ticker::Ticker(std::chrono::nanoseconds interval, std::function<void()> tick)
    : interval_(interval), tick_(std::move(tick)), thread_([this] { Run(); }) {}

Ticker::~Ticker() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  stop_.NotifyAll();
  thread_.join();
}

void Ticker::Run() {
  using SteadyClock = std::chrono::steady_clock;
  auto next = SteadyClock::now();
  while (true) {
    tick_();
    next = std::max(next + interval_, SteadyClock::now());  // ticks that were missed are not made up for
    MutexLock lock(&mu_);
    while (!stopping_ && SteadyClock::now() < next) stop_.WaitFor(&mu_, next - SteadyClock::now());
    if (stopping_) return;
  }
}

}  // namespace pulseboard
