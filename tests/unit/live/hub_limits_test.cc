// What the hub refuses, and how subscriptions end.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "server/live/resume_token.h"
#include "tests/support/eventually.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::ForwardingStore;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

SubscriptionSpec Spec(std::string selector, int64_t backfill_ns = 0) {
  SubscriptionSpec spec;
  spec.tenant = kDefaultTenant;
  spec.queries.push_back({"", std::move(selector), backfill_ns, 0});
  return spec;
}

class HubLimitsTest : public ::testing::Test {
 protected:
  HubLimitsTest() { hub_.Attach(*store_); }
  ~HubLimitsTest() override { hub_.Close(); }

  absl::Status SubscribeStatus(SubscriptionSpec spec) {
    return hub_.Subscribe(std::move(spec), std::weak_ptr<LiveSink>()).status();
  }

  static HubOptions Options() {
    HubOptions options;
    options.max_subscriptions = 3;
    options.max_series_per_subscription = 4;
    options.progress_interval_ns = 100 * kNanosPerMilli;
    return options;
  }

  Hub hub_{Options()};
  TestStore store_{&hub_};
};

TEST_F(HubLimitsTest, RefusesBadRequestsByField) {
  SubscriptionSpec none = Spec("cpu");
  none.queries.clear();
  SubscriptionSpec many = Spec("cpu");
  for (int i = 0; i < 64; ++i) many.queries.push_back({std::to_string(i), "cpu", 0, 0});
  SubscriptionSpec unnamed = Spec("cpu");
  unnamed.queries.push_back({"b", "cpu", 0, 0});
  SubscriptionSpec twice = Spec("cpu");
  twice.queries[0].query_id = "a";
  twice.queries.push_back({"a", "mem", 0, 0});
  SubscriptionSpec long_id = Spec("cpu");
  long_id.queries[0].query_id = std::string(65, 'x');
  SubscriptionSpec negative_points = Spec("cpu");
  negative_points.queries[0].max_points = -1;
  SubscriptionSpec many_points = Spec("cpu");
  many_points.queries[0].max_points = std::numeric_limits<int32_t>::max();
  const std::vector<std::pair<std::string, SubscriptionSpec>> cases = {
      {"queries", none},
      {"queries", many},
      {"queries[0].query_id", unnamed},
      {"queries[1].query_id", twice},
      {"queries[0].query_id", long_id},
      {"queries[0].backfill", Spec("cpu", -1)},
      {"queries[0].backfill", Spec("cpu", 401 * kNanosPerDay)},
      {"queries[0].backfill", Spec("cpu", std::numeric_limits<int64_t>::min())},
      {"queries[0].max_points", negative_points},
      {"queries[0].max_points", many_points},
  };
  for (const auto& [field, spec] : cases) {
    const absl::Status status = SubscribeStatus(spec);
    ASSERT_TRUE(HasReason(status, ErrorReason::kBadField)) << field << ": " << StatusMessage(status);
    EXPECT_EQ(GetErrorDetail(status)->field_violations.at(0).field, field);
  }
  for (const std::string& selector : {std::string(), std::string("{"), std::string("{a=~\"(\"}"),
                                      std::string("{a=\"\"}"), std::string(5'000, 'a'), std::string("cpu{a=\"\xff")}) {
    EXPECT_TRUE(HasReason(SubscribeStatus(Spec(selector)), ErrorReason::kBadSelector)) << selector.substr(0, 20);
  }
  EXPECT_EQ(hub_.Stats().subscriptions, 0);
}

TEST_F(HubLimitsTest, RefusesForgedForeignAndFutureTokens) {
  SubscriptionSpec spec = Spec("cpu");
  const uint64_t hash = HashLiveQueries(kDefaultTenant, spec.queries, {});
  const uint64_t epoch = store_->epoch();
  for (const std::string& token :
       {std::string("x"), std::string(1 << 16, 'x'), MakeResumeToken("another store", hash, {0, 0, epoch}),
        MakeResumeToken(store_->store_id(), hash + 1, {0, 0, epoch}),
        MakeResumeToken(store_->store_id(), hash, {-5, -5, epoch}),
        MakeResumeToken(store_->store_id(), hash, {5, 4, epoch})}) {
    spec.resume_token = token;
    EXPECT_TRUE(HasReason(SubscribeStatus(spec), ErrorReason::kBadResumeToken)) << token.size();
  }
  ViewerState ahead;
  ahead.token = MakeResumeToken(store_->store_id(), hash, {1'000, 1'000, epoch});
  const auto viewer = Viewer::Open(hub_, Spec("cpu"), ahead);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kBadResumeToken));
  spec.resume_token = MakeResumeToken(store_->store_id(), hash, {0, 0, epoch + 1});
  EXPECT_TRUE(HasReason(SubscribeStatus(spec), ErrorReason::kResumeTokenExpired)) << "of an opening that is not known";
}

TEST_F(HubLimitsTest, BoundsTheNumberOfSubscriptions) {
  std::vector<std::shared_ptr<Viewer>> viewers;
  for (int i = 0; i < 3; ++i) viewers.push_back(Viewer::Open(hub_, Spec("cpu")));
  const absl::Status status = SubscribeStatus(Spec("cpu"));
  EXPECT_TRUE(HasReason(status, ErrorReason::kTooManySubscriptions)) << StatusMessage(status);
  EXPECT_TRUE(GetErrorDetail(status)->retry_after_ms.has_value());
  viewers.pop_back();
  // A hub thread may hold the last one a moment longer.
  EXPECT_TRUE(Eventually([&] { return SubscribeStatus(Spec("cpu")).ok(); })) << "the place of a closed one is free";
}

TEST_F(HubLimitsTest, BoundsTheSeriesOfASubscriptionFromTheStart) {
  for (int i = 0; i < 5; ++i) store_.Series("cpu", {{"i", std::to_string(i)}});
  const auto viewer = Viewer::Open(hub_, Spec("cpu", kNanosPerDay));
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kQueryTooBroad)) << StatusMessage(*viewer->end());
  EXPECT_EQ(GetErrorDetail(*viewer->end())->metadata.at("limit"), "4");
  EXPECT_EQ(hub_.Stats().subscriptions, 0);
}

TEST_F(HubLimitsTest, BoundsTheSeriesOfASubscriptionAsTheyAppear) {
  const auto viewer = Viewer::Open(hub_, Spec("cpu"));
  ASSERT_TRUE(Eventually([&] { return viewer->story().starts_with("K"); }));
  for (int i = 0; i < 5; ++i) store_.Append({{store_.Series("cpu", {{"i", std::to_string(i)}}), 1, 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kQueryTooBroad));
  EXPECT_EQ(hub_.Stats().routed_series, 0) << "routes are gone with the subscription";
}

TEST_F(HubLimitsTest, EndsAReceiverThatTakesNothing) {
  HubOptions options = Options();
  options.max_stall_ns = 200 * kNanosPerMilli;
  Hub hub(options);
  TestStore store(&hub);
  hub.Attach(*store);
  store.Series("cpu");
  const auto viewer = Viewer::Open(hub, Spec("cpu"));
  ASSERT_TRUE(Eventually([&] { return viewer->story().starts_with("DK"); }));
  viewer->SetAutomatic(false);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kSlowConsumer)) << StatusMessage(*viewer->end());
  hub.Close();
}

TEST_F(HubLimitsTest, EndsABackfillThatIsNotTaken) {
  HubOptions options = Options();
  options.max_backfill_ns = 50 * kNanosPerMilli;
  ManualClock clock(SystemClock().NowUnixNanos());
  options.clock = &clock;
  Hub hub(options);
  TestStore store(&hub);
  hub.Attach(*store);
  const SeriesId cpu = store.Series("cpu");
  const int64_t now = clock.NowUnixNanos();
  for (int i = 0; i < 10; ++i) {
    std::vector<TestStore::Row> rows;
    for (int j = 0; j < 10'000; ++j) rows.push_back({cpu, now - i * 10'000 - j, 1});
    store.Append(rows);
  }
  SubscriptionSpec spec = Spec("cpu", kNanosPerDay);
  spec.max_buffer_bytes = kMinLiveBufferBytes;
  const auto viewer = Viewer::OpenHeld(hub, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "D"; }));
  ASSERT_TRUE(viewer->Take());
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DB"; })) << viewer->story();
  clock.Advance(options.max_backfill_ns + 1);
  viewer->SetAutomatic(true);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); })) << viewer->story();
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kSlowConsumer)) << StatusMessage(*viewer->end());
  hub.Close();
}

TEST_F(HubLimitsTest, BoundsTheSamplesReadForABackfill) {
  HubOptions options = Options();
  options.max_backfill_samples = 100;
  Hub hub(options);
  hub.Attach(*store_);
  const SeriesId cpu = store_.Series("cpu");
  std::vector<TestStore::Row> rows;
  for (int j = 0; j < 200; ++j) rows.push_back({cpu, SystemClock().NowUnixNanos() - j - 1, 1});
  store_.Append(rows);
  const auto viewer = Viewer::Open(hub, Spec("cpu", kNanosPerDay));
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kQueryTooBroad)) << StatusMessage(*viewer->end());
  hub.Close();
}

TEST_F(HubLimitsTest, BoundsWhatAllSubscriptionsHoldTogether) {
  HubOptions options = Options();
  options.max_total_buffer_bytes = 1 << 20;
  Hub hub(options);
  TestStore store(&hub);
  hub.Attach(*store);
  const SeriesId cpu = store.Series("cpu");
  SubscriptionSpec greedy = Spec("cpu");
  greedy.max_buffer_bytes = kMaxLiveBufferBytes;
  std::vector<std::shared_ptr<Viewer>> stuck;
  for (int i = 0; i < 2; ++i) {
    // Asking differently, so that they share no frames with others.
    greedy.queries[0].selector = "cpu{x!=\"" + std::to_string(i) + "\"}";
    stuck.push_back(Viewer::Open(hub, greedy));
  }
  greedy.queries[0].selector = "cpu";
  const auto awake = Viewer::Open(hub, greedy);
  for (const auto& viewer : stuck) {
    ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
    viewer->SetAutomatic(false);
  }
  ASSERT_TRUE(Eventually([&] { return awake->story() == "DK"; }));
  int64_t most = 0;
  int64_t time = 0;
  for (int commit = 0; commit < 60; ++commit) {  // 1.4 MB for each of them
    std::vector<TestStore::Row> rows;
    for (int i = 0; i < 1'000; ++i) rows.push_back({cpu, ++time, 1});
    ASSERT_GT(store.Append(rows), 0) << "commits wait for nobody";
    most = std::max(most, hub.Stats().buffered_bytes);
    ASSERT_TRUE(Eventually([&] { return awake->Has(cpu, time); }));
  }
  const int64_t one_commit_each = 3 * 1'000 * 32;
  EXPECT_LE(most, options.max_total_buffer_bytes + one_commit_each);
  EXPECT_GT(most, options.max_total_buffer_bytes / 2) << "the bound was never near";
  EXPECT_EQ(awake->state().gaps.size(), 0U) << "who takes what comes loses nothing";
  for (const auto& viewer : stuck) {
    viewer->SetAutomatic(true);
    ASSERT_TRUE(Eventually([&] { return viewer->Has(cpu, time); }));
    int64_t known = static_cast<int64_t>(viewer->state().samples[cpu].size());
    for (const LiveGap& gap : viewer->state().gaps) known += gap.dropped_sample_count;
    EXPECT_EQ(known, time) << "every sample came or is in a gap";
  }
  EXPECT_TRUE(Eventually([&] { return hub.Stats().buffered_bytes == 0; }));
  stuck[0]->SetAutomatic(false);
  store.Append({{cpu, ++time, 1}});
  hub.Close();
  EXPECT_EQ(hub.Stats().buffered_bytes, 0) << "an end gives back what was held";
}

TEST_F(HubLimitsTest, AnswersAtOnceThoughThereIsNothingToSay) {
  HubOptions options = Options();
  options.progress_interval_ns = 3'600 * kNanosPerSecond;
  Hub hub(options);
  hub.Attach(*store_);
  const auto first = Viewer::Open(hub, Spec("nothing.of.that.name"));
  ASSERT_TRUE(Eventually([&] { return first->story() == "K"; }));
  const ViewerState left = first->state();
  first->Close();
  const auto resumed = Viewer::Open(hub, Spec("nothing.of.that.name"), left);
  ASSERT_TRUE(Eventually([&] { return resumed->story() == "P"; })) << resumed->story();
  EXPECT_FALSE(resumed->state().token.empty());
  hub.Close();
}

TEST_F(HubLimitsTest, ForgetsASinkThatIsGone) {
  auto viewer = Viewer::Open(hub_, Spec("cpu"));
  EXPECT_EQ(hub_.Stats().subscriptions, 1);
  std::weak_ptr<Viewer> gone = viewer;
  viewer = nullptr;
  EXPECT_TRUE(Eventually([&] { return gone.expired() && hub_.Stats().subscriptions == 0; }));
}

// Fails where told to.
class SickStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(std::span<const SeriesId> series, TimeRange range,
                                                     const std::function<void(int64_t)>& at_cut) override {
    if (corrupt) return MakeError(ErrorReason::kBlockCorrupt, "block 7 fails its checksum");
    return ForwardingStore::OpenView(series, range, at_cut);
  }
  absl::Status ReadCommits(int64_t after, int64_t up_to,
                           const std::function<absl::Status(const CommittedBatch&)>& visit) override {
    if (log_is_gone) {
      return MakeError(ErrorReason::kResumeTokenExpired, "gone", {{"oldestCommitSequence", "99"}});
    }
    return ForwardingStore::ReadCommits(after, up_to, visit);
  }
  std::atomic<bool> corrupt{false};
  std::atomic<bool> log_is_gone{false};
};

TEST_F(HubLimitsTest, PassesTheStoresErrorsOn) {
  SickStore sick(*store_);
  Hub hub(Options());
  hub.Attach(sick);
  const SeriesId cpu = store_.Series("cpu");
  const auto first = Viewer::Open(hub, Spec("cpu", kNanosPerDay));
  ASSERT_TRUE(Eventually([&] { return !first->state().token.empty(); }));
  const ViewerState left = first->state();
  first->Close();
  store_.Append({{cpu, 1, 1}});
  sick.corrupt = true;
  sick.log_is_gone = true;
  const auto resumed = Viewer::Open(hub, Spec("cpu", kNanosPerDay), left);
  ASSERT_TRUE(Eventually([&] { return resumed->end().has_value(); }));
  // Without its log it is restated from the blocks, which are not readable either.
  EXPECT_TRUE(HasReason(*resumed->end(), ErrorReason::kBlockCorrupt));
  EXPECT_EQ(resumed->end()->code(), absl::StatusCode::kDataLoss);
  const auto anew = Viewer::Open(hub, Spec("cpu", kNanosPerDay));
  ASSERT_TRUE(Eventually([&] { return anew->end().has_value(); }));
  EXPECT_TRUE(HasReason(*anew->end(), ErrorReason::kBlockCorrupt));
  hub.Close();
}

TEST_F(HubLimitsTest, TakesNobodyAfterClosing) {
  const auto viewer = Viewer::Open(hub_, Spec("cpu"));
  hub_.Close();
  EXPECT_TRUE(HasReason(viewer->end().value_or(absl::OkStatus()), ErrorReason::kShuttingDown));
  EXPECT_TRUE(HasReason(SubscribeStatus(Spec("cpu")), ErrorReason::kShuttingDown));
  store_.Append({{store_.Series("cpu"), 1, 1}});  // commits go on
  hub_.Close();
}

}  // namespace
}  // namespace pulseboard
