#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <thread>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc/data_server.h"

namespace pulseboard {
namespace {

using testing::ComesToRest;
using testing::DataServer;
using testing::DataServerOptions;
using testing::Eventually;
using testing::ReasonOf;
using testing::TestStore;

int64_t Now() { return SystemClock().NowUnixNanos(); }

// `count` samples a millisecond apart, the last one now.
SeriesId Fill(DataServer& server, const std::string& metric, int count) {
  const SeriesId id = server.store().Series(metric);
  const int64_t end = Now();
  std::vector<TestStore::Row> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back({id, end - (count - 1 - i) * kNanosPerMilli, static_cast<double>(i % 1'000)});
    if (rows.size() < 50'000 && i + 1 < count) continue;
    server.store().Append(rows);
    rows.clear();
  }
  return id;
}

v1::QueryRangeRequest Range(const std::string& selector, int32_t max_points = 0) {
  v1::QueryRangeRequest request;
  request.set_selector(selector);
  request.mutable_start_time()->set_seconds(Now() / kNanosPerSecond - 86'400);
  request.mutable_end_time()->set_seconds(Now() / kNanosPerSecond + 60);
  request.set_max_points(max_points);
  return request;
}

TEST(QueryService, ListsAndPages) {
  DataServer server;
  std::set<int64_t> expected;
  for (int i = 0; i < 30; ++i) {
    expected.insert(
        static_cast<int64_t>(server.store().Series("m" + std::to_string(i % 3), {{"i", std::to_string(i)}})));
  }
  const auto query = server.query();
  v1::ListMetricsResponse metrics;
  ASSERT_TRUE(query->ListMetrics(server.Context().get(), {}, &metrics).ok());
  ASSERT_EQ(metrics.metrics_size(), 3);
  EXPECT_EQ(metrics.metrics(0).name(), "m0");
  EXPECT_EQ(metrics.metrics(0).series_count(), 10);
  EXPECT_EQ(metrics.metrics(0).kind(), v1::METRIC_KIND_GAUGE);

  std::set<int64_t> seen;
  v1::ListSeriesRequest request;
  request.set_page_size(7);
  do {
    v1::ListSeriesResponse page;
    ASSERT_TRUE(query->ListSeries(server.Context().get(), request, &page).ok());
    for (const v1::Series& series : page.series()) EXPECT_TRUE(seen.insert(series.series_id()).second);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, expected);

  v1::ListLabelValuesRequest labels;
  labels.set_label("i");
  labels.set_selector("m1");
  v1::ListLabelValuesResponse values;
  ASSERT_TRUE(query->ListLabelValues(server.Context().get(), labels, &values).ok());
  EXPECT_EQ(values.values_size(), 10);
}

TEST(QueryService, AnswersLatestAndRange) {
  DataServer server;
  const SeriesId id = Fill(server, "cpu", 20'000);
  const auto query = server.query();
  v1::QueryLatestRequest latest;
  latest.set_selector("cpu");
  v1::QueryLatestResponse newest;
  ASSERT_TRUE(query->QueryLatest(server.Context().get(), latest, &newest).ok());
  ASSERT_EQ(newest.samples_size(), 1);
  EXPECT_EQ(newest.samples(0).value(), 999);
  EXPECT_EQ(newest.commit_sequence(), 1);

  for (const int32_t max_points : {0, 100}) {
    const auto context = server.Context();
    const auto stream = query->QueryRange(context.get(), Range("cpu", max_points));
    v1::QueryRangeResponse chunk;
    SampleColumns samples;
    int summaries = 0;
    while (stream->Read(&chunk)) {
      EXPECT_EQ(summaries, 0) << "the summary is the last word";
      if (chunk.has_definition()) {
        EXPECT_EQ(chunk.definition().series().series_id(), static_cast<int64_t>(id));
      }
      for (const v1::SeriesColumns& columns : chunk.samples().columns()) ASSERT_TRUE(FromProto(columns, &samples));
      if (chunk.has_summary()) ++summaries;
    }
    ASSERT_TRUE(stream->Finish().ok());
    EXPECT_EQ(summaries, 1);
    EXPECT_EQ(chunk.summary().series_count(), 1);
    EXPECT_EQ(chunk.summary().sample_count(), static_cast<int64_t>(samples.size()));
    if (max_points == 0) {
      EXPECT_EQ(samples.times, server.store().Read(id).times);
    } else {
      EXPECT_LE(samples.size(), 400U);
    }
  }
}

TEST(QueryService, ForecastsWhatRepeats) {
  DataServer server;
  const auto value = [](int64_t minute) {
    return 100 + 50 * std::sin(2 * std::numbers::pi * static_cast<double>(minute % 60) / 60);
  };
  const SeriesId id = server.store().Series("load");
  const int64_t last_minute = Now() / kNanosPerSecond / 60;
  std::vector<TestStore::Row> rows;
  for (int64_t minute = last_minute - 600; minute <= last_minute; ++minute) {
    rows.push_back({id, minute * 60 * kNanosPerSecond, value(minute)});
  }
  server.store().Append(rows);
  server.store().Append({{server.store().Series("load", {{"new", "yes"}}), last_minute * 60 * kNanosPerSecond, 1}});
  const auto query = server.query();
  v1::ForecastRequest request;
  request.set_expression("load");
  request.mutable_step()->set_seconds(60);
  request.mutable_start_time()->set_seconds((last_minute - 600) * 60);
  request.mutable_end_time()->set_seconds(last_minute * 60);
  request.set_horizon_steps(30);
  v1::ForecastResponse response;
  ASSERT_TRUE(query->Forecast(server.Context().get(), request, &response).ok());
  EXPECT_EQ(response.first_time_unix_nanos(), (last_minute + 1) * 60 * kNanosPerSecond);
  EXPECT_EQ(response.step_nanos(), 60 * kNanosPerSecond);
  EXPECT_EQ(response.too_short_series_count(), 1);
  ASSERT_EQ(response.forecasts_size(), 1);
  const v1::SeriesForecast& forecast = response.forecasts(0);
  EXPECT_EQ(forecast.series().series_id(), static_cast<int64_t>(id));
  ASSERT_GE(forecast.periods_nanos_size(), 1);
  EXPECT_EQ(forecast.periods_nanos(0), 3'600 * kNanosPerSecond);
  ASSERT_EQ(forecast.values_size(), 30);
  for (int step = 0; step < 30; ++step) {
    EXPECT_NEAR(forecast.values(step), value(last_minute + 1 + step), 5);
    EXPECT_LE(forecast.lower_95(step), forecast.lower_80(step));
    EXPECT_LE(forecast.upper_80(step), forecast.upper_95(step));
  }
  EXPECT_EQ(response.commit_sequence(), 2);
}

TEST(QueryService, RefusesForecastsThatMakeNoSense) {
  DataServer server;
  const auto query = server.query();
  const auto refused = [&](const v1::ForecastRequest& request) {
    v1::ForecastResponse response;
    return ReasonOf(query->Forecast(server.Context().get(), request, &response));
  };
  v1::ForecastRequest good;
  good.set_expression("load");
  good.mutable_step()->set_seconds(60);
  v1::ForecastRequest request = good;
  request.clear_step();
  EXPECT_EQ(refused(request), ErrorReason::kBadField);
  request = good;
  request.mutable_step()->set_seconds(-1);
  EXPECT_EQ(refused(request), ErrorReason::kBadField);
  request = good;
  request.set_horizon_steps(1'001);
  EXPECT_EQ(refused(request), ErrorReason::kBadField);
  request = good;
  request.mutable_start_time()->set_seconds(Now() / kNanosPerSecond - 60 * 5'000);
  EXPECT_EQ(refused(request), ErrorReason::kBadField);
  request = good;
  request.mutable_start_time()->set_seconds(Now() / kNanosPerSecond + 60);
  EXPECT_EQ(refused(request), ErrorReason::kBadField);
  request = good;
  request.set_expression("load +");
  EXPECT_EQ(refused(request), ErrorReason::kBadExpression);
  for (int i = 0; i < 101; ++i)
    server.store().Append({{server.store().Series("many", {{"i", std::to_string(i)}}), Now(), 1}});
  request = good;
  request.set_expression("many");
  EXPECT_EQ(refused(request), ErrorReason::kQueryTooBroad);
}

TEST(QueryService, AnswersColumnsTablesAndHistograms) {
  DataServer server;
  const SeriesId id = Fill(server, "cpu", 20'000);
  const SampleColumns samples = server.store().Read(id);
  const auto query = server.query();
  v1::QueryRangeRequest request = Range("cpu");
  request.mutable_calendar()->set_unit(v1::CALENDAR_UNIT_YEAR);
  request.mutable_calendar()->set_count(10);
  request.mutable_calendar()->set_time_zone("Asia/Tokyo");
  request.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_MAX);
  request.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_COUNT);
  request.mutable_compare()->mutable_calendar()->set_unit(v1::CALENDAR_UNIT_DAY);
  std::map<int32_t, std::vector<double>> values;
  {
    const auto context = server.Context();
    const auto stream = query->QueryRange(context.get(), request);
    v1::QueryRangeResponse chunk;
    std::map<uint32_t, int32_t> aggregates;
    bool bounds = false;
    while (stream->Read(&chunk)) {
      if (chunk.has_time_columns()) bounds = chunk.time_columns().lengths_nanos_size() == 1;
      if (chunk.has_aggregate_definition()) {
        EXPECT_FALSE(chunk.aggregate_definition().earlier()) << "nothing was there a day ago";
        aggregates[chunk.aggregate_definition().definition().ref()] = chunk.aggregate_definition().aggregate_index();
      }
      for (const v1::SeriesColumns& column : chunk.samples().columns()) {
        auto& to = values[aggregates.at(column.ref())];
        to.insert(to.end(), column.values().begin(), column.values().end());
      }
    }
    ASSERT_TRUE(stream->Finish().ok());
    EXPECT_TRUE(bounds);
  }
  EXPECT_EQ(values, (std::map<int32_t, std::vector<double>>{{0, {999}}, {1, {20'000}}}));

  v1::QueryTableRequest table;
  table.set_selector("cpu");
  *table.mutable_start_time() = request.start_time();
  table.add_columns()->mutable_aggregate()->set_function(v1::AGGREGATE_FUNCTION_SUM);
  v1::QueryTableResponse rows;
  ASSERT_TRUE(query->QueryTable(server.Context().get(), table, &rows).ok());
  ASSERT_EQ(rows.rows_size(), 1);
  EXPECT_EQ(rows.rows(0).values(0), 20 * 499'500.0);

  v1::QueryHistogramRequest histogram;
  histogram.set_selector("cpu");
  *histogram.mutable_start_time() = request.start_time();
  histogram.mutable_step()->set_seconds(86'400 * 1'000);
  histogram.add_bounds(499);
  histogram.add_quantiles(0);
  const auto context = server.Context();
  const auto stream = query->QueryHistogram(context.get(), histogram);
  v1::QueryHistogramResponse chunk;
  int64_t low = 0, high = 0;
  while (stream->Read(&chunk)) {
    for (const v1::HistogramColumn& column : chunk.columns().columns()) {
      low += column.counts(0);
      high += column.counts(1);
      EXPECT_EQ(column.quantiles(0), 0);
    }
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(chunk.summary().sample_count(), 20'000);
  EXPECT_EQ(low, 10'000);
  EXPECT_EQ(high, 10'000);
}

TEST(QueryService, DryRunsTellTheCostAndNothingElse) {
  DataServer server;
  Fill(server, "cpu", 20'000);
  const auto query = server.query();
  v1::QueryRangeRequest range = Range("cpu");
  range.set_dry_run(true);
  for (const bool columns : {false, true}) {
    if (columns) range.mutable_step()->set_seconds(3'600);
    const auto context = server.Context();
    const auto stream = query->QueryRange(context.get(), range);
    v1::QueryRangeResponse chunk;
    ASSERT_TRUE(stream->Read(&chunk));
    EXPECT_EQ(chunk.estimate().series_count(), 1);
    EXPECT_NEAR(static_cast<double>(chunk.estimate().scanned_sample_count() + chunk.estimate().scanned_rollup_count()),
                columns ? 1'500 : 20'000, columns ? 20'000 : 200);
    EXPECT_GT(chunk.estimate().answer_bytes(), 0);
    ASSERT_TRUE(stream->Read(&chunk));
    EXPECT_TRUE(chunk.has_summary());
    EXPECT_FALSE(stream->Read(&chunk));
    EXPECT_TRUE(stream->Finish().ok());
  }
  v1::QueryExpressionRequest expression;
  expression.set_expression("sum(rate(cpu[5m])) + max(cpu)");
  expression.set_dry_run(true);
  const auto context = server.Context();
  const auto stream = query->QueryExpression(context.get(), expression);
  v1::QueryExpressionResponse chunk;
  ASSERT_TRUE(stream->Read(&chunk));
  EXPECT_EQ(chunk.estimate().series_count(), 2) << "of both selectors";
  EXPECT_GT(chunk.estimate().scanned_sample_count(), 30'000);
}

TEST(QueryService, AnswersBadRequestsWithTheirReason) {
  DataServer server;
  server.store().Series("cpu");
  const auto query = server.query();
  const auto range = [&](const v1::QueryRangeRequest& request, const std::string& token = "") {
    const auto context = server.Context(token);
    const auto stream = query->QueryRange(context.get(), request);
    v1::QueryRangeResponse chunk;
    while (stream->Read(&chunk)) {
    }
    return ReasonOf(stream->Finish());
  };
  EXPECT_EQ(range({}), ErrorReason::kBadField);
  v1::QueryRangeRequest request = Range("cpu");
  request.clear_start_time();
  EXPECT_EQ(range(request), ErrorReason::kBadField);
  request = Range("cpu");
  request.mutable_start_time()->set_seconds(-62'135'596'800);
  EXPECT_EQ(range(request), ErrorReason::kBadField);
  request = Range("cpu");
  request.mutable_end_time()->set_seconds(253'402'300'799);
  EXPECT_EQ(range(request), ErrorReason::kBadField);
  request = Range("cpu");
  request.mutable_end_time()->set_nanos(1'000'000'000);
  EXPECT_EQ(range(request), ErrorReason::kBadField);
  request = Range("cpu");
  std::swap(*request.mutable_start_time(), *request.mutable_end_time());
  EXPECT_EQ(range(request), ErrorReason::kBadField);
  EXPECT_EQ(range(Range("cpu", -1)), ErrorReason::kBadField);
  EXPECT_EQ(range(Range("cpu", std::numeric_limits<int32_t>::max())), ErrorReason::kBadField);
  EXPECT_EQ(range(Range("")), ErrorReason::kBadSelector);
  EXPECT_EQ(range(Range("{host=~\"a(\"}")), ErrorReason::kBadSelector);
  EXPECT_EQ(range(Range("cpu"), "nobody"), ErrorReason::kTokenInvalid);
  const std::string pusher = server.Token("pusher", Role::kIngest);
  EXPECT_EQ(range(Range("cpu"), pusher), ErrorReason::kRoleTooLow);

  v1::ListMetricsRequest metrics;
  v1::ListMetricsResponse metrics_page;
  metrics.set_page_size(-1);
  EXPECT_EQ(ReasonOf(query->ListMetrics(server.Context().get(), metrics, &metrics_page)), ErrorReason::kBadField);
  v1::ListSeriesRequest series;
  v1::ListSeriesResponse series_page;
  series.set_page_token("00");
  EXPECT_EQ(ReasonOf(query->ListSeries(server.Context().get(), series, &series_page)), ErrorReason::kBadPageToken);
  series.clear_page_token();
  EXPECT_EQ(ReasonOf(query->ListSeries(server.Context(pusher).get(), series, &series_page)), ErrorReason::kRoleTooLow);
  v1::ListLabelValuesResponse values;
  EXPECT_EQ(ReasonOf(query->ListLabelValues(server.Context().get(), {}, &values)), ErrorReason::kBadField);
  v1::QueryLatestResponse latest;
  EXPECT_EQ(ReasonOf(query->QueryLatest(server.Context().get(), {}, &latest)), ErrorReason::kBadSelector);
  EXPECT_TRUE(Eventually([&] { return server.engine().Stats().active == 0; }));
}

TEST(QueryService, HoldsOneChunkForASlowReaderAndFreesItsPlaceWhenItLeaves) {
  DataServer server;
  Fill(server, "cpu", 1'500'000);
  const auto query = server.query();
  auto context = server.Context();
  const auto stream = query->QueryRange(context.get(), Range("cpu"));
  v1::QueryRangeResponse chunk;
  ASSERT_TRUE(stream->Read(&chunk));
  EXPECT_TRUE(ComesToRest([&] { return server.engine().Stats().scanned_samples; }));
  EXPECT_EQ(server.engine().Stats().active, 1);
  context->TryCancel();
  while (stream->Read(&chunk)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server.engine().Stats().active == 0 && server.streams().size() == 0; }));
}

TEST(QueryService, EndsAReaderThatTakesTooLong) {
  DataServerOptions options;
  options.query.max_duration_ns = 300 * kNanosPerMilli;
  DataServer server(options);
  Fill(server, "cpu", 1'500'000);
  const auto query = server.query();
  const auto context = server.Context();
  const auto stream = query->QueryRange(context.get(), Range("cpu"));
  v1::QueryRangeResponse chunk;
  ASSERT_TRUE(stream->Read(&chunk));
  // Nothing is read: the server's look at the clock ends it, and gives the place back.
  EXPECT_TRUE(Eventually([&] { return server.engine().Stats().active == 0; }));
  while (stream->Read(&chunk)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

TEST(QueryService, SaysWhenItIsBusyAndWhenTooBroad) {
  DataServerOptions options;
  options.query.max_active = 1;
  options.query.max_series = 2;
  DataServer server(options);
  for (int i = 0; i < 3; ++i) server.store().Series("cpu", {{"i", std::to_string(i)}});
  const auto query = server.query();
  v1::QueryLatestRequest request;
  request.set_selector("cpu");
  v1::QueryLatestResponse response;
  const grpc::Status broad = query->QueryLatest(server.Context().get(), request, &response);
  EXPECT_EQ(ReasonOf(broad), ErrorReason::kQueryTooBroad);
  EXPECT_TRUE(Eventually([&] { return server.engine().Stats().active == 0; }));
  const auto place = server.engine().Admit(kDefaultTenant);
  const grpc::Status busy = query->QueryLatest(server.Context().get(), request, &response);
  EXPECT_EQ(ReasonOf(busy), ErrorReason::kQueryBusy);
  EXPECT_TRUE(GetErrorDetail(FromGrpcStatus(busy))->retry_after_ms.has_value());
}

TEST(QueryService, EvaluatesExpressions) {
  DataServer server;
  const int64_t now = Now();
  for (const char* host : {"a", "b"}) {
    const SeriesId id = server.store().Series("requests", {{"host", host}});
    server.store().Append({{id, now - 2 * kNanosPerSecond, 1}, {id, now - kNanosPerSecond, 4}});
  }
  const auto query = server.query();
  v1::QueryExpressionRequest request;
  request.set_expression("sum by (host) (increase(requests[1m])) * 2");
  request.mutable_end_time()->set_seconds(now / kNanosPerSecond);
  request.mutable_end_time()->set_nanos(static_cast<int32_t>(now % kNanosPerSecond));
  const auto context = server.Context();
  const auto reader = query->QueryExpression(context.get(), request);
  std::set<std::string> hosts;
  v1::QueryExpressionResponse response;
  bool summed_up = false;
  while (reader->Read(&response)) {
    ASSERT_FALSE(summed_up) << "the summary comes last";
    if (response.has_definition()) {
      EXPECT_EQ(response.definition().series().series_id(), 0);
      EXPECT_EQ(response.definition().series().metric(), "");
      hosts.insert(response.definition().series().labels(0).value());
    }
    for (const v1::SeriesColumns& column : response.samples().columns()) {
      EXPECT_EQ(column.first_time_unix_nanos(), now);
      ASSERT_EQ(column.values_size(), 1);
      EXPECT_EQ(column.values(0), 6);
    }
    if (!response.has_summary()) continue;
    summed_up = true;
    EXPECT_EQ(response.summary().series_count(), 2);
    EXPECT_EQ(response.summary().commit_sequence(), 2);
    EXPECT_EQ(response.summary().scanned_sample_count(), 4);
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(summed_up);
  EXPECT_EQ(hosts, (std::set<std::string>{"a", "b"}));

  request.set_expression("sum(requests");
  const auto second = server.Context();
  const auto refused = query->QueryExpression(second.get(), request);
  EXPECT_FALSE(refused->Read(&response));
  const grpc::Status status = refused->Finish();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadExpression);
  EXPECT_NE(status.error_message().find("column 13"), std::string::npos) << status.error_message();
}

}  // namespace
}  // namespace pulseboard
