#include "server/query/columns/column_cursor.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>
#include <set>

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
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
// 2026-03-31T10:00Z: the clocks of Europe changed two days ago.
constexpr int64_t kNow = 1'774'951'200 * kSecond;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class ColumnCursorTest : public ::testing::Test {
 protected:
  struct Line {
    std::string series;
    int32_t aggregate = 0;
    bool earlier = false;
    auto operator<=>(const Line&) const = default;
  };
  struct Answer {
    std::vector<int64_t> bounds;
    std::map<Line, std::map<int64_t, double>> lines;
    RangeSummary summary;
  };

  ColumnCursorTest() {
    store_.ReopenWith([](StoreOptions* options) { options->seal_age_ns = 0; });
    engine_ = std::make_unique<QueryEngine>(*store_, clock_, QueryOptions{});
  }

  SeriesId Series(const std::string& metric, MetricKind kind, Labels labels = {}) {
    const SeriesId id =
        *store_->FindOrCreateSeries(kDefaultTenant, {metric, std::move(labels)}, {kind, "", ""}, nullptr);
    kinds_[id] = kind;
    return id;
  }
  void Put(SeriesId series, int64_t time, double value) {
    model_[series][time] = value;
    rows_.push_back({series, time, value});
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
  // Counters, gauges and deltas with falls, NaN and holes, whole numbers, over the days before kNow.
  void FillAtRandom(int days, uint64_t seed) {
    std::mt19937_64 random(seed);
    const MetricKind kinds[] = {MetricKind::kGauge, MetricKind::kCounter, MetricKind::kDelta};
    for (const MetricKind kind : kinds) {
      for (const char* host : {"a", "b"}) {
        const SeriesId id = Series("m", kind, {{"host", host}, {"kind", std::to_string(static_cast<int>(kind))}});
        double level = 0;
        for (int64_t time = kNow - days * kNanosPerDay; time < kNow;
             time += (10 + static_cast<int64_t>(random() % 20)) * kSecond + static_cast<int64_t>(random() % 1'000)) {
          level = random() % 400 == 0 ? 0 : level + static_cast<double>(random() % 50);
          const double value = kind == MetricKind::kGauge ? static_cast<double>(random() % 2'001) - 1'000 : level;
          Put(id, time, random() % 300 == 0 ? kNan : value);
          if (random() % 2'000 == 0) time += static_cast<int64_t>(random() % 200) * kMinute;
        }
      }
    }
  }

  absl::StatusOr<Answer> Query(QueryEngine& engine, const ColumnsRequest& request) {
    const QueryContext context{kDefaultTenant, engine.Deadline(std::nullopt), nullptr};
    PB_ASSIGN_OR_RETURN(const auto cursor, engine.OpenColumns(context, request));
    Answer answer;
    std::map<uint32_t, Line> refs;
    while (true) {
      PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor->Next());
      if (!chunk.bounds.empty()) {
        EXPECT_TRUE(answer.bounds.empty()) << "bounds come once";
        answer.bounds = chunk.bounds;
      }
      for (const RangeSeries& s : chunk.definitions) {
        refs[s.ref] = {s.series->key.Format(), s.aggregate, s.earlier};
        EXPECT_FALSE(answer.lines.contains(refs[s.ref])) << "defined twice";
      }
      for (const RangeColumn& column : chunk.columns) {
        EXPECT_TRUE(refs.contains(column.ref)) << "values before their definition";
        auto& line = answer.lines[refs[column.ref]];
        for (size_t i = 0; i < column.samples.size(); ++i) {
          EXPECT_TRUE(line.emplace(column.samples.times[i], column.samples.values[i]).second);
        }
      }
      if (!chunk.summary) continue;
      answer.summary = *chunk.summary;
      return answer;
    }
  }
  absl::StatusOr<Answer> Query(const ColumnsRequest& request) { return Query(*engine_, request); }

  // Values of one series and aggregate as they should be, by the start of their columns; that those are right is
  // time_columns_test's.
  std::map<int64_t, double> Expected(SeriesId series, const Aggregate& aggregate, const std::vector<int64_t>& bounds,
                                     TimeRange range) {
    std::map<int64_t, double> out;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      const TimeRange in{std::max(bounds[i], range.start), std::min(bounds[i + 1], range.end)};
      const auto value = ReferenceValue(aggregate, kinds_[series], model_[series], in, QueryOptions{}.lookback_ns);
      if (value) out[bounds[i]] = *value;
    }
    return out;
  }
  // `error`: what quantiles may be off, relative to the value.
  static void ExpectSame(const std::map<int64_t, double>& got, const std::map<int64_t, double>& expected,
                         double error = 0) {
    ASSERT_EQ(got.size(), expected.size());
    auto it = got.begin();
    for (const auto& [time, value] : expected) {
      ASSERT_EQ(it->first, time);
      ASSERT_NEAR(it->second, value, std::max(error * 1.001, 1e-9) * std::max(1.0, std::abs(value)));
      ++it;
    }
  }
  void ExpectAsReference(QueryEngine& engine, const ColumnsRequest& request) {
    const auto answer = Query(engine, request);
    ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
    size_t lines = 0;
    for (const auto& [series, samples] : model_) {
      for (size_t a = 0; a < request.aggregates.size(); ++a) {
        const auto expected = Expected(series, request.aggregates[a], answer->bounds, request.range);
        if (expected.empty()) continue;
        ++lines;
        const Line line{store_->GetSeries(series)->key.Format(), static_cast<int32_t>(a), false};
        ASSERT_TRUE(answer->lines.contains(line)) << line.series;
        const bool quantile = request.aggregates[a].kind == AggregateKind::kQuantile;
        ExpectSame(answer->lines.at(line), expected, quantile ? answer->summary.max_quantile_error : 0);
        if (HasFatalFailure()) {
          FAIL() << line.series << " aggregate " << static_cast<int>(request.aggregates[a].kind) << " bucket "
                 << answer->summary.bucket_ns;
        }
      }
    }
    EXPECT_EQ(answer->lines.size(), lines);
  }

  ColumnsRequest RandomRequest(std::mt19937_64& random, int days, bool with_quantiles) {
    ColumnsRequest request;
    request.selector = "m";
    const int64_t end = kNow - static_cast<int64_t>(random() % static_cast<uint64_t>(kNanosPerDay)) / kMinute * kMinute;
    request.range = {end - static_cast<int64_t>(random() % static_cast<uint64_t>((days - 1) * kNanosPerDay)) - kMinute,
                     end};
    if (random() % 3 == 0) request.range.start = request.range.start / kHour * kHour;
    const int64_t steps[] = {kMinute,   5 * kMinute, 7 * kMinute + 30 * kSecond, 15 * kMinute, kHour,
                             6 * kHour, kNanosPerDay};
    if (random() % 2 == 0) {
      request.step.step_ns = steps[random() % std::size(steps)];
    } else {
      const char* zones[] = {"", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"};
      request.step.calendar = {static_cast<CalendarUnit>(1 + random() % 4), 1 + static_cast<int32_t>(random() % 2),
                               zones[random() % 4], 1 + static_cast<int32_t>(random() % 7)};
    }
    const size_t count = 1 + random() % 3;
    for (size_t i = 0; i < count; ++i) {
      const auto kind = static_cast<AggregateKind>(random() % kAggregateKinds);
      if (kind == AggregateKind::kQuantile && !with_quantiles) {
        request.aggregates.push_back({AggregateKind::kIncrease, 0});
      } else {
        const double phi = kind == AggregateKind::kQuantile ? static_cast<double>(random() % 101) / 100 : 0;
        request.aggregates.push_back({kind, phi});
      }
    }
    return request;
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  std::unique_ptr<QueryEngine> engine_;
  std::map<SeriesId, MetricKind> kinds_;
  std::map<SeriesId, std::map<int64_t, double>> model_;
  std::vector<TestStore::Row> rows_;
};

class RandomColumns : public ColumnCursorTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(RandomColumns, AreThoseOfAPlainLoopOverAllSamples) {
  std::mt19937_64 random(GetParam());
  FillAtRandom(4, GetParam());
  Seal();
  for (int round = 0; round < 60; ++round) {
    if (round == 20) {  // late, and corrections
      for (int i = 0; i < 500; ++i) {
        const auto series = std::next(model_.begin(), static_cast<ptrdiff_t>(random() % model_.size()))->first;
        Put(series, kNow - static_cast<int64_t>(random() % (4 * 86'400)) * kSecond,
            random() % 20 == 0 ? kNan : static_cast<double>(random() % 100));
      }
      Flush();
    }
    if (round == 40) Seal();
    ExpectAsReference(*engine_, RandomRequest(random, 4, true));
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomColumns, ::testing::Values(1, 2, 3));

TEST_F(ColumnCursorTest, AnswersTheSameFromTiersAsFromSamples) {
  FillAtRandom(4, 9);
  Seal();
  // As if samples of more than an hour ago were gone: whole hours come from rollups alone.
  class WithoutSamples final : public testing::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    int64_t RawRetention(TenantId /*tenant*/) const override { return kHour; }
  } forgetful(*store_);
  QueryEngine without_samples(forgetful, clock_, QueryOptions{});
  std::mt19937_64 random(9);
  for (int round = 0; round < 40; ++round) {
    ColumnsRequest request = RandomRequest(random, 4, false);
    request.selector = "m{kind=~\"2|3\"}";  // falls of gauges are not in rollups
    request.step = {kHour * (1 + static_cast<int64_t>(random() % 5)), {}};
    request.range.start = request.range.start / kHour * kHour;
    request.range.end = request.range.end / kHour * kHour;
    const auto with = Query(*engine_, request);
    const auto without = Query(without_samples, request);
    ASSERT_TRUE(with.ok() && without.ok());
    ASSERT_EQ(with->lines.size(), without->lines.size());
    for (const auto& [line, values] : with->lines) {
      ASSERT_TRUE(without->lines.contains(line));
      // What came before the range is known to the minute only; that is near enough for these gaps.
      ExpectSame(without->lines.at(line), values);
      if (HasFatalFailure()) FAIL() << line.series << " " << line.aggregate << " round " << round;
    }
  }
}

TEST_F(ColumnCursorTest, AnswersTheSameAsExpressions) {
  FillAtRandom(2, 11);
  Flush();
  const TimeRange range{kNow - 20 * kHour, kNow};
  for (const auto& [kind, function] :
       {std::pair(AggregateKind::kIncrease, "increase"), std::pair(AggregateKind::kRate, "rate"),
        std::pair(AggregateKind::kSum, "sum_over_time")}) {
    const auto columns = Query({"m", range, {kHour, {}}, {{kind, 0}}, {}, {}, {}});
    ASSERT_TRUE(columns.ok());
    const QueryContext context{kDefaultTenant, engine_->Deadline(std::nullopt), nullptr};
    const auto cursor =
        engine_->OpenExpression(context, {std::string(function) + "(m[1h])", range.start + kHour, range.end, kHour, 0});
    ASSERT_TRUE(cursor.ok()) << StatusMessage(cursor.status());
    std::map<uint32_t, Line> refs;
    size_t values = 0;
    for (bool last = false; !last;) {
      const auto chunk = (*cursor)->Next();
      ASSERT_TRUE(chunk.ok());
      for (const RangeSeries& s : chunk->definitions) {
        refs[s.ref] = {SeriesKey{"m", s.series->key.labels}.Format(), 0, false};
      }
      for (const RangeColumn& column : chunk->columns) {
        const auto& line = columns->lines.at(refs[column.ref]);
        for (size_t i = 0; i < column.samples.size(); ++i, ++values) {
          const int64_t start = column.samples.times[i] - kHour;  // (t - 1h, t] there, [t - 1h, t) here
          ASSERT_TRUE(line.contains(start));
          EXPECT_NEAR(line.at(start), column.samples.values[i], 1e-9 * std::max(1.0, std::abs(line.at(start))));
        }
      }
      last = chunk->summary.has_value();
    }
    EXPECT_EQ(static_cast<int64_t>(values), columns->summary.sample_count) << function;
  }
}

TEST_F(ColumnCursorTest, CostsRollupsAndNotSamples) {
  const SeriesId id = Series("m", MetricKind::kCounter);
  for (int64_t time = kNow - 3 * kNanosPerDay; time < kNow; time += kSecond)
    Put(id, time, 1e6 + static_cast<double>(time / kSecond % 86'400));
  Seal();
  ColumnsRequest request{"m", {kNow - 3 * kNanosPerDay, kNow}, {kHour, {}}, {{AggregateKind::kIncrease, 0}}, {}, {},
                         {}};
  const auto answer = Query(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->summary.bucket_ns, kHour);
  EXPECT_LT(answer->summary.scanned_sample_count, 3 * 86'400 / 4);
  ExpectAsReference(*engine_, request);
}

TEST_F(ColumnCursorTest, ComparesWithAnEarlierPeriod) {
  FillAtRandom(4, 4);
  ColumnsRequest request{"m",
                         {kNow - 2 * kHour, kNow},
                         {10 * kMinute, {}},
                         {{AggregateKind::kSum, 0}, {AggregateKind::kIncrease, 0}},
                         {},
                         {},
                         {}};
  Flush();
  request.compare.offset_ns = 26 * kHour;
  const auto answer = Query(request);
  ASSERT_TRUE(answer.ok());
  ColumnsRequest earlier = request;
  earlier.compare = {};
  earlier.range = {request.range.start - 26 * kHour, request.range.end - 26 * kHour};
  const auto then = Query(earlier);
  ASSERT_TRUE(then.ok());
  size_t compared = 0;
  for (const auto& [line, values] : answer->lines) {
    if (!line.earlier) continue;
    ++compared;
    std::map<int64_t, double> moved;
    for (const auto& [time, value] : then->lines.at({line.series, line.aggregate, false}))
      moved[time + 26 * kHour] = value;
    EXPECT_EQ(values, moved) << line.series;
  }
  EXPECT_EQ(compared, then->lines.size());
}

TEST_F(ColumnCursorTest, CombinesGroups) {
  FillAtRandom(2, 5);
  Flush();
  const TimeRange range{kNow - 5 * kHour, kNow};
  const ColumnStep step{15 * kMinute, {}};
  const Aggregate max{AggregateKind::kMax, 0};
  for (const GroupFunction function : {GroupFunction::kSum, GroupFunction::kAvg, GroupFunction::kMin,
                                       GroupFunction::kMax, GroupFunction::kCount, GroupFunction::kQuantile}) {
    ColumnsRequest request{"m", range, step, {max}, {}, {}, {}};
    request.group = {function, function == GroupFunction::kQuantile ? 0.3 : 0, false, {"host"}};
    const auto answer = Query(request);
    ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
    EXPECT_EQ(answer->lines.size(), 2U);
    for (const auto& [line, values] : answer->lines) {
      std::map<int64_t, std::vector<double>> members;
      for (const auto& [series, samples] : model_) {
        const SeriesKey key = store_->GetSeries(series)->key;
        if (line.series != SeriesKey{"", {{"host", std::string(key.Get("host"))}}}.Format()) continue;
        for (const auto& [time, value] : Expected(series, max, answer->bounds, range)) members[time].push_back(value);
      }
      std::map<int64_t, double> expected;
      for (const auto& [time, of] : members) {
        double sum = 0;
        for (const double value : of) sum += value;
        const double n = static_cast<double>(of.size());
        expected[time] = function == GroupFunction::kSum     ? sum
                         : function == GroupFunction::kAvg   ? sum / n
                         : function == GroupFunction::kMin   ? *std::min_element(of.begin(), of.end())
                         : function == GroupFunction::kMax   ? *std::max_element(of.begin(), of.end())
                         : function == GroupFunction::kCount ? n
                                                             : testing::ReferenceQuantile(0.3, of);
      }
      ExpectSame(values, expected);
    }
  }
}

TEST_F(ColumnCursorTest, FillsAsAsked) {
  const SeriesId id = Series("m", MetricKind::kGauge);
  Series("m", MetricKind::kGauge, {{"host", "silent"}});
  Put(id, kNow - 5 * kMinute, 7);
  Put(id, kNow - 2 * kMinute, kNan);
  Put(id, kNow - kMinute, 9);
  Flush();
  ColumnsRequest request{
      "m", {kNow - 7 * kMinute, kNow + 3 * kMinute}, {kMinute, {}}, {{AggregateKind::kLast, 0}}, {}, {}, {}};
  const auto filled = [&](FillPolicy fill) {
    request.fill = fill;
    const auto answer = Query(request);
    EXPECT_TRUE(answer.ok());
    EXPECT_EQ(answer->lines.size(), 1U) << "a silent series is not made up";
    std::vector<std::string> out(10, "-");
    for (const auto& [time, value] : answer->lines.begin()->second) {
      out[static_cast<size_t>((time - request.range.start) / kMinute)] =
          std::isnan(value) ? "nan" : std::to_string(static_cast<int>(value));
    }
    return out;
  };
  using Row = std::vector<std::string>;
  EXPECT_EQ(filled(FillPolicy::kGap), (Row{"-", "-", "7", "-", "-", "-", "9", "-", "-", "-"}));
  EXPECT_EQ(filled(FillPolicy::kNull), (Row{"nan", "nan", "7", "nan", "nan", "nan", "9", "nan", "-", "-"}));
  EXPECT_EQ(filled(FillPolicy::kPrevious), (Row{"-", "-", "7", "7", "7", "7", "9", "9", "-", "-"}));
  EXPECT_EQ(filled(FillPolicy::kZero), (Row{"0", "0", "7", "0", "0", "0", "9", "0", "-", "-"}));
}

TEST_F(ColumnCursorTest, QuantilesOfManyValuesAreWithinTheStatedError) {
  const SeriesId id = Series("m", MetricKind::kGauge);
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> values(3, 2);
  for (int i = 0; i < 30'000; ++i)
    Put(id, kNow - kHour + i * 100 * kNanosPerMilli, (i % 3 == 0 ? -1 : 1) * values(random));
  Flush();
  ColumnsRequest request{"m", {kNow - kHour, kNow}, {kHour, {}}, {}, {}, {}, {}};
  for (const double phi : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0})
    request.aggregates.push_back({AggregateKind::kQuantile, phi});
  const auto answer = Query(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->summary.max_quantile_error, QuantileSketch::kRelativeError);
  for (const auto& [line, of] : answer->lines) {
    const Aggregate& aggregate = request.aggregates[static_cast<size_t>(line.aggregate)];
    const auto expected = Expected(id, aggregate, answer->bounds, request.range);
    for (const auto& [time, value] : expected) {
      EXPECT_NEAR(of.at(time), value, std::abs(value) * QuantileSketch::kRelativeError * 1.0001) << aggregate.quantile;
    }
  }
}

TEST_F(ColumnCursorTest, SaysWhatIsWrongAndWhatIsTooMuch) {
  const SeriesId id = Series("m", MetricKind::kGauge);
  for (int i = 0; i < 1'000; ++i) Put(id, kNow - i * kSecond, i);
  Flush();
  const ColumnsRequest good{"m", {kNow - kHour, kNow}, {kMinute, {}}, {{AggregateKind::kAvg, 0}}, {}, {}, {}};
  EXPECT_TRUE(Query(good).ok());
  const auto reason_of = [&](const auto& change) {
    ColumnsRequest request = good;
    change(request);
    const auto detail = GetErrorDetail(Query(request).status());
    return detail ? detail->reason : ErrorReason::kInternal;
  };
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { r.aggregates.clear(); }), ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { r.aggregates.resize(17); }), ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { r.aggregates[0].quantile = 0.5; }), ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) {
              r.aggregates[0] = {AggregateKind::kQuantile, 1.5};
            }),
            ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) {
              r.aggregates[0] = {AggregateKind::kQuantile, kNan};
            }),
            ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { r.group.labels = {"host"}; }), ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { std::swap(r.range.start, r.range.end); }), ErrorReason::kBadField);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) { r.selector = "m{"; }), ErrorReason::kBadSelector);
  EXPECT_EQ(reason_of([](ColumnsRequest& r) {
              r.compare = {0, {CalendarUnit::kDay, 1, "Mars/X", 1}};
            }),
            ErrorReason::kBadField);
  QueryOptions small;
  small.max_samples = 100;
  small.max_held_values = 50;
  QueryEngine engine(*store_, clock_, small);
  EXPECT_TRUE(HasReason(Query(engine, good).status(), ErrorReason::kQueryTooBroad));
  ColumnsRequest grouped = good;
  grouped.group = {GroupFunction::kSum, 0, false, {}};
  grouped.range.start = kNow - kMinute;
  grouped.step.step_ns = kSecond;
  EXPECT_TRUE(HasReason(Query(engine, grouped).status(), ErrorReason::kQueryTooBroad));
}

}  // namespace
}  // namespace pulseboard
