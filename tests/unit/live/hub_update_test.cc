// Other queries on a running subscription.
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

int64_t Now() { return SystemClock().NowUnixNanos(); }

class HubUpdateTest : public ::testing::Test {
 protected:
  HubUpdateTest() {
    hub_.Attach(*store_);
    const int64_t now = Now();
    for (int i = 100; i > 0; --i) {
      store_.Append({{cpu_, now - i * kNanosPerSecond, 1.0 * i}, {mem_, now - i * kNanosPerSecond, 2.0 * i}});
    }
    spec_.tenant = kDefaultTenant;
    spec_.queries.push_back({"cpu", "cpu", 3'600 * kNanosPerSecond, 0});
    spec_.max_frames_per_second = 60;
  }
  ~HubUpdateTest() override { hub_.Close(); }

  static HubOptions Options() {
    HubOptions options;
    options.progress_interval_ns = 3'600 * kNanosPerSecond;
    options.max_series_per_subscription = 5;
    return options;
  }

  std::shared_ptr<Viewer> OpenLive() {
    auto viewer = Viewer::Open(hub_, spec_);
    EXPECT_TRUE(Eventually([&] { return viewer->story() == "DBK"; })) << viewer->story();
    return viewer;
  }

  Hub hub_{Options()};
  TestStore store_{&hub_};
  const SeriesId cpu_ = store_.Series("cpu");
  const SeriesId mem_ = store_.Series("mem");
  SubscriptionSpec spec_;
};

TEST_F(HubUpdateTest, AddsAPanelWithItsBackfill) {
  const auto viewer = OpenLive();
  viewer->Update({5, {{"mem", "mem", 50 * kNanosPerSecond + kNanosPerSecond / 2, 0}}, {}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKUDBK"; })) << viewer->story();
  EXPECT_EQ(viewer->updates().at(0).update_id, 5);
  EXPECT_EQ(viewer->definitions().at(cpu_).query_ids, std::vector<std::string>{"cpu"});
  EXPECT_EQ(viewer->definitions().at(mem_).query_ids, std::vector<std::string>{"mem"});
  EXPECT_NEAR(static_cast<double>(viewer->state().samples[mem_].size()), 50, 2) << "only the new query's backfill";
  const int64_t time = Now();
  store_.Append({{cpu_, time, 7}, {mem_, time, 8}});
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[mem_].contains(time); }));
  EXPECT_EQ(viewer->state().samples[cpu_].at(time), 7);
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
}

TEST_F(HubUpdateTest, RemovesAPanelAndForgetsItsRoutes) {
  const auto viewer = OpenLive();
  viewer->Update({1, {{"mem", "mem", 0, 0}}, {}});
  ASSERT_TRUE(Eventually([&] { return viewer->updates().size() == 1; }));
  viewer->Update({2, {}, {"cpu"}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKUDKUDK"; })) << viewer->story();
  EXPECT_TRUE(viewer->definitions().contains(mem_));
  EXPECT_FALSE(viewer->definitions().contains(cpu_));
  const int64_t time = Now();
  store_.Append({{cpu_, time, 7}});
  store_.Append({{mem_, time, 8}});
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[mem_].contains(time); }));
  EXPECT_FALSE(viewer->state().samples[cpu_].contains(time));
  EXPECT_TRUE(Eventually([&] { return hub_.Stats().routed_series == 1 && hub_.Stats().topics == 1; }));
}

TEST_F(HubUpdateTest, ZoomsWithoutChangingTheTopic) {
  const auto viewer = OpenLive();
  viewer->Update({1, {{"cpu", "cpu", 3'600 * kNanosPerSecond, 10}}, {}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKUDBK"; })) << viewer->story();
  EXPECT_EQ(hub_.Stats().topics, 1);
  store_.Append({{cpu_, Now(), 7}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKUDBKS"; })) << viewer->story();
}

TEST_F(HubUpdateTest, RefusesABadUpdateAndGoesOnAsItWas) {
  const auto viewer = OpenLive();
  for (int i = 0; i < 6; ++i) store_.Series("many", {{"i", std::to_string(i)}});
  const auto refused = [&](SubscriptionUpdate update) {
    const size_t before = viewer->updates().size();
    viewer->Update(std::move(update));
    EXPECT_TRUE(Eventually([&] { return viewer->updates().size() > before; }));
    return viewer->updates().back().status;
  };
  EXPECT_TRUE(HasReason(refused({1, {{"x", "{", 0, 0}}, {}}), ErrorReason::kBadSelector));
  EXPECT_TRUE(HasReason(refused({2, {{"x", "mem", -1, 0}}, {}}), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(refused({3, {{"", "mem", 0, 0}}, {}}), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(refused({4, {}, {"none"}}), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(refused({5, {}, {"cpu"}}), ErrorReason::kBadField)) << "none would be left";
  EXPECT_TRUE(HasReason(refused({6, {{"x", "many", 0, 0}}, {}}), ErrorReason::kQueryTooBroad));
  const int64_t time = Now();
  store_.Append({{cpu_, time, 7}});
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[cpu_].contains(time); }));
  EXPECT_EQ(viewer->story(), "DBKuuuuuuS");
  EXPECT_EQ(hub_.Stats().topics, 1);
}

TEST_F(HubUpdateTest, GivesTokensOfTheQueriesAsTheyAre) {
  auto viewer = OpenLive();
  const ViewerState before = viewer->state();
  viewer->Update({1, {{"mem", "mem", 0, 0}}, {}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKUDK"; })) << viewer->story();
  const ViewerState after = viewer->state();
  viewer->Close();
  store_.Append({{cpu_, Now(), 7}, {mem_, Now(), 7}});
  const auto old_queries = Viewer::Open(hub_, spec_, before);
  ASSERT_TRUE(Eventually([&] { return old_queries->state().samples[cpu_].size() == 101; })) << old_queries->story();
  spec_.queries.insert(spec_.queries.begin(), {"mem", "mem", 0, 0});  // in whatever order
  const auto new_queries = Viewer::Open(hub_, spec_, after);
  ASSERT_TRUE(Eventually([&] { return new_queries->state().samples[mem_].size() == 1; })) << new_queries->story();
  EXPECT_EQ(new_queries->story().find('B'), std::string::npos);
}

TEST_F(HubUpdateTest, SendsWhatWasPendingByTheOldQueriesFirst) {
  const auto viewer = OpenLive();
  viewer->SetAutomatic(false);
  int64_t time = Now();
  store_.Append({{cpu_, ++time, 1}});
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKS"; }));
  store_.Append({{cpu_, ++time, 2}});
  viewer->Update({1, {{"mem", "mem", 0, 0}}, {"cpu"}});
  ASSERT_TRUE(Eventually([&] { return hub_.Stats().routed_series == 0; })) << "mem is routed when it comes";
  store_.Append({{cpu_, ++time, 3}, {mem_, time, 3}});
  viewer->SetAutomatic(true);
  ASSERT_TRUE(Eventually([&] { return viewer->state().samples[mem_].contains(time); })) << viewer->story();
  EXPECT_EQ(viewer->story(), "DBKSSUDKS");
  EXPECT_TRUE(viewer->state().samples[cpu_].contains(time - 1));
  EXPECT_FALSE(viewer->state().samples[cpu_].contains(time));
}

TEST_F(HubUpdateTest, LetsEqualSubscriptionsShareFrames) {
  std::vector<std::shared_ptr<Viewer>> viewers;
  for (int i = 0; i < 20; ++i) {
    spec_.queries[0].query_id = "panel" + std::to_string(i);  // the name is each viewer's own
    viewers.push_back(OpenLive());
  }
  EXPECT_EQ(hub_.Stats().topics, 1);
  const int64_t made = hub_.Stats().frames_made;
  store_.Append({{cpu_, Now(), 7}});
  for (const auto& viewer : viewers) {
    ASSERT_TRUE(Eventually([&] { return viewer->story() == "DBKS"; })) << viewer->story();
  }
  EXPECT_EQ(hub_.Stats().frames_made, made + 1);
}

}  // namespace
}  // namespace pulseboard
