#include "server/live/cadence.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TestStore;
using testing::Viewer;

TEST(Cadence, LearnsBeforeItJudges) {
  Cadence cadence;
  int64_t now = 0;
  for (int i = 0; i < Cadence::kLearnt; ++i) {
    EXPECT_FALSE(cadence.FallsSilent(now + 3'600 * kNanosPerSecond)) << "seen " << i << " times";
    cadence.Note(now += 10 * kNanosPerSecond);
  }
  EXPECT_EQ(cadence.interval_ns(), 10 * kNanosPerSecond);
  EXPECT_FALSE(cadence.FallsSilent(now + 30 * kNanosPerSecond));
  EXPECT_TRUE(cadence.FallsSilent(now + 31 * kNanosPerSecond));
  EXPECT_FALSE(cadence.FallsSilent(now + 32 * kNanosPerSecond)) << "once for each silence";
  EXPECT_TRUE(cadence.stale());
  cadence.Note(now + 40 * kNanosPerSecond);
  EXPECT_FALSE(cadence.stale());
}

TEST(Cadence, FollowsASeriesThatSlowsDown) {
  Cadence cadence;
  int64_t now = 0;
  for (int i = 0; i < 10; ++i) cadence.Note(now += kNanosPerSecond);
  for (int i = 0; i < 100; ++i) cadence.Note(now += 30 * kNanosPerSecond);
  EXPECT_GT(cadence.interval_ns(), 28 * kNanosPerSecond);
  EXPECT_FALSE(cadence.FallsSilent(now + 60 * kNanosPerSecond));
}

TEST(Cadence, GivesFastSeriesAGrace) {
  Cadence cadence;
  int64_t now = 0;
  for (int i = 0; i < 10; ++i) cadence.Note(now += kNanosPerMilli);
  EXPECT_FALSE(cadence.FallsSilent(now + 2 * kNanosPerSecond));
  EXPECT_TRUE(cadence.FallsSilent(now + 3 * kNanosPerSecond));
}

TEST(HubStale, TellsWhichSeriesStoppedByTheirOwnCadence) {
  ManualClock clock(SystemClock().NowUnixNanos());
  HubOptions options;
  options.clock = &clock;
  options.progress_interval_ns = 3'600 * kNanosPerSecond;
  options.max_stream_age_ns = 0;
  options.max_stall_ns = 1'000'000 * kNanosPerSecond;  // the clock leaps
  Hub hub(options);
  TestStore store(&hub, clock);
  hub.Attach(*store);
  const SeriesId fast = store.Series("cpu", {{"every", "10s"}});
  const SeriesId slow = store.Series("cpu", {{"every", "5m"}});
  SubscriptionSpec spec;
  spec.tenant = kDefaultTenant;
  spec.queries.push_back({"", "cpu", 0, 0});
  const auto viewer = Viewer::Open(hub, spec);
  ASSERT_TRUE(Eventually([&] { return viewer->story() == "DK"; }));
  int64_t time = 0;
  for (int second = 0; second <= 1'200; second += 10) {
    ++time;
    if (second % 300 == 0) {
      store.Append({{fast, time, 1}, {slow, time, 1}});
    } else {
      store.Append({{fast, time, 1}});
    }
    clock.Advance(10 * kNanosPerSecond);
  }
  clock.Advance(35 * kNanosPerSecond);
  ASSERT_TRUE(Eventually([&] { return !viewer->state().stale.empty(); })) << viewer->story();
  EXPECT_EQ(viewer->state().stale, std::vector<SeriesId>{fast}) << "half a minute is nothing to the other one";
  // Who comes now is told as well.
  const auto second_viewer = Viewer::Open(hub, spec);
  ASSERT_TRUE(Eventually([&] { return second_viewer->state().stale == std::vector<SeriesId>{fast}; }));
  // Who was told is told again only after the series came back. A frame may have to wait for its tick.
  store.Append({{fast, ++time, 1}});
  ASSERT_TRUE(Eventually([&] {
    clock.Advance(100 * kNanosPerMilli);
    return viewer->state().samples[fast].contains(time);
  }));
  clock.Advance(1'000 * kNanosPerSecond);
  ASSERT_TRUE(Eventually([&] { return viewer->state().stale.size() == 3; })) << viewer->story();
  const std::vector<SeriesId> stale = viewer->state().stale;
  EXPECT_EQ(stale[0], fast);
  EXPECT_EQ(std::count(stale.begin(), stale.end(), slow), 1);
  EXPECT_TRUE(viewer->breaches().empty()) << viewer->breaches().front();
  hub.Close();
}

}  // namespace
}  // namespace pulseboard
