#include "server/storage/range_compactor.h"

#include <chrono>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"

namespace pulseboard {
namespace {

constexpr int kMaxTries = 100;
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

RangeCompactor::RangeCompactor(Rocks* rocks) : rocks_(rocks), thread_([this] { Loop(); }) {}

RangeCompactor::~RangeCompactor() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void RangeCompactor::Add(const Window& window, std::string from, std::string to) {
  MutexLock lock(&mu_);
  if (waiting_.size() >= kMaxWaiting) waiting_.pop_front();
  waiting_.push_back({window, std::move(from), std::move(to), 0});
  changed_.NotifyOne();
}

bool RangeCompactor::idle() const {
  MutexLock lock(&mu_);
  return waiting_.empty() && !working_;
}

void RangeCompactor::Loop() {
  while (true) {
    Range range;
    {
      MutexLock lock(&mu_);
      working_ = false;
      while (waiting_.empty() && !stopping_) changed_.Wait(&mu_);
      if (stopping_) return;
      range = std::move(waiting_.front());
      waiting_.pop_front();
      working_ = true;
    }
    const absl::StatusOr<bool> compacted = rocks_->Compact(range.window, range.from, range.to);
    if (!compacted.ok()) {
      PB_LOG(Warning, "storage", "left deleted space family={} error={}", FamilyName(range.window),
             StatusMessage(compacted.status()));
    } else if (!*compacted && ++range.tries < kMaxTries) {
      // RocksDB is at work on these files: it will not be for long.
      MutexLock lock(&mu_);
      waiting_.push_back(std::move(range));
      if (!stopping_) changed_.WaitFor(&mu_, kTryAgain);
    }
  }
}

}  // namespace pulseboard
