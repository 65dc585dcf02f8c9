#include "server/alert/watch_queue.h"

#include <utility>

namespace pulseboard {

void WatchQueue::Offer(const CommittedBatch& batch) noexcept {
  MutexLock lock(&mu_);
  commit_sequence_ = batch.commit_sequence;
  if (!on_) return;
  const int64_t now = timeline_.Now();
  const bool was_empty = samples_.empty();
  uint64_t page_number = ~uint64_t{0};
  const Page* page = nullptr;
  size_t next_late = 0;
  for (size_t i = 0; i < batch.series.size(); ++i) {
    const bool late = next_late < batch.late.size() && batch.late[next_late] == i;
    next_late += late ? 1 : 0;
    const SeriesId series = batch.series[i];
    if (series / kPageSize != page_number) {
      page_number = series / kPageSize;
      const auto it = pages_.find(page_number);
      page = it == pages_.end() ? nullptr : it->second.get();
    }
    if (page != nullptr && (*page)[series % kPageSize] == Interest::kUnwatched) continue;
    if (samples_.size() >= max_samples_) {
      if (!overflowed_) ++overflows_;
      overflowed_ = true;
      break;
    }
    samples_.push_back({series, batch.times[i], batch.values[i], batch.committed_unix_nanos, now, late});
  }
  if (was_empty && !samples_.empty()) wake_.NotifyOne();
}

void WatchQueue::SetOn(bool on) {
  MutexLock lock(&mu_);
  on_ = on;
}

void WatchQueue::SetWatched(SeriesId series, bool watched) {
  MutexLock lock(&mu_);
  std::unique_ptr<Page>& page = pages_[series / kPageSize];
  if (page == nullptr) page = std::make_unique<Page>();
  (*page)[series % kPageSize] = watched ? Interest::kWatched : Interest::kUnwatched;
}

WatchQueue::Taken WatchQueue::Take(std::chrono::nanoseconds limit) {
  MutexLock lock(&mu_);
  if (samples_.empty() && !poked_ && !stopping_) wake_.WaitFor(&mu_, limit);
  Taken taken;
  taken.samples.swap(samples_);
  taken.commit_sequence = commit_sequence_;
  taken.now = timeline_.Now();
  taken.overflowed = std::exchange(overflowed_, false);
  taken.poked = std::exchange(poked_, false);
  taken.stopping = stopping_;
  return taken;
}

bool WatchQueue::WaitForStop(std::chrono::nanoseconds limit) {
  MutexLock lock(&mu_);
  if (!stopping_) stop_.WaitFor(&mu_, limit);
  return stopping_;
}

void WatchQueue::Poke() {
  MutexLock lock(&mu_);
  poked_ = true;
  wake_.NotifyOne();
}

void WatchQueue::Stop() {
  MutexLock lock(&mu_);
  stopping_ = true;
  wake_.NotifyOne();
  stop_.NotifyOne();
}

int64_t WatchQueue::overflows() const {
  MutexLock lock(&mu_);
  return overflows_;
}

}  // namespace pulseboard
