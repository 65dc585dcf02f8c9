// How safe what is acknowledged: FSYNCED and BUFFERED, alone and together, through kills and power cuts.
#include <cerrno>
#include <fstream>

#include "server/storage/durable_store.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class AckModeTest : public StoreTest {
 protected:
  AckModeTest() { options_.buffered_sync_interval_ns = 3600 * kNanosPerSecond; }  // nothing syncs behind a test's back
  ~AckModeTest() override { Close(); }
  void OpenFaulty() {
    store_.reset();
    auto opened = DurableStore::Open(options_, observer_, &files_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  absl::StatusOr<CommitReceipt> PushAs(AckMode mode, SeriesId series, const Points& points) {
    ack_mode_ = mode;
    return Push(series, points);
  }
  // Goes on with what the disk has: a copy of the directory without the log's writes that were not synced.
  void CutPower() {
    const std::string from = options_.directory;
    const std::vector<FaultyFiles::Unsynced> lost = files_.UnsyncedWrites();
    Crash();
    for (const FaultyFiles::Unsynced& write : lost) {
      if (write.path.ends_with(".spare")) continue;
      std::fstream file(options_.directory + write.path.substr(from.size()),
                        std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(write.offset);
      file.write(write.old_bytes.data(), static_cast<std::streamsize>(write.old_bytes.size()));
      ASSERT_TRUE(file.good()) << write.path;
    }
  }
  FaultyFiles files_;
};

TEST_F(AckModeTest, SaysHowSafeEachBatchIs) {
  Open();
  const SeriesId series = Series("cpu");
  EXPECT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart, 1}})->fsynced);
  EXPECT_FALSE(PushAs(AckMode::kBuffered, series, {{kStart + 1, 2}})->fsynced);
  EXPECT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart + 2, 3}})->fsynced);
  EXPECT_EQ(store_->Stats().buffered_batches, 1);
}

TEST_F(AckModeTest, ABufferedBatchInOneGroupWithAnFsyncedOneIsFsynced) {
  // The committer waits in the observer while both queue up: one group for certain.
  struct Gate final : CommitObserver {
    void OnCommit(const CommittedBatch& batch) noexcept override {
      if (batch.commit_sequence != 1) return;
      entered.set_value();
      open.get_future().wait();
    }
    std::promise<void> entered, open;
  } gate;
  observer_ = &gate;
  Open();
  const SeriesId series = Series("cpu");
  std::promise<CommitReceipt> receipts[3];
  const auto push = [&](size_t n, AckMode mode) {
    ack_mode_ = mode;
    ASSERT_TRUE(store_
                    ->Append(Batch(series, {{kStart + static_cast<int64_t>(n), 1}}),
                             [&receipts, n](const auto& receipt) { receipts[n].set_value(*receipt); })
                    .ok());
  };
  push(0, AckMode::kBuffered);
  gate.entered.get_future().wait();
  push(1, AckMode::kBuffered);
  push(2, AckMode::kFsynced);
  gate.open.set_value();
  EXPECT_FALSE(receipts[0].get_future().get().fsynced);
  EXPECT_TRUE(receipts[1].get_future().get().fsynced);
  EXPECT_TRUE(receipts[2].get_future().get().fsynced);
  Close();
}

TEST_F(AckModeTest, ABufferedBatchAskedForAgainAsFsyncedIsSynced) {
  OpenFaulty();
  AppendBatch batch = Batch(Series("cpu"), {{kStart, 1}});
  batch.producer_id = "p";
  batch.sequence = 1;
  batch.ack_mode = AckMode::kBuffered;
  EXPECT_FALSE(Push(batch)->fsynced);
  auto again = Push(batch);
  EXPECT_TRUE(again->duplicate);
  EXPECT_FALSE(again->fsynced);
  batch.ack_mode = AckMode::kFsynced;
  again = Push(batch);
  EXPECT_TRUE(again->duplicate);
  EXPECT_TRUE(again->fsynced);
  CutPower();
  Open();
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 1);
}

TEST_F(AckModeTest, ABufferedBatchIsSyncedSoonAfterwards) {
  options_.buffered_sync_interval_ns = kNanosPerMilli;
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart, 1}}).ok());
  WaitUntil([&] {
    const auto unsynced = files_.UnsyncedWrites();
    return std::none_of(unsynced.begin(), unsynced.end(), [](const auto& w) { return w.path.ends_with(".wal"); });
  });
  CutPower();
  Open();
  EXPECT_EQ(Read(series).size(), 1u);
}

TEST_F(AckModeTest, BothSurviveTheProcess) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart, 1}}).ok());
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart + 1, 2}}).ok());
  Crash();
  Open();
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
}

TEST_F(AckModeTest, APowerCutTakesWhatWasOnlyBufferedAndNothingElse) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart, 1}}).ok());
  ASSERT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart + 1, 2}}).ok());  // takes the one before along
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart + 2, 3}}).ok());
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart + 3, 4}}).ok());
  CutPower();
  Open();
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
  EXPECT_EQ(store_->Stats().commit_sequence, 2);
}

TEST_F(AckModeTest, APowerCutAfterManySegmentsOpensAgain) {
  options_.wal_segment_bytes = 4096;
  OpenFaulty();
  const SeriesId series = Series("cpu");
  Points expected;
  for (int i = 0; i < 300; ++i) {
    const AckMode mode = i % 37 == 36 ? AckMode::kFsynced : AckMode::kBuffered;
    ASSERT_TRUE(PushAs(mode, series, {{kStart + i, i}}).ok());
    expected.emplace_back(kStart + i, i);
  }
  const size_t last_fsynced = 300 / 37 * 37;
  CutPower();
  Open();
  const Points read = Read(series);
  ASSERT_GE(read.size(), last_fsynced);
  EXPECT_EQ(read, Points(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(read.size())));
}

TEST_F(AckModeTest, PositionsThatAPowerCutTookAreNotTakenForTheNewOnes) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart, 1}}).ok());
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart + 1, 2}}).ok());
  const uint64_t before = store_->epoch();
  EXPECT_TRUE(store_->CheckPosition(before, 2).ok());
  CutPower();
  Open();
  EXPECT_EQ(PushAs(AckMode::kFsynced, series, {{kStart + 9, 9}})->commit_sequence, 2);  // the number comes again …
  const uint64_t after = store_->epoch();
  EXPECT_NE(after, before);
  EXPECT_TRUE(store_->CheckPosition(after, 2).ok());
  EXPECT_TRUE(store_->CheckPosition(before, 1).ok());
  EXPECT_TRUE(HasReason(store_->CheckPosition(before, 2), ErrorReason::kResumeTokenExpired));  // … and is told apart
  EXPECT_TRUE(HasReason(store_->CheckPosition(before ^ after ^ 1, 1), ErrorReason::kResumeTokenExpired));
  Open();
  EXPECT_TRUE(store_->CheckPosition(before, 1).ok());
  EXPECT_TRUE(store_->CheckPosition(after, 2).ok());
  EXPECT_TRUE(HasReason(store_->CheckPosition(before, 2), ErrorReason::kResumeTokenExpired));
}

TEST_F(AckModeTest, AFailedSyncBehindBufferedCommitsStopsTheStore) {
  // The kernel may have dropped the pages of the first batch: a later sync that succeeds would prove nothing.
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart, 1}}).ok());
  files_.FailSyncs(ENOSPC);
  EXPECT_TRUE(HasReason(PushAs(AckMode::kFsynced, series, {{kStart + 1, 2}}).status(), ErrorReason::kStoreReadOnly));
  files_.FailSyncs(0);
  EXPECT_TRUE(HasReason(PushAs(AckMode::kFsynced, series, {{kStart + 1, 2}}).status(), ErrorReason::kStoreReadOnly));
  EXPECT_EQ(Read(series).size(), 1u);
}

TEST_F(AckModeTest, AFailedSyncInTheBackgroundStopsTheStore) {
  options_.buffered_sync_interval_ns = kNanosPerMilli;
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart, 1}}).ok());
  files_.FailSyncs(EIO);
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart + 1, 2}}).ok());
  WaitUntil([&] { return HasReason(store_->Health(), ErrorReason::kStoreReadOnly); });
  files_.FailSyncs(0);
  EXPECT_TRUE(HasReason(PushAs(AckMode::kFsynced, series, {{kStart, 1}}).status(), ErrorReason::kStoreReadOnly));
}

TEST_F(AckModeTest, AFullDiskBehindBufferedCommitsLosesNone) {
  options_.wal_segment_bytes = 4096;
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(PushAs(AckMode::kBuffered, series, {{kStart, 1}}).ok());
  files_.FailWrites(ENOSPC);
  EXPECT_TRUE(HasReason(PushAs(AckMode::kBuffered, series, {{kStart + 1, 2}}).status(), ErrorReason::kDiskFull));
  files_.FailWrites(0);
  WaitUntil([&] { return store_->Health().ok(); });
  ASSERT_TRUE(PushAs(AckMode::kFsynced, series, {{kStart + 2, 3}}).ok());
  CutPower();
  Open();
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 2, 3}}));
}

}  // namespace
}  // namespace pulseboard
