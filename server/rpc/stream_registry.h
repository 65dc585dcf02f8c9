// StreamRegistry: every long-lived stream of the server, so that a drain can end them all with a reason and a resume
// token.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace pulseboard {

// A stream that can be asked to end. Implemented by reactors.
class Drainable {
 public:
  virtual ~Drainable() = default;
  // Any thread; never blocks; idempotent. Ends the call with `status` after what is already queued for it where
  // possible; `hard` cancels the call at once: a stuck peer must not hold up the shutdown.
  virtual void Drain(const absl::Status& status, bool hard) = 0;
};

// Thread-safe. Holds streams weakly; a stream calls Remove when it is done.
class StreamRegistry {
 public:
  // Returns an id for Remove. After DrainAll has begun the stream is drained at once.
  uint64_t Add(std::weak_ptr<Drainable> stream);
  void Remove(uint64_t id);
  // Drains all present and future streams with UNAVAILABLE/SHUTTING_DOWN.
  void DrainAll(bool hard);
  // Waits until no stream is left; false when `limit` was over first.
  bool WaitUntilEmpty(std::chrono::nanoseconds limit);
  int64_t size() const;

 private:
  std::vector<std::shared_ptr<Drainable>> Living() const PB_EXCLUDES(mu_);

  mutable Mutex mu_;
  CondVar empty_;
  uint64_t next_id_ PB_GUARDED_BY(mu_) = 1;
  bool draining_ PB_GUARDED_BY(mu_) = false;
  std::unordered_map<uint64_t, std::weak_ptr<Drainable>> streams_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
