// A late sample that replaces one of the few that a viewer has of a pixel column: the column is told anew.
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/pixels.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::ColumnsOf;
using testing::Eventually;
using testing::PixelsOf;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

constexpr int64_t kWidth = 10 * kNanosPerSecond;
constexpr int64_t kBackfill = 100 * kWidth;
constexpr int kSamplesPerColumn = 1'000;
constexpr int64_t kStep = kWidth / kSamplesPerColumn;

// Refuses to open views while it is told to.
class UnreadableStore final : public testing::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(std::span<const SeriesId> series, TimeRange range,
                                                     const std::function<void(int64_t)>& at_cut) override {
    if (unreadable) return MakeError(ErrorReason::kBlockCorrupt, "a block is damaged");
    return ForwardingStore::OpenView(series, range, at_cut);
  }
  std::atomic<bool> unreadable = false;
};

class HubRedrawTest : public ::testing::Test {
 protected:
  HubRedrawTest() {
    hub_.Attach(front_);
    cpu_ = store_.Series("cpu");
  }
  ~HubRedrawTest() override { hub_.Close(); }

  static SubscriptionSpec Spec() {
    SubscriptionSpec spec;
    spec.tenant = kDefaultTenant;
    spec.queries.push_back({"", "cpu", kBackfill, 100});
    spec.max_buffer_bytes = kMinLiveBufferBytes;
    spec.max_frames_per_second = 60;
    return spec;
  }
  // `columns` whole columns of samples, the smallest of each in its middle: all but that one are above 0.
  void CommitColumns(int columns) {
    for (int column = 0; column < columns; ++column, next_ += kWidth) {
      std::vector<TestStore::Row> rows;
      for (int i = 0; i < kSamplesPerColumn; ++i) {
        const double value = i == kSamplesPerColumn / 2 ? -1 : 2 + ((i + 1) * 7) % 100;
        rows.push_back({cpu_, next_ + i * kStep, value});
      }
      last_commit_ = store_.Append(rows);
      ASSERT_GT(last_commit_, 0);
    }
  }
  // The smallest sample of a column (counted from the first) becomes a large one.
  void ReplaceSmallest(int column) {
    last_commit_ = store_.Append({{cpu_, base_ + column * kWidth + kSamplesPerColumn / 2 * kStep, 50}});
    ASSERT_GT(last_commit_, 0);
  }
  bool KnowsAll(const Viewer& viewer) const {
    return Eventually([&] { return viewer.state().commit_sequence == last_commit_; });
  }
  void ExpectSamePixels(const Viewer& viewer) {
    ASSERT_TRUE(KnowsAll(viewer)) << viewer.story();
    const SampleColumns want = PixelsOf(store_.Read(cpu_), kWidth);
    const SampleColumns shown = PixelsOf(ColumnsOf(viewer.state().samples.at(cpu_)), kWidth);
    EXPECT_EQ(shown.times, want.times) << viewer.story();
    EXPECT_EQ(shown.values, want.values) << viewer.story();
    EXPECT_TRUE(viewer.state().gaps.empty());
    EXPECT_TRUE(viewer.breaches().empty()) << viewer.breaches().front();
  }
  // A viewer that was too slow for all samples, and has what remains of them.
  std::shared_ptr<Viewer> OpenConflated() {
    auto viewer = Viewer::Open(hub_, Spec());
    EXPECT_TRUE(Eventually([&] { return viewer->story().find('K') != std::string::npos; }));
    viewer->SetAutomatic(false);
    const size_t events = viewer->event_count();
    CommitColumns(1);
    EXPECT_TRUE(Eventually([&] { return viewer->event_count() > events; })) << viewer->story();
    CommitColumns(20);
    viewer->SetAutomatic(true);
    EXPECT_TRUE(KnowsAll(*viewer)) << viewer->story();
    EXPECT_FALSE(viewer->state().conflations.empty()) << viewer->story();
    return viewer;
  }

  Hub hub_{[] {
    HubOptions options;
    options.progress_interval_ns = 40 * kNanosPerMilli;
    return options;
  }()};
  TestStore store_{&hub_};
  UnreadableStore front_{*store_};
  SeriesId cpu_ = 0;
  const int64_t base_ = BucketStart(SystemClock().NowUnixNanos() - 60 * kWidth, kWidth);
  int64_t next_ = base_;
  int64_t last_commit_ = 0;
};

TEST_F(HubRedrawTest, AColumnThatWasConflated) {
  const auto viewer = OpenConflated();
  ReplaceSmallest(10);
  ExpectSamePixels(*viewer);
  ReplaceSmallest(3);
  ReplaceSmallest(15);
  ExpectSamePixels(*viewer);
}

TEST_F(HubRedrawTest, AColumnOfTheBackfill) {
  CommitColumns(20);
  const auto viewer = Viewer::Open(hub_, Spec());
  ASSERT_TRUE(KnowsAll(*viewer)) << viewer->story();
  ASSERT_LT(viewer->state().samples[cpu_].size(), 200U) << "the backfill is reduced";
  ExpectSamePixels(*viewer);
  ReplaceSmallest(10);
  ExpectSamePixels(*viewer);
}

TEST_F(HubRedrawTest, AColumnThatAnEarlierStreamConflated) {
  auto viewer = OpenConflated();
  const ViewerState left = viewer->state();
  viewer->Close();
  ReplaceSmallest(10);
  CommitColumns(1);
  viewer = Viewer::Open(hub_, Spec(), left);
  ExpectSamePixels(*viewer);
}

TEST_F(HubRedrawTest, AColumnOfALateSampleThatTheLastStreamStillSent) {
  auto viewer = OpenConflated();
  viewer->SetAutomatic(false);
  viewer->Take();
  ReplaceSmallest(10);
  const auto amended = [&] { return viewer->story().find('A') != std::string::npos; };
  ASSERT_TRUE(Eventually([&] { return amended() || (viewer->Take(), amended()); })) << viewer->story();
  const ViewerState left = viewer->state();  // with the late sample, before its column comes
  viewer->Close();
  viewer = Viewer::Open(hub_, Spec(), left);
  ExpectSamePixels(*viewer);
}

TEST_F(HubRedrawTest, WhatCannotBeReadIsAGap) {
  const auto viewer = OpenConflated();
  front_.unreadable = true;
  ReplaceSmallest(10);
  ASSERT_TRUE(KnowsAll(*viewer)) << viewer->story();
  ASSERT_EQ(viewer->state().gaps.size(), 1U) << viewer->story();
  EXPECT_EQ(viewer->state().gaps[0].start_time_unix_nanos, base_ + 10 * kWidth);
  EXPECT_EQ(viewer->state().gaps[0].end_time_unix_nanos, base_ + 11 * kWidth - 1);
  EXPECT_FALSE(viewer->end().has_value());
}

TEST_F(HubRedrawTest, NothingForWhoHasAllSamples) {
  SubscriptionSpec spec = Spec();
  spec.queries[0].max_points = 0;
  CommitColumns(3);
  const auto viewer = Viewer::Open(hub_, spec);
  ASSERT_TRUE(KnowsAll(*viewer)) << viewer->story();
  ReplaceSmallest(1);
  ASSERT_TRUE(KnowsAll(*viewer)) << viewer->story();
  const std::string story = viewer->story();
  EXPECT_EQ(std::count(story.begin(), story.end(), 'A'), 1) << story;
  ExpectSamePixels(*viewer);
}

}  // namespace
}  // namespace pulseboard
