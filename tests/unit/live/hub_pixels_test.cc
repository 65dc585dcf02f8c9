// A viewer that is too slow for all samples sees the same pixels as one that is not: random bursts, pauses in reading,
// reconnects by token and restarts of the server; in the end every pixel column shows what the store's samples show.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "common/analysis/m4.h"
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

constexpr int64_t kColumn = 10 * kNanosPerSecond;
constexpr int64_t kStep = 10 * kNanosPerMilli;

SampleColumns Pixels(const SampleColumns& samples) {
  const int64_t first = samples.times.front() / kColumn * kColumn;
  M4Reducer reducer({first, first + kColumn}, 1);
  reducer.StartReducing();
  reducer.Add(samples);
  return reducer.Finish();
}

class PixelWorld {
 public:
  explicit PixelWorld(uint64_t seed) : random_(seed), time_(SystemClock().NowUnixNanos() - 900 * kNanosPerSecond) {
    spec_.tenant = kDefaultTenant;
    spec_.queries.push_back({"", "cpu", 100 * kColumn, 100});
    spec_.max_buffer_bytes = kMinLiveBufferBytes;
    spec_.max_frames_per_second = 60;
    Restart();
    series_ = {store_->Series("cpu", {{"n", "0"}}), store_->Series("cpu", {{"n", "1"}})};
    Connect({});
    // Before the first commit: a backfill has pixel columns of its own, counted from where it starts.
    EXPECT_TRUE(Eventually([this] { return viewer_->story().find('K') != std::string::npos; })) << viewer_->story();
  }
  ~PixelWorld() {
    viewer_ = nullptr;
    hub_->Close();
  }

  void Step() {
    const int what = Pick(100);
    if (what < 60) {
      Commit(Pick(4) == 0 ? 1 + Pick(1'500) : 1 + Pick(50));
    } else if (what < 75) {
      for (int i = Pick(4); i > 0; --i) viewer_->Take();
    } else if (what < 90) {
      viewer_->SetAutomatic(Pick(3) == 0);
    } else if (what < 96) {
      if (!viewer_->state().token.empty()) Connect(viewer_->state());
    } else if (!viewer_->state().token.empty()) {
      const ViewerState left = viewer_->state();
      viewer_ = nullptr;
      Restart();
      Connect(left);
    }
  }

  // Holds the viewer up until something had to be left out, which chance alone does not promise.
  void Overwhelm() {
    for (int tries = 0; tries < 20 && viewer_->state().conflations.empty(); ++tries) {
      CatchUp();
      viewer_->SetAutomatic(false);
      const size_t events = viewer_->event_count();
      Commit(10);
      ASSERT_TRUE(Eventually([&] { return viewer_->event_count() > events; })) << viewer_->story();
      for (int i = 0; i < 4; ++i) Commit(1'500);
    }
    CatchUp();
    ASSERT_FALSE(viewer_->state().conflations.empty()) << viewer_->story();
  }

  void Compare() {
    CatchUp();
    const ViewerState seen = viewer_->state();
    ASSERT_TRUE(seen.gaps.empty()) << "pixels fit";
    ASSERT_TRUE(viewer_->breaches().empty()) << viewer_->breaches().front();
    int64_t missing = 0;
    for (const SeriesId series : series_) {
      const SampleColumns all = store_->Read(series);
      SampleColumns got;
      for (const auto& [time, value] : seen.samples.at(series)) got.push_back(time, value);
      missing += static_cast<int64_t>(all.size()) - static_cast<int64_t>(got.size());
      const SampleColumns want = Pixels(all);
      const SampleColumns shown = Pixels(got);
      ASSERT_EQ(shown.times, want.times) << viewer_->story();
      ASSERT_EQ(shown.values, want.values);
    }
    int64_t left_out = 0;
    for (const LiveFrame::Conflation& one : seen.conflations) left_out += one.left_out_sample_count;
    EXPECT_EQ(missing, left_out) << "all that is not there was declared";
  }

 private:
  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void Commit(int rows) {
    std::vector<TestStore::Row> batch;
    for (int i = 0; i < rows; ++i) {
      time_ += kStep;
      for (const SeriesId series : series_) batch.push_back({series, time_, static_cast<double>(Pick(1'000))});
    }
    last_commit_ = store_->Append(batch);
    ASSERT_GT(last_commit_, 0);
  }
  void CatchUp() {
    viewer_->SetAutomatic(true);
    ASSERT_TRUE(Eventually([&] {
      return viewer_->end().has_value() || viewer_->state().commit_sequence == last_commit_;
    })) << viewer_->story();
    ASSERT_FALSE(viewer_->end().has_value()) << StatusMessage(*viewer_->end());
  }
  void Connect(ViewerState state) {
    viewer_ = Viewer::Open(*hub_, spec_, std::move(state));
    ASSERT_NE(viewer_, nullptr);
  }
  void Restart() {
    HubOptions options;
    options.progress_interval_ns = 40 * kNanosPerMilli;
    auto next = std::make_unique<Hub>(options);
    if (store_ == nullptr) {
      store_ = std::make_unique<TestStore>(next.get());
    } else {
      hub_->Close();
      store_->Reopen(next.get());
    }
    next->Attach(**store_);
    hub_ = std::move(next);
  }

  std::mt19937_64 random_;
  int64_t time_;
  SubscriptionSpec spec_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<TestStore> store_;
  std::vector<SeriesId> series_;
  std::shared_ptr<Viewer> viewer_;
  int64_t last_commit_ = 0;
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
