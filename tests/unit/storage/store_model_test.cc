// Random runs against a naive model: a map per series. PULSEBOARD_MODEL_SEEDS=N runs N seeds (default 10),
// PULSEBOARD_MODEL_FIRST_SEED=K starts at K.
#include <cstdlib>
#include <map>
#include <random>

#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class StoreModelTest : public StoreTest {
 protected:
  struct Committed {
    std::vector<SeriesId> series;
    std::vector<int64_t> times;
    std::vector<double> values;
  };

  void Run(uint64_t seed, int steps);
  AppendBatch RandomBatch();
  void PushOnce();
  void PushSeveralAtOnce();
  void PushDuplicate();
  void Commit(const AppendBatch& batch);
  void CheckSeries(SeriesId series, TimeRange range);
  void CheckLatest(SeriesId series);
  void CheckCommits();
  void CheckEverything();
  uint64_t Pick(uint64_t n) { return random_() % n; }

  std::mt19937_64 random_;
  std::vector<std::string> names_;
  std::map<SeriesId, std::map<int64_t, double>> model_;
  std::vector<Committed> commits_;
  std::vector<AppendBatch> sent_;  // with producer and sequence
  std::map<std::string, int64_t> positions_;
  int64_t now_ = kStart;
};

AppendBatch StoreModelTest::RandomBatch() {
  AppendBatch batch;
  batch.tenant = kDefaultTenant;
  if (Pick(2) == 0) {
    batch.producer_id = "p" + std::to_string(Pick(3));
    batch.sequence = positions_[batch.producer_id] + 1 + static_cast<int64_t>(Pick(3));
  }
  now_ += static_cast<int64_t>(Pick(40)) * kNanosPerSecond;
  if (Pick(40) == 0) now_ += kNanosPerDay / 2;
  const size_t count = Pick(60);
  for (size_t i = 0; i < count; ++i) {
    const SeriesId series = Series("m" + std::to_string(Pick(8)));
    int64_t time = now_ + static_cast<int64_t>(i) * kNanosPerSecond;
    if (Pick(6) == 0) time -= static_cast<int64_t>(Pick(3 * 86'400)) * kNanosPerSecond;   // late, up to three days
    if (Pick(10) == 0 && !model_[series].empty()) time = model_[series].rbegin()->first;  // overwrites
    const double value = Pick(20) == 0 ? std::bit_cast<double>(random_() | 0x7ff0000000000001)  // some NaN
                                       : static_cast<double>(Pick(100'000)) / 100;
    batch.series.push_back(series);
    batch.times.push_back(time);
    batch.values.push_back(value);
  }
  return batch;
}

void StoreModelTest::Commit(const AppendBatch& batch) {
  for (size_t i = 0; i < batch.size(); ++i) model_[batch.series[i]][batch.times[i]] = batch.values[i];
  commits_.push_back({batch.series, batch.times, batch.values});
  if (!batch.producer_id.empty()) {
    positions_[batch.producer_id] = batch.sequence;
    sent_.push_back(batch);
  }
}

void StoreModelTest::PushOnce() {
  const AppendBatch batch = RandomBatch();
  const auto receipt = Push(batch);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  ASSERT_FALSE(receipt->duplicate);
  Commit(batch);
  ASSERT_EQ(receipt->commit_sequence, static_cast<int64_t>(commits_.size()));
}

void StoreModelTest::PushSeveralAtOnce() {
  std::vector<std::promise<absl::StatusOr<CommitReceipt>>> receipts(1 + Pick(6));
  for (auto& promise : receipts) {
    const AppendBatch batch = RandomBatch();
    ASSERT_TRUE(store_->Append(batch, [&promise](const auto& receipt) { promise.set_value(receipt); }).ok());
    Commit(batch);
  }
  for (auto& promise : receipts) ASSERT_TRUE(promise.get_future().get().ok());
}

void StoreModelTest::PushDuplicate() {
  if (sent_.empty()) return;
  AppendBatch batch = sent_[Pick(sent_.size())];
  for (double& v : batch.values) v += 1;  // would show, were it applied
  const auto receipt = Push(batch);
  ASSERT_TRUE(receipt.ok());
  ASSERT_TRUE(receipt->duplicate);
}

void StoreModelTest::CheckSeries(SeriesId series, TimeRange range) {
  const Points read = Read(series, range);
  const auto& expected = model_[series];
  auto it = expected.lower_bound(range.start);
  for (const auto& [time, value] : read) {
    ASSERT_TRUE(it != expected.end()) << "series " << series << ": a sample too many at " << time;
    ASSERT_EQ(time, it->first) << "series " << series;
    ASSERT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(it->second)) << series << " at " << time;
    ++it;
  }
  ASSERT_TRUE(it == expected.lower_bound(range.end)) << "series " << series << ": samples are missing";
}

void StoreModelTest::CheckLatest(SeriesId series) {
  const auto latest = store_->Latest(series);
  ASSERT_TRUE(latest.ok());
  ASSERT_EQ(latest->has_value(), !model_[series].empty());
  if (!latest->has_value()) return;
  ASSERT_EQ((*latest)->time_unix_nanos, model_[series].rbegin()->first);
  ASSERT_EQ(std::bit_cast<uint64_t>((*latest)->value), std::bit_cast<uint64_t>(model_[series].rbegin()->second));
}

void StoreModelTest::CheckCommits() {
  const auto total = static_cast<int64_t>(commits_.size());
  int64_t after = static_cast<int64_t>(Pick(commits_.size() + 1));
  const auto visit = [&](const CommittedBatch& batch) {
    EXPECT_EQ(batch.commit_sequence, after + 1);
    const Committed& expected = commits_[static_cast<size_t>(after++)];
    EXPECT_TRUE(std::equal(batch.series.begin(), batch.series.end(), expected.series.begin(), expected.series.end()));
    EXPECT_TRUE(std::equal(batch.times.begin(), batch.times.end(), expected.times.begin(), expected.times.end()));
    return absl::OkStatus();
  };
  absl::Status status = store_->ReadCommits(after, total, visit);
  if (HasReason(status, ErrorReason::kResumeTokenExpired)) {
    after = std::stoll(GetErrorDetail(status)->metadata.at("oldestCommitSequence")) - 1;
    status = store_->ReadCommits(after, total, visit);
  }
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(after, total);
}

void StoreModelTest::CheckEverything() {
  for (const auto& [series, samples] : model_) {
    CheckSeries(series, kAllTime);
    CheckLatest(series);
  }
  for (const auto& [producer, position] : positions_) {
    ASSERT_EQ(store_->ProducerPosition(kDefaultTenant, producer), position);
  }
  CheckCommits();
}

void StoreModelTest::Run(uint64_t seed, int steps) {
  random_.seed(seed);
  options_.block_samples = static_cast<int32_t>(4 + Pick(60));
  options_.wal_segment_bytes = static_cast<int64_t>(4096 + Pick(32'000));
  options_.wal_retain_bytes = static_cast<int64_t>(Pick(64'000));
  options_.fsync = Pick(4) != 0;
  if (Pick(3) == 0) options_.head_bytes = 4096;
  if (Pick(3) == 0) options_.wal_recovery_bytes = 16'000;
  Open();
  for (int step = 0; step < steps && !HasFailure(); ++step) {
    const uint64_t action = Pick(100);
    if (action < 50) {
      PushOnce();
    } else if (action < 60) {
      PushSeveralAtOnce();
    } else if (action < 67) {
      PushDuplicate();
    } else if (action < 82) {
      if (model_.empty()) continue;
      const auto series = std::next(model_.begin(), static_cast<std::ptrdiff_t>(Pick(model_.size())))->first;
      const int64_t start = now_ - static_cast<int64_t>(Pick(4 * 86'400)) * kNanosPerSecond;
      CheckSeries(series, {start, start + static_cast<int64_t>(Pick(2 * 86'400)) * kNanosPerSecond});
      CheckLatest(series);
    } else if (action < 90) {
      if (Pick(2) == 0) clock_.Advance(options_.seal_age_ns + 1);
      ASSERT_TRUE(store_->Checkpoint().ok());
    } else if (action < 94) {
      CheckCommits();
    } else if (action < 97) {
      Open();
    } else {
      Crash();
      Open();
      CheckEverything();
    }
  }
  CheckEverything();
}

TEST_F(StoreModelTest, AgreesWithANaiveModelWhateverHappens) {
  const char* count = std::getenv("PULSEBOARD_MODEL_SEEDS");
  const char* first = std::getenv("PULSEBOARD_MODEL_FIRST_SEED");
  const uint64_t from = first != nullptr ? std::strtoull(first, nullptr, 10) : 1;
  const uint64_t seeds = count != nullptr ? std::strtoull(count, nullptr, 10) : 10;
  const StoreOptions fresh = options_;
  for (uint64_t seed = from; seed < from + seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Close();
    std::filesystem::remove_all(options_.directory);
    options_ = fresh;
    options_.directory = dir_.path() + "/seed" + std::to_string(seed);
    model_.clear();
    commits_.clear();
    sent_.clear();
    positions_.clear();
    now_ = kStart;
    Run(seed, 250);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pulseboard
