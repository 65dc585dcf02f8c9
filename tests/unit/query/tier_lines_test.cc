// Lines read from rollup tiers are the lines of all samples.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "common/analysis/m4.h"
#include "common/analysis/rollup.h"
#include "server/query/line_plan.h"
#include "server/query/series_reader.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::TestStore;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kNow = 1'800'000'000 * kSecond;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class TierLinesTest : public ::testing::Test {
 protected:
  TierLinesTest() {
    store_.ReopenWith([](StoreOptions* options) { options->seal_age_ns = 0; });
    series_ = store_.Series("cpu");
  }

  void Put(int64_t time, double value) {
    model_[time] = value;
    rows_.push_back({series_, time, value});
    if (rows_.size() == 20'000) Flush();
  }
  void Flush() {
    if (!rows_.empty()) store_.Append(rows_);
    rows_.clear();
  }
  void Seal() {
    Flush();
    ASSERT_TRUE(store_->Checkpoint().ok());
  }
  SampleColumns Model(TimeRange range) const {
    SampleColumns out;
    for (auto it = model_.lower_bound(range.start); it != model_.end() && it->first < range.end; ++it) {
      out.push_back(it->first, it->second);
    }
    return out;
  }

  struct Line {
    SampleColumns samples;
    LinePlan plan;
    int64_t scanned_samples = 0;
    int64_t scanned_rollups = 0;
  };
  Line Read(TimeRange range, int32_t max_points, int64_t raw_retention_ns = 30 * kNanosPerDay) {
    const auto plan = std::make_shared<const LinePlan>(PlanLine(
        {range, range, max_points, kNow + 2 * kNanosPerDay, kNow, raw_retention_ns}, store_->Tiers(kDefaultTenant)));
    const std::vector<SeriesId> ids = {series_};
    const auto view = store_->OpenView(ids, range, nullptr);
    EXPECT_TRUE(view.ok());
    SeriesReader reader(**view, series_, plan);
    Line line;
    line.plan = *plan;
    while (!reader.done()) {
      const absl::StatusOr<SampleColumns> piece = reader.Next();
      EXPECT_TRUE(piece.ok()) << StatusMessage(piece.status());
      if (!piece.ok()) break;
      for (size_t i = 0; i < piece->size(); ++i) line.samples.push_back(piece->times[i], piece->values[i]);
    }
    line.scanned_samples = reader.scanned_samples();
    line.scanned_rollups = reader.scanned_rollups();
    return line;
  }
  void ExpectLineOfAllSamples(TimeRange range, int32_t max_points) {
    const Line line = Read(range, max_points);
    EXPECT_LE(line.plan.columns, max_points);
    const SampleColumns expected = ReduceM4(Model(range), line.plan.canvas, line.plan.columns);
    ASSERT_EQ(line.samples.times, expected.times);
    for (size_t i = 0; i < expected.size(); ++i) {
      const bool both_nan = std::isnan(line.samples.values[i]) && std::isnan(expected.values[i]);
      ASSERT_TRUE(both_nan || line.samples.values[i] == expected.values[i]) << i;
    }
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  SeriesId series_ = 0;
  std::vector<TestStore::Row> rows_;
  std::map<int64_t, double> model_;
};

TEST_F(TierLinesTest, AreTheLinesOfAllSamplesWhateverTheRange) {
  std::mt19937_64 random(1);
  double level = 0;
  for (int64_t time = kNow - 4 * kNanosPerDay; time < kNow;
       time += (1 + static_cast<int64_t>(random() % 9)) * kSecond) {
    level += static_cast<double>(random() % 201) - 100;
    Put(time, random() % 5'000 == 0 ? kNan : level / 10);
    if (random() % 20'000 == 0) time += 5 * 3600 * kSecond;  // a hole
  }
  Seal();
  for (int round = 0; round < 60; ++round) {
    if (round == 20) {  // late, corrected, some of it sealed again
      for (int i = 0; i < 300; ++i) {
        Put(kNow - static_cast<int64_t>(random() % (4 * 86'400)) * kSecond, random() % 10 == 0 ? kNan : 1e6);
      }
      Flush();
    }
    if (round == 40) Seal();
    const int64_t end = kNow - static_cast<int64_t>(random() % static_cast<uint64_t>(kNanosPerDay));
    const int64_t length = static_cast<int64_t>(random() % (3 * kNanosPerDay)) + kSecond;
    ExpectLineOfAllSamples({end - length, end}, 1 + static_cast<int32_t>(random() % 900));
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

TEST_F(TierLinesTest, CostRollupsAndNotSamples) {
  for (int64_t time = kNow - 3 * kNanosPerDay; time < kNow; time += kSecond) {
    Put(time, static_cast<double>(time / kSecond % 1'000));
  }
  Seal();
  const TimeRange range = {kNow - 3 * kNanosPerDay + 17 * kSecond, kNow - 5 * kSecond};
  const Line line = Read(range, 500);
  EXPECT_EQ(line.plan.bucket_ns, kNanosPerMinute);
  EXPECT_EQ(line.plan.column_ns() % kNanosPerMinute, 0);
  EXPECT_GE(line.scanned_rollups, 3 * 24 * 60 - 2);
  EXPECT_LT(line.scanned_samples, 3 * 86'400 / 4);
  ExpectLineOfAllSamples(range, 500);
}

TEST_F(TierLinesTest, FewSamplesComeAsTheyAre) {
  for (int i = 0; i < 350; ++i) Put(kNow - kNanosPerDay + i * kSecond, i % 7 == 0 ? kNan : i);
  Seal();
  const TimeRange range = {kNow - 2 * kNanosPerDay, kNow};
  EXPECT_EQ(Read(range, 100).samples.times, Model(range).times);
  EXPECT_LT(Read(range, 80).samples.size(), 350u);
}

TEST_F(TierLinesTest, BreaksStayWhereTheyAre) {
  for (int64_t time = kNow - kNanosPerDay; time < kNow; time += 10 * kSecond) {
    const int64_t n = time / (10 * kSecond);
    Put(time, n % 1'000 == 7 || n / 2'000 % 2 == 0 ? kNan : static_cast<double>(n % 100));
  }
  Seal();
  ExpectLineOfAllSamples({kNow - kNanosPerDay, kNow}, 100);
}

TEST_F(TierLinesTest, WhatIsOlderThanSamplesIsDrawnFromTheFinestTierThatHasIt) {
  for (int64_t time = kNow - 3 * kNanosPerDay; time < kNow; time += 10 * kSecond) {
    Put(time, static_cast<double>(time / kSecond * 7'919 % 1'000));
  }
  Seal();
  // As if samples were kept for a day: 6 hours of two days ago, narrow columns.
  const TimeRange range = {kNow - 2 * kNanosPerDay + 5 * kSecond, kNow - 2 * kNanosPerDay + 6 * kNanosPerHour};
  const Line line = Read(range, 1'000, kNanosPerDay);
  for (const LineStep& step : line.plan.steps) EXPECT_EQ(step.bucket_ns, kNanosPerMinute);
  ASSERT_GT(line.samples.size(), 360u * 2);
  for (size_t i = 0; i < line.samples.size(); ++i) {
    EXPECT_EQ(model_.at(line.samples.times[i]), line.samples.values[i]);
    EXPECT_TRUE(line.samples.times[i] >= range.start && line.samples.times[i] < range.end);
  }
  // Across the border: no point twice, none before its time.
  const Line across = Read({kNow - 2 * kNanosPerDay, kNow}, 20'000, kNanosPerDay);
  EXPECT_TRUE(std::adjacent_find(across.samples.times.begin(), across.samples.times.end(), std::greater_equal<>()) ==
              across.samples.times.end());
}

TEST(LinePlan, StepsLieEndToEndWhateverIsAskedFor) {
  std::mt19937_64 random(2);
  const std::vector<TierOptions> tiers = DefaultTiers();
  for (int round = 0; round < 20'000; ++round) {
    const auto pick = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
    const int64_t start = kNow - pick(8'000 * kNanosPerDay);
    const TimeRange columns = {start, start + 1 + pick(kNow + 5 * kNanosPerDay - start)};
    TimeRange readable = columns;
    if (round % 3 == 0) readable.end = kAllTime.end;
    const LinePlan plan = PlanLine({readable, columns, static_cast<int32_t>(pick(3'000)), kNow + 2 * kNanosPerDay, kNow,
                                    (1 + pick(400)) * kNanosPerDay},
                                   round % 5 == 0 ? std::span<const TierOptions>() : tiers);
    int64_t at = readable.start;
    for (const LineStep& step : plan.steps) {
      ASSERT_EQ(step.range.start, at);
      ASSERT_LT(step.range.start, step.range.end);
      at = step.range.end;
    }
    ASSERT_EQ(at, readable.end);
    if (plan.bucket_ns != kRawBucket) {
      ASSERT_GE(plan.column_ns(), 4 * plan.bucket_ns);
      ASSERT_EQ(plan.column_ns() % plan.bucket_ns, 0);
      ASSERT_EQ(plan.canvas.start, BucketStart(columns.start, plan.bucket_ns));
    }
  }
}

}  // namespace
}  // namespace pulseboard
