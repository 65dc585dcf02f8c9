// A small language for store tests: open, push, read, crash.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "server/storage/store.h"
#include "tests/support/eventually.h"

namespace pulseboard {

// Removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Keeps copies of all commits it is told.
class RecordingObserver final : public CommitObserver {
 public:
  struct Commit {
    int64_t sequence;
    TenantId tenant;
    std::vector<SeriesId> series;
    std::vector<int64_t> times;
    std::vector<double> values;
    std::vector<uint32_t> late;
  };
  void OnCommit(const CommittedBatch& batch) noexcept override;
  std::vector<Commit> commits;  // read only when nothing is being appended, or inside a cut
};

using Points = std::vector<std::pair<int64_t, double>>;

class StoreTest : public ::testing::Test {
 protected:
  static constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;

  StoreTest();
  // Opens (again): what was open is closed first.
  void Open();
  void Close() { store_.reset(); }
  // Leaves the directory as a killed process would, and goes on with a copy of it.
  void Crash();
  SeriesId Series(const std::string& metric, Labels labels = {});
  // Appends and waits for the receipt.
  absl::StatusOr<CommitReceipt> Push(AppendBatch batch);
  absl::StatusOr<CommitReceipt> Push(SeriesId series, const Points& points);
  AppendBatch Batch(SeriesId series, const Points& points) const;
  Points Read(SeriesId series, TimeRange range = kAllTime);
  // Seals everything that is in the head and frees the log.
  void SealAll();
  std::vector<std::string> FilesIn(const std::string& folder, const std::string& suffix) const;

  TempDir dir_;
  int crashes_ = 0;
  AckMode ack_mode_ = AckMode::kFsynced;  // of batches made by Batch
  ManualClock clock_{kStart};
  StoreOptions options_;
  CommitObserver* observer_ = nullptr;
  std::unique_ptr<Store> store_;
};

// Polls until `condition` holds; fails the test when it does not in time.
template <typename Condition>
void WaitUntil(const Condition& condition) {
  EXPECT_TRUE(testing::Eventually(condition)) << "the condition did not come true in time";
}

}  // namespace pulseboard
