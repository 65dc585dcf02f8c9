// What a subscription delivers, and in which order.
#include "server/live/hub.h"

#include <gtest/gtest.h>

#include <variant>

#include "common/base/errors.h"
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

int64_t Now() { return SystemClock().NowUnixNanos(); }

SubscriptionSpec Spec(std::string selector, int64_t backfill_ns = 0, int32_t max_points = 0) {
  SubscriptionSpec spec;
  spec.tenant = kDefaultTenant;
  spec.queries.push_back({"", std::move(selector), backfill_ns, max_points});
  spec.max_frames_per_second = 60;
  return spec;
}

class HubTest : public ::testing::Test {
 protected:
  explicit HubTest(int64_t progress_interval_ns = 100 * kNanosPerMilli) : hub_(Options(progress_interval_ns)) {
    hub_.Attach(*store_);
  }
  ~HubTest() override { hub_.Close(); }

  static HubOptions Options(int64_t progress_interval_ns = 100 * kNanosPerMilli) {
    HubOptions options;
    options.progress_interval_ns = progress_interval_ns;
    return options;
  }

  Hub hub_;
  TestStore store_{&hub_};
};

// Without heartbeats, for tests that look at every event.
class QuietHubTest : public HubTest {
 protected:
  QuietHubTest() : HubTest(3'600 * kNanosPerSecond) {}
};

TEST_F(HubTest, SendsDefinitionsThenLiveSamples) {
  const SeriesId cpu = store_.Series("cpu", {{"host", "a"}});
  const auto viewer = Viewer::Open(hub_, Spec("cpu"));
  ASSERT_TRUE(Eventually([&] { return viewer->story().starts_with("DK"); })) << viewer->story();
  const int64_t time = Now();
  const int64_t commit = store_.Append({{cpu, time, 1.5}});
  ASSERT_TRUE(Eventually([&] { return viewer->Has(cpu, time); }));
  const auto event = viewer->events()[2];
  EXPECT_EQ(std::get<LiveSamples>(event.what).times().pushed_unix_nanos, 1);
  EXPECT_EQ(std::get<LiveSamples>(event.what).times().received_unix_nanos, 2);
  EXPECT_GT(std::get<LiveSamples>(event.what).times().committed_unix_nanos, 2);
  EXPECT_EQ(viewer->definitions().at(cpu).series->key.Format(), "cpu{host=\"a\"}");
  EXPECT_TRUE(viewer->definitions().at(cpu).query_ids.empty()) << "a single query needs no name";
  // The heartbeat says how far it got.
  ASSERT_TRUE(Eventually([&] { return viewer->state().commit_sequence == commit; }));
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
}

TEST_F(QuietHubTest, LetsNewSeriesAppearByThemselves) {
  const auto viewer = Viewer::Open(hub_, Spec("{host=~\"a.*\"}"));
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "K"; }));
  const SeriesId wanted = store_.Series("cpu", {{"host", "ab"}});
  const SeriesId other = store_.Series("cpu", {{"host", "b"}});
  store_.Append({{other, Now(), 1}, {wanted, Now(), 2}});
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples.size() == 1; }));
  EXPECT_TRUE(viewer->state().samples.contains(wanted));
  EXPECT_EQ(viewer->story().substr(0, 3), "KDS");
}

TEST_F(HubTest, NamesTheQueriesThatPickASeries) {
  const SeriesId both = store_.Series("cpu", {{"host", "a"}});
  const SeriesId one = store_.Series("cpu", {{"host", "b"}});
  SubscriptionSpec spec = Spec("cpu");
  spec.queries[0].query_id = "all";
  spec.queries.push_back({"a", "{host=\"a\"}", 0, 0});
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->definitions().size() == 2; }));
  EXPECT_EQ(viewer->definitions().at(both).query_ids, (std::vector<std::string>{"all", "a"}));
  EXPECT_EQ(viewer->definitions().at(one).query_ids, (std::vector<std::string>{"all"}));
  const SeriesId later = store_.Series("mem", {{"host", "a"}});
  store_.Append({{later, Now(), 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->definitions().contains(later); }));
  EXPECT_EQ(viewer->definitions().at(later).query_ids, (std::vector<std::string>{"a"}));
}

TEST_F(HubTest, KeepsTenantsApart) {
  const SeriesId theirs = store_.Series("cpu", {}, 9);
  const SeriesId ours = store_.Series("cpu");
  const auto viewer = Viewer::Open(hub_, Spec("cpu", kNanosPerDay));
  store_.Append({{theirs, Now(), 1}}, 9);
  store_.Append({{ours, Now(), 1}});
  const SeriesId their_new = store_.Series("cpu", {{"new", "1"}}, 9);
  store_.Append({{their_new, Now(), 1}}, 9);
  ASSERT_TRUE(
      Eventually([&] { return viewer->state().samples.contains(ours) && viewer->state().commit_sequence == 3; }));
  EXPECT_EQ(viewer->definitions().size(), 1U);
}

TEST_F(HubTest, SendsBackfillThenLiveWithoutHoleOrDouble) {
  const SeriesId cpu = store_.Series("cpu");
  const int64_t start = Now() - 3'000 * kNanosPerSecond;
  for (int i = 0; i < 30; ++i) {
    std::vector<TestStore::Row> rows;
    for (int j = 0; j < 1'000; ++j) rows.push_back({cpu, start + (i * 1'000 + j) * 100 * kNanosPerMilli, i + j / 1e4});
    store_.Append(rows);
  }
  const SeriesId silent = store_.Series("cpu", {{"silent", "yes"}});
  const auto viewer = Viewer::Open(hub_, Spec("cpu", 3'600 * kNanosPerSecond));
  for (int i = 0; i < 100; ++i) store_.Append({{cpu, start + (30'000 + i) * 100 * kNanosPerMilli, -1.0 * i}});
  ASSERT_TRUE(Eventually([&] { return viewer->state().commit_sequence == 130; })) << viewer->story();
  const SampleColumns all = store_.Read(cpu);
  const auto seen = viewer->state().samples[cpu];
  ASSERT_EQ(seen.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(seen.at(all.times[i]), all.values[i]);
  EXPECT_TRUE(viewer->definitions().contains(silent));
  EXPECT_TRUE(viewer->state().gaps.empty());
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
}

TEST_F(QuietHubTest, CutsTheBackfillByTimeAndTheLongestQueryWins) {
  const SeriesId cpu = store_.Series("cpu");
  const int64_t now = Now();
  for (int hours = 10; hours > 0; --hours) store_.Append({{cpu, now - hours * 3'600 * kNanosPerSecond, 1.0 * hours}});
  SubscriptionSpec spec = Spec("cpu", 2 * 3'600 * kNanosPerSecond + kNanosPerSecond * 60);
  spec.queries[0].query_id = "short";
  const auto short_viewer = Viewer::Open(hub_, spec);
  spec.queries.push_back({"long", "{__name__=\"cpu\"}", 5 * 3'600 * kNanosPerSecond + kNanosPerSecond * 60, 0});
  const auto long_viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return long_viewer->story() == "DBK" && short_viewer->story() == "DBK"; }));
  EXPECT_EQ(short_viewer->state().samples[cpu].size(), 2U);
  EXPECT_EQ(long_viewer->state().samples[cpu].size(), 5U);
}

TEST_F(QuietHubTest, ReducesTheBackfillToPixelColumns) {
  const SeriesId cpu = store_.Series("cpu");
  const int64_t now = Now();
  std::vector<TestStore::Row> rows;
  for (int i = 0; i < 20'000; ++i)
    rows.push_back({cpu, now - (20'000 - i) * 100 * kNanosPerMilli, i == 7'777 ? 1e6 : i % 10});
  store_.Append(rows);
  const auto viewer = Viewer::Open(hub_, Spec("cpu", 3'600 * kNanosPerSecond, 100));
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBK"; }));
  const auto seen = viewer->state().samples[cpu];
  EXPECT_LE(seen.size(), 404U);
  EXPECT_GT(seen.size(), 100U);
  EXPECT_EQ(seen.at(rows[7'777].time), 1e6) << "the peak is gone";
}

TEST_F(HubTest, ResumesRightAfterTheTokenWithoutBackfill) {
  const SeriesId cpu = store_.Series("cpu");
  const int64_t now = Now();
  store_.Append({{cpu, now, 1}});
  const SubscriptionSpec spec = Spec("cpu", kNanosPerDay);
  auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[cpu].size() == 1; }));
  ASSERT_TRUE(Eventually([&] { return !viewer->state().token.empty(); }));
  ViewerState left = viewer->state();
  viewer->Close();
  store_.Append({{cpu, now + 1, 2}});
  const SeriesId born_meanwhile = store_.Series("cpu", {{"host", "new"}});
  store_.Append({{born_meanwhile, now + 2, 3}});
  store_.Append({{cpu, now, 4}});  // replaces
  viewer = Viewer::Open(hub_, spec, left);
  ASSERT_TRUE(Eventually([&] { return viewer->state().commit_sequence == 4; })) << viewer->story();
  EXPECT_EQ(viewer->state().samples[cpu], (std::map<int64_t, double>{{now, 4}, {now + 1, 2}}));
  EXPECT_EQ(viewer->state().samples[born_meanwhile].size(), 1U);
  EXPECT_EQ(viewer->story().find_first_of("BK"), std::string::npos) << viewer->story();
}

TEST_F(HubTest, PacesFramesButNotTheFirstAfterIdle) {
  ManualClock clock(Now());
  HubOptions options;
  options.clock = &clock;
  Hub hub(options);
  TestStore store(&hub, clock);
  hub.Attach(*store);
  const SeriesId cpu = store.Series("cpu");
  SubscriptionSpec spec = Spec("cpu");
  spec.max_frames_per_second = 10;
  const auto viewer = Viewer::Open(hub, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
  store.Append({{cpu, 1, 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DKS"; })) << "the first goes at once";
  store.Append({{cpu, 2, 1}});
  store.Append({{cpu, 3, 1}});
  clock.Advance(99 * kNanosPerMilli);
  store.Append({{cpu, 4, 1}});
  EXPECT_EQ(viewer->story(), "DKS") << "the clock stands: a second frame is too early";
  clock.Advance(kNanosPerMilli);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DKSS"; }));
  EXPECT_EQ(viewer->state().samples[cpu].size(), 4U) << "the samples in between are in one frame";
  hub.Close();
}

TEST_F(QuietHubTest, TellsASlowViewerOfTheGapAndKeepsTheNewest) {
  const SeriesId cpu = store_.Series("cpu");
  SubscriptionSpec spec = Spec("cpu");
  spec.max_buffer_bytes = 1;  // coerced to 64 KiB
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
  viewer->SetAutomatic(false);
  store_.Append({{cpu, 1, 0}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DKS"; }));
  int64_t time = 1;
  for (int i = 0; i < 20; ++i) {
    std::vector<TestStore::Row> rows;
    for (int j = 0; j < 500; ++j) rows.push_back({cpu, ++time, 1.0 * static_cast<double>(time)});
    store_.Append(rows);
  }
  viewer->SetAutomatic(true);
  ASSERT_TRUE(Eventually([&] { return viewer->Has(cpu, time); }));
  const ViewerState state = viewer->state();
  ASSERT_EQ(state.gaps.size(), 1U) << viewer->story();
  const int64_t kept = static_cast<int64_t>(state.samples.at(cpu).size());
  EXPECT_EQ(kept + state.gaps[0].dropped_sample_count, 10'001);
  EXPECT_GT(kept, 2'000) << "64 KiB hold more";
  for (const auto& [t, value] : state.samples.at(cpu)) {
    EXPECT_TRUE(t == 1 || t > state.gaps[0].end_time_unix_nanos);
  }
  EXPECT_EQ(hub_.Stats().dropped_samples, state.gaps[0].dropped_sample_count);
}

TEST_F(HubTest, ReadsTheLogForWhatDidNotFitDuringASlowBackfill) {
  const SeriesId cpu = store_.Series("cpu");
  const int64_t start = Now() - 1'000 * kNanosPerSecond;
  int64_t time = start;
  const auto push = [&](int rows_per_batch) {
    std::vector<TestStore::Row> rows;
    for (int j = 0; j < rows_per_batch; ++j) rows.push_back({cpu, ++time, static_cast<double>(time % 1'000)});
    store_.Append(rows);
  };
  for (int i = 0; i < 20; ++i) push(1'000);
  SubscriptionSpec spec = Spec("cpu", 2'000 * kNanosPerSecond);
  spec.max_buffer_bytes = kMinLiveBufferBytes;
  const auto viewer = Viewer::OpenHeld(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->Take(); }));
  // Its view is open once some of the backfill is there.
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DB"; }));
  for (int i = 0; i < 20; ++i) push(1'000);  // far more than the buffer
  viewer->SetAutomatic(true);
  ASSERT_TRUE(Eventually([&] { return viewer->state().commit_sequence == 40; })) << viewer->story();
  EXPECT_EQ(viewer->state().samples[cpu].size(), 40'000U);
  EXPECT_TRUE(viewer->state().gaps.empty()) << "nothing needed to be dropped";
  EXPECT_GE(hub_.Stats().catch_ups, 1);
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
}

TEST_F(QuietHubTest, SendsWhatIsPendingAndAPositionBeforeADrainedStreamEnds) {
  const SeriesId cpu = store_.Series("cpu");
  const SubscriptionSpec spec = Spec("cpu");
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
  viewer->SetAutomatic(false);
  store_.Append({{cpu, 1, 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->story().ends_with('S'); }));
  store_.Append({{cpu, 2, 1}});
  viewer->Drain(MakeError(ErrorReason::kShuttingDown, "bye"));
  viewer->SetAutomatic(true);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); }));
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kShuttingDown));
  EXPECT_EQ(viewer->state().samples[cpu].size(), 2U);
  EXPECT_EQ(viewer->state().commit_sequence, 2);
  EXPECT_TRUE(viewer->story().ends_with("SP")) << viewer->story();
  EXPECT_EQ(hub_.Stats().subscriptions, 0);
}

TEST_F(HubTest, EndsAnOldStreamWithATokenToGoOnFrom) {
  ManualClock clock(Now());
  HubOptions options;
  options.clock = &clock;
  options.max_stream_age_ns = 1'000 * kNanosPerSecond;
  options.max_stall_ns = 1'000'000 * kNanosPerSecond;  // the clock leaps
  Hub hub(options);
  TestStore store(&hub, clock);
  hub.Attach(*store);
  const SeriesId cpu = store.Series("cpu");
  const auto viewer = Viewer::Open(hub, Spec("cpu"));
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
  clock.Advance(899 * kNanosPerSecond);
  store.Append({{cpu, 1, 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->story().find('S') != std::string::npos; }));
  EXPECT_FALSE(viewer->end().has_value());
  clock.Advance(202 * kNanosPerSecond);
  ASSERT_TRUE(Eventually([&] { return viewer->end().has_value(); })) << viewer->story();
  EXPECT_TRUE(viewer->end()->ok()) << StatusMessage(*viewer->end());
  EXPECT_EQ(viewer->state().commit_sequence, 1);
  store.Append({{cpu, 2, 2}});
  const auto again = Viewer::Open(hub, Spec("cpu"), viewer->state());
  ASSERT_TRUE(Eventually([&] { return again->state().samples[cpu].size() == 2; })) << again->story();
  hub.Close();
}

TEST_F(HubTest, GoesOnAfterARestartOfTheServer) {
  const SeriesId cpu = store_.Series("cpu");
  store_.Append({{cpu, 1, 1}});
  const auto viewer = Viewer::Open(hub_, Spec("cpu", kNanosPerDay));
  ASSERT_TRUE(Eventually([&] { return !viewer->state().token.empty(); }));
  hub_.Close();
  ASSERT_TRUE(viewer->end().has_value());
  EXPECT_TRUE(HasReason(*viewer->end(), ErrorReason::kShuttingDown));
  const ViewerState left = viewer->state();
  store_.Append({{cpu, 2, 2}});
  Hub next(Options());
  store_.Reopen(&next);
  next.Attach(*store_);
  store_.Append({{cpu, 3, 3}});
  const auto again = Viewer::Open(next, Spec("cpu", kNanosPerDay), left);
  ASSERT_TRUE(Eventually([&] { return again->state().samples[cpu].size() == 2; })) << again->story();
  next.Close();
}

}  // namespace
}  // namespace pulseboard
