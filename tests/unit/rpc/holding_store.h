// HoldingStore: a store that commits when the test says so.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "tests/support/forwarding_store.h"

namespace pulseboard::testing {

// Keeps what is appended until told to let it go.
class HoldingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::Status Append(AppendBatch batch, AppendDone done) override {
    MutexLock lock(&mu_);
    if (refuse_ > 0) {
      --refuse_;
      return MakeError(ErrorReason::kIngestBacklogFull, "full");
    }
    if (!holding_) return ForwardingStore::Append(std::move(batch), std::move(done));
    held_.emplace_back(std::move(batch), std::move(done));
    return absl::OkStatus();
  }
  void Hold() {
    MutexLock lock(&mu_);
    holding_ = true;
  }
  void RefuseNext(int count) {
    MutexLock lock(&mu_);
    refuse_ = count;
  }
  int refusals_left() const {
    MutexLock lock(&mu_);
    return refuse_;
  }
  size_t held() const {
    MutexLock lock(&mu_);
    return held_.size();
  }
  void Release() {
    MutexLock lock(&mu_);
    holding_ = false;
    for (auto& [batch, done] : std::exchange(held_, {})) {
      EXPECT_TRUE(ForwardingStore::Append(std::move(batch), std::move(done)).ok());
    }
  }
  void Fail(const absl::Status& status) {
    std::vector<std::pair<AppendBatch, AppendDone>> failed;
    {
      MutexLock lock(&mu_);
      failed = std::exchange(held_, {});
    }
    for (auto& [batch, done] : failed) done(status);
  }

 private:
  mutable Mutex mu_;
  bool holding_ PB_GUARDED_BY(mu_) = false;
  int refuse_ PB_GUARDED_BY(mu_) = 0;
  std::vector<std::pair<AppendBatch, AppendDone>> held_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::testing
