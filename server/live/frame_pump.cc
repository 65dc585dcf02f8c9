#include "server/live/frame_pump.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pulseboard {
namespace {

// Longest sleep: the injected clock may be moved by hand while threads sleep by the machine's.
constexpr int64_t kMaxSleepNanos = 50 * kNanosPerMilli;

}  // namespace

FramePump::FramePump(const Clock& clock, int threads, int64_t sweep_interval_ns, std::function<void()> sweep)
    : clock_(clock),
      sweep_interval_ns_(sweep_interval_ns),
      sweep_(std::move(sweep)),
      next_sweep_ns_(clock.MonotonicNanos() + sweep_interval_ns) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

FramePump::~FramePump() { Stop(); }

void FramePump::Schedule(std::shared_ptr<Pumped> what, int64_t due_ns) {
  bool is_first = false;
  {
    MutexLock lock(&mu_);
    if (stopping_) return;
    is_first = queue_.empty() || due_ns < queue_.top().due_ns;
    queue_.push({due_ns, std::move(what)});
  }
  if (is_first) wake_.NotifyOne();
}

void FramePump::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> dropped;  // freed without the lock
  MutexLock lock(&mu_);
  std::swap(dropped, queue_);
}

std::shared_ptr<Pumped> FramePump::Next(bool* sweep_due) {
  MutexLock lock(&mu_);
  const int64_t now = clock_.MonotonicNanos();
  if (stopping_) return nullptr;
  if (now >= next_sweep_ns_) {
    next_sweep_ns_ = now + sweep_interval_ns_;
    *sweep_due = true;
    return nullptr;
  }
  if (!queue_.empty() && queue_.top().due_ns <= now) {
    std::shared_ptr<Pumped> what = queue_.top().what;
    queue_.pop();
    if (!queue_.empty() && queue_.top().due_ns <= now) wake_.NotifyOne();  // work for another thread
    return what;
  }
  const int64_t next_ns = queue_.empty() ? next_sweep_ns_ : std::min(next_sweep_ns_, queue_.top().due_ns);
  wake_.WaitFor(&mu_, std::chrono::nanoseconds(std::clamp<int64_t>(next_ns - now, 1, kMaxSleepNanos)));
  return nullptr;
}

void FramePump::Run() {
  while (true) {
    bool sweep_due = false;
    if (const std::shared_ptr<Pumped> what = Next(&sweep_due)) {
      what->Pump();
    } else if (sweep_due) {
      sweep_();
    } else {
      MutexLock lock(&mu_);
      if (stopping_) return;
    }
  }
}

}  // namespace pulseboard
