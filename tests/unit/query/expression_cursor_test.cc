// Expressions over a real store: chunks, limits, and what a call is told when something is wrong.
#include "server/query/expression/expression_cursor.h"

#include <gtest/gtest.h>

#include <map>

#include "common/base/errors.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::ForwardingStore;
using testing::TestStore;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kNow = 1'800'000'000 * kSecond;

class ExpressionCursorTest : public ::testing::Test {
 protected:
  struct Answer {
    std::map<std::string, SampleColumns> samples;
    std::map<std::string, SeriesInfo> series;
    RangeSummary summary;
    size_t largest_chunk = 0;
  };

  QueryContext Context(QueryEngine& engine) const { return {kDefaultTenant, engine.Deadline(std::nullopt), nullptr}; }

  absl::StatusOr<Answer> Query(QueryEngine& engine, const ExpressionRequest& request) {
    PB_ASSIGN_OR_RETURN(const auto cursor, engine.OpenExpression(Context(engine), request));
    Answer answer;
    std::map<uint32_t, std::string> refs;
    while (true) {
      PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor->Next());
      for (const RangeSeries& series : chunk.definitions) {
        refs[series.ref] = series.series->key.Format();
        answer.series[series.series->key.Format()] = *series.series;
      }
      size_t size = 0;
      for (const RangeColumn& column : chunk.columns) {
        EXPECT_TRUE(refs.contains(column.ref)) << "samples before their definition";
        SampleColumns& to = answer.samples[refs[column.ref]];
        for (size_t i = 0; i < column.samples.size(); ++i) {
          to.push_back(column.samples.times[i], column.samples.values[i]);
        }
        size += column.samples.size();
      }
      answer.largest_chunk = std::max(answer.largest_chunk, size);
      if (!chunk.summary) continue;
      answer.summary = *chunk.summary;
      return answer;
    }
  }
  absl::StatusOr<Answer> Query(const ExpressionRequest& request) { return Query(engine_, request); }
  Answer Ask(const std::string& text, int64_t start, int64_t end, int64_t step) {
    auto answer = Query({text, start, end, step, 0});
    EXPECT_TRUE(answer.ok()) << StatusMessage(answer.status());
    return answer.ok() ? *std::move(answer) : Answer{};
  }

  // A counter that grows by one every 10 s over `days`, the last time at kNow.
  void Fill(SeriesId series, int days) {
    std::vector<TestStore::Row> rows;
    for (int64_t time = kNow - days * kNanosPerDay; time <= kNow; time += 10 * kSecond) {
      const int64_t step = (time - kNow) / (10 * kSecond);
      rows.push_back({series, time, static_cast<double>(step) + 1e6});
    }
    store_.Append(rows);
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  QueryOptions options_;
  QueryEngine engine_{*store_, clock_, options_};
};

TEST_F(ExpressionCursorTest, AnswersOverDaysSealedAndNot) {
  Fill(store_.Series("requests", {{"host", "a"}}), 3);
  ASSERT_TRUE(store_->Checkpoint().ok());
  Fill(store_.Series("requests", {{"host", "b"}}), 3);

  const Answer hourly = Ask("increase(requests[1h])", kNow - 2 * kNanosPerDay, kNow, 3'600 * kSecond);
  ASSERT_EQ(hourly.samples.size(), 2u);
  for (const auto& [name, samples] : hourly.samples) {
    ASSERT_EQ(samples.size(), 49u) << name;
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(samples.times[i], kNow - 2 * kNanosPerDay + static_cast<int64_t>(i) * 3'600 * kSecond);
      EXPECT_EQ(samples.values[i], 360);
    }
  }
  EXPECT_EQ(hourly.summary.series_count, 2);
  EXPECT_EQ(hourly.summary.sample_count, 98);
  EXPECT_EQ(hourly.summary.commit_sequence, 2);
  EXPECT_EQ(hourly.summary.step_ns, 3'600 * kSecond);
  EXPECT_GE(hourly.summary.scanned_sample_count, 2 * 2 * 8'640);

  const Answer total = Ask("sum(rate(requests[5m] offset 1d))", kNow, kNow, 0);
  EXPECT_EQ(total.samples.at("").values, std::vector<double>{0.2});
}

TEST_F(ExpressionCursorTest, KeepsIdentityAndUnitOfWhatIsNotComputed) {
  SeriesMetadata metadata{MetricKind::kGauge, "By", "Bytes."};
  const SeriesId id = *store_->FindOrCreateSeries(kDefaultTenant, {"used", {{"host", "a"}}}, metadata, nullptr);
  store_.Append({{id, kNow - kSecond, 5}});
  for (const char* text : {"used", "used > 1", "topk(1, used)", "used and used", "sort(used)", "used or missing"}) {
    const Answer answer = Ask(text, kNow, kNow, 0);
    ASSERT_TRUE(answer.series.contains("used{host=\"a\"}")) << text;
    EXPECT_EQ(answer.series.at("used{host=\"a\"}").id, id) << text;
    EXPECT_EQ(answer.series.at("used{host=\"a\"}").metadata, metadata) << text;
  }
  for (const char* text : {"used + 1", "abs(used)", "used >bool 1", "-used", "max_over_time(used[1m])"}) {
    const Answer answer = Ask(text, kNow, kNow, 0);
    ASSERT_TRUE(answer.series.contains("{host=\"a\"}")) << text;
    EXPECT_EQ(answer.series.at("{host=\"a\"}").id, 0u) << text;
  }
}

TEST_F(ExpressionCursorTest, ANumberIsOneSeriesWithoutLabels) {
  const Answer answer = Ask("time() - 1", kNow - 2 * kSecond, kNow, kSecond);
  EXPECT_EQ(answer.samples.at("").values, (std::vector<double>{1'799'999'997, 1'799'999'998, 1'799'999'999}));
}

TEST_F(ExpressionCursorTest, SplitsLongSeriesOverChunks) {
  Fill(store_.Series("requests"), 1);
  options_.chunk_samples = 1'000;
  QueryEngine engine(*store_, clock_, options_);
  const auto answer = Query(engine, {"requests", kNow - kNanosPerDay, kNow, 10 * kSecond, 0});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->samples.at("requests").size(), 8'641u);
  EXPECT_EQ(answer->largest_chunk, 1'000u);
}

TEST_F(ExpressionCursorTest, FindsAStepForMaxPoints) {
  const auto step = [this](int64_t span, int32_t max_points) {
    const auto answer = Query({"vector(1)", kNow - span, kNow, 0, max_points});
    EXPECT_TRUE(answer.ok()) << StatusMessage(answer.status());
    if (!answer.ok()) return int64_t{0};
    EXPECT_LE(answer->samples.at("").size(), static_cast<size_t>(max_points));
    return answer->summary.step_ns;
  };
  EXPECT_EQ(step(3'600 * kSecond, 61), 60 * kSecond);
  EXPECT_EQ(step(3'600 * kSecond, 100), 36'364 * kNanosPerMilli);
  EXPECT_EQ(step(10, 100'000), kNanosPerMilli);
  step(3'600 * kSecond, 1);
  step(3'600 * kSecond, 2);
  for (int32_t points = 1; points < 3'000; points += 7) step(1'000'000 * kNanosPerMilli + 1, points);
}

TEST_F(ExpressionCursorTest, ReadsAllSelectorsFromOneView) {
  const SeriesId a = store_.Series("a");
  const SeriesId b = store_.Series("b");
  store_.Append({{a, kNow - kSecond, 1}, {b, kNow - kSecond, 1}});
  const auto cursor = engine_.OpenExpression(Context(engine_), {"a == bool b", kNow, kNow, 0, 0});
  ASSERT_TRUE(cursor.ok());
  store_.Append({{a, kNow, 2}, {b, kNow, 3}});
  const auto chunk = (*cursor)->Next();
  ASSERT_TRUE(chunk.ok());
  EXPECT_EQ(chunk->columns.at(0).samples.values, std::vector<double>{1}) << "as of the opening";
  EXPECT_EQ(chunk->summary->commit_sequence, 1);
}

TEST_F(ExpressionCursorTest, HasLimits) {
  for (int i = 0; i < 20; ++i) store_.Append({{store_.Series("a", {{"i", std::to_string(i)}}), kNow, 1.0 * i}});
  Fill(store_.Series("long"), 1);
  const auto refused = [this](const std::string& text, const std::string& setting, int64_t start = kNow) {
    QueryEngine engine(*store_, clock_, options_);
    const absl::Status status = Query(engine, {text, start, kNow, kSecond, 0}).status();
    EXPECT_TRUE(HasReason(status, ErrorReason::kQueryTooBroad)) << StatusMessage(status);
    EXPECT_EQ(GetErrorDetail(status)->metadata["setting"], setting);
  };
  options_.max_series = 19;
  refused("sum(a)", "query.max_series");
  refused("a or long", "query.max_series");
  options_.max_series = 100;
  options_.max_samples = 1'000;
  refused("max_over_time(long[1d])", "query.max_samples");
  options_.max_samples = 100'000;
  options_.max_held_values = 1'000;
  for (const char* text : {"topk(1, a)", "a + a", "quantile(0.5, a)", "a or a", "count_values(\"x\", a)"}) {
    refused(text, "query.max_held_values", kNow - 200 * kSecond);
  }
  QueryEngine engine(*store_, clock_, options_);
  EXPECT_TRUE(Query(engine, {"sum(a)", kNow - 200 * kSecond, kNow, kSecond, 0}).ok()) << "holds one group";
}

TEST_F(ExpressionCursorTest, SaysWhatIsWrongWithTheRequest) {
  const auto field = [this](const ExpressionRequest& request) {
    const absl::Status status = Query(request).status();
    EXPECT_TRUE(HasReason(status, ErrorReason::kBadField)) << StatusMessage(status);
    const auto detail = GetErrorDetail(status);
    return detail && !detail->field_violations.empty() ? detail->field_violations[0].field : "";
  };
  EXPECT_EQ(field({"a", 10, 9, 1, 0}), "end_time");
  EXPECT_EQ(field({"a", 10, 20, 0, 0}), "step");
  EXPECT_EQ(field({"a", 10, 20, -1, 0}), "step");
  EXPECT_EQ(field({"a", 0, kNow, kSecond, 0}), "step");
  EXPECT_EQ(field({"a", 10, 20, 0, -1}), "max_points");
  EXPECT_EQ(field({"a", 10, 20, 0, 100'001}), "max_points");
  EXPECT_TRUE(HasReason(Query({"a +", 10, 20, 1, 0}).status(), ErrorReason::kBadExpression));

  store_.Append({{store_.Series("a", {{"x", "1"}}), kNow, 1}, {store_.Series("b", {{"x", "1"}}), kNow, 1}});
  const absl::Status twice = Query({"abs({x=\"1\"})", kNow, kNow, 0, 0}).status();
  EXPECT_TRUE(HasReason(twice, ErrorReason::kBadExpression)) << StatusMessage(twice);
  EXPECT_NE(StatusMessage(twice).find("several series {x=\"1\"} in the result"), std::string::npos);
}

TEST_F(ExpressionCursorTest, BearsEveryTimeThereIs) {
  store_.Append({{store_.Series("a"), kNow, 1}});
  constexpr int64_t kEnd = INT64_MAX;
  for (const char* text :
       {"a", "a offset 290y", "a offset -290y", "rate(a[290y])", "max_over_time(a[1m:10s] offset 290y)",
        "a @ -9000000000", "a @ 9200000000 offset -200y", "max_over_time(a[1s:290y])"}) {
    for (const int64_t time : {int64_t{0}, kNow, kEnd - 1, kEnd}) {
      EXPECT_TRUE(Query({text, time, time, 0, 0}).ok()) << text << " at " << time;
      EXPECT_TRUE(Query({text, std::max<int64_t>(0, time - 10), time, 5, 0}).ok()) << text << " at " << time;
    }
    // A subquery of that many steps is refused, by name.
    const absl::Status status = Query({text, 0, kEnd, kEnd / 3, 0}).status();
    EXPECT_TRUE(status.ok() || HasReason(status, ErrorReason::kBadExpression)) << text << ": " << StatusMessage(status);
  }
}

TEST_F(ExpressionCursorTest, EndsWithItsDeadlineAndItsCaller) {
  Fill(store_.Series("a"), 1);
  QueryContext context = Context(engine_);
  auto cursor = engine_.OpenExpression(context, {"sum(a)", kNow - kNanosPerDay, kNow, kSecond, 0});
  ASSERT_TRUE(cursor.ok());
  clock_.Advance(options_.max_duration_ns);
  EXPECT_TRUE(HasReason((*cursor)->Next().status(), ErrorReason::kQueryTooBroad));

  auto cancellation = std::make_shared<Cancellation>();
  context = {kDefaultTenant, engine_.Deadline(std::nullopt), cancellation};
  cursor = engine_.OpenExpression(context, {"sum(a)", kNow - kNanosPerDay, kNow, kSecond, 0});
  ASSERT_TRUE(cursor.ok());
  cancellation->Cancel();
  EXPECT_EQ((*cursor)->Next().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ExpressionCursorTest, SeesOnlyItsTenant) {
  store_.Append({{store_.Series("a", {}, kSystemTenant), kNow, 1}}, kSystemTenant);
  EXPECT_TRUE(Ask("a", kNow, kNow, 0).samples.empty());
}

}  // namespace
}  // namespace pulseboard
