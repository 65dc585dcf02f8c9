// RangeCompactor: rewrites what is left of tables after keys of a range were deleted, on a thread of its own, so that
// the space returns and sealing does not wait for it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "server/storage/rocks.h"
#include "server/storage/window.h"

namespace pulseboard {

// Thread-safe.
class RangeCompactor {
 public:
  // `rocks` must outlive it.
  explicit RangeCompactor(Rocks* rocks);
  // Waits for what is under way (call Rocks::CancelCompactions first); what waits is left to a later compaction of
  // RocksDB's own.
  ~RangeCompactor();

  // Keys in [from, to) of the window were deleted. When too many wait, the oldest is left to RocksDB.
  void Add(const Window& window, std::string from, std::string to);
  // Nothing waits and nothing is under way.
  bool idle() const;

 private:
  static constexpr size_t kMaxWaiting = 1'024;
  struct Range {
    Window window;
    std::string from;
    std::string to;
    int tries = 0;
  };
  void Loop();

  Rocks* const rocks_;
  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Range> waiting_ PB_GUARDED_BY(mu_);
  bool working_ PB_GUARDED_BY(mu_) = false;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace pulseboard
