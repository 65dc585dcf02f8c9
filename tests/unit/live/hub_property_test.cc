// Random commits, late ones too, a viewer that is slow, changes its queries, breaks off and comes back by any token,
// restarts of the server, retention: in the end the viewer has what the store has, each value once, but for the gaps it
// was told of; in pixel columns what shows; of aggregated queries exactly what the history query answers; and each
// event once. PULSEBOARD_PROPERTY_ROUNDS: how many random runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <future>
#include <map>
#include <set>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "tests/unit/live/history.h"
#include "tests/unit/live/live_world.h"
#include "tests/unit/live/pixels.h"

namespace pulseboard {
namespace {

using testing::ViewerState;

constexpr int64_t kPixel = 10 * kNanosPerSecond;
constexpr int64_t kPixelBackfill = 1'800 * kNanosPerSecond;

// Values of samples that a stream may tell twice (pixel columns told anew, queries set anew) are no whole numbers.
bool MayComeTwice(double value) { return value != std::floor(value); }

class World : public testing::LiveWorld {
 public:
  // `span`: samples are of this time before now. 0: of now, as it goes on.
  World(uint64_t seed, const Clock& clock, std::function<void()> wait, int64_t span_ns, int64_t raw_retention_ns)
      : LiveWorld(seed, clock, std::move(wait)),
        bursts_(seed % 2 == 0),
        span_ns_(span_ns),
        began_(clock.NowUnixNanos()) {
    raw_retention_ns_ = raw_retention_ns;
    Restart();
    spec_.tenant = kDefaultTenant;
    spec_.queries.push_back({"cpu", "cpu", kNanosPerDay, 0});
    spec_.queries.push_back({"even", "{parity=\"even\"}", kNanosPerDay, 0});
    spec_.queries.push_back({"pixels", "pixels", kPixelBackfill, static_cast<int32_t>(kPixelBackfill / kPixel)});
    const LiveAggregate sum{
        10 * kNanosPerSecond, {AggregateKind::kSum, 0}, {GroupFunction::kSum, 0, false, {"parity"}}};
    const LiveAggregate growth{10 * kNanosPerSecond, {AggregateKind::kIncrease, 0}, {}};
    spec_.queries.push_back({"sum", "cpu", 7'200 * kNanosPerSecond, 0, sum});
    spec_.queries.push_back({"growth", "{parity=\"even\"}", 7'200 * kNanosPerSecond, 0, growth});
    spec_.event_queries.push_back({"deploys", "deploy", EventSeverity::kUnspecified, "", kNanosPerDay});
    spec_.max_buffer_bytes = kMinLiveBufferBytes;
    spec_.max_frames_per_second = 60;
    OpenViewer({}, spec_);
  }

  void Step() {
    FollowEnd();
    const int what = Pick(100);
    if (what < 62) {
      Commit(Pick(bursts_ ? 3 : 15) == 0 ? 1 + Pick(3'000) : 1 + Pick(60));
    } else if (what < 67) {
      PushEvent();
    } else if (what < 77) {
      for (int i = Pick(10); i > 0; --i) viewer_->Take();
    } else if (what < 81) {
      viewer_->SetAutomatic(Pick(2) == 0);
    } else if (what < 86) {
      ToggleOdd();
    } else if (what < 91) {
      Remember();
    } else if (what < 96) {
      Reconnect();
    } else if (what < 98) {
      OpenViewer({}, spec_);
    } else {
      Remember();
      CheckPromises();
      Restart();
      Reconnect();
    }
  }

  // Lets the viewer catch up, then compares all from `from` on with what the store has.
  void Settle(int64_t from) {
    FollowEnd();
    CatchUp();
    if (::testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(WaitUntil([this] { return UpdateAnswered(); })) << viewer_->story();
    CatchUp();
    const SubscriptionSpec& spec = Current();
    for (LiveQuerySpec query : spec.queries) {
      if (!query.aggregate) continue;
      query.backfill_ns = std::min(query.backfill_ns, clock_.NowUnixNanos() - from);
      const auto history = testing::HistoryOf(*queries_, query, clock_.NowUnixNanos());
      ASSERT_EQ(testing::DifferenceOf(viewer_->state(), query, history), "");
    }
    ASSERT_TRUE(WaitUntil([this] { return viewer_->state().occurrences.size() >= texts_.size(); }));
    std::vector<std::string> texts;
    for (const Event& event : viewer_->state().occurrences) texts.push_back(event.text);
    std::sort(texts.begin(), texts.end());
    ASSERT_EQ(texts, texts_) << "each event once";
    CheckPromises();
    CompareSamples(viewer_->state(), spec, from);
    ComparePixels(viewer_->state(), from);
  }

  void Overwhelm() {
    FollowEnd();
    LiveWorld::Overwhelm([this] { Commit(60); }, [this] { Commit(3'000); },
                         [](const ViewerState& seen) { return !seen.gaps.empty(); });
  }
  void Maintain() { ASSERT_TRUE((*store_)->Checkpoint().ok()); }
  bool HasDroppedAllBefore(int64_t time) {
    const auto ids = (*store_)->SelectSeries(kDefaultTenant, *Selector::Parse("cpu"));
    return std::all_of(ids.begin(), ids.end(), [&](SeriesId id) { return store_->Read(id, {0, time}).empty(); });
  }

 private:
  SeriesId AnySeries(double* value) {
    const int n = Pick(26);
    *value = static_cast<double>(++next_value_);
    if (n >= 24) {
      *value = 0.5 + Pick(1'000);
      return store_->Series("pixels", {{"n", std::to_string(n)}});
    }
    const std::string parity = n % 2 == 0 ? "even" : "odd";
    // cpu: wanted. mem: even ones by the second query, odd ones now and then.
    if (n >= 12 && n % 2 == 1) *value += 0.5;
    return store_->Series(n < 12 ? "cpu" : "mem", {{"n", std::to_string(n)}, {"parity", parity}});
  }

  // Mostly moving on with the commits, sometimes late; often the same time again.
  int64_t AnyTime() {
    const bool late = Pick(20) == 0;
    if (span_ns_ > 0) {
      const int64_t newest = last_commit_ * 20;
      return began_ - span_ns_ + (late ? Pick(static_cast<int>(newest) + 1) : newest + Pick(200));
    }
    return clock_.NowUnixNanos() - (late ? Pick(600) * kNanosPerSecond : Pick(200) * kNanosPerMilli);
  }

  void Commit(int rows) {
    std::vector<testing::TestStore::Row> batch;
    for (int i = 0; i < rows; ++i) {
      double value = 0;
      const SeriesId series = AnySeries(&value);
      batch.push_back({series, AnyTime(), value});
    }
    Append(batch);
  }

  void PushEvent() {
    Event event;
    event.source = Pick(2) == 0 ? "deploy" : "backup";
    event.text = std::to_string(1'000'000 + next_value_++);
    event.time_unix_nanos = clock_.NowUnixNanos() - Pick(60) * kNanosPerSecond;
    std::promise<bool> pushed;
    ASSERT_TRUE(
        events_->Push(kDefaultTenant, {"", {event}}, [&](const auto& receipt) { pushed.set_value(receipt.ok()); })
            .ok());
    ASSERT_TRUE(pushed.get_future().get());
    if (event.source == "deploy") texts_.push_back(event.text);
  }

  // --- queries that change ---
  bool UpdateAnswered() const { return viewer_->updates().size() == updates_sent_; }
  void ToggleOdd() {
    if (!UpdateAnswered()) return;
    SubscriptionSpec next = Current();
    SubscriptionUpdate update;
    update.update_id = ++last_update_id_;
    const auto is_odd = [](const LiveQuerySpec& query) { return query.query_id == "odd"; };
    if (std::erase_if(next.queries, is_odd) > 0) {
      update.remove = {"odd"};
    } else {
      next.queries.push_back({"odd", "mem{parity=\"odd\"}", kNanosPerDay, 0});
      update.set = {next.queries.back()};
    }
    specs_[last_update_id_] = std::move(next);
    ++updates_sent_;
    viewer_->Update(std::move(update));
  }
  // The queries that the viewer's stream has now.
  const SubscriptionSpec& Current() const {
    const auto updates = viewer_->updates();
    return updates.empty() ? opened_with_ : specs_.at(updates.back().update_id);
  }
  const SubscriptionSpec& SpecOf(const ViewerState& state) const {
    const auto known = specs_.find(state.update_id);
    return known == specs_.end() ? spec_ : known->second;
  }

  // --- streams ---
  void OpenViewer(ViewerState state, const SubscriptionSpec& spec) {
    if (viewer_ != nullptr) CheckPromises();
    opened_with_ = spec;
    updates_sent_ = 0;
    Connect(spec, std::move(state));
    viewer_->SetAutomatic(Pick(2) == 0);
  }
  // Streams end when they are old, or the viewer was too slow, or its token is too old.
  void FollowEnd() {
    const auto end = viewer_->end();
    if (!end) return;
    ++ends_;
    if (HasReason(*end, ErrorReason::kResumeTokenExpired)) {
      remembered_.clear();
      return OpenViewer({}, spec_);
    }
    ASSERT_TRUE(end->ok() || HasReason(*end, ErrorReason::kSlowConsumer)) << StatusMessage(*end);
    Remember();
    Reconnect();
  }
  void Remember() {
    if (ViewerState state = viewer_->state(); !state.token.empty()) remembered_.push_back(std::move(state));
  }
  // From the last token, or from any earlier one with what was known then.
  void Reconnect() {
    if (viewer_ != nullptr) Remember();
    if (remembered_.empty()) return OpenViewer({}, spec_);
    const size_t which =
        Pick(3) > 0 ? remembered_.size() - 1 : static_cast<size_t>(Pick(static_cast<int>(remembered_.size())));
    const ViewerState state = remembered_[which];
    OpenViewer(state, SpecOf(state));
  }

  void CheckPromises() {
    viewer_->Close();
    const auto breaches = viewer_->breaches();
    ASSERT_TRUE(breaches.empty()) << breaches.front() << " " << viewer_->story();
    // Every value is unique: within one call none may come twice, but where it is said.
    std::set<double> seen;
    const auto note = [&seen](const std::vector<LiveColumn>& columns) {
      for (const LiveColumn& column : columns) {
        for (const double value : column.samples.values) {
          ASSERT_TRUE(MayComeTwice(value) || seen.insert(value).second) << "doubled " << value;
        }
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

  static bool InGap(const ViewerState& seen, int64_t start, int64_t end) {
    return std::any_of(seen.gaps.begin(), seen.gaps.end(), [&](const LiveGap& gap) {
      return start <= gap.end_time_unix_nanos && end > gap.start_time_unix_nanos;
    });
  }

  void CompareSamples(const ViewerState& seen, const SubscriptionSpec& spec, int64_t from) {
    const bool odd_wanted = spec.queries.back().query_id == "odd";
    int64_t missed = 0;
    for (const SeriesId id : (*store_)->SelectSeries(kDefaultTenant, *Selector::Parse("{__name__=~\"cpu|mem\"}"))) {
      const auto info = (*store_)->GetSeries(id);
      if (info->key.metric == "mem" && info->key.Get("parity") == "odd" && !odd_wanted) continue;
      const auto known = seen.samples.find(id);
      const std::map<int64_t, double> got = known == seen.samples.end() ? std::map<int64_t, double>{} : known->second;
      const SampleColumns all = store_->Read(id, {from, kAllTime.end});
      size_t matched = 0;
      for (size_t i = 0; i < all.size(); ++i) {
        const auto sample = got.find(all.times[i]);
        if (sample != got.end() && sample->second == all.values[i]) {
          ++matched;
        } else {
          ASSERT_TRUE(InGap(seen, all.times[i], all.times[i] + 1))
              << info->key.Format() << " time " << all.times[i] - began_ << " has "
              << (sample == got.end() ? -1 : sample->second) << " not " << all.values[i];
        }
        if (sample != got.end()) {
          ASSERT_LE(sample->second, all.values[i]) << "a value that never was there";
        }
      }
      ASSERT_LE(static_cast<size_t>(std::distance(got.lower_bound(from), got.end())), all.size());
      missed += static_cast<int64_t>(all.size() - matched);
    }
    int64_t dropped = 0;
    for (const LiveGap& gap : seen.gaps) dropped += gap.dropped_sample_count;
    ASSERT_LE(missed, dropped) << "more is missing than the gaps say";
  }

  void ComparePixels(const ViewerState& seen, int64_t from) {
    from = std::max(from, clock_.NowUnixNanos() - kPixelBackfill);
    if (span_ns_ > kPixelBackfill) from = began_ - span_ns_;  // all came live
    for (const SeriesId id : (*store_)->SelectSeries(kDefaultTenant, *Selector::Parse("pixels"))) {
      const auto known = seen.samples.find(id);
      ASSERT_NE(known, seen.samples.end());
      const std::map<int64_t, double> got(known->second.lower_bound(from), known->second.end());
      const auto shown = ByColumn(testing::PixelsOf(testing::ColumnsOf(got), kPixel));
      for (const auto& [column, want] : ByColumn(testing::PixelsOf(store_->Read(id, {from, kAllTime.end}), kPixel))) {
        if (column < from || InGap(seen, column, column + kPixel)) continue;
        const auto there = shown.find(column);
        ASSERT_TRUE(there != shown.end() && there->second == want)
            << "column " << column - began_ << " " << viewer_->story();
      }
    }
  }
  static std::map<int64_t, std::vector<std::pair<int64_t, double>>> ByColumn(const SampleColumns& samples) {
    std::map<int64_t, std::vector<std::pair<int64_t, double>>> columns;
    for (size_t i = 0; i < samples.size(); ++i) {
      columns[BucketStart(samples.times[i], kPixel)].emplace_back(samples.times[i], samples.values[i]);
    }
    return columns;
  }

  const bool bursts_;
  const int64_t span_ns_;
  const int64_t began_;
  SubscriptionSpec spec_;
  SubscriptionSpec opened_with_;
  std::map<int64_t, SubscriptionSpec> specs_;  // after the update of this id
  int64_t last_update_id_ = 0;
  size_t updates_sent_ = 0;  // on this stream
  std::vector<ViewerState> remembered_;
  std::vector<std::string> texts_;  // of the events that are asked for
  int64_t next_value_ = 0;
  int64_t ends_ = 0;
};

int Rounds(int by_default) {
  const char* rounds = std::getenv("PULSEBOARD_PROPERTY_ROUNDS");
  return rounds == nullptr ? by_default : std::atoi(rounds);
}

TEST(HubProperty, ViewersEndUpWithWhatTheStoreHas) {
  constexpr int64_t kSpan = 3'600 * kNanosPerSecond;
  for (int seed = 1; seed <= Rounds(8); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(
        static_cast<uint64_t>(seed), SystemClock(), [] {}, kSpan, 30 * kNanosPerDay);
    for (int i = 0; i < 250 && !::testing::Test::HasFatalFailure(); ++i) world.Step();
    if (!::testing::Test::HasFatalFailure()) world.Overwhelm();
    if (!::testing::Test::HasFatalFailure()) world.Settle(SystemClock().NowUnixNanos() - 2 * kSpan);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
  }
}

// An hour around midnight: a window of samples is over and dropped meanwhile, streams grow too old, viewers too slow.
TEST(HubProperty, AnHourOfChaosOnASqueezedClock) {
  constexpr int64_t kRetention = 1'200 * kNanosPerSecond;
  constexpr int64_t kCompared = 900 * kNanosPerSecond;
  const int64_t midnight = BucketStart(SystemClock().NowUnixNanos(), kNanosPerDay);
  for (int seed = 1; seed <= Rounds(1); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ManualClock clock(midnight - 1'500 * kNanosPerSecond);
    World world(
        static_cast<uint64_t>(seed), clock, [&clock] { clock.Advance(50 * kNanosPerMilli); }, 0, kRetention);
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    const auto dice = [&random](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
    const auto go_on_until = [&](int64_t end) {
      while (clock.NowUnixNanos() < end && !::testing::Test::HasFatalFailure()) {
        world.Step();
        clock.Advance(dice(4) == 0 ? dice(24'000) * kNanosPerMilli : dice(3'000) * kNanosPerMilli);
        if (dice(20) == 0) world.Maintain();
      }
    };
    // Nothing is older than 600 s when it comes: from then on nothing of yesterday does.
    go_on_until(midnight + 600 * kNanosPerSecond);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    ASSERT_FALSE(world.HasDroppedAllBefore(midnight)) << "nothing there to be dropped";
    // Not left to chance: what is open is sealed by age, which begins anew with each restart, and its window goes.
    go_on_until(midnight + kRetention);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    clock.Advance(testing::LiveWorld::kSealAge + kNanosPerSecond);
    world.Maintain();
    ASSERT_TRUE(world.HasDroppedAllBefore(midnight));
    go_on_until(midnight + 2'100 * kNanosPerSecond);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());

    world.Settle(clock.NowUnixNanos() - kCompared);
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
  }
}

}  // namespace
}  // namespace pulseboard
