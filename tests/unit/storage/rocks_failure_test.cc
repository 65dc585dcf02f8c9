// Errors of the disk under RocksDB: told, left behind without a restart, nothing lost, reading goes on.
#include <atomic>
#include <thread>

#include "server/storage/durable_store.h"
#include "server/storage/operations.h"
#include "server/storage/retry_pace.h"
#include "server/storage/unflushed_keys.h"
#include "tests/unit/storage/simulated_env.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;

class RocksFailureTest : public StoreTest {
 protected:
  RocksFailureTest() {
    options_.directory = "/store";
    options_.min_free_bytes = 0;
  }
  ~RocksFailureTest() override { store_.reset(); }

  void OpenOnDisk() {
    store_.reset();
    auto opened = DurableStore::Open(options_, nullptr, &disk_, env_.get());
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  // As after kill -9, or a power cut.
  void KillAndOpen(bool power_cut) {
    disk_.CutPower();
    store_.reset();
    power_cut ? disk_.PowerOn(7) : disk_.PowerOnWithNothingLost();
    OpenOnDisk();
  }
  // Into blocks that RocksDB has in memory only.
  void SealWithoutFlush() {
    clock_.Advance(options_.seal_age_ns + 1);
    ASSERT_TRUE(static_cast<DurableStore*>(store_.get())->CheckpointWhenDue().ok());
    ASSERT_EQ(store_->Stats().head_samples, 0);
  }
  // RocksDB can write nothing from now on, and knows it.
  void BreakRocks(int error) {
    disk_.Inject({SimulatedDisk::Op::kWrite, "/db/", error});
    ASSERT_FALSE(store_->Checkpoint().ok());
    WaitUntil([this] { return !store_->Health().ok(); });
  }
  void Heal() {
    disk_.Heal();
    WaitUntil([this] { return store_->Health().ok(); });
  }

  SimulatedDisk disk_;
  const std::unique_ptr<rocksdb::Env> env_ = MakeSimulatedEnv(&disk_);
};

TEST_F(RocksFailureTest, WritersAreToldToComeAgainWhileReadingGoesOn) {
  OpenOnDisk();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  SealWithoutFlush();
  ASSERT_TRUE(Push(series, {{kStart + 1, 2}}).ok());
  EXPECT_EQ(store_->Stats().background_errors, 0);
  BreakRocks(EIO);
  EXPECT_GT(store_->Stats().background_errors, 0);
  const absl::Status refused = Push(series, {{kStart + 2, 3}}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_TRUE(HasReason(refused, ErrorReason::kWriteStalled)) << refused;
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms.has_value());
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
  EXPECT_EQ((*store_->Latest(series))->value, 2);
}

TEST_F(RocksFailureTest, IsLeftBehindWithoutARestartAndNothingIsLost) {
  for (const int error : {EIO, ENOSPC}) {
    OpenOnDisk();
    const SeriesId series = Series("cpu" + std::to_string(error));
    ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
    SealWithoutFlush();
    BreakRocks(error);
    Heal();
    EXPECT_EQ(Read(series), (Points{{kStart, 1}}));  // it was in RocksDB's memory only
    ASSERT_TRUE(Push(series, {{kStart + 1, 2}}).ok());
    SealWithoutFlush();
    EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
    KillAndOpen(/*power_cut=*/true);
    EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
    ASSERT_TRUE(store_->Checkpoint().ok());
    KillAndOpen(/*power_cut=*/true);
    EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
  }
}

TEST_F(RocksFailureTest, AViewFromBeforeReadsOnWhatItSaw) {
  OpenOnDisk();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  ASSERT_TRUE(Push(series, {{kStart + 1, 2}}).ok());
  SealWithoutFlush();
  const SeriesId ids[] = {series};
  auto view = store_->OpenView(ids, kAllTime, nullptr);
  ASSERT_TRUE(view.ok()) << view.status();
  BreakRocks(EIO);
  Heal();
  ASSERT_TRUE(Push(series, {{kStart + 1, 7}, {kStart + 2, 3}}).ok());
  SealWithoutFlush();
  ASSERT_TRUE(store_->Checkpoint().ok());
  const auto seen = (*view)->Read(series, kAllTime);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->values, (std::vector<double>{1, 2}));
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 7}, {kStart + 2, 3}}));
}

TEST_F(RocksFailureTest, WhatWasDeletedStaysDeleted) {
  OpenOnDisk();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}, {kStart + 1, 2}}).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  DeleteRequest request;
  request.tenant = kDefaultTenant;
  request.selector = *Selector::Parse("cpu");
  request.range = {kStart, kStart + 1};
  ASSERT_TRUE(store_->operations().Delete(request).ok());
  BreakRocks(EIO);
  Heal();
  EXPECT_EQ(Read(series), (Points{{kStart + 1, 2}}));
  ASSERT_TRUE(store_->Checkpoint().ok());
  KillAndOpen(/*power_cut=*/true);
  EXPECT_EQ(Read(series), (Points{{kStart + 1, 2}}));
}

TEST_F(RocksFailureTest, TablesAreReadMeanwhileAndWrittenAgainAfterwards) {
  OpenOnDisk();
  Table& table = store_->GetTable("users");
  ASSERT_TRUE(table.Put("a", "1").ok());
  disk_.Inject({SimulatedDisk::Op::kWrite, "/db/", EIO});
  EXPECT_TRUE(HasReason(table.Put("b", "2"), ErrorReason::kWriteStalled));
  EXPECT_EQ(**table.Get("a"), "1");
  Heal();
  ASSERT_TRUE(table.Put("c", "3").ok());
  KillAndOpen(/*power_cut=*/true);
  EXPECT_EQ(**store_->GetTable("users").Get("a"), "1");
  EXPECT_EQ(**store_->GetTable("users").Get("c"), "3");
}

TEST_F(RocksFailureTest, TableWritesThatShareAFlushSurviveAPowerCutOnceAcknowledged) {
  OpenOnDisk();
  std::vector<std::thread> writers;
  std::vector<std::vector<std::string>> acknowledged(16);
  std::atomic<int> count{0};
  for (std::vector<std::string>& own : acknowledged) {
    writers.emplace_back([&, at = writers.size()] {
      for (int i = 0; i < 1'000; ++i) {
        const std::string key = std::to_string(at) + "." + std::to_string(i);
        if (!store_->GetTable("sessions").Put(key, "x").ok()) return;  // the power is gone
        own.push_back(key);
        if (++count == 200) disk_.CutPowerBefore(disk_.changes() + 5);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_GE(count.load(), 200);
  KillAndOpen(/*power_cut=*/true);
  for (const std::vector<std::string>& own : acknowledged) {
    for (const std::string& key : own) {
      const auto found = store_->GetTable("sessions").Get(key);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_TRUE(found->has_value()) << key;
    }
  }
}

TEST_F(RocksFailureTest, AFileThatCannotBeReadCostsItsSeriesOnly) {
  OpenOnDisk();
  const SeriesId broken = Series("broken");
  const SeriesId sound = Series("sound");
  ASSERT_TRUE(Push(broken, {{kStart, 1}}).ok());
  SealAll();
  const std::vector<std::string> before = disk_.Paths(".sst");
  const int64_t other_day = kStart + 2 * kNanosPerDay;
  ASSERT_TRUE(Push(sound, {{other_day, 2}}).ok());
  SealAll();
  OpenOnDisk();  // nothing is cached
  for (const std::string& path : before) disk_.Inject({SimulatedDisk::Op::kRead, path, EIO});
  const SeriesId ids[] = {broken};
  auto view = store_->OpenView(ids, kAllTime, nullptr);
  ASSERT_TRUE(view.ok()) << view.status();
  const absl::Status status = (*view)->Read(broken, kAllTime).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(StatusMessage(status), HasSubstr("series " + std::to_string(broken)));
  EXPECT_THAT(StatusMessage(status), HasSubstr("raw."));
  EXPECT_EQ(Read(sound, {other_day, other_day + 10}), (Points{{other_day, 2}}));
  EXPECT_EQ((*store_->Latest(sound))->value, 2);
}

TEST(Rocks, ACompactionWhoseManifestIsNotSyncedLeavesADatabaseThatOpens) {
  SimulatedDisk disk;
  const std::unique_ptr<rocksdb::Env> env = MakeSimulatedEnv(&disk);
  RocksOptions options;
  options.directory = "/db";
  options.env = env.get();
  auto opened = Rocks::Open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Rocks& rocks = **opened;
  const Window window = WindowAt(kRawBucket, 0, 1);
  {
    const absl::StatusOr<FamilyPtr> family = rocks.CreateWindowFamily(window);
    ASSERT_TRUE(family.ok()) << family.status();
    for (const std::string key : {"a", "b"}) {
      rocksdb::WriteBatch batch;
      ASSERT_TRUE(batch.Put(family->get(), key, "value of " + key).ok());
      ASSERT_TRUE(rocks.Write(&batch, "test").ok());
      ASSERT_TRUE(rocks.Flush().ok());
    }
    disk.Inject({SimulatedDisk::Op::kSync, "MANIFEST", EIO, 0, 1});
    EXPECT_FALSE(rocks.Compact(window, "", "").ok());
    EXPECT_EQ(disk.faults_hit(), 1);
  }
  EXPECT_TRUE(rocks.failed());
  const absl::Status reopened = rocks.Reopen();
  ASSERT_TRUE(reopened.ok()) << reopened;
  const std::vector<WindowFamily> windows = rocks.TakeWindowFamilies();
  ASSERT_EQ(windows.size(), 1u);
  std::string value;
  for (const std::string key : {"a", "b"}) {
    EXPECT_TRUE(rocks.db()->Get({}, windows.front().family.get(), key, &value).ok());
    EXPECT_EQ(value, "value of " + key);
  }
}

TEST(UnflushedKeys, KeepsWhatAFailedFlushDidNotPutOnTheDisk) {
  UnflushedKeys keys;
  const auto note = [&keys](const std::string& key) {
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put(key, "value").ok());
    keys.Note(batch);
  };
  const auto all = [&keys] {
    std::string out;
    keys.Visit([](uint32_t, std::string_view, std::string_view) {},
               [&out](uint32_t, std::string_view key) { out += std::string(key) + " "; });
    return out;
  };
  note("a");
  keys.BeginFlush();
  note("b");
  EXPECT_EQ(all(), "a b ");
  keys.EndFlush(/*flushed=*/false);
  note("c");
  EXPECT_EQ(all(), "a b c ");
  keys.BeginFlush();
  note("d");
  keys.EndFlush(/*flushed=*/true);
  EXPECT_EQ(all(), "d ");
  rocksdb::WriteBatch range;
  ASSERT_TRUE(range.DeleteRange("x", "y").ok());
  keys.Note(range);
  int ranges = 0;
  keys.Visit([&ranges](uint32_t, std::string_view from, std::string_view to) { ranges += from == "x" && to == "y"; },
             [](uint32_t, std::string_view) {});
  EXPECT_EQ(ranges, 1);
  EXPECT_GT(keys.bytes(), 0);
}

TEST(RetryPace, TriesSoonAndThenRarelyWhereItDoesNotHelp) {
  RetryPace pace;
  int64_t now = kNanosPerSecond;
  EXPECT_FALSE(pace.IsDue(now));
  pace.NoteFailure(now);
  EXPECT_FALSE(pace.IsDue(now));
  EXPECT_TRUE(pace.IsDue(now + RetryPace::kFirstWait));
  for (int i = 0; i < 20; ++i) {
    now = pace.next();
    pace.NoteTry(false, now, now);
  }
  EXPECT_EQ(pace.next() - now, RetryPace::kLongestWait);
  pace.NoteTry(false, now, now + kNanosPerSecond);  // trying is expensive
  EXPECT_EQ(pace.next(), now + kNanosPerSecond + RetryPace::kCostFactor * kNanosPerSecond);
  pace.NoteTry(true, now, now);
  EXPECT_FALSE(pace.failing());
  int64_t rest = 0;
  for (int i = 0; i < 20; ++i) {  // it comes back each time
    pace.NoteFailure(now);
    EXPECT_GE(pace.next() - now, rest);
    rest = pace.next() - now;
    pace.NoteTry(true, now, now);
  }
  EXPECT_EQ(rest, RetryPace::kLongestRest);
  pace.NoteFailure(now + RetryPace::kSettled);
  EXPECT_EQ(pace.next() - now - RetryPace::kSettled, RetryPace::kFirstWait);
}

}  // namespace
}  // namespace pulseboard
