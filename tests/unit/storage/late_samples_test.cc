// Which samples of a commit are late, told to observers and to whoever reads the log.
#include "server/storage/newest_times.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using Late = std::vector<uint32_t>;

TEST(NewestTimes, TellsOlderAndEqualTimesFromNewerOnes) {
  NewestTimes newest;
  newest.AddNew(1);
  newest.AddNew(2);
  const auto never = [](SeriesId) -> int64_t {
    ADD_FAILURE();
    return 0;
  };
  Late late;
  newest.Judge(std::vector<SeriesId>{1, 1, 2, 1, 1}, std::vector<int64_t>{10, 5, 5, 10, 11}, never, &late);
  EXPECT_EQ(late, (Late{1, 3}));
}

TEST(NewestTimes, NothingIsLateForASeriesThatWasForgotten) {
  NewestTimes newest;
  newest.AddNew(1);
  std::vector<uint32_t> late;
  const auto nothing = [](SeriesId) { return NewestTimes::kNone; };
  newest.Judge(std::vector<SeriesId>{1}, std::vector<int64_t>{9}, nothing, &late);
  newest.Accept();
  newest.Forget(1);
  newest.Judge(std::vector<SeriesId>{1}, std::vector<int64_t>{5}, nothing, &late);
  EXPECT_TRUE(late.empty());
}

TEST(NewestTimes, ForgetsWhatWasNotWritten) {
  NewestTimes newest;
  newest.AddNew(1);
  const auto never = [](SeriesId) -> int64_t {
    ADD_FAILURE();
    return 0;
  };
  Late late;
  newest.Judge(std::vector<SeriesId>{1}, std::vector<int64_t>{10}, never, &late);
  newest.Accept();
  newest.Judge(std::vector<SeriesId>{1, 1}, std::vector<int64_t>{20, 30}, never, &late);
  newest.Reject();
  EXPECT_TRUE(late.empty());
  newest.Judge(std::vector<SeriesId>{1, 1}, std::vector<int64_t>{10, 11}, never, &late);
  EXPECT_EQ(late, (Late{0}));
}

TEST(NewestTimes, AsksTheBlocksOncePerSeriesAndOnlyForOldSamples) {
  NewestTimes newest;
  newest.SetCeiling(100);
  newest.Replay(std::vector<SeriesId>{3}, std::vector<int64_t>{60});
  int asked = 0;
  const auto sealed = [&](SeriesId) -> int64_t {
    ++asked;
    return 50;
  };
  Late late;
  newest.Judge(std::vector<SeriesId>{1, 2, 2, 2}, std::vector<int64_t>{101, 50, 51, 49}, sealed, &late);
  EXPECT_EQ(late, (Late{1, 3}));
  EXPECT_EQ(asked, 1);
  late.clear();
  newest.Judge(std::vector<SeriesId>{3, 3}, std::vector<int64_t>{60, 61}, sealed, &late);
  EXPECT_EQ(late, (Late{0})) << "what was replayed counts as well";
  EXPECT_EQ(asked, 2);
}

class LateSamplesTest : public StoreTest {
 protected:
  LateSamplesTest() { observer_ = &seen_; }
  ~LateSamplesTest() override { Close(); }
  Late LastLate() const { return seen_.commits.back().late; }
  RecordingObserver seen_;
};

TEST_F(LateSamplesTest, AreTheOnesOutOfOrderAndTheOnesReplaced) {
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}, {kStart + 2, 2}}).ok());
  EXPECT_EQ(LastLate(), Late{});
  ASSERT_TRUE(Push(series, {{kStart + 1, 1}, {kStart + 3, 3}, {kStart + 3, 4}, {kStart + 4, 5}}).ok());
  EXPECT_EQ(LastLate(), (Late{0, 2}));
  EXPECT_EQ(store_->Stats().late_samples, 2);
  std::vector<Late> in_log;
  ASSERT_TRUE(store_
                  ->ReadCommits(0, 2,
                                [&](const CommittedBatch& batch) {
                                  in_log.emplace_back(batch.late.begin(), batch.late.end());
                                  return absl::OkStatus();
                                })
                  .ok());
  EXPECT_EQ(in_log, (std::vector<Late>{{}, {0, 2}}));
}

TEST_F(LateSamplesTest, AreKnownAfterARestartWhateverIsSealed) {
  Open();
  const SeriesId series = Series("cpu");
  const SeriesId other = Series("other");
  ASSERT_TRUE(Push(series, {{kStart, 1}, {kStart + 10, 2}}).ok());
  ASSERT_TRUE(Push(other, {{kStart + 50, 1}}).ok());
  SealAll();
  Open();
  ASSERT_TRUE(Push(series, {{kStart + 10, 1}}).ok());
  EXPECT_EQ(LastLate(), (Late{0}));
  ASSERT_TRUE(Push(series, {{kStart + 5, 1}, {kStart + 11, 1}}).ok());
  EXPECT_EQ(LastLate(), (Late{0}));
  Crash();
  Open();
  ASSERT_TRUE(Push(series, {{kStart + 11, 1}, {kStart + 12, 1}}).ok());
  EXPECT_EQ(LastLate(), (Late{0}));
  ASSERT_TRUE(Push(other, {{kStart + 51, 1}, {kStart + 50, 1}}).ok());
  EXPECT_EQ(LastLate(), (Late{1}));
}

}  // namespace
}  // namespace pulseboard
