// CommitFanOut: tells several observers of each commit, in the order in which they were given.
#pragma once

#include <utility>
#include <vector>

#include "server/storage/store.h"

namespace pulseboard {

// They must outlive it.
class CommitFanOut final : public CommitObserver {
 public:
  explicit CommitFanOut(std::vector<CommitObserver*> observers) : observers_(std::move(observers)) {}
  void OnCommit(const CommittedBatch& batch) noexcept override {
    for (CommitObserver* observer : observers_) observer->OnCommit(batch);
  }

 private:
  const std::vector<CommitObserver*> observers_;
};

}  // namespace pulseboard
