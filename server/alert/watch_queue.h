// WatchQueue: carries committed samples of watched series from the store's committer to the alert thread. The committer
// never waits in it: what does not fit is dropped, and the taker told so, who then looks at the newest samples instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/alert/alert_board.h"
#include "server/storage/store.h"

namespace pulseboard {

// Alert time: goes on with the monotonic clock from where it stood when the server ended. Thread-safe once begun.
class AlertTimeline {
 public:
  explicit AlertTimeline(const Clock& clock) : clock_(clock) {}
  void Begin(int64_t at) {
    at_ = at;
    began_ = clock_.MonotonicNanos();
  }
  int64_t Now() const { return at_ + (clock_.MonotonicNanos() - began_); }

 private:
  const Clock& clock_;
  int64_t at_ = 0;
  int64_t began_ = 0;
};

// Thread-safe.
class WatchQueue {
 public:
  struct Taken {
    std::vector<WatchedSample> samples;
    int64_t commit_sequence = 0;  // the newest that was offered
    int64_t now = 0;              // alert time: all that arrived before is in here
    bool overflowed = false;      // samples were dropped
    bool poked = false;
    bool stopping = false;
  };

  // `max_samples`: held at most.
  WatchQueue(const AlertTimeline& timeline, size_t max_samples) : timeline_(timeline), max_samples_(max_samples) {}

  // On the committer thread.
  void Offer(const CommittedBatch& batch) noexcept PB_EXCLUDES(mu_);
  // While off, nothing is kept of what is offered.
  void SetOn(bool on) PB_EXCLUDES(mu_);
  // Samples of series that nobody watches are not kept; of series of which nothing was said yet they are.
  void SetWatched(SeriesId series, bool watched) PB_EXCLUDES(mu_);

  // Waits for samples, a poke or the end, at most `limit`.
  Taken Take(std::chrono::nanoseconds limit) PB_EXCLUDES(mu_);
  // Takes nothing: waits for the end, at most `limit`. Whether it has come.
  bool WaitForStop(std::chrono::nanoseconds limit) PB_EXCLUDES(mu_);
  // There is something else to do.
  void Poke() PB_EXCLUDES(mu_);
  void Stop() PB_EXCLUDES(mu_);
  int64_t overflows() const PB_EXCLUDES(mu_);

 private:
  enum class Interest : uint8_t { kUnsaid, kWatched, kUnwatched };
  static constexpr size_t kPageSize = 1'024;
  using Page = std::array<Interest, kPageSize>;

  const AlertTimeline& timeline_;
  const size_t max_samples_;
  mutable Mutex mu_;
  CondVar wake_;
  CondVar stop_;
  bool on_ PB_GUARDED_BY(mu_) = false;
  bool poked_ PB_GUARDED_BY(mu_) = false;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  bool overflowed_ PB_GUARDED_BY(mu_) = false;
  int64_t overflows_ PB_GUARDED_BY(mu_) = 0;
  int64_t commit_sequence_ PB_GUARDED_BY(mu_) = 0;
  std::vector<WatchedSample> samples_ PB_GUARDED_BY(mu_);
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
