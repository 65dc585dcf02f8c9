// FramePump: the threads that build frames and hand them to sinks, each topic and subscription at its due time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace pulseboard {

// What a pump calls back.
class Pumped {
 public:
  virtual ~Pumped() = default;
  virtual void Pump() = 0;
};

// Thread-safe. Its queue holds at most a few entries per topic and subscription.
class FramePump {
 public:
  // `sweep` runs on a pump thread about every `sweep_interval_ns` (for heartbeats and stalled peers).
  FramePump(const Clock& clock, int threads, int64_t sweep_interval_ns, std::function<void()> sweep);
  ~FramePump();

  // Calls what->Pump() once `due_ns` (monotonic) has come. Never blocks; ignored after Stop.
  void Schedule(std::shared_ptr<Pumped> what, int64_t due_ns);
  // Joins the threads; what is scheduled is dropped. Idempotent.
  void Stop();

 private:
  struct Entry {
    int64_t due_ns;
    std::shared_ptr<Pumped> what;
    bool operator>(const Entry& other) const { return due_ns > other.due_ns; }
  };

  void Run();
  // The next one that is due, or null after a wait. Sets `sweep_due` when it is time to sweep.
  std::shared_ptr<Pumped> Next(bool* sweep_due);

  const Clock& clock_;
  const int64_t sweep_interval_ns_;
  const std::function<void()> sweep_;
  Mutex mu_;
  CondVar wake_;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  int64_t next_sweep_ns_ PB_GUARDED_BY(mu_);
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_ PB_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace pulseboard
