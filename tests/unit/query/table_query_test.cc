// Tables and histograms against plain loops over the same samples.
#include "server/query/columns/table_query.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "common/base/errors.h"
#include "server/query/columns/histogram_query.h"
#include "tests/support/test_store.h"
#include "tests/unit/query/column_reference.h"

namespace pulseboard {
namespace {

using testing::ReferenceQuantile;
using testing::ReferenceValue;
using testing::TestStore;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kNow = 1'774'951'200 * kSecond;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class TableQueryTest : public ::testing::Test {
 protected:
  TableQueryTest() {
    std::mt19937_64 random(1);
    std::vector<TestStore::Row> rows;
    for (int i = 0; i < 30; ++i) {
      const Labels labels{{"host", "h" + std::to_string(i % 5)}, {"n", std::to_string(i)}};
      const SeriesId id =
          *store_->FindOrCreateSeries(kDefaultTenant, {"m", labels}, {MetricKind::kCounter, "", ""}, nullptr);
      if (i == 29) continue;  // silent
      double level = 0;
      for (int64_t time = kNow - 30 * kHour; time < kNow; time += 30 * kSecond) {
        level = random() % 500 == 0 ? 0 : level + static_cast<double>(random() % 10);
        const double value = random() % 100 == 0 ? kNan : level;
        model_[id][time] = value;
        rows.push_back({id, time, value});
      }
    }
    store_.Append(rows);
  }
  QueryContext Context() { return {kDefaultTenant, engine_.Deadline(std::nullopt), nullptr}; }
  absl::StatusOr<TableAnswer> Table(const TableRequest& request) {
    return QueryTable(engine_, Context(), request, false);
  }
  absl::StatusOr<HistogramAnswer> Histogram(const HistogramRequest& request) {
    return QueryHistogram(engine_, Context(), request, false);
  }
  double Reference(SeriesId id, AggregateKind kind, TimeRange range) {
    return ReferenceValue({kind, 0}, MetricKind::kCounter, model_[id], range, QueryOptions{}.lookback_ns)
        .value_or(kNan);
  }
  // All numbers of the range, by column of `step` from its epoch multiples.
  std::map<int64_t, std::vector<double>> Values(TimeRange range, int64_t step) {
    std::map<int64_t, std::vector<double>> out;
    for (const auto& [id, samples] : model_) {
      for (auto it = samples.lower_bound(range.start); it != samples.end() && it->first < range.end; ++it) {
        if (!std::isnan(it->second)) out[it->first / step * step].push_back(it->second);
      }
    }
    return out;
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  QueryEngine engine_{*store_, clock_, QueryOptions{}};
  std::map<SeriesId, std::map<int64_t, double>> model_;
  const TimeRange range_{kNow - 2 * kHour - 17 * kSecond, kNow};
};

TEST_F(TableQueryTest, SortsCutsAndAddsUpTheRest) {
  TableRequest request{
      "m", range_, {{{AggregateKind::kIncrease, 0}, false}, {{AggregateKind::kMax, 0}, false}}, {}, {}, {}, 0, false,
      7,   true};
  const auto table = Table(request);
  ASSERT_TRUE(table.ok()) << StatusMessage(table.status());
  std::vector<std::pair<double, SeriesId>> expected;
  for (const auto& [id, samples] : model_) expected.emplace_back(-Reference(id, AggregateKind::kIncrease, range_), id);
  std::sort(expected.begin(), expected.end(), [&](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : store_->GetSeries(a.second)->key < store_->GetSeries(b.second)->key;
  });
  EXPECT_EQ(table->row_count, 29);
  ASSERT_EQ(table->rows.size(), 7U);
  double rest = 0, rest_max = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double max = Reference(expected[i].second, AggregateKind::kMax, range_);
    if (i < 7) {
      EXPECT_EQ(table->rows[i].series->id, expected[i].second);
      EXPECT_EQ(table->rows[i].values, (std::vector<double>{-expected[i].first, max}));
    } else {
      rest -= expected[i].first;
      rest_max += max;
    }
  }
  EXPECT_EQ(table->rest, (std::vector<double>{rest, rest_max}));
  request.ascending = true;
  request.limit = 0;
  const auto ascending = Table(request);
  ASSERT_EQ(ascending->rows.size(), 29U);
  EXPECT_EQ(ascending->rows.front().values[0], -expected.back().first);
  EXPECT_TRUE(ascending->rest.empty());
}

TEST_F(TableQueryTest, FiltersAndCompares) {
  TableRequest request{"m",
                       range_,
                       {{{AggregateKind::kIncrease, 0}, false}, {{AggregateKind::kIncrease, 0}, true}},
                       {},
                       {24 * kHour, {}},
                       {},
                       1,
                       false,
                       0,
                       false};
  const auto all = Table(request);
  ASSERT_TRUE(all.ok()) << StatusMessage(all.status());
  const TimeRange day_before{range_.start - 24 * kHour, range_.end - 24 * kHour};
  for (const TableRow& row : all->rows) {
    EXPECT_EQ(row.values[0], Reference(row.series->id, AggregateKind::kIncrease, range_));
    EXPECT_EQ(row.values[1], Reference(row.series->id, AggregateKind::kIncrease, day_before));
  }
  const double middle = all->rows[10].values[0];
  const struct {
    TableComparison comparison;
    std::function<bool(double)> passes;
  } cases[] = {{TableComparison::kEqual, [&](double v) { return v == middle; }},
               {TableComparison::kNotEqual, [&](double v) { return v != middle; }},
               {TableComparison::kLess, [&](double v) { return v < middle; }},
               {TableComparison::kLessEqual, [&](double v) { return v <= middle; }},
               {TableComparison::kGreater, [&](double v) { return v > middle; }},
               {TableComparison::kGreaterEqual, [&](double v) { return v >= middle; }}};
  for (const auto& one : cases) {
    request.filters = {{0, one.comparison, middle}};
    const auto some = Table(request);
    ASSERT_TRUE(some.ok());
    std::vector<SeriesId> got, expected;
    for (const TableRow& row : some->rows) got.push_back(row.series->id);
    for (const TableRow& row : all->rows) {
      if (one.passes(row.values[0])) expected.push_back(row.series->id);
    }
    EXPECT_EQ(got, expected) << static_cast<int>(one.comparison);
  }
}

TEST_F(TableQueryTest, MakesRowsOfGroups) {
  TableRequest request{"m",
                       range_,
                       {{{AggregateKind::kIncrease, 0}, false}},
                       {GroupFunction::kSum, 0, false, {"host"}},
                       {},
                       {},
                       0,
                       false,
                       0,
                       false};
  const auto table = Table(request);
  ASSERT_TRUE(table.ok());
  std::map<std::string, double> expected;
  for (const auto& [id, samples] : model_) {
    expected[std::string(store_->GetSeries(id)->key.Get("host"))] += Reference(id, AggregateKind::kIncrease, range_);
  }
  ASSERT_EQ(table->rows.size(), 5U);
  for (const TableRow& row : table->rows) {
    EXPECT_EQ(row.series->id, 0U);
    EXPECT_EQ(row.values[0], expected[std::string(row.series->key.Get("host"))]);
  }
}

TEST_F(TableQueryTest, SaysWhatIsWrong) {
  const TableRequest good{"m", range_, {{{AggregateKind::kMax, 0}, false}}, {}, {}, {}, 0, false, 0, false};
  const auto refused = [&](const auto& change) {
    TableRequest request = good;
    change(request);
    return HasReason(Table(request).status(), ErrorReason::kBadField);
  };
  EXPECT_TRUE(refused([](TableRequest& r) { r.columns.clear(); }));
  EXPECT_TRUE(refused([](TableRequest& r) { r.sort_column = 1; }));
  EXPECT_TRUE(refused([](TableRequest& r) { r.limit = -1; }));
  EXPECT_TRUE(refused([](TableRequest& r) { r.columns[0].earlier = true; }));
  EXPECT_TRUE(refused([](TableRequest& r) { r.filters = {{1, TableComparison::kEqual, 0}}; }));
  EXPECT_TRUE(refused([](TableRequest& r) { r.filters = {{0, TableComparison::kEqual, kNan}}; }));
}

TEST_F(TableQueryTest, HistogramsCountEveryValueOnce) {
  HistogramRequest request{"m", range_, {20 * kMinute, {}}, {}, 10, BucketScale::kLinear, {0, 0.5, 0.9, 1}};
  const auto expected = Values(range_, 20 * kMinute);
  for (const std::vector<double>& bounds : {std::vector<double>{}, std::vector<double>{100, 500, 1'000, 1'000.5}}) {
    request.bounds = bounds;
    const auto answer = Histogram(request);
    ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
    EXPECT_EQ(answer->bounds.size(), bounds.empty() ? 9U : 4U);
    ASSERT_EQ(answer->columns.size(), expected.size());
    for (const HistogramColumn& column : answer->columns) {
      ASSERT_TRUE(expected.contains(column.start));
      const std::vector<double>& values = expected.at(column.start);
      std::vector<int64_t> counts(answer->bounds.size() + 1, 0);
      for (const double value : values) {
        size_t bucket = 0;
        while (bucket < answer->bounds.size() && value > answer->bounds[bucket]) ++bucket;
        ++counts[bucket];
      }
      EXPECT_EQ(column.counts, counts);
      EXPECT_EQ(column.count, static_cast<int64_t>(values.size()));
      for (size_t q = 0; q < request.quantiles.size(); ++q) {
        EXPECT_NEAR(column.quantiles[q], ReferenceQuantile(request.quantiles[q], values), 1e-9);
      }
    }
  }
  EXPECT_TRUE(HasReason(Histogram({"m", range_, {kHour, {}}, {2, 1}, 0, BucketScale::kLinear, {}}).status(),
                        ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(Histogram({"m", range_, {kHour, {}}, {}, 0, BucketScale::kExponential, {}}).status(),
                        ErrorReason::kBadField))
      << "counters begin at 0";
  EXPECT_TRUE(HasReason(Histogram({"m", range_, {kHour, {}}, {}, 0, BucketScale::kLinear, {1.1}}).status(),
                        ErrorReason::kBadField));
}

TEST_F(TableQueryTest, EstimatesBeforeItRuns) {
  TableRequest request{
      "m", {kNow - 30 * kHour, kNow}, {{{AggregateKind::kQuantile, 0.5}, false}}, {}, {}, {}, 0, false, 0, false};
  const auto estimate = QueryTable(engine_, Context(), request, true);
  ASSERT_TRUE(estimate.ok());
  const auto answer = Table(request);
  ASSERT_TRUE(answer.ok());
  ASSERT_NE(estimate->estimate, nullptr);
  EXPECT_EQ(estimate->estimate->series_count, 30);
  EXPECT_TRUE(estimate->rows.empty());
  constexpr double kSamples = 29 * 30 * 120;
  EXPECT_NEAR(static_cast<double>(estimate->estimate->scanned_sample_count), kSamples, kSamples / 20);
  EXPECT_GE(static_cast<double>(answer->summary.scanned_sample_count), kSamples);
  EXPECT_GT(estimate->estimate->answer_bytes, 0);
}

}  // namespace
}  // namespace pulseboard
