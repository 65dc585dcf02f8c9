// Aggregated queries: live values are what the history query answers.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "server/query/query_engine.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/history.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::HistoryOf;
using testing::TestStore;
using testing::Viewer;

constexpr int64_t kStep = 10 * kNanosPerSecond;
constexpr int64_t kWindow = 60 * kStep;

int64_t Now() { return SystemClock().NowUnixNanos(); }

LiveQuerySpec Query(std::string id, std::string selector, AggregateKind kind, Grouping group = {}) {
  LiveQuerySpec query{std::move(id), std::move(selector), kWindow, 0};
  query.aggregate = LiveAggregate{kStep, {kind, kind == AggregateKind::kQuantile ? 0.9 : 0}, std::move(group)};
  return query;
}

class HubAggregatesTest : public ::testing::Test {
 protected:
  HubAggregatesTest() : hub_(Options()) {
    hub_.Attach(*store_);
    hub_.AttachQueries(queries_);
  }
  ~HubAggregatesTest() override { hub_.Close(); }

  static HubOptions Options() {
    HubOptions options;
    options.progress_interval_ns = 100 * kNanosPerMilli;
    return options;
  }
  static SubscriptionSpec Spec(std::vector<LiveQuerySpec> queries) {
    SubscriptionSpec spec;
    spec.tenant = kDefaultTenant;
    spec.queries = std::move(queries);
    spec.max_frames_per_second = 60;
    return spec;
  }
  // True once the viewer has what history says of each query.
  bool Agrees(const Viewer& viewer, const SubscriptionSpec& spec) {
    const auto state = viewer.state();
    return std::all_of(spec.queries.begin(), spec.queries.end(), [&](const LiveQuerySpec& query) {
      return testing::DifferenceOf(state, query, HistoryOf(queries_, query, Now())).empty();
    });
  }
  std::string Difference(const Viewer& viewer, const SubscriptionSpec& spec) {
    std::string out;
    for (const LiveQuerySpec& query : spec.queries) {
      out += testing::DifferenceOf(viewer.state(), query, HistoryOf(queries_, query, Now()));
    }
    if (viewer.end()) out += "ended: " + StatusMessage(*viewer.end());
    return out + " story " + viewer.story();
  }

  Hub hub_;
  TestStore store_{&hub_};
  QueryEngine queries_{*store_, SystemClock(), QueryOptions()};
};

TEST_F(HubAggregatesTest, EveryAggregateIsWhatTheHistoryQueryAnswers) {
  const Grouping sum{GroupFunction::kSum, 0, false, {"host"}};
  const Grouping p90{GroupFunction::kQuantile, 0.9, false, {}};
  std::vector<LiveQuerySpec> all;
  for (int kind = 0; kind < kAggregateKinds; ++kind) {
    const auto aggregate = static_cast<AggregateKind>(kind);
    all.push_back(Query("plain " + std::to_string(kind), "cpu", aggregate));
    all.push_back(Query("by host " + std::to_string(kind), "cpu", aggregate, sum));
    all.push_back(Query("all " + std::to_string(kind), "{__name__=~\"cpu|mem\"}", aggregate, p90));
  }
  const SubscriptionSpec spec = Spec(std::move(all));
  std::mt19937_64 random(1);
  const auto push = [&](int64_t time) {
    std::vector<TestStore::Row> rows;
    for (int i = 0; i < 6; ++i) {
      const Labels labels = {{"core", std::to_string(i)}, {"host", i % 2 == 0 ? "a" : "b"}};
      rows.push_back({store_.Series(i < 4 ? "cpu" : "mem", labels), time + i, static_cast<double>(random() % 1'000)});
    }
    ASSERT_GT(store_.Append(rows), 0);
  };
  for (int i = 0; i < 20; ++i) push(Now() - kWindow + i * 3 * kNanosPerSecond);
  const auto viewer = Viewer::Open(hub_, spec);
  for (int i = 0; i < 20; ++i) push(Now() - i * 5 * kNanosPerSecond);  // in order once, then late, into all columns
  EXPECT_TRUE(Eventually([&] { return Agrees(*viewer, spec); })) << Difference(*viewer, spec);
  push(Now());
  EXPECT_TRUE(Eventually([&] { return Agrees(*viewer, spec); })) << Difference(*viewer, spec);
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
  EXPECT_EQ(hub_.Stats().topics, 3) << "of the raw queries, there are none, and of each selector";
}

TEST_F(HubAggregatesTest, AValueIsSentAgainUntilItsColumnIsOver) {
  const SeriesId requests = store_.Series("requests", {{"host", "a"}});
  const SubscriptionSpec spec = Spec({Query("", "requests", AggregateKind::kSum)});
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  const int64_t column = (Now() / kStep - 1) * kStep;
  for (int i = 1; i <= 3; ++i) {
    store_.Append({{requests, column + i, 1}});
    ASSERT_TRUE(Eventually([&] {
      const auto state = viewer->state();
      const auto values = state.values.find({"", "requests{host=\"a\"}"});
      return values != state.values.end() && values->second.contains(column) && values->second.at(column) == i;
    })) << i
        << viewer->story();
  }
}

TEST_F(HubAggregatesTest, ALateSampleOfACounterChangesTheColumnAfterIt) {
  const SeriesId requests = store_.Series("requests", {});
  const int64_t column = (Now() / kStep - 6) * kStep;
  store_.Append({{requests, column - kStep, 100}, {requests, column + 3 * kStep, 190}});
  const SubscriptionSpec spec = Spec({Query("", "requests", AggregateKind::kIncrease)});
  const auto viewer = Viewer::Open(hub_, spec);
  const auto value = [&](int64_t at) {
    const auto state = viewer->state();
    const auto values = state.values.find({"", "requests"});
    return values == state.values.end() || !values->second.contains(at) ? -1 : values->second.at(at);
  };
  ASSERT_TRUE(Eventually([&] { return value(column + 3 * kStep) == 90; })) << viewer->story();
  store_.Append({{requests, column + 1, 130}});
  EXPECT_TRUE(Eventually([&] { return value(column) == 30 && value(column + 3 * kStep) == 60; })) << value(column);
}

TEST_F(HubAggregatesTest, SubscriptionsThatAskAlikeShareTheWork) {
  const SeriesId cpu = store_.Series("cpu", {{"host", "a"}});
  const SubscriptionSpec spec = Spec({Query("", "cpu", AggregateKind::kMax)});
  SubscriptionSpec other = Spec({Query("", "cpu", AggregateKind::kMax)});
  other.queries.front().backfill_ns = 0;
  const auto first = Viewer::Open(hub_, spec);
  const auto second = Viewer::Open(hub_, other);
  ASSERT_TRUE(Eventually([&] { return hub_.Stats().topics == 2; }));
  ASSERT_TRUE(Eventually([&] { return first->story().find('K') != std::string::npos; }));
  ASSERT_TRUE(Eventually([&] { return second->story().find('K') != std::string::npos; }));
  store_.Append({{cpu, Now(), 7}});
  EXPECT_TRUE(Eventually([&] { return Agrees(*first, spec); })) << Difference(*first, spec);
  EXPECT_TRUE(Eventually([&] { return second->state().values.size() == 1; })) << second->story();
  first->Close();
  second->Close();
  EXPECT_EQ(hub_.Stats().topics, 0);
}

TEST_F(HubAggregatesTest, ASlowViewerGetsTheNewestValueAndNoGap) {
  const SeriesId cpu = store_.Series("cpu", {});
  const SubscriptionSpec spec = Spec({Query("", "cpu", AggregateKind::kLast)});
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
  viewer->SetAutomatic(false);
  const int64_t column = (Now() / kStep - 40) * kStep;
  for (int i = 0; i < 400; ++i) store_.Append({{cpu, column + i * kStep / 10, static_cast<double>(i)}});
  viewer->SetAutomatic(true);
  EXPECT_TRUE(Eventually([&] { return Agrees(*viewer, spec); })) << Difference(*viewer, spec);
  EXPECT_TRUE(viewer->state().gaps.empty());
}

TEST_F(HubAggregatesTest, QueriesChangeOnARunningStream) {
  const SeriesId cpu = store_.Series("cpu", {{"host", "a"}});
  store_.Append({{cpu, Now() - kStep, 3}});
  const SubscriptionSpec before =
      Spec({Query("a", "cpu", AggregateKind::kMax), Query("b", "cpu", AggregateKind::kMin)});
  const auto viewer = Viewer::Open(hub_, before);
  ASSERT_TRUE(Eventually([&] { return Agrees(*viewer, before); })) << Difference(*viewer, before);
  const LiveQuerySpec added = Query("c", "cpu", AggregateKind::kCount);
  LiveQuerySpec raw{"d", "cpu", kWindow, 0};
  viewer->Update({1, {added, raw}, {"b"}});
  ASSERT_TRUE(Eventually([&] { return viewer->updates().size() == 1; }));
  EXPECT_TRUE(viewer->updates().front().status.ok());
  store_.Append({{cpu, Now(), 4}});
  const SubscriptionSpec after = Spec({Query("a", "cpu", AggregateKind::kMax), added});
  EXPECT_TRUE(Eventually([&] { return Agrees(*viewer, after); })) << Difference(*viewer, after);
  EXPECT_TRUE(Eventually([&] { return viewer->state().samples[cpu].size() == 2; }));
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
}

TEST_F(HubAggregatesTest, BadQuestionsAreRefused) {
  const auto refused = [&](const std::function<void(LiveQuerySpec*)>& change) {
    LiveQuerySpec query = Query("", "cpu", AggregateKind::kMax);
    change(&query);
    return HasReason(hub_.Subscribe(Spec({query}), {}).status(), ErrorReason::kBadField);
  };
  EXPECT_TRUE(refused([](LiveQuerySpec* query) { query->aggregate->step_ns = 1; }));
  EXPECT_TRUE(refused([](LiveQuerySpec* query) { query->aggregate->step_ns = -1; }));
  EXPECT_TRUE(refused([](LiveQuerySpec* query) { query->max_points = 100; }));
  EXPECT_TRUE(refused([](LiveQuerySpec* query) { query->aggregate->aggregate.quantile = 0.5; }));
  EXPECT_TRUE(refused([](LiveQuerySpec* query) {
    query->aggregate->group = {GroupFunction::kQuantile, 2, false, {}};
  }));
  EXPECT_TRUE(refused([](LiveQuerySpec* query) { query->backfill_ns = 399 * kNanosPerDay; }));
}

}  // namespace
}  // namespace pulseboard
