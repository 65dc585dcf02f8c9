// Series without data are forgotten, come back when samples come, and their ids are never used again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "server/ingest/intake.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int64_t kDay = kNanosPerDay;

class StoreForgetTest : public StoreTest {
 protected:
  StoreForgetTest() {
    options_.raw_retention_ns = 2 * kDay;
    options_.tiers = {};
    options_.checkpoint_interval_ns = 3600 * kNanosPerSecond;  // only when the test says so
    Open();
  }

  // A series with one sample now, in a block.
  SeriesId Sealed(const std::string& metric, Labels labels = {}) {
    const SeriesId id = Series(metric, std::move(labels));
    EXPECT_TRUE(Push(id, {{clock_.NowUnixNanos(), 1}}).ok());
    SealAll();
    return id;
  }
  void CrashAndOpen() {
    Crash();
    Open();
  }
  // Days without a sample of it pass.
  void Outlive() {
    for (int day = 0; day < 4; ++day) {
      clock_.Advance(kDay);
      SealAll();
    }
  }
  bool IsListed(const std::string& metric) {
    return !store_->SelectSeries(kDefaultTenant, Selector::Parse(metric).value()).empty();
  }
  // Rounds of maintenance, after which nobody can have the id any more.
  void Purge() {
    for (int i = 0; i < 4; ++i) {
      // A commit, so that the log is not needed for what was forgotten before.
      EXPECT_TRUE(Push(Series("keeper"), {{clock_.NowUnixNanos() + i, 1}}).ok());
      SealAll();
    }
  }
};

TEST_F(StoreForgetTest, ASeriesGoesWithItsLastWindow) {
  const SeriesId old = Sealed("old", {{"pod", "p1"}});
  clock_.Advance(kDay);
  Sealed("young");
  Outlive();
  EXPECT_FALSE(IsListed("old"));
  EXPECT_FALSE(IsListed("young"));
  EXPECT_EQ(store_->SeriesCount(kDefaultTenant), 0);
  EXPECT_EQ(store_->Stats().forgotten_series, 2);
  Purge();
  EXPECT_EQ(store_->GetSeries(old), nullptr);
  EXPECT_THAT(Read(old), IsEmpty()) << "whoever still has the id finds it empty";
  EXPECT_EQ(*store_->Latest(old), std::nullopt);
  EXPECT_GT(Series("old", {{"pod", "p1"}}), old) << "its id is not used again";
}

TEST_F(StoreForgetTest, ASeriesWithSamplesSomewhereStays) {
  const SeriesId in_block = Sealed("in_block");
  const SeriesId in_head = Sealed("in_head");
  ASSERT_TRUE(store_->HoldSeries(in_head));
  for (int day = 0; day < 5; ++day) {
    clock_.Advance(kDay);
    ASSERT_TRUE(Push(in_block, {{clock_.NowUnixNanos(), 2}}).ok());
    SealAll();
  }
  ASSERT_TRUE(Push(in_head, {{clock_.NowUnixNanos(), 3}}).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_TRUE(IsListed("in_block"));
  EXPECT_TRUE(IsListed("in_head"));
}

TEST_F(StoreForgetTest, SamplesBringASeriesBackUnderTheIdThatIsHeld) {
  const SeriesId id = Sealed("held");
  ASSERT_TRUE(store_->HoldSeries(id));
  Outlive();
  EXPECT_FALSE(IsListed("held"));
  Purge();
  const int64_t now = clock_.NowUnixNanos();
  ASSERT_TRUE(Push(id, {{now, 7}}).ok());
  EXPECT_TRUE(IsListed("held"));
  EXPECT_EQ(store_->FindSeries(kDefaultTenant, {"held", {}}), id);
  EXPECT_THAT(Read(id), ElementsAre(Pair(now, 7)));
  EXPECT_EQ((*store_->Latest(id))->value, 7);
  CrashAndOpen();
  EXPECT_THAT(Read(id), ElementsAre(Pair(now, 7)));
  SealAll();
  Open();
  EXPECT_EQ(store_->FindSeries(kDefaultTenant, {"held", {}}), id);
  EXPECT_THAT(Read(id), ElementsAre(Pair(now, 7)));
}

TEST_F(StoreForgetTest, ABatchThatIsOnItsWayKeepsItsSeries) {
  const SeriesId id = Sealed("late");
  std::shared_ptr<const void> visit = store_->VisitSeries();
  Outlive();
  Purge();
  AppendBatch batch = Batch(id, {{clock_.NowUnixNanos(), 1}});
  batch.visit = std::exchange(visit, nullptr);
  ASSERT_TRUE(Push(std::move(batch)).ok());
  EXPECT_TRUE(IsListed("late"));
}

TEST_F(StoreForgetTest, AnOpenPushStreamMakesItsForgottenSeriesAnew) {
  IntakeOptions intake_options;
  Intake intake(*store_, clock_, intake_options);
  const auto stream = intake.OpenStream(kDefaultTenant);
  int64_t sequence = 0;
  const auto push = [&](bool define) {
    StreamBatch batch;
    batch.producer_id = "p";
    batch.sequence = ++sequence;
    if (define) batch.definitions.push_back({1, {"streamed", {{"pod", "x"}}, MetricKind::kGauge, "", ""}});
    const uint32_t ref = 1;
    const int64_t offset = 0;
    const auto value = static_cast<double>(sequence);
    batch.base_time_unix_nanos = clock_.NowUnixNanos();
    batch.refs = {&ref, 1};
    batch.time_offsets_nanos = {&offset, 1};
    batch.values = {&value, 1};
    EXPECT_TRUE(stream->Begin(batch).ok());
    std::promise<absl::StatusOr<PushReceipt>> done;
    EXPECT_TRUE(stream->Submit(batch, [&](const auto& receipt) { done.set_value(receipt); }).ok());
    const absl::StatusOr<PushReceipt> receipt = done.get_future().get();
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    EXPECT_EQ(receipt->accepted_count, 1);
  };
  push(true);
  SealAll();
  Outlive();
  Purge();
  EXPECT_FALSE(IsListed("streamed"));
  push(false);
  ASSERT_TRUE(IsListed("streamed"));
  const SeriesId id = *store_->FindSeries(kDefaultTenant, {"streamed", {{"pod", "x"}}});
  EXPECT_THAT(Read(id), ElementsAre(Pair(clock_.NowUnixNanos(), 2)));
}

TEST_F(StoreForgetTest, ForgettingSurvivesACrashAtEachStep) {
  for (int step = 0; step < 5; ++step) {
    SCOPED_TRACE(step);
    const std::string name = "crash" + std::to_string(step);
    const SeriesId id = Sealed(name);
    Sealed("other" + std::to_string(step));
    if (step == 0) CrashAndOpen();  // before anything is due
    clock_.Advance(4 * kDay);
    if (step == 1) CrashAndOpen();           // its window is due
    ASSERT_TRUE(store_->Checkpoint().ok());  // drops the window, hides the series
    if (step == 2) CrashAndOpen();           // its row is on disk still
    ASSERT_TRUE(store_->Checkpoint().ok());
    if (step == 3) CrashAndOpen();
    Purge();
    if (step == 4) CrashAndOpen();
    SealAll();
    EXPECT_FALSE(IsListed(name));
    const SeriesId again = Series(name);
    ASSERT_TRUE(Push(again, {{clock_.NowUnixNanos(), 9}}).ok());
    CrashAndOpen();
    EXPECT_EQ(store_->FindSeries(kDefaultTenant, {name, {}}), again);
    EXPECT_THAT(Read(again), ElementsAre(Pair(clock_.NowUnixNanos(), 9)));
    EXPECT_GE(again, id);
    SealAll();
  }
}

// Random pushes to a few series, days that pass, crashes: whoever has data is listed, who has none for long is not.
TEST_F(StoreForgetTest, ListsExactlyWhatHasData) {
  std::mt19937 random(1);
  std::map<std::string, Points> model;  // by metric
  for (int round = 0; round < 120; ++round) {
    const std::string name = "m" + std::to_string(random() % 8);
    switch (random() % 5) {
      case 0:
      case 1: {
        const int64_t time = clock_.NowUnixNanos() + round;
        ASSERT_TRUE(Push(Series(name), {{time, round}}).ok());
        model[name].emplace_back(time, round);
        break;
      }
      case 2:
        SealAll();
        break;
      case 3:
        clock_.Advance(kDay);
        ASSERT_TRUE(store_->Checkpoint().ok());
        break;
      default:
        CrashAndOpen();
    }
    const int64_t now = clock_.NowUnixNanos();
    for (auto& [metric, points] : model) {
      const auto id = store_->FindSeries(kDefaultTenant, {metric, {}});
      Points recent;
      for (const auto& point : points) {
        if (point.first >= now - 2 * kDay) recent.push_back(point);
      }
      ASSERT_TRUE(id || recent.empty()) << metric << " in round " << round;
      if (!id) continue;
      Points read = Read(*id);
      std::erase_if(read, [&](const auto& point) { return point.first < now - 2 * kDay; });
      ASSERT_EQ(read, recent) << metric << " in round " << round;
    }
  }
  SealAll();
  Outlive();
  EXPECT_EQ(store_->SeriesCount(kDefaultTenant), 0);
}

}  // namespace
}  // namespace pulseboard
