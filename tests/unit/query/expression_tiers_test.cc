// Expressions read from rollup tiers are those of all samples, whatever the windows, and cost rollups.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "server/query/expression/expression_cursor.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"
#include "tests/unit/query/column_reference.h"

namespace pulseboard {
namespace {

using testing::ReferenceValue;
using testing::TestStore;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kNow = 1'800'057'600 * kSecond;  // a midnight
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Question {
  std::string function;  // empty: the newest sample
  int64_t length = 0;
  int64_t start = 0;
  int64_t step = 0;
  int64_t size = 1;
  int64_t offset = 0;

  std::string Text(const std::string& metric) const {
    const auto ms = [](int64_t ns) { return std::to_string(ns / kNanosPerMilli) + "ms"; };
    const std::string shift = offset == 0 ? "" : " offset " + ms(offset);
    if (function.empty()) return metric + shift;
    if (function == "timestamp") return "timestamp(" + metric + shift + ")";
    return function + "(" + metric + "[" + ms(length) + "]" + shift + ")";
  }
};

class ExpressionTiersTest : public ::testing::Test {
 protected:
  struct Model {
    SeriesId id = 0;
    MetricKind kind = MetricKind::kGauge;
    std::map<int64_t, double> samples;
  };
  using Values = std::map<int64_t, double>;

  ExpressionTiersTest() {
    store_.ReopenWith([](StoreOptions* options) { options->seal_age_ns = 0; });
    engine_ = std::make_unique<QueryEngine>(*store_, clock_, options_);
  }

  void Define(const std::string& metric, MetricKind kind) {
    models_[metric] = {*store_->FindOrCreateSeries(kDefaultTenant, {metric, {}}, {kind, "", ""}, nullptr), kind, {}};
  }
  void Put(const std::string& metric, int64_t time, double value) {
    models_[metric].samples[time] = value;
    rows_.push_back({models_[metric].id, time, value});
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

  // A day of series of all kinds, of which much lies on whole seconds, minutes and hours.
  void FillAllKinds(std::mt19937_64* random) {
    const auto pick = [random](uint64_t n) { return static_cast<int64_t>((*random)() % n); };
    for (const auto& [metric, kind] : std::map<std::string, MetricKind>{{"level", MetricKind::kGauge},
                                                                        {"state", MetricKind::kGauge},
                                                                        {"constant", MetricKind::kGauge},
                                                                        {"rare", MetricKind::kCounter},
                                                                        {"requests", MetricKind::kCounter},
                                                                        {"irregular", MetricKind::kCounter},
                                                                        {"delta", MetricKind::kDelta}}) {
      Define(metric, kind);
      double value = 0;
      for (int64_t time = kNow - kNanosPerDay; time < kNow;) {
        if (metric == "level") value = static_cast<double>(pick(2'001) - 1'000) / 10;
        if (metric == "state") value = pick(50) == 0 ? 1 : 0;
        if (metric == "constant") value = 42;
        if (kind == MetricKind::kCounter) value = pick(400) == 0 ? static_cast<double>(pick(3)) : value + pick(5);
        if (kind == MetricKind::kDelta) value = static_cast<double>(pick(9));
        // No value now and then, often right before a full hour.
        const bool ends_hour = time % kNanosPerHour >= kNanosPerHour - 2 * kSecond;
        Put(metric, time, metric != "constant" && pick(ends_hour ? 3 : 3'000) == 0 ? kNan : value);
        if (metric == "rare") {
          time += pick(30) == 0 ? kNanosPerHour - time % kNanosPerHour : (1 + pick(20)) * kNanosPerMinute;
        } else if (metric == "irregular") {
          time += 1 + pick(20'000) * kNanosPerMilli;
        } else {
          time += metric == "constant" ? 10 * kSecond : kSecond;
        }
        if (pick(20'000) == 0) time += pick(400) * kNanosPerMinute;  // a hole
      }
    }
  }

  Values Ask(const std::string& metric, const Question& q) {
    const ExpressionRequest request{q.Text(metric), q.start, q.start + (q.size - 1) * q.step, q.step, 0};
    const auto cursor = engine_->OpenExpression({kDefaultTenant, engine_->Deadline(std::nullopt), nullptr}, request);
    EXPECT_TRUE(cursor.ok()) << StatusMessage(cursor.status());
    Values out;
    while (true) {
      const auto chunk = (*cursor)->Next();
      EXPECT_TRUE(chunk.ok()) << StatusMessage(chunk.status());
      if (!chunk.ok()) return out;
      for (const RangeColumn& column : chunk->columns) {
        for (size_t i = 0; i < column.samples.size(); ++i) out[column.samples.times[i]] = column.samples.values[i];
      }
      if (!chunk->summary) continue;
      summary_ = *chunk->summary;
      return out;
    }
  }

  // By all samples.
  Values Expected(const std::string& metric, const Question& q) const {
    static const std::map<std::string, AggregateKind> kAggregates = {
        {"avg_over_time", AggregateKind::kAvg},     {"sum_over_time", AggregateKind::kSum},
        {"min_over_time", AggregateKind::kMin},     {"max_over_time", AggregateKind::kMax},
        {"count_over_time", AggregateKind::kCount}, {"last_over_time", AggregateKind::kLast},
        {"increase", AggregateKind::kIncrease},     {"rate", AggregateKind::kRate}};
    const Model& model = models_.at(metric);
    const int64_t lookback = QueryOptions{}.lookback_ns;
    Values out;
    for (int64_t i = 0; i < q.size; ++i) {
      const int64_t instant = q.start + i * q.step;
      const int64_t at = instant - q.offset;
      std::optional<double> value;
      const auto aggregate = kAggregates.find(q.function);
      const auto after = model.samples.upper_bound(at);
      if (aggregate != kAggregates.end()) {
        value =
            ReferenceValue({aggregate->second, 0}, model.kind, model.samples, {at - q.length + 1, at + 1}, lookback);
      } else if (q.function == "delta") {
        value = Difference(model, at, q.length, lookback);
      } else if (q.function == "present_over_time") {
        const auto count = ReferenceValue({AggregateKind::kCount, 0}, model.kind, model.samples,
                                          {at - q.length + 1, at + 1}, lookback);
        if (count) value = 1;
      } else if (after != model.samples.begin()) {
        const auto& newest = *std::prev(after);
        if (newest.first > at - lookback && !std::isnan(newest.second)) {
          value = q.function.empty() ? newest.second : static_cast<double>(newest.first) / 1e9;
        }
      }
      if (value) out[instant] = *value;
    }
    return out;
  }

  static std::optional<double> Difference(const Model& model, int64_t at, int64_t length, int64_t lookback) {
    std::vector<std::pair<int64_t, double>> numbers;
    const auto end = model.samples.upper_bound(at);
    for (auto it = model.samples.lower_bound(at - length - lookback); it != end; ++it) {
      if (!std::isnan(it->second)) numbers.push_back(*it);
    }
    const auto first = std::partition_point(numbers.begin(), numbers.end(),
                                            [&](const auto& sample) { return sample.first <= at - length; });
    if (first == numbers.end()) return std::nullopt;
    const bool has_before = first != numbers.begin() && first->first - std::prev(first)->first <= lookback;
    const auto base = has_before ? std::prev(first) : first;
    if (base == std::prev(numbers.end())) return std::nullopt;
    return numbers.back().second - base->second;
  }

  void ExpectAsBySamples(const std::string& metric, const Question& q) {
    const Values expected = Expected(metric, q);
    const Values got = Ask(metric, q);
    const std::string what = q.Text(metric) + " from " + std::to_string(q.start) + " step " + std::to_string(q.step) +
                             " x " + std::to_string(q.size);
    for (const auto& [time, value] : expected) {
      ASSERT_TRUE(got.contains(time)) << what << ": nothing at " << time << ", expected " << value;
      ASSERT_LE(std::abs(got.at(time) - value), 1e-9 * std::max(1.0, std::abs(value)))
          << what << " at " << time << ": got " << got.at(time) << ", expected " << value;
    }
    ASSERT_EQ(got.size(), expected.size()) << what;
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  QueryOptions options_;
  std::unique_ptr<QueryEngine> engine_;
  RangeSummary summary_;
  std::map<std::string, Model> models_;
  std::vector<TestStore::Row> rows_;
};

TEST_F(ExpressionTiersTest, SayWhatAllSamplesSayWhateverTheWindows) {
  std::mt19937_64 random(4);
  const auto pick = [&random](uint64_t n) { return static_cast<int64_t>(random() % n); };
  FillAllKinds(&random);
  Seal();
  const std::vector<std::string> functions = {"",
                                              "timestamp",
                                              "avg_over_time",
                                              "sum_over_time",
                                              "min_over_time",
                                              "max_over_time",
                                              "count_over_time",
                                              "last_over_time",
                                              "present_over_time",
                                              "increase",
                                              "rate",
                                              "delta"};
  int from_rollups = 0;
  for (int round = 0; round < 4'000; ++round) {
    if (round == 900) {  // late and corrected: some buckets are those of the head now
      for (int i = 0; i < 400; ++i) {
        Put(pick(2) == 0 ? "level" : "requests", kNow - pick(86'400) * kSecond, static_cast<double>(pick(1'000)));
      }
      Flush();
    }
    if (round == 1'200) Seal();
    Question q;
    q.function = functions[static_cast<size_t>(pick(functions.size()))];
    const int64_t unit = std::vector<int64_t>{kSecond, kNanosPerMinute, kNanosPerHour}[static_cast<size_t>(pick(3))];
    q.step = unit == kSecond ? 1 + pick(10'000) * kNanosPerMilli : (1 + pick(unit == kNanosPerHour ? 5 : 90)) * unit;
    q.length = std::max(kNanosPerMilli, q.step / kNanosPerMilli * kNanosPerMilli);
    if (pick(3) == 0) q.length = (1 + pick(30)) * unit;
    if (pick(8) == 0) q.length = (1 + pick(10'000'000)) * kNanosPerMilli;
    q.size = 1 + pick(40);
    q.start = (kNow - pick(static_cast<uint64_t>(kNanosPerDay))) / unit * unit;
    if (pick(5) == 0) q.start += pick(1'000'000) * kNanosPerMilli;
    if (pick(5) == 0) q.offset = pick(3) == 0 ? pick(5'000'000) * kNanosPerMilli : pick(20) * unit;
    auto metric = models_.begin();
    std::advance(metric, pick(models_.size()));
    ExpectAsBySamples(metric->first, q);
    if (HasFatalFailure()) FAIL() << "round " << round;
    from_rollups += summary_.bucket_ns > 0 ? 1 : 0;
  }
  EXPECT_GT(from_rollups, 600);
}

TEST_F(ExpressionTiersTest, CostRollupsAndNotSamples) {
  Define("requests", MetricKind::kCounter);
  Define("level", MetricKind::kGauge);
  for (int64_t n = 0; n <= 86'400; ++n) {  // on whole seconds: there is a sample on each edge
    Put("requests", kNow - kNanosPerDay + n * kSecond, static_cast<double>(n));
    Put("level", kNow - kNanosPerDay + n * kSecond, static_cast<double>((n * 7'919) % 1'000));
  }
  Seal();
  for (const int64_t step : {10 * kNanosPerMinute, kNanosPerHour}) {
    for (const char* function : {"", "avg_over_time", "count_over_time", "max_over_time", "increase", "rate"}) {
      const bool counts = function == std::string("increase") || function == std::string("rate");
      const std::string metric = counts ? "requests" : "level";
      const Question q{function, step, kNow - kNanosPerDay + step, step, kNanosPerDay / step - 1, 0};
      ExpectAsBySamples(metric, q);
      EXPECT_GT(summary_.scanned_rollup_count, 0) << q.Text(metric);
      EXPECT_LE(summary_.scanned_rollup_count, 4'000) << q.Text(metric);
      EXPECT_LE(summary_.scanned_sample_count, 16'000) << q.Text(metric);
    }
  }
  // Windows that lie across buckets: those that hold an edge are read as samples.
  const Question off{
      "avg_over_time", 4 * kNanosPerHour, kNow - 20 * kNanosPerHour + 1'500 * kNanosPerMilli, 4 * kNanosPerHour, 6, 0};
  ExpectAsBySamples("level", off);
  EXPECT_LE(summary_.scanned_sample_count, 30'000);
  EXPECT_GT(summary_.scanned_rollup_count, 1'000);
}

TEST_F(ExpressionTiersTest, TakesCareOfWhatRoundingLosesInABucket) {
  Define("level", MetricKind::kGauge);
  for (int64_t n = 0; n < 7'200; ++n) {
    Put("level", kNow - 7'200 * kSecond + n * kSecond, n % 3'600 == 0 ? 1e300 : 1);
  }
  Seal();
  const Question q{"sum_over_time", kNanosPerHour, kNow - kNanosPerHour, kNanosPerHour, 2, 0};
  const Values got = Ask("level", q);
  EXPECT_EQ(got.at(kNow), 3'599) << "the first value is the window's before";
  EXPECT_EQ(got.at(kNow - kNanosPerHour), 1e300) << "which ends with it";
}

TEST_F(ExpressionTiersTest, AFirstStepOverALongSilenceDoesNotCountInLongBucketsEither) {
  Define("requests", MetricKind::kCounter);
  // On the hour, then nothing for half of it; a reset after the silence.
  for (int hour = 5; hour > 0; --hour) {
    const int64_t start = kNow - hour * kNanosPerHour;
    Put("requests", start, 100);
    for (int64_t n = 0; n < 1'800; ++n) Put("requests", start + (1'800 + n) * kSecond, static_cast<double>(50 + n));
  }
  Seal();
  for (const char* function : {"increase", "rate", "delta"}) {
    ExpectAsBySamples("requests", {function, kNanosPerHour, kNow - 4 * kNanosPerHour, kNanosPerHour, 5, 0});
  }
}

// What samples were kept for is over: says so to whoever reads.
class AgedStore final : public testing::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  int64_t RawRetention(TenantId) const override { return 6 * kNanosPerHour; }
};

TEST_F(ExpressionTiersTest, WhatIsOlderThanSamplesComesFromRollups) {
  Define("requests", MetricKind::kCounter);
  for (int64_t n = -3 * 8'640; n < 8'640; ++n) {
    Put("requests", kNow - kNanosPerDay + n * 10 * kSecond + 3 * kSecond, static_cast<double>(n + 50'000));
  }
  Seal();
  AgedStore aged(*store_);
  QueryEngine engine(aged, clock_, options_);
  const auto ask = [&](const std::string& text, int64_t start, int64_t end, int64_t step) {
    Values out;
    const auto cursor =
        engine.OpenExpression({kDefaultTenant, engine.Deadline(std::nullopt), nullptr}, {text, start, end, step, 0});
    EXPECT_TRUE(cursor.ok());
    const auto chunk = (*cursor)->Next();
    EXPECT_TRUE(chunk.ok()) << StatusMessage(chunk.status());
    for (const RangeColumn& column : chunk->columns) {
      for (size_t i = 0; i < column.samples.size(); ++i) out[column.samples.times[i]] = column.samples.values[i];
    }
    return out;
  };
  const int64_t begin = kNow - kNanosPerDay;
  const Values hourly = ask("increase(requests[1h])", begin + kNanosPerHour, kNow, kNanosPerHour);
  ASSERT_EQ(hourly.size(), 24u);
  for (const auto& [time, value] : hourly) EXPECT_EQ(value, 360) << time;
  // Off the buckets: each is counted once, where its last sample is, so that the whole is right.
  double all = 0;
  for (const auto& [time, value] :
       ask("increase(requests[7m13s])", begin + 433 * kSecond, kNow - 6 * kNanosPerHour, 433 * kSecond)) {
    all += value;
  }
  EXPECT_NEAR(all, 18 * 360, 360 * 433 / 3'600 + 6);
  // A plain selector sees the last value of the newest bucket that is over.
  const int64_t instant = kNow - 10 * kNanosPerHour + 90 * kSecond;
  const Values newest = ask("requests", instant, instant, 0);
  ASSERT_EQ(newest.size(), 1u);
  EXPECT_EQ(newest.at(instant), static_cast<double>((instant - 30 * kSecond - begin) / (10 * kSecond) - 1 + 50'000));
  // Functions that need every sample have none.
  EXPECT_TRUE(
      ask("quantile_over_time(0.5, requests[1h])", kNow - 3 * kNanosPerDay, kNow - 3 * kNanosPerDay, 0).empty());
}

}  // namespace
}  // namespace pulseboard
