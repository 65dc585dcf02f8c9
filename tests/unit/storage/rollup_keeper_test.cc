// What is stored of rollups, when, and that it outlives the samples.
#include "server/storage/rollup_keeper.h"

#include "common/analysis/rollup.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

constexpr int64_t kSecond = kNanosPerSecond;

class RollupKeeperTest : public StoreTest {
 protected:
  // Midnight, so that spans begin here.
  static constexpr int64_t kMidnight = 1'699'920'000 * kSecond;

  void SetUp() override {
    clock_.StepWall(kMidnight - clock_.NowUnixNanos());
    options_.raw_retention_ns = 2 * kNanosPerDay;
    Open();
  }
  // Regular samples; the clock follows.
  void Fill(SeriesId series, int64_t from, int64_t count, int64_t step) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    for (int64_t i = 0; i < count; ++i) {
      batch.series.push_back(series);
      batch.times.push_back(from + i * step);
      batch.values.push_back(static_cast<double>((i * 7919) % 1'000) / 10);
    }
    const int64_t end = from + count * step;
    if (end > clock_.NowUnixNanos()) clock_.Advance(end - clock_.NowUnixNanos());
    ASSERT_TRUE(Push(batch).ok());
  }
  RollupColumns ReadTier(SeriesId series, int64_t bucket, TimeRange range, ReadStats* stats = nullptr) {
    const SeriesId ids[] = {series};
    auto view = store_->OpenView(ids, range, nullptr);
    auto rollups = (*view)->ReadRollups(series, bucket, range, kAllRollupFields);
    EXPECT_TRUE(rollups.ok()) << rollups.status();
    if (stats != nullptr) *stats = (*view)->stats();
    return *rollups;
  }
  void AdvanceAndSeal(int64_t nanos) {
    clock_.Advance(nanos);
    ASSERT_TRUE(store_->Checkpoint().ok());
  }
};

TEST_F(RollupKeeperTest, ReadsWhatIsOverFromSpansAndNoSamples) {
  const SeriesId series = Series("cpu");
  Fill(series, kMidnight, 6 * 3600, kSecond);
  SealAll();
  EXPECT_GT(store_->Stats().rollup_spans, 0);
  ReadStats stats;
  const RollupColumns read = ReadTier(series, kNanosPerMinute, {kMidnight, kMidnight + 4 * kNanosPerHour}, &stats);
  EXPECT_EQ(read.size(), 240u);
  EXPECT_EQ(stats.decoded_blocks, 0);
  EXPECT_GT(stats.scanned_rollups, 0);
}

TEST_F(RollupKeeperTest, LateSamplesTakeOnlyTheirBucketsBack) {
  const SeriesId series = Series("cpu");
  Fill(series, kMidnight, 6 * 3600, kSecond);
  SealAll();
  const int64_t late = kMidnight + 90 * kSecond + 1;
  ASSERT_TRUE(Push(series, {{late, 5'000}}).ok());
  // In the head, sealed, filled again: always there.
  for (int round = 0; round < 3; ++round) {
    const RollupColumns read = ReadTier(series, kNanosPerMinute, {kMidnight, kMidnight + kNanosPerHour});
    ASSERT_EQ(read.size(), 60u);
    EXPECT_EQ(read.counts[0], 60);
    EXPECT_EQ(read.counts[1], 61);
    EXPECT_EQ(read.maxs[1], 5'000);
    EXPECT_EQ(read.max_times[1], late);
    EXPECT_EQ(ReadTier(series, kNanosPerDay, {kMidnight, kMidnight + 1}).max_times[0], late);
    SealAll();
  }
}

TEST_F(RollupKeeperTest, SparseSeriesGetSpansOnlyWhenTheirSamplesGo) {
  const SeriesId series = Series("slow");
  Fill(series, kMidnight, 1'000, 30 * kSecond);  // two per minute
  SealAll();
  ReadStats stats;
  ReadTier(series, kNanosPerMinute, {kMidnight, kMidnight + kNanosPerHour}, &stats);
  EXPECT_EQ(stats.scanned_rollups, 0);
  const RollupColumns before = ReadTier(series, kNanosPerMinute, kAllTime);
  EXPECT_EQ(before.size(), 500u);
  AdvanceAndSeal(4 * kNanosPerDay);
  EXPECT_TRUE(Read(series).empty());
  const RollupColumns after = ReadTier(series, kNanosPerMinute, kAllTime, &stats);
  EXPECT_GT(stats.scanned_rollups, 0);
  EXPECT_EQ(after.starts, before.starts);
  EXPECT_EQ(after.sums, before.sums);
  EXPECT_EQ(after.first_times, before.first_times);
}

// A window goes for good at once; what was filled from it must not be in memory only.
TEST_F(RollupKeeperTest, ACrashRightAfterAWindowWentLosesNoRollup) {
  const SeriesId series = Series("slow");
  Fill(series, kMidnight, 1'000, 30 * kSecond);
  SealAll();
  const RollupColumns before = ReadTier(series, kNanosPerMinute, kAllTime);
  AdvanceAndSeal(4 * kNanosPerDay);
  EXPECT_TRUE(Read(series).empty());
  Crash();
  Open();
  EXPECT_EQ(store_->Stats().recovered_samples, 0) << "the log would have them";
  const RollupColumns after = ReadTier(series, kNanosPerMinute, kAllTime);
  EXPECT_EQ(after.starts, before.starts);
  EXPECT_EQ(after.sums, before.sums);
}

TEST_F(RollupKeeperTest, TheNewestValueOutlivesItsSamples) {
  const SeriesId series = Series("gone");
  ASSERT_TRUE(Push(series, {{kMidnight + 1, 3}, {kMidnight + 7, 4.5}}).ok());
  SealAll();
  AdvanceAndSeal(10 * kNanosPerDay);
  EXPECT_TRUE(Read(series).empty());
  for (int i = 0; i < 2; ++i) {
    const auto latest = store_->Latest(series);
    ASSERT_TRUE(latest.ok() && latest->has_value());
    EXPECT_EQ((*latest)->time_unix_nanos, kMidnight + 7);
    EXPECT_EQ((*latest)->value, 4.5);
    Open();
  }
}

TEST_F(RollupKeeperTest, ASweepFindsWhatARestartForgot) {
  const SeriesId series = Series("cpu");
  Fill(series, kMidnight, 3'000, kSecond);
  clock_.Advance(options_.seal_age_ns + 1);
  Open();  // what was wanted is forgotten, the samples are not
  AdvanceAndSeal(kNanosPerDay + 3 * kNanosPerHour);
  ReadStats stats;
  const RollupColumns read = ReadTier(series, kNanosPerMinute, {kMidnight, kMidnight + kNanosPerHour}, &stats);
  EXPECT_EQ(read.size(), 50u);
  EXPECT_EQ(stats.decoded_blocks, 0);
}

TEST_F(RollupKeeperTest, AWindowThatIsOverIsClosedOnceEvenAfterARestart) {
  const SeriesId series = Series("cpu");
  Fill(series, kMidnight, 100, kSecond);
  SealAll();
  AdvanceAndSeal(kNanosPerDay + 3 * kNanosPerHour);
  WaitUntil([&] { return store_->Stats().windows_to_close == 0 && store_->Stats().closed_windows > 0; });
  const int64_t closed = store_->Stats().closed_windows;
  Open();
  EXPECT_EQ(store_->Stats().closed_windows, closed);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_EQ(store_->Stats().windows_to_close, 0);
  EXPECT_EQ(Read(series).size(), 100u);
}

TEST_F(RollupKeeperTest, AWindowThatIsRewrittenAfterItWasClosedDoesNotKeepItsBlocksTwice) {
  const SeriesId series = Series("cpu");
  Points noise;
  for (int64_t i = 0; i < 20'000; ++i)
    noise.emplace_back(kMidnight + i * kSecond, std::sin(static_cast<double>(i * i)));
  clock_.Advance(20'000 * kSecond);
  ASSERT_TRUE(Push(series, noise).ok());
  SealAll();
  AdvanceAndSeal(kNanosPerDay + 3 * kNanosPerHour);
  const auto closed = [&] { return store_->Stats().windows_to_close == 0 && store_->Stats().closed_windows > 0; };
  WaitUntil(closed);
  const auto table_bytes = [&] {
    uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(options_.directory + "/db")) {
      std::error_code gone;
      const uintmax_t size = file.path().extension() == ".sst" ? file.file_size(gone) : 0;
      if (!gone) bytes += size;
    }
    return bytes;
  };
  WaitUntil([&] { return table_bytes() < 250'000; });
  const uintmax_t once = table_bytes();
  ASSERT_GT(once, 50'000U);
  for (auto& [time, value] : noise) value = -value;
  ASSERT_TRUE(Push(series, noise).ok());
  SealAll();
  WaitUntil([&] {
    EXPECT_TRUE(store_->Checkpoint().ok());
    return closed() && table_bytes() < once + once / 4;
  });
  EXPECT_EQ(Read(series), noise);
}

TEST_F(RollupKeeperTest, CountersKeepTheirExactIncreaseAcrossTiers) {
  SeriesMetadata counter;
  counter.kind = MetricKind::kCounter;
  const SeriesId series = store_->FindOrCreateSeries(kDefaultTenant, {"requests", {}}, counter, nullptr).value();
  AppendBatch batch;
  batch.tenant = kDefaultTenant;
  double value = 0;
  double increase = 0;
  for (int64_t i = 0; i < 4 * 3600; ++i) {
    const double step = static_cast<double>(i % 13);
    if (i % 1'000 == 999) {
      value = step;  // started anew
    } else {
      value += step;
    }
    if (i > 0) increase += step;
    batch.series.push_back(series);
    batch.times.push_back(kMidnight + i * kSecond);
    batch.values.push_back(value);
  }
  clock_.Advance(4 * kNanosPerHour);
  ASSERT_TRUE(Push(batch).ok());
  SealAll();
  for (const int64_t bucket : {kNanosPerMinute, kNanosPerHour, kNanosPerDay}) {
    const RollupColumns read = ReadTier(series, bucket, kAllTime);
    Rollup all;
    for (size_t i = 0; i < read.size(); ++i) all = MergeRollups(all, read.Get(i), true);
    EXPECT_EQ(all.Increase(), increase) << TierName(bucket);
  }
}

}  // namespace
}  // namespace pulseboard
