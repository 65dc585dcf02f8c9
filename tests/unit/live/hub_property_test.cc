// Random commits, a viewer that is slow, breaks off and comes back by any token, restarts of the server: in the end the
// viewer has what the store has, each value once, but for the gaps it was told of; and of aggregated queries exactly
// what the history query answers.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "common/base/errors.h"
#include "server/live/hub.h"
#include "tests/support/eventually.h"
#include "tests/support/test_store.h"
#include "tests/unit/live/history.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard {
namespace {

using testing::Eventually;
using testing::TestStore;
using testing::Viewer;
using testing::ViewerState;

class World {
 public:
  explicit World(uint64_t seed)
      : random_(seed), bursts_(seed % 2 == 0), base_(SystemClock().NowUnixNanos() - 3'600 * kNanosPerSecond) {
    Restart();
    spec_.tenant = kDefaultTenant;
    spec_.queries.push_back({"cpu", "cpu", kNanosPerDay, 0});
    spec_.queries.push_back({"even", "{parity=\"even\"}", kNanosPerDay, 0});
    const LiveAggregate sum{
        10 * kNanosPerSecond, {AggregateKind::kSum, 0}, {GroupFunction::kSum, 0, false, {"parity"}}};
    const LiveAggregate growth{10 * kNanosPerSecond, {AggregateKind::kIncrease, 0}, {}};
    spec_.queries.push_back({"sum", "cpu", 7'200 * kNanosPerSecond, 0, sum});
    spec_.queries.push_back({"growth", "{parity=\"even\"}", 7'200 * kNanosPerSecond, 0, growth});
    spec_.max_buffer_bytes = kMinLiveBufferBytes;
    spec_.max_frames_per_second = 60;
    OpenViewer({});
  }
  ~World() {
    viewer_ = nullptr;
    hub_->Close();
  }

  void Step() {
    const int what = Pick(100);
    if (what < 70) {
      Commit(Pick(bursts_ ? 3 : 15) == 0 ? 1 + Pick(3'000) : 1 + Pick(60));
    } else if (what < 80) {
      for (int i = Pick(10); i > 0; --i) viewer_->Take();
    } else if (what < 84) {
      viewer_->SetAutomatic(Pick(2) == 0);
    } else if (what < 90) {
      Remember();
    } else if (what < 96) {
      Reconnect();
    } else if (what < 98) {
      OpenViewer({});
    } else {
      Remember();
      CheckPromises();
      viewer_ = nullptr;
      Restart();
      Reconnect();
    }
  }

  // Lets the viewer catch up, then compares.
  void Settle() {
    CatchUp();
    if (::testing::Test::HasFatalFailure()) return;
    for (const LiveQuerySpec& query : spec_.queries) {
      if (!query.aggregate) continue;
      const auto history = testing::HistoryOf(*queries_, query, SystemClock().NowUnixNanos());
      ASSERT_EQ(testing::DifferenceOf(viewer_->state(), query, history), "");
    }
    Compare(viewer_->state());
  }

  // Holds the viewer up until the hub had to drop something, which chance alone does not promise. A viewer that still
  // reads history or the log needs no drop: once it is live, it does.
  void Overwhelm() {
    for (int tries = 0; tries < 20 && viewer_->state().gaps.empty(); ++tries) {
      CatchUp();
      viewer_->SetAutomatic(false);
      const size_t events = viewer_->event_count();
      Commit(60);
      ASSERT_TRUE(Eventually([&] { return viewer_->event_count() > events; })) << viewer_->story();
      for (int i = 0; i < 12; ++i) Commit(3'000);
      CatchUp();
    }
    ASSERT_FALSE(viewer_->state().gaps.empty()) << viewer_->story();
  }

 private:
  void CatchUp() {
    viewer_->SetAutomatic(true);
    ASSERT_TRUE(Eventually([&] {
      return viewer_->end().has_value() || viewer_->state().commit_sequence == last_commit_;
    })) << viewer_->story()
        << " at " << viewer_->state().commit_sequence << " of " << last_commit_;
    ASSERT_FALSE(viewer_->end().has_value()) << StatusMessage(*viewer_->end());
  }

  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  SeriesId AnySeries() {
    const int n = Pick(24);
    const std::string parity = n % 2 == 0 ? "even" : "odd";
    // cpu: wanted, odd mem: not wanted, even mem: wanted by the second query.
    return store_->Series(n < 12 ? "cpu" : "mem", {{"n", std::to_string(n)}, {"parity", parity}});
  }

  void Commit(int rows) {
    std::vector<TestStore::Row> batch;
    for (int i = 0; i < rows; ++i) {
      // Mostly moving on with the commits, sometimes late; often the same time again.
      const int64_t newest = last_commit_ * 20;
      const int64_t time = Pick(20) == 0 ? Pick(static_cast<int>(newest) + 1) : newest + Pick(200);
      batch.push_back({AnySeries(), base_ + time, static_cast<double>(++next_value_)});
    }
    last_commit_ = store_->Append(batch);
    ASSERT_GT(last_commit_, 0);
  }

  void OpenViewer(ViewerState state) {
    if (viewer_ != nullptr) CheckPromises();
    viewer_ = Viewer::Open(*hub_, spec_, std::move(state));
    ASSERT_NE(viewer_, nullptr);
    viewer_->SetAutomatic(Pick(2) == 0);
  }

  void CheckPromises() {
    viewer_->Close();
    const auto breaches = viewer_->breaches();
    ASSERT_TRUE(breaches.empty()) << breaches.front();
    // Every value is unique: within one call none may come twice.
    std::set<double> seen;
    const auto note = [&seen](const std::vector<LiveColumn>& columns) {
      for (const LiveColumn& column : columns) {
        for (const double value : column.samples.values) ASSERT_TRUE(seen.insert(value).second) << "doubled " << value;
      }
    };
    for (const LiveEvent& event : viewer_->events()) {
      if (const auto* backfill = std::get_if<LiveBackfill>(&event.what)) note(backfill->columns);
      if (const auto* samples = std::get_if<LiveSamples>(&event.what)) {
        for (const LiveFramePtr& frame : samples->frames) note(frame->samples.columns());
      }
      if (const auto* amends = std::get_if<LiveAmends>(&event.what)) {
        for (const LiveFramePtr& frame : amends->frames) note(frame->amends.columns());
      }
    }
  }

  void Remember() {
    if (ViewerState state = viewer_->state(); !state.token.empty()) remembered_.push_back(std::move(state));
  }

  // From the last token, or from any earlier one with what was known then.
  void Reconnect() {
    if (viewer_ != nullptr) Remember();
    if (remembered_.empty()) {
      OpenViewer({});
    } else if (Pick(3) > 0) {
      OpenViewer(remembered_.back());
    } else {
      OpenViewer(remembered_[static_cast<size_t>(Pick(static_cast<int>(remembered_.size())))]);
    }
  }
  void Restart() {
    auto next = std::make_unique<Hub>(Options());
    if (store_ == nullptr) {
      store_ = std::make_unique<TestStore>(next.get());
    } else {
      hub_->Close();
      queries_ = nullptr;
      store_->Reopen(next.get());
    }
    next->Attach(**store_);
    queries_ = std::make_unique<QueryEngine>(**store_, SystemClock(), QueryOptions());
    next->AttachQueries(*queries_);
    hub_ = std::move(next);
  }

  static HubOptions Options() {
    HubOptions options;
    options.progress_interval_ns = 40 * kNanosPerMilli;
    options.pump_threads = 2;
    return options;
  }

  void Compare(const ViewerState& seen) {
    CheckPromises();
    const auto excused = [&seen](int64_t time) {
      for (const LiveGap& gap : seen.gaps) {
        if (time >= gap.start_time_unix_nanos && time <= gap.end_time_unix_nanos) return true;
      }
      return false;
    };
    int64_t missed = 0;
    const auto ids = (*store_)->SelectSeries(kDefaultTenant, *Selector::Parse("{__name__=~\"cpu|mem\"}"));
    for (const SeriesId id : ids) {
      const auto info = (*store_)->GetSeries(id);
      const bool wanted = info->key.metric == "cpu" || info->key.Get("parity") == "even";
      const auto known = seen.samples.find(id);
      const std::map<int64_t, double> got = known == seen.samples.end() ? std::map<int64_t, double>{} : known->second;
      if (!wanted) {
        ASSERT_TRUE(got.empty()) << info->key.Format();
        continue;
      }
      const SampleColumns all = store_->Read(id);
      size_t matched = 0;
      for (size_t i = 0; i < all.size(); ++i) {
        const auto sample = got.find(all.times[i]);
        if (sample != got.end() && sample->second == all.values[i]) {
          ++matched;
        } else {
          ASSERT_TRUE(excused(all.times[i])) << info->key.Format() << " time " << all.times[i] - base_ << " has "
                                             << (sample == got.end() ? -1 : sample->second) << " not " << all.values[i];
        }
        if (sample != got.end()) {
          ASSERT_LE(sample->second, all.values[i]) << "a value that never was there";
        }
      }
      ASSERT_LE(got.size(), all.size());
      missed += static_cast<int64_t>(all.size() - matched);
    }
    int64_t dropped = 0;
    for (const LiveGap& gap : seen.gaps) dropped += gap.dropped_sample_count;
    ASSERT_LE(missed, dropped) << "more is missing than the gaps say";
  }

  std::mt19937_64 random_;
  const bool bursts_;
  const int64_t base_;
  SubscriptionSpec spec_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<TestStore> store_;
  std::unique_ptr<QueryEngine> queries_;
  std::shared_ptr<Viewer> viewer_;
  std::vector<ViewerState> remembered_;
  int64_t next_value_ = 0;
  int64_t last_commit_ = 0;
};

TEST(HubProperty, ViewersEndUpWithWhatTheStoreHas) {
  const char* rounds = std::getenv("PULSEBOARD_PROPERTY_ROUNDS");
  for (int seed = 1; seed <= (rounds == nullptr ? 12 : std::atoi(rounds)); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(static_cast<uint64_t>(seed));
    for (int i = 0; i < 250 && !::testing::Test::HasFatalFailure(); ++i) world.Step();
    if (!::testing::Test::HasFatalFailure()) world.Overwhelm();
    if (!::testing::Test::HasFatalFailure()) world.Settle();
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
  }
}

}  // namespace
}  // namespace pulseboard
