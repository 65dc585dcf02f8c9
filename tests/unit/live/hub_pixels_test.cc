// A viewer that is too slow for all samples sees the same pixels as one that is not: random bursts, late samples,
// pauses in reading, reconnects by token and restarts of the server; in the end every pixel column shows what the
// store's samples show.
#include <gtest/gtest.h>

#include "tests/unit/live/live_world.h"
#include "tests/unit/live/pixels.h"

namespace pulseboard {
namespace {

using testing::TestStore;
using testing::ViewerState;

constexpr int64_t kColumn = 10 * kNanosPerSecond;
constexpr int64_t kStep = 10 * kNanosPerMilli;

class PixelWorld : public testing::LiveWorld {
 public:
  explicit PixelWorld(uint64_t seed)
      : LiveWorld(seed, SystemClock(), [] {}), start_(SystemClock().NowUnixNanos() - 900 * kNanosPerSecond) {
    spec_.tenant = kDefaultTenant;
    spec_.queries.push_back({"", "cpu", 100 * kColumn, 100});
    spec_.max_buffer_bytes = kMinLiveBufferBytes;
    spec_.max_frames_per_second = 60;
    Restart();
    series_ = {store_->Series("cpu", {{"n", "0"}}), store_->Series("cpu", {{"n", "1"}})};
    Connect(spec_, {});
    // Before the first commit: what a backfill leaves out is not declared.
    EXPECT_TRUE(WaitUntil([this] { return viewer_->story().find('K') != std::string::npos; })) << viewer_->story();
  }

  void Step() {
    const int what = Pick(100);
    if (what < 50) {
      Commit(Pick(4) == 0 ? 1 + Pick(1'500) : 1 + Pick(50));
    } else if (what < 60) {
      CommitLate(1 + Pick(20));
    } else if (what < 75) {
      for (int i = Pick(4); i > 0; --i) viewer_->Take();
    } else if (what < 90) {
      viewer_->SetAutomatic(Pick(3) == 0);
    } else if (const ViewerState left = viewer_->state(); !left.token.empty()) {
      viewer_->Close();
      EXPECT_TRUE(viewer_->breaches().empty()) << viewer_->breaches().front();
      if (what >= 96) Restart();
      Connect(spec_, left);
    }
  }

  void Overwhelm() {
    LiveWorld::Overwhelm([this] { Commit(10); }, [this] { Commit(500); },
                         [](const ViewerState& seen) { return !seen.conflations.empty(); });
  }

  void Compare() {
    CatchUp();
    const ViewerState seen = viewer_->state();
    ASSERT_TRUE(seen.gaps.empty()) << "pixels fit";
    ASSERT_TRUE(viewer_->breaches().empty()) << viewer_->breaches().front();
    int64_t missing = 0;
    for (const SeriesId series : series_) {
      const SampleColumns all = store_->Read(series);
      const SampleColumns got = testing::ColumnsOf(seen.samples.at(series));
      missing += static_cast<int64_t>(all.size()) - static_cast<int64_t>(got.size());
      const SampleColumns want = testing::PixelsOf(all, kColumn);
      const SampleColumns shown = testing::PixelsOf(got, kColumn);
      ASSERT_EQ(shown.times, want.times) << viewer_->story();
      ASSERT_EQ(shown.values, want.values);
    }
    int64_t left_out = 0;
    for (const LiveFrame::Conflation& one : seen.conflations) left_out += one.left_out_sample_count;
    EXPECT_LE(missing, left_out) << "all that is not there was declared";
  }

 private:
  void Commit(int rows) {
    std::vector<TestStore::Row> batch;
    for (int i = 0; i < rows; ++i) {
      ++committed_;
      for (const SeriesId series : series_) batch.push_back({series, TimeOf(committed_), Value()});
    }
    Append(batch);
  }
  // New values for times that have one.
  void CommitLate(int rows) {
    if (committed_ == 0) return;
    std::vector<TestStore::Row> batch;
    for (int i = 0; i < rows; ++i) batch.push_back({series_[Pick(2)], TimeOf(1 + Pick(committed_)), Value()});
    Append(batch);
  }
  double Value() { return static_cast<double>(Pick(1'000)); }
  int64_t TimeOf(int number) const { return start_ + number * kStep; }

  const int64_t start_;
  SubscriptionSpec spec_;
  std::vector<SeriesId> series_;
  int committed_ = 0;
};

TEST(HubPixels, ASlowViewerSeesTheSamePixels) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PixelWorld world(seed);
    for (int i = 0; i < 100 && !::testing::Test::HasFatalFailure(); ++i) world.Step();
    if (!::testing::Test::HasFatalFailure()) world.Overwhelm();
    if (!::testing::Test::HasFatalFailure()) world.Compare();
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
  }
}

}  // namespace
}  // namespace pulseboard
