// Thousands of random tables, histograms, and columns of time with groups, fills and comparisons, against plain loops
// over all samples.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <random>

#include "common/base/errors.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/columns/histogram_query.h"
#include "server/query/columns/table_query.h"
#include "tests/support/test_store.h"
#include "tests/unit/query/column_reference.h"

namespace pulseboard {
namespace {

using testing::ReferenceQuantile;
using testing::ReferenceValue;
using testing::TestStore;

constexpr int64_t kSecond = kNanosPerSecond;
// Two days after the clocks of Europe changed.
constexpr int64_t kNow = 1'774'951'200 * kSecond;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class RandomAnswersTest : public ::testing::Test {
 protected:
  using Values = std::vector<std::optional<double>>;
  struct Model {
    SeriesKey key;
    MetricKind kind = MetricKind::kGauge;
    std::map<int64_t, double> samples;
  };

  RandomAnswersTest() {
    store_.ReopenWith([](StoreOptions* options) { options->seal_age_ns = 0; });
    engine_ = std::make_unique<QueryEngine>(*store_, clock_, QueryOptions{});
    constexpr MetricKind kKinds[] = {MetricKind::kGauge, MetricKind::kCounter, MetricKind::kDelta};
    for (size_t n = 0; n < 12; ++n) {
      Model model{{"m", Labels({{"host", "h" + std::to_string(n % 4)}, {"n", std::to_string(n)}})}, kKinds[n % 3], {}};
      const SeriesId id = *store_->FindOrCreateSeries(kDefaultTenant, model.key, {model.kind, "", ""}, nullptr);
      std::vector<TestStore::Row> rows;
      double level = 0;
      for (int64_t time = kNow - 3 * kNanosPerDay + Pick(100) * kSecond; time < kNow;
           time += n % 2 == 0 ? 60 * kSecond : (1 + Pick(150)) * kSecond) {
        level = model.kind != MetricKind::kCounter || Pick(200) == 0 ? static_cast<double>(Pick(50) - 10)
                                                                     : level + static_cast<double>(Pick(7));
        if (Pick(300) == 0) time += Pick(200) * kNanosPerMinute;
        const double value = Pick(60) == 0 ? kNan : level;
        model.samples[time] = value;
        rows.push_back({id, time, value});
      }
      store_.Append(rows);
      models_.push_back(std::move(model));
      if (n == 7) {
        EXPECT_TRUE(store_->Checkpoint().ok());
      }
    }
  }

  int64_t Pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  QueryContext Context() { return {kDefaultTenant, engine_->Deadline(std::nullopt), nullptr}; }
  TimeRange RandomRange() {
    const int64_t end = kNow - Pick(kNanosPerDay / kSecond) * kSecond;
    const int64_t unit = Pick(2) == 0 ? kNanosPerHour : kSecond;
    const int64_t length = (1 + Pick(unit == kSecond ? 20'000 : 40)) * unit;
    return {(end - length) / unit * unit, end / unit * unit + unit * (Pick(2) == 0 ? 1 : 0)};
  }
  Aggregate RandomAggregate(bool with_inexact) {
    constexpr AggregateKind kExact[] = {AggregateKind::kSum,     AggregateKind::kMin,   AggregateKind::kMax,
                                        AggregateKind::kCount,   AggregateKind::kFirst, AggregateKind::kLast,
                                        AggregateKind::kIncrease};
    if (!with_inexact || Pick(2) == 0) return {kExact[Pick(7)], 0};
    if (Pick(2) == 0) return {AggregateKind::kQuantile, static_cast<double>(Pick(101)) / 100};
    return {Pick(2) == 0 ? AggregateKind::kAvg : AggregateKind::kRate, 0};
  }
  Grouping RandomGrouping() {
    if (Pick(2) == 0) return {};
    const auto function = static_cast<GroupFunction>(1 + Pick(6));
    const double quantile = function == GroupFunction::kQuantile ? static_cast<double>(Pick(5)) / 4 : 0;
    if (Pick(3) == 0) return {function, quantile, false, {}};
    return Pick(2) == 0 ? Grouping{function, quantile, false, {"host"}} : Grouping{function, quantile, true, {"n"}};
  }

  static std::optional<double> ValueOf(const Model& model, const Aggregate& aggregate, TimeRange in) {
    if (in.empty()) return std::nullopt;
    return ReferenceValue(aggregate, model.kind, model.samples, in, QueryOptions{}.lookback_ns);
  }
  // By the text of their keys: series, or groups of them.
  std::map<std::string, Values> Combined(const Grouping& group, std::vector<Values> of_series) const {
    std::map<std::string, std::vector<const Values*>> members;
    for (size_t i = 0; i < models_.size(); ++i) {
      std::string name = models_[i].key.Format();
      if (group.function != GroupFunction::kNone) {
        const bool by_host = group.without || !group.labels.empty();
        name = by_host ? "{host=\"" + std::string(models_[i].key.Get("host")) + "\"}" : "";
      }
      members[name].push_back(&of_series[i]);
    }
    std::map<std::string, Values> out;
    for (const auto& [name, all] : members) {
      Values& to = out[name];
      for (size_t at = 0; at < all[0]->size(); ++at) {
        std::vector<double> there;
        for (const Values* values : all) {
          if ((*values)[at]) there.push_back(*(*values)[at]);
        }
        to.push_back(there.empty() ? std::nullopt : std::optional(OfGroup(group, there)));
      }
      const auto has_value = [](const auto& value) { return value.has_value(); };
      if (std::none_of(to.begin(), to.end(), has_value)) out.erase(name);
    }
    return out;
  }
  static double OfGroup(const Grouping& group, const std::vector<double>& values) {
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    switch (group.function) {
      case GroupFunction::kNone:
        return values.at(0);
      case GroupFunction::kSum:
        return sum;
      case GroupFunction::kAvg:
        return sum / static_cast<double>(values.size());
      case GroupFunction::kMin:
        return *std::min_element(values.begin(), values.end());
      case GroupFunction::kMax:
        return *std::max_element(values.begin(), values.end());
      case GroupFunction::kCount:
        return static_cast<double>(values.size());
      case GroupFunction::kQuantile:
        return ReferenceQuantile(group.quantile, values);
    }
    return 0;
  }
  static bool Near(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(b));
  }

  std::mt19937_64 random_{7};
  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  std::unique_ptr<QueryEngine> engine_;
  std::vector<Model> models_;
};

TEST_F(RandomAnswersTest, TablesAreThoseOfPlainLoops) {
  int with_rest = 0;
  for (int round = 0; round < 1'200; ++round) {
    TableRequest request;
    request.selector = "m";
    request.range = RandomRange();
    request.group = RandomGrouping();
    request.compare.offset_ns = Pick(2) == 0 ? (1 + Pick(2'000)) * kNanosPerMinute : 0;
    const int64_t columns = 1 + Pick(3);
    for (int64_t c = 0; c < columns; ++c) {
      request.columns.push_back({RandomAggregate(c > 0), request.compare.offset_ns > 0 && Pick(2) == 0});
    }
    if (Pick(2) == 0) request.filters = {{0, static_cast<TableComparison>(Pick(6)), static_cast<double>(Pick(60))}};
    if (request.group.function == GroupFunction::kAvg || request.group.function == GroupFunction::kQuantile) {
      request.filters.clear();  // may turn over by the last bit
    }
    request.ascending = Pick(2) == 0;
    request.limit = static_cast<int32_t>(Pick(8));
    request.with_rest = Pick(2) == 0;

    std::vector<Values> of_series;
    for (const Model& model : models_) {
      Values& values = of_series.emplace_back();
      for (const TableColumn& column : request.columns) {
        const int64_t offset = column.earlier ? request.compare.offset_ns : 0;
        values.push_back(ValueOf(model, column.aggregate, {request.range.start - offset, request.range.end - offset}));
      }
    }
    std::map<std::string, Values> expected = Combined(request.group, std::move(of_series));
    std::erase_if(expected, [&](const auto& row) {
      return std::any_of(request.filters.begin(), request.filters.end(), [&](const TableFilter& filter) {
        const std::optional<double>& value = row.second[filter.column];
        if (!value) return true;
        const double v = *value, to = filter.value;
        const bool passes[] = {v == to, v != to, v<to, v <= to, v> to, v >= to};
        return !passes[static_cast<size_t>(filter.comparison)];
      });
    });
    const auto table = QueryTable(*engine_, Context(), request, false);
    ASSERT_TRUE(table.ok()) << StatusMessage(table.status());
    ASSERT_EQ(table->row_count, static_cast<int64_t>(expected.size())) << "round " << round;
    const size_t limit = request.limit == 0 ? kDefaultTableRows : static_cast<size_t>(request.limit);
    ASSERT_EQ(table->rows.size(), std::min(limit, expected.size()));
    const double infinity = std::numeric_limits<double>::infinity();
    double before = request.ascending ? -infinity : infinity;
    for (const TableRow& row : table->rows) {
      const auto it = expected.find(row.series->key.Format());
      ASSERT_NE(it, expected.end()) << row.series->key.Format() << " round " << round;
      for (size_t c = 0; c < request.columns.size(); ++c) {
        ASSERT_TRUE(Near(row.values[c], it->second[c].value_or(kNan)))
            << it->first << " column " << c << " round " << round << ": " << row.values[c];
      }
      const double key = row.values[0];
      if (!std::isnan(key)) {  // those without a value come last
        ASSERT_FALSE(std::isnan(before)) << "round " << round;
        ASSERT_TRUE(request.ascending ? key >= before : key <= before) << "round " << round;
      }
      before = key;
      expected.erase(it);
    }
    // None that was cut would have come earlier.
    Values rest(request.columns.size());
    for (const auto& [name, values] : expected) {
      if (values[0] && !Near(*values[0], before)) {
        ASSERT_TRUE(!std::isnan(before) && (request.ascending ? *values[0] > before : *values[0] < before))
            << name << " round " << round;
      }
      for (size_t c = 0; c < values.size(); ++c) {
        if (values[c]) rest[c] = rest[c].value_or(0) + *values[c];
      }
    }
    ASSERT_EQ(table->rest.empty(), !request.with_rest || expected.empty()) << "round " << round;
    for (size_t c = 0; c < table->rest.size(); ++c) ASSERT_TRUE(Near(table->rest[c], rest[c].value_or(kNan)));
    with_rest += table->rest.empty() ? 0 : 1;
  }
  EXPECT_GT(with_rest, 200);
}

TEST_F(RandomAnswersTest, HistogramsAreThoseOfPlainLoops) {
  for (int round = 0; round < 500; ++round) {
    HistogramRequest request;
    request.selector = "m{host=\"h" + std::to_string(Pick(4)) + "\"}";
    request.range = RandomRange();
    request.step.step_ns = (1 + Pick(20)) * 10 * kNanosPerMinute;
    if (Pick(2) == 0) {
      for (double bound = static_cast<double>(Pick(10)); request.bounds.size() < 5; bound += 1.5) {
        request.bounds.push_back(bound);
      }
    } else {
      request.bucket_count = static_cast<int32_t>(1 + Pick(20));
    }
    request.quantiles = {static_cast<double>(Pick(101)) / 100};
    const auto answer = QueryHistogram(*engine_, Context(), request, false);
    ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
    std::map<int64_t, std::vector<double>> expected;
    double least = std::numeric_limits<double>::infinity(), most = -least;
    for (const Model& model : models_) {
      if (request.selector.find(std::string(model.key.Get("host"))) == std::string::npos) continue;
      for (auto it = model.samples.lower_bound(request.range.start);
           it != model.samples.end() && it->first < request.range.end; ++it) {
        if (std::isnan(it->second)) continue;
        expected[it->first / request.step.step_ns * request.step.step_ns].push_back(it->second);
        least = std::min(least, it->second);
        most = std::max(most, it->second);
      }
    }
    if (request.bounds.empty() && !expected.empty() && least < most) {
      ASSERT_EQ(answer->bounds.size() + 1, static_cast<size_t>(request.bucket_count)) << "round " << round;
      for (size_t i = 0; i < answer->bounds.size(); ++i) {
        const double share = static_cast<double>(i + 1) / request.bucket_count;
        ASSERT_TRUE(Near(answer->bounds[i], least + share * (most - least))) << "round " << round;
      }
    }
    ASSERT_EQ(answer->columns.size(), expected.size()) << "round " << round;
    for (const HistogramColumn& column : answer->columns) {
      const auto it = expected.find(column.start);
      ASSERT_NE(it, expected.end()) << "round " << round;
      std::vector<int64_t> counts(answer->bounds.size() + 1);
      for (const double value : it->second) {
        ++counts[static_cast<size_t>(std::lower_bound(answer->bounds.begin(), answer->bounds.end(), value) -
                                     answer->bounds.begin())];
      }
      ASSERT_EQ(column.counts, counts) << "round " << round;
      ASSERT_EQ(column.count, static_cast<int64_t>(it->second.size()));
      ASSERT_TRUE(Near(column.quantiles[0], ReferenceQuantile(request.quantiles[0], it->second))) << "round " << round;
    }
  }
}

TEST_F(RandomAnswersTest, GroupsFillsAndComparisonsAreThoseOfPlainLoops) {
  size_t compared = 0;
  for (int round = 0; round < 700; ++round) {
    ColumnsRequest request;
    request.selector = "m";
    request.range = RandomRange();
    request.range.end = std::min(request.range.end, kNow);
    request.group = RandomGrouping();
    request.fill = static_cast<FillPolicy>(Pick(4));
    if (Pick(4) == 0) {
      request.step.calendar = {CalendarUnit::kDay, 1, "Europe/Berlin", 1};
    } else {
      request.step.step_ns = (1 + Pick(12)) * 10 * kNanosPerMinute;
      if (Pick(2) == 0) request.compare.offset_ns = (1 + Pick(1'500)) * kNanosPerMinute;
    }
    request.aggregates = {RandomAggregate(true)};
    const auto cursor = engine_->OpenColumns(Context(), request);
    ASSERT_TRUE(cursor.ok()) << StatusMessage(cursor.status());
    std::vector<int64_t> bounds;
    std::map<std::pair<std::string, bool>, std::map<int64_t, double>> lines;
    std::map<uint32_t, std::pair<std::string, bool>> refs;
    for (bool last = false; !last;) {
      const auto chunk = (*cursor)->Next();
      ASSERT_TRUE(chunk.ok()) << StatusMessage(chunk.status());
      if (!chunk->bounds.empty()) bounds = chunk->bounds;
      for (const RangeSeries& series : chunk->definitions) {
        refs[series.ref] = {series.series->key.Format(), series.earlier};
      }
      for (const RangeColumn& column : chunk->columns) {
        for (size_t i = 0; i < column.samples.size(); ++i) {
          lines[refs[column.ref]][column.samples.times[i]] = column.samples.values[i];
        }
      }
      last = chunk->summary.has_value();
    }
    size_t expected_lines = 0;
    for (const bool earlier : {false, true}) {
      if (earlier && request.compare.none()) continue;
      const int64_t offset = earlier ? request.compare.offset_ns : 0;
      std::vector<Values> of_series;
      for (const Model& model : models_) {
        Values& values = of_series.emplace_back();
        for (size_t i = 0; i + 1 < bounds.size(); ++i) {
          values.push_back(ValueOf(model, request.aggregates[0],
                                   {std::max(bounds[i], request.range.start) - offset,
                                    std::min(bounds[i + 1], request.range.end) - offset}));
        }
      }
      for (const auto& [name, values] : Combined(request.group, std::move(of_series))) {
        ++expected_lines;
        ASSERT_TRUE(lines.contains({name, earlier})) << name << " round " << round;
        const auto& line = lines.at({name, earlier});
        std::optional<double> previous;
        for (size_t i = 0; i < values.size(); ++i) {
          std::optional<double> value = values[i];
          if (!value && request.fill == FillPolicy::kNull) value = kNan;
          if (!value && request.fill == FillPolicy::kZero) value = 0;
          if (!value && request.fill == FillPolicy::kPrevious) value = previous;
          previous = value;
          const auto got = line.find(bounds[i]);
          ASSERT_EQ(got != line.end(), value.has_value()) << name << " column " << i << " round " << round;
          if (value) {
            ASSERT_TRUE(Near(got->second, *value)) << name << " column " << i << " round " << round;
          }
          ++compared;
        }
      }
    }
    ASSERT_EQ(lines.size(), expected_lines) << "round " << round;
  }
  EXPECT_GT(compared, 50'000U);
}

}  // namespace
}  // namespace pulseboard
