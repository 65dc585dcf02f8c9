// Flushes and compacts windows that are over: one at a time, on a thread of its own, and again only when somebody
// forgets that it was done. What is done is kept in `meta`, so that a restart does not do it again.
#pragma once

#include <atomic>
#include <deque>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "server/storage/rocks.h"
#include "server/storage/window.h"

namespace pulseboard {

// Thread-safe.
class WindowCloser {
 public:
  // `rocks` must outlive it.
  explicit WindowCloser(Rocks* rocks);
  // Waits for what is under way: call Rocks::CancelCompactions first.
  ~WindowCloser();

  // Reads what was done before, then works. Once.
  absl::Status Start();
  bool IsClosed(const Window& window) const;
  // Queues it, unless it is closed or queued; there are never more than there are windows.
  void Close(const Window& window);
  // The window goes, or was written to again: it is not closed any more.
  absl::Status Forget(const Window& window);
  int64_t closed_count() const;
  int64_t waiting_count() const;

 private:
  void Loop();
  // False when it was not possible now: the window was dropped, or RocksDB works on it, or closing gives up. A window
  // that is still there is queued again by who queued it.
  absl::StatusOr<bool> FlushAndCompact(const Window& window);

  Rocks* const rocks_;
  std::atomic<bool> stop_{false};
  mutable Mutex mu_;
  CondVar changed_;
  std::set<std::string> closed_ PB_GUARDED_BY(mu_);   // family names
  std::deque<Window> waiting_ PB_GUARDED_BY(mu_);     // the first is being worked on
  std::set<std::string> dropped_ PB_GUARDED_BY(mu_);  // of those that wait
  std::thread thread_;
};

}  // namespace pulseboard
