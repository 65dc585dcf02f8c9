// WorkerPool: a fixed number of threads behind a bounded queue. For work that may block (disk reads), so that RPC
// threads and the committer never do.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace pulseboard {

// Thread-safe. Jobs run in the order of submission, as many at once as there are threads; they must not throw.
class WorkerPool {
 public:
  // REQUIRES: threads >= 1. `max_queued`: jobs that may wait beyond those running.
  WorkerPool(int threads, size_t max_queued);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or Stop has begun; the job is then dropped unrun.
  [[nodiscard]] bool TrySubmit(std::function<void()> job);
  // Lets queued jobs run to their end, then joins. Idempotent. Not to be called from a job.
  void Stop();
  size_t queued() const;

 private:
  void Run();

  const size_t max_queued_;
  mutable Mutex mu_;
  CondVar wake_;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  std::deque<std::function<void()>> jobs_ PB_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace pulseboard
