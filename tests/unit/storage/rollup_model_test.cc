// Random runs of the store against rollups folded from a naive model: every tier, every field, bit for bit, whatever of
// it is stored and whatever derived; with verifications, and backups that the run goes on from.
// PULSEBOARD_MODEL_SEEDS=N runs N seeds (default 6), PULSEBOARD_MODEL_FIRST_SEED=K starts at K.
#include <bit>
#include <map>
#include <random>

#include "common/analysis/rollup.h"
#include "server/storage/operations.h"
#include "server/storage/restore.h"
#include "server/storage/window.h"
#include "tests/support/environment.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class RollupModelTest : public StoreTest {
 protected:
  struct Modelled {
    bool is_counter = false;
    std::map<int64_t, double> samples;
  };

  uint64_t Pick(uint64_t n) { return random_() % n; }
  SeriesId RandomSeries();
  void PushInOrder();
  void PushLate();
  void Push(SeriesId series, const std::vector<std::pair<int64_t, double>>& samples);
  void SealOpen();
  void Check(SeriesId series, TimeRange range);
  void CheckSamples(SeriesId series);
  void CheckAll();
  void Verify();
  void GoOnInABackup();
  void Run(uint64_t seed, int steps);

  std::mt19937_64 random_;
  std::map<SeriesId, Modelled> model_;
  std::map<SeriesId, int64_t> newest_;
  int64_t step_ns_ = kNanosPerSecond;
};

SeriesId RollupModelTest::RandomSeries() {
  const uint64_t n = Pick(4);
  SeriesMetadata metadata;
  metadata.kind = n % 2 == 0 ? MetricKind::kGauge : MetricKind::kCounter;
  const SeriesId id =
      store_->FindOrCreateSeries(kDefaultTenant, {"m" + std::to_string(n), {}}, metadata, nullptr).value();
  model_[id].is_counter = n % 2 == 1;
  newest_.try_emplace(id, clock_.NowUnixNanos());
  return id;
}

void RollupModelTest::Push(SeriesId series, const std::vector<std::pair<int64_t, double>>& samples) {
  ASSERT_TRUE(StoreTest::Push(series, samples).ok());
  for (const auto& [time, value] : samples) model_[series].samples[time] = value;
}

void RollupModelTest::PushInOrder() {
  const SeriesId series = RandomSeries();
  int64_t& newest = newest_[series];
  newest = std::max(newest, clock_.NowUnixNanos() - kNanosPerDay);
  std::vector<std::pair<int64_t, double>> samples;
  const uint64_t count = 1 + Pick(600);
  for (uint64_t i = 0; i < count; ++i) {
    newest += step_ns_;
    const double value =
        Pick(50) == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(Pick(9'999)) / 100;
    samples.emplace_back(newest, value);
  }
  if (newest > clock_.NowUnixNanos()) clock_.Advance(newest - clock_.NowUnixNanos());
  Push(series, samples);
}

// Anywhere inside the raw retention; some overwrite.
void RollupModelTest::PushLate() {
  const SeriesId series = RandomSeries();
  std::vector<std::pair<int64_t, double>> samples;
  const int64_t now = clock_.NowUnixNanos();
  int64_t time = now - static_cast<int64_t>(Pick(static_cast<uint64_t>(options_.raw_retention_ns)));
  const uint64_t count = 1 + Pick(8);
  for (uint64_t i = 0; i < count; ++i) {
    const auto& known = model_[series].samples;
    const auto next = known.lower_bound(time);
    if (Pick(2) == 0 && next != known.end() && next->first <= now) time = next->first;
    if (time >= now) break;
    samples.emplace_back(time, static_cast<double>(Pick(100'000)) / 8);
    time += static_cast<int64_t>(1 + Pick(400)) * kNanosPerSecond;
  }
  if (!samples.empty()) Push(series, samples);
}

void RollupModelTest::SealOpen() {
  clock_.Advance(options_.seal_age_ns + 1);
  ASSERT_TRUE(store_->Checkpoint().ok());
}

void RollupModelTest::Check(SeriesId series, TimeRange range) {
  const Modelled& modelled = model_[series];
  std::vector<int64_t> times;
  std::vector<double> values;
  for (const auto& [time, value] : modelled.samples) {
    times.push_back(time);
    values.push_back(value);
  }
  const SeriesId ids[] = {series};
  auto view = store_->OpenView(ids, range, nullptr);
  ASSERT_TRUE(view.ok());
  RollupColumns finer;
  bool first = true;
  for (const TierOptions& tier : store_->Tiers(kDefaultTenant)) {
    RollupColumns expected;
    if (first) {
      FoldSamples(times, values, tier.bucket_ns, modelled.is_counter, &expected);
    } else {
      FoldRollups(finer, tier.bucket_ns, modelled.is_counter, &expected);
    }
    first = false;
    finer = expected;
    // What is older may be gone, window by window.
    const int64_t oldest = clock_.NowUnixNanos() - tier.retention_ns;
    const auto read = (*view)->ReadRollups(series, tier.bucket_ns, kAllTime, kAllRollupFields);
    ASSERT_TRUE(read.ok()) << read.status();
    SCOPED_TRACE("tier " + TierName(tier.bucket_ns) + " series " + std::to_string(series));
    const int64_t from =
        std::max(oldest, range.start == kAllTime.start ? oldest : BucketStart(range.start, tier.bucket_ns));
    size_t i = static_cast<size_t>(std::lower_bound(expected.starts.begin(), expected.starts.end(), from) -
                                   expected.starts.begin());
    size_t j =
        static_cast<size_t>(std::lower_bound(read->starts.begin(), read->starts.end(), from) - read->starts.begin());
    for (; i < expected.size() && expected.starts[i] < range.end; ++i, ++j) {
      ASSERT_LT(j, read->size()) << "a bucket is missing: " << expected.starts[i];
      ASSERT_EQ(read->starts[j], expected.starts[i]);
      const Rollup a = read->Get(j);
      const Rollup b = expected.Get(i);
      const auto bits = [](const Rollup& r) {
        std::vector<uint64_t> out;
        for (const double v : {r.sum, r.min, r.max, r.first, r.last, r.resets})
          out.push_back(std::bit_cast<uint64_t>(v));
        for (const int64_t v : {r.count, r.nan_count, r.first_time, r.last_time, r.min_time, r.max_time}) {
          out.push_back(static_cast<uint64_t>(v));
        }
        return out;
      };
      ASSERT_EQ(bits(a), bits(b)) << "bucket " << expected.starts[i];
    }
    ASSERT_EQ(j, read->size()) << "a bucket too many";
  }
}

void RollupModelTest::CheckSamples(SeriesId series) {
  const TimeRange kept = {clock_.NowUnixNanos() - options_.raw_retention_ns, kAllTime.end};
  const auto& samples = model_[series].samples;
  const Points read = Read(series, kept);
  auto expected = samples.lower_bound(kept.start);
  ASSERT_EQ(read.size(), static_cast<size_t>(std::distance(expected, samples.end())));
  for (const auto& [time, value] : read) {
    ASSERT_EQ(time, expected->first);
    ASSERT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(expected->second)) << time;
    ++expected;
  }
}

void RollupModelTest::CheckAll() {
  for (const auto& [series, modelled] : model_) {
    Check(series, kAllTime);
    CheckSamples(series);
    if (HasFatalFailure()) return;
  }
}

void RollupModelTest::Verify() {
  VerifyWatcher watch;
  watch.on_finding = [](const VerifyFinding& found) { ADD_FAILURE() << found.family << ": " << found.description; };
  const auto summary = store_->operations().Verify(watch);
  ASSERT_TRUE(summary.ok()) << summary.status();
}

// What is pushed after the backup is not in it.
void RollupModelTest::GoOnInABackup() {
  clock_.Advance(kNanosPerSecond);
  const std::string name = "b" + std::to_string(++crashes_);
  const auto backup = store_->operations().CreateBackup(name, nullptr);
  ASSERT_TRUE(backup.ok()) << backup.status();
  const auto model = model_;
  PushLate();
  PushInOrder();
  if (Pick(2) == 0) SealOpen();
  model_ = model;
  Close();
  const std::string target = dir_.path() + "/restored" + std::to_string(crashes_);
  const auto restored = RestoreBackup(options_.backup_directory + "/" + name, target, nullptr);
  ASSERT_TRUE(restored.ok()) << restored.status();
  options_.directory = target;
  Open();
  CheckAll();
}

void RollupModelTest::Run(uint64_t seed, int steps) {
  random_.seed(seed);
  const char* tiers[] = {"1m:4d,1h:10d,1d:40d", "10s:3d,5m:6d,6h:20d", "1h:30d", "1m:3d,1d:3d", "1s:3d,30s:5d,1h:9d"};
  options_.raw_retention_ns = static_cast<int64_t>(2 + Pick(2)) * kNanosPerDay;
  options_.tiers = ParseTiers(tiers[Pick(5)], options_.raw_retention_ns).value();
  options_.block_samples = static_cast<int32_t>(16 + Pick(200));
  options_.backup_directory = options_.directory + ".backups";
  options_.backup_rate = options_.verify_rate = 0;
  step_ns_ = static_cast<int64_t>(1 + Pick(40)) * kNanosPerSecond;
  Open();
  for (int step = 0; step < steps; ++step) {
    const uint64_t action = Pick(100);
    if (action < 45) {
      PushInOrder();
    } else if (action < 60) {
      PushLate();
    } else if (action < 70) {
      SealOpen();
    } else if (action < 74) {
      ASSERT_TRUE(store_->Checkpoint().ok());
    } else if (action < 84 && !model_.empty()) {
      const auto series = std::next(model_.begin(), static_cast<std::ptrdiff_t>(Pick(model_.size())))->first;
      const int64_t start = clock_.NowUnixNanos() - static_cast<int64_t>(Pick(86'400)) * kNanosPerSecond;
      Check(series, {start, start + static_cast<int64_t>(1 + Pick(40'000)) * kNanosPerSecond});
    } else if (action < 90) {
      SealOpen();
      clock_.Advance(static_cast<int64_t>(Pick(static_cast<uint64_t>(kNanosPerDay))));
      ASSERT_TRUE(store_->Checkpoint().ok());
    } else if (action < 94) {
      Open();
    } else if (action < 96) {
      Crash();
      Open();
    } else if (action < 97) {
      Verify();
    } else if (action < 98) {
      GoOnInABackup();
    } else {
      CheckAll();
    }
    if (HasFailure()) return;
  }
  SealOpen();
  CheckAll();
  Open();
  CheckAll();
}

TEST_F(RollupModelTest, EveryTierIsTheFoldOfAllSamplesBitForBit) {
  const uint64_t from = testing::FromEnvironment("PULSEBOARD_MODEL_FIRST_SEED", 1);
  const uint64_t seeds = testing::FromEnvironment("PULSEBOARD_MODEL_SEEDS", 6);
  const StoreOptions fresh = options_;
  for (uint64_t seed = from; seed < from + seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Close();
    std::filesystem::remove_all(options_.directory);
    options_ = fresh;
    options_.directory = dir_.path() + "/seed" + std::to_string(seed);
    model_.clear();
    newest_.clear();
    Run(seed, 120);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pulseboard
