#include "server/query/query_engine.h"

#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <set>

#include "common/base/errors.h"
#include "server/query/range_cursor.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;

class QueryEngineTest : public ::testing::Test {
 protected:
  QueryEngineTest() {
    for (int i = 0; i < 25; ++i) {
      const std::string host = "h" + std::to_string(i);
      ids_.push_back(store_.Series("cpu", {{"host", host}, {"parity", i % 2 == 0 ? "even" : "odd"}}));
    }
    const SeriesKey disk{"disk", {{"host", "h0"}}};
    ids_.push_back(*store_->FindOrCreateSeries(kDefaultTenant, disk, {MetricKind::kCounter, "By", "Bytes."}, nullptr));
    store_.Series("secret", {{"host", "theirs"}}, 9);
  }

  QueryContext Context() const { return {kDefaultTenant, engine_.Deadline(std::nullopt), nullptr}; }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  QueryEngine engine_{*store_, clock_, QueryOptions{}};
  std::vector<SeriesId> ids_;
};

TEST_F(QueryEngineTest, ListsMetricsWithTheirMetadata) {
  const auto page = engine_.ListMetrics(Context(), {});
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->metrics.size(), 2U) << "another tenant's metric shows";
  EXPECT_EQ(page->metrics[0].name, "cpu");
  EXPECT_EQ(page->metrics[0].series_count, 25);
  EXPECT_EQ(page->metrics[1].name, "disk");
  EXPECT_EQ(page->metrics[1].metadata.kind, MetricKind::kCounter);
  EXPECT_EQ(page->metrics[1].metadata.unit, "By");
  EXPECT_TRUE(page->next_page_token.empty());
  EXPECT_EQ(engine_.ListMetrics(Context(), {"{parity=\"odd\"}", 0, ""})->metrics.at(0).series_count, 12);
}

TEST_F(QueryEngineTest, PagesThroughSeriesOnceEach) {
  std::vector<SeriesId> seen;
  PageRequest request{"", 7, ""};
  int pages = 0;
  do {
    const auto page = engine_.ListSeries(Context(), request);
    ASSERT_TRUE(page.ok()) << StatusMessage(page.status());
    for (const auto& info : page->series) seen.push_back(info->id);
    request.page_token = page->next_page_token;
    // What appears meanwhile does not disturb the pages before it.
    if (pages == 1) ids_.push_back(store_.Series("late"));
  } while (++pages < 10 && !request.page_token.empty());
  EXPECT_EQ(pages, 4);
  EXPECT_EQ(seen, ids_);
}

TEST_F(QueryEngineTest, PagesThroughMetricsAndLabelValues) {
  const auto first = engine_.ListMetrics(Context(), {"", 1, ""});
  ASSERT_EQ(first->metrics.size(), 1U);
  const auto second = engine_.ListMetrics(Context(), {"", 1, first->next_page_token});
  EXPECT_EQ(second->metrics.at(0).name, "disk");
  EXPECT_TRUE(second->next_page_token.empty());

  const auto parity = engine_.ListLabelValues(Context(), "parity", {});
  ASSERT_EQ(parity->values.size(), 2U) << "series without the label do not count";
  EXPECT_EQ(parity->values[0].value, "even");
  EXPECT_EQ(parity->values[0].series_count, 13);
  EXPECT_EQ(engine_.ListLabelValues(Context(), "__name__", {})->values.size(), 2U);
  std::set<std::string> hosts;
  PageRequest request{"cpu", 10, ""};
  do {
    const auto page = engine_.ListLabelValues(Context(), "host", request);
    for (const auto& value : page->values) hosts.insert(value.value);
    request.page_token = page->next_page_token;
  } while (!request.page_token.empty());
  EXPECT_EQ(hosts.size(), 25U);
}

TEST_F(QueryEngineTest, CountsSeriesWithinItsLimits) {
  const auto report = engine_.GetCardinality(Context(), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->total.series, 0);
  EXPECT_EQ(report->total.series, report->total.created_last_hour) << "the store is new";
  EXPECT_EQ(engine_.GetCardinality(Context(), {"", CardinalityOrder::kSeries, 1})->metrics.size(), 1U);
  EXPECT_TRUE(engine_.GetCardinality(Context(), {"", CardinalityOrder::kSeries, 1 << 30}).ok());
  EXPECT_TRUE(HasReason(engine_.GetCardinality(Context(), {"", CardinalityOrder::kSeries, -1}).status(),
                        ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(engine_.GetCardinality(Context(), {"m{", CardinalityOrder::kSeries, 1}).status(),
                        ErrorReason::kBadSelector));
}

TEST_F(QueryEngineTest, EndsAPageOfWideSeriesEarly) {
  const std::string value(1'000, 'v');
  for (int i = 0; i < 60; ++i) {
    std::vector<Label> labels;
    for (int j = 0; j < 64; ++j) labels.push_back({"l" + std::to_string(j), value + std::to_string(i)});
    store_.Series("wide", Labels(labels));
  }
  const auto page = engine_.ListSeries(Context(), {"wide", 0, ""});
  EXPECT_LT(page->series.size(), 60U);
  ASSERT_FALSE(page->next_page_token.empty());
  EXPECT_EQ(page->series.size() + engine_.ListSeries(Context(), {"wide", 0, page->next_page_token})->series.size(),
            60U);
}

TEST_F(QueryEngineTest, RefusesBadRequests) {
  const std::string token = engine_.ListSeries(Context(), {"", 7, ""})->next_page_token;
  EXPECT_TRUE(HasReason(engine_.ListSeries(Context(), {"", -1, ""}).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(engine_.ListMetrics(Context(), {"", -5, ""}).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(engine_.ListSeries(Context(), {"{", 7, ""}).status(), ErrorReason::kBadSelector));
  EXPECT_TRUE(HasReason(engine_.ListSeries(Context(), {"cpu", 7, token}).status(), ErrorReason::kBadPageToken));
  EXPECT_TRUE(HasReason(engine_.ListSeries(Context(), {"", 8, token}).status(), ErrorReason::kBadPageToken));
  EXPECT_TRUE(HasReason(engine_.ListMetrics(Context(), {"", 7, token}).status(), ErrorReason::kBadPageToken));
  QueryContext other = Context();
  other.tenant = 9;
  EXPECT_TRUE(HasReason(engine_.ListSeries(other, {"", 7, token}).status(), ErrorReason::kBadPageToken));
  for (const std::string& label : {std::string(), std::string("__x"), std::string("a b"), std::string(200, 'l')}) {
    EXPECT_TRUE(HasReason(engine_.ListLabelValues(Context(), label, {}).status(), ErrorReason::kBadField)) << label;
  }
  EXPECT_TRUE(HasReason(engine_.QueryLatest(Context(), "").status(), ErrorReason::kBadSelector));
  EXPECT_TRUE(HasReason(engine_.QueryLatest(Context(), "cpu{host=~\"[\"}").status(), ErrorReason::kBadSelector));
}

TEST_F(QueryEngineTest, CoercesLargePages) {
  EXPECT_EQ(engine_.ListSeries(Context(), {"", std::numeric_limits<int32_t>::max(), ""})->series.size(), 26U);
}

TEST_F(QueryEngineTest, AnswersTheNewestSamples) {
  const int64_t commit = store_.Append({{ids_[1], kNow, 2}, {ids_[0], kNow - 5, 1}, {ids_[1], kNow - 9, 9}});
  const auto latest = engine_.QueryLatest(Context(), "cpu");
  ASSERT_TRUE(latest.ok());
  ASSERT_EQ(latest->samples.size(), 2U) << "series without samples are left out";
  EXPECT_EQ(latest->samples[0].series->id, ids_[0]);
  EXPECT_EQ(latest->samples[1].sample.time_unix_nanos, kNow);
  EXPECT_EQ(latest->samples[1].sample.value, 2);
  EXPECT_EQ(latest->commit_sequence, commit);
}

TEST_F(QueryEngineTest, RefusesTooManySeriesNamingTheNumbers) {
  QueryOptions options;
  options.max_series = 20;
  QueryEngine strict(*store_, clock_, options);
  const absl::Status latest = strict.QueryLatest(Context(), "cpu").status();
  const absl::Status range = strict.OpenRange(Context(), {"cpu", {0, kNow}, 0}).status();
  for (const absl::Status& status : {latest, range}) {
    ASSERT_TRUE(HasReason(status, ErrorReason::kQueryTooBroad)) << StatusMessage(status);
    EXPECT_EQ(GetErrorDetail(status)->metadata.at("seriesCount"), "25");
    EXPECT_EQ(GetErrorDetail(status)->metadata.at("limit"), "20");
  }
  EXPECT_TRUE(strict.QueryLatest(Context(), "disk").ok());
}

TEST_F(QueryEngineTest, StopsWhenCancelledOrOutOfTime) {
  auto cancellation = std::make_shared<Cancellation>();
  QueryContext context = Context();
  context.cancellation = cancellation;
  EXPECT_TRUE(engine_.ListSeries(context, {}).ok());
  cancellation->Cancel();
  EXPECT_EQ(engine_.ListSeries(context, {}).status().code(), absl::StatusCode::kCancelled);
  QueryContext late = Context();
  clock_.Advance(QueryOptions{}.max_duration_ns);
  EXPECT_TRUE(HasReason(engine_.QueryLatest(late, "cpu").status(), ErrorReason::kQueryTooBroad));
  EXPECT_EQ(engine_.Deadline(5), clock_.MonotonicNanos() + 5) << "the caller's own deadline when it is sooner";
}

TEST_F(QueryEngineTest, AnswersHereWhatIsCheapAndInMemory) {
  for (const SeriesId id : ids_) store_.Append({{id, kNow - kNanosPerSecond, static_cast<double>(id)}});
  const auto ticket = engine_.Admit(kDefaultTenant);
  ASSERT_TRUE(ticket.ok());
  const auto latest = [&](QueryEngine::Ticket& of, const std::string& selector) {
    size_t found = 0;
    const bool answered = of.TryHere([&](QueryHere* here) {
      QueryContext context = Context();
      context.here = here;
      const auto answer = engine_.QueryLatest(context, selector);
      if (answer.ok()) found = answer->samples.size();
      return true;
    });
    return answered ? static_cast<int>(found) : -1;
  };
  EXPECT_EQ(latest(**ticket, "cpu{host=\"h1\"}"), 1);
  EXPECT_EQ(latest(**ticket, "cpu{host=~\"h1|h2|none\"}"), 2);
  EXPECT_EQ(latest(**ticket, "cpu"), 25);
  EXPECT_EQ(latest(**ticket, "cpu{"), 0) << "what is wrong is told at once";
  EXPECT_EQ(latest(**ticket, "cpu{host=~\"h.\"}"), -1) << "an expression has to be tried on all values";
  EXPECT_EQ(latest(**ticket, "cpu{host!=\"h1\"}"), -1);
  for (int i = 0; i < 20; ++i) store_.Series("cpu", {{"host", "more" + std::to_string(i)}});
  EXPECT_EQ(latest(**ticket, "cpu"), -1) << "too many";
  EXPECT_EQ(engine_.Stats().answered_here, 4);
  QueryOptions options;
  options.here_samples = 0;
  QueryEngine never(*store_, clock_, options);
  const auto other = never.Admit(kDefaultTenant);
  EXPECT_EQ(latest(**other, "cpu{host=\"h1\"}"), -1);
}

TEST_F(QueryEngineTest, ReadsRangesHereAsOnThePool) {
  std::vector<TestStore::Row> rows;
  for (int i = 0; i < 3'000; ++i) rows.push_back({ids_[3], kNow - (3'000 - i) * kNanosPerSecond, i * 0.1});
  store_.Append(rows);
  const RangeRequest request = {"cpu{host=\"h3\"}", {kNow - 2'000 * kNanosPerSecond, kNow}, 0};
  const auto ticket = engine_.Admit(kDefaultTenant);
  RangeChunk chunk;
  ASSERT_TRUE((*ticket)->TryHere([&](QueryHere* here) {
    QueryContext context = Context();
    context.here = here;
    auto cursor = engine_.OpenRange(context, request);
    if (!cursor.ok()) return false;
    auto next = (*cursor)->Next();
    if (next.ok()) chunk = *std::move(next);
    return true;
  }));
  const auto want = (*engine_.OpenRange(Context(), request))->Next();
  ASSERT_TRUE(want.ok() && chunk.columns.size() == 1 && chunk.summary);
  EXPECT_EQ(chunk.columns[0].samples.times, want->columns[0].samples.times);
  EXPECT_EQ(chunk.columns[0].samples.values, want->columns[0].samples.values);
  // Out of time: given up, not refused.
  EXPECT_FALSE((*ticket)->TryHere([&](QueryHere* here) {
    QueryContext context = Context();
    context.here = here;
    clock_.Advance(kNanosPerMilli);
    return engine_.OpenRange(context, request).ok();
  }));
}

TEST_F(QueryEngineTest, AdmitsSoManyAndTellsTheOthersWhenToComeBack) {
  QueryOptions options;
  options.max_active = 2;
  options.threads = 1;
  QueryEngine small(*store_, clock_, options);
  auto first = small.Admit(kDefaultTenant);
  auto second = small.Admit(kDefaultTenant);
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status busy = small.Admit(kDefaultTenant).status();
  EXPECT_TRUE(HasReason(busy, ErrorReason::kQueryBusy));
  EXPECT_EQ(GetErrorDetail(busy)->retry_after_ms, options.busy_retry_ms);
  // Both have room on the pool, even while its one thread is taken.
  std::promise<void> go;
  std::promise<void> done;
  ASSERT_TRUE((*first)->Run([&] { go.get_future().wait(); }));
  ASSERT_TRUE((*second)->Run([&] { done.set_value(); }));
  go.set_value();
  done.get_future().wait();
  *first = nullptr;
  EXPECT_TRUE(small.Admit(kDefaultTenant).ok());
  EXPECT_EQ(small.Stats().refused_busy, 1);
  small.Stop();
  EXPECT_FALSE((*second)->Run([] {}));
}

TEST_F(QueryEngineTest, BoundsWhatTheCallsOfATenantUseTogether) {
  const SeriesId id = store_.Series("bounded");
  store_.Append({{id, kNow - 3, 1}, {id, kNow - 2, 2}, {id, kNow - 1, 3}});
  const auto cursor = engine_.OpenRange(Context(), {"bounded", {0, kNow}, 0});
  ASSERT_TRUE(cursor.ok() && (*cursor)->Next().ok());
  QueryOptions options;
  options.max_tenant_active = 2;
  options.max_tenant_samples = 2 * engine_.Stats().scanned_samples - 1;  // one such read and not two
  options.max_answer_bytes = 100;
  QueryEngine engine(*store_, clock_, options);
  const auto first = engine.Admit(kDefaultTenant);
  auto second = engine.Admit(kDefaultTenant);
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status busy = engine.Admit(kDefaultTenant).status();
  EXPECT_TRUE(HasReason(busy, ErrorReason::kQueryBusy));
  EXPECT_EQ(GetErrorDetail(busy)->metadata.at("setting"), "query.max_tenant_active");
  EXPECT_TRUE(GetErrorDetail(busy)->retry_after_ms.has_value());
  EXPECT_TRUE(engine.Admit(kSystemTenant).ok()) << "another tenant has its own";

  const auto read = [&](const QueryEngine::Ticket& ticket) {
    const QueryContext context{kDefaultTenant, engine.Deadline(std::nullopt), nullptr, ticket.usage()};
    const auto reading = engine.OpenRange(context, {"bounded", {0, kNow}, 0});
    return reading.ok() ? (*reading)->Next().status() : reading.status();
  };
  EXPECT_TRUE(read(**first).ok());
  const absl::Status too_much = read(**second);
  EXPECT_TRUE(HasReason(too_much, ErrorReason::kQueryBusy)) << StatusMessage(too_much);
  EXPECT_EQ(GetErrorDetail(too_much)->metadata.at("setting"), "query.max_tenant_samples");
  second = absl::CancelledError("gone");
  const auto third = engine.Admit(kDefaultTenant);
  ASSERT_TRUE(third.ok()) << "a place is free again";
  const QueryContext context{kDefaultTenant, 0, nullptr, (*third)->usage()};
  EXPECT_TRUE(engine.Charge(context, UsageKind::kAnswerBytes, 100).ok());
  EXPECT_TRUE(HasReason(engine.Charge(context, UsageKind::kAnswerBytes, 1), ErrorReason::kQueryTooBroad));
}

TEST_F(QueryEngineTest, BoundsTheTimeThatTheCallsOfATenantTakePerMinute) {
  QueryOptions options;
  options.max_tenant_time_ns = 6 * kNanosPerSecond;
  QueryEngine engine(*store_, clock_, options);
  const auto ticket = engine.Admit(kDefaultTenant);
  ASSERT_TRUE(ticket.ok() && (*ticket)->Run([this] { clock_.Advance(7 * kNanosPerSecond); }));
  engine.Stop();  // after that the work is counted
  const absl::Status busy = engine.Admit(kDefaultTenant).status();
  EXPECT_TRUE(HasReason(busy, ErrorReason::kQueryBusy)) << StatusMessage(busy);
  EXPECT_EQ(GetErrorDetail(busy)->metadata.at("setting"), "query.max_tenant_time");
  // A second too much; six come back in a minute.
  const int64_t wait_ms = GetErrorDetail(busy)->retry_after_ms.value_or(0);
  EXPECT_EQ(wait_ms, 10'000);
  EXPECT_EQ(engine.Stats().refused_busy, 1);
  EXPECT_TRUE(engine.Admit(kSystemTenant).ok()) << "another tenant has its own";
  clock_.Advance((wait_ms - 1) * kNanosPerMilli);
  EXPECT_FALSE(engine.Admit(kDefaultTenant).ok());
  clock_.Advance(2 * kNanosPerMilli);
  EXPECT_TRUE(engine.Admit(kDefaultTenant).ok()) << "when it said";
}

}  // namespace
}  // namespace pulseboard
