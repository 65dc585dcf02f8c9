// The Store as its users see it.
#include "server/storage/store.h"

#include <atomic>
#include <cmath>
#include <limits>

#include "common/analysis/rollup.h"
#include "common/base/endian.h"
#include "server/storage/meta_keys.h"
#include "server/storage/rocks.h"
#include "server/storage/table.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(StoreTest, ReadsBackWhatWasPushed) {
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1.5}, {kStart + 1, 2.5}}).ok());
  EXPECT_THAT(Read(series), ElementsAre(Points::value_type(kStart, 1.5), Points::value_type(kStart + 1, 2.5)));
  EXPECT_THAT(Read(series, {kStart + 1, kStart + 2}), ElementsAre(Points::value_type(kStart + 1, 2.5)));
  EXPECT_THAT(Read(series, {kStart + 2, kStart + 9}), IsEmpty());
}

TEST_F(StoreTest, NumbersCommitsFromOneWithoutHoles) {
  RecordingObserver observer;
  observer_ = &observer;
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 50; ++i) {
    const auto receipt = Push(series, {{kStart + i, i}});
    ASSERT_TRUE(receipt.ok());
    EXPECT_EQ(receipt->commit_sequence, i + 1);
    EXPECT_FALSE(receipt->duplicate);
  }
  Close();
  ASSERT_EQ(observer.commits.size(), 50u);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(observer.commits[i].sequence, static_cast<int64_t>(i + 1));
}

TEST_F(StoreTest, KeepsSamplesAcrossRestartAndGoesOnCounting) {
  Open();
  const SeriesId series = Series("cpu", {{"host", "a"}});
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  Open();
  EXPECT_EQ(store_->FindSeries(kDefaultTenant, SeriesKey{"cpu", {{"host", "a"}}}), series);
  EXPECT_EQ(Push(series, {{kStart + 1, 2}})->commit_sequence, 2);
  EXPECT_THAT(Read(series), ElementsAre(Points::value_type(kStart, 1), Points::value_type(kStart + 1, 2)));
  EXPECT_EQ(store_->Stats().recovered_samples, 1);
}

TEST_F(StoreTest, LastWriteWinsInHeadAndOverBlocks) {
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}, {kStart + 1, 1}, {kStart + 2, 1}}).ok());
  ASSERT_TRUE(Push(series, {{kStart + 1, 2}}).ok());
  EXPECT_THAT(Read(series), ElementsAre(Points::value_type(kStart, 1), Points::value_type(kStart + 1, 2),
                                        Points::value_type(kStart + 2, 1)));
  SealAll();
  ASSERT_TRUE(Push(series, {{kStart + 2, 3}, {kStart - 5, 9}}).ok());
  const Points expected = {{kStart - 5, 9}, {kStart, 1}, {kStart + 1, 2}, {kStart + 2, 3}};
  EXPECT_EQ(Read(series), expected);
  SealAll();
  EXPECT_EQ(Read(series), expected);
  EXPECT_EQ(store_->Stats().head_samples, 0);
  Open();
  EXPECT_EQ(Read(series), expected);
}

TEST_F(StoreTest, EveryBitOfAValueSurvives) {
  Open();
  const SeriesId series = Series("odd");
  const std::vector<double> values = {std::bit_cast<double>(uint64_t{0x7ff8dead00000001}),
                                      -0.0,
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::denorm_min(),
                                      std::numeric_limits<double>::max()};
  Points points;
  for (size_t i = 0; i < values.size(); ++i) points.emplace_back(kStart + static_cast<int64_t>(i), values[i]);
  ASSERT_TRUE(Push(series, points).ok());
  for (int round = 0; round < 2; ++round) {
    const Points read = Read(series);
    ASSERT_EQ(read.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(std::bit_cast<uint64_t>(read[i].second), std::bit_cast<uint64_t>(values[i])) << i;
    }
    SealAll();
  }
}

TEST_F(StoreTest, SealsByCountAndByDay) {
  options_.block_samples = 10;
  Open();
  const SeriesId series = Series("cpu");
  const int64_t midnight = (kStart / kNanosPerDay + 1) * kNanosPerDay;
  Points points;
  for (int i = -12; i < 12; ++i) points.emplace_back(midnight + i * kNanosPerSecond, i);
  ASSERT_TRUE(Push(series, points).ok());
  WaitUntil([&] { return store_->Stats().sealed_blocks >= 3; });  // 10, the 2 before midnight, 10
  EXPECT_EQ(store_->Stats().head_samples, 2);
  EXPECT_EQ(Read(series), points);
  Open();
  EXPECT_EQ(Read(series), points);
}

TEST_F(StoreTest, ALateSampleRewritesOnlyTheBlockItFallsInto) {
  options_.block_samples = 10;
  Open();
  const SeriesId series = Series("cpu");
  Points points;
  for (int i = 0; i < 100; ++i) points.emplace_back(kStart + i * kNanosPerSecond, i);
  ASSERT_TRUE(Push(series, points).ok());
  SealAll();
  const StoreStats before = store_->Stats();
  ASSERT_EQ(before.sealed_blocks, 10);
  ASSERT_TRUE(Push(series, {{kStart + 35 * kNanosPerSecond + 1, -1}}).ok());
  EXPECT_EQ(store_->Stats().late_samples, 1);
  SealAll();
  EXPECT_EQ(store_->Stats().sealed_blocks - before.sealed_blocks, 2);  // eleven samples are one too many for a block
  EXPECT_EQ(store_->Stats().sealed_samples - before.sealed_samples, 11);
  points.insert(points.begin() + 36, {kStart + 35 * kNanosPerSecond + 1, -1});
  EXPECT_EQ(Read(series), points);
}

TEST_F(StoreTest, JoinsSmallSealedRunsIntoOneBlock) {
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Push(series, {{kStart + i, i}}).ok());
    SealAll();
  }
  const SeriesId ids[] = {series};
  auto view = store_->OpenView(ids, kAllTime, nullptr);
  EXPECT_EQ((*view)->Read(series, kAllTime)->size(), 5u);
  EXPECT_EQ((*view)->stats().decoded_blocks, 1);
}

TEST_F(StoreTest, KeepsTheHeadWithinItsMemory) {
  options_.head_bytes = 64 << 10;
  Open();
  std::vector<SeriesId> series;
  for (int i = 0; i < 100; ++i) series.push_back(Series("m" + std::to_string(i)));
  for (int t = 0; t < 200; ++t) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    for (const SeriesId id : series) {
      batch.series.push_back(id);
      batch.times.push_back(kStart + t * kNanosPerSecond);
      batch.values.push_back(t);
    }
    ASSERT_TRUE(Push(std::move(batch)).ok());
    // At most the limit and one batch that opens a chunk in every series.
    ASSERT_LE(store_->Stats().head_bytes, options_.head_bytes + 100 * (16 * 16 + 192));
  }
  EXPECT_GT(store_->Stats().sealed_blocks, 0);
  for (const SeriesId id : series) ASSERT_EQ(Read(id).size(), 200u);
}

TEST_F(StoreTest, KeepsTheLogToReplayWithinItsBound) {
  options_.block_samples = 500;
  options_.wal_segment_bytes = 4096;
  options_.wal_recovery_bytes = 32 << 10;
  options_.wal_retain_bytes = 0;
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(Push(series, {{kStart + i, i}}).ok());
  // A wake-up is needed, which full chunks of a busy store give all the time.
  WaitUntil([&] {
    EXPECT_TRUE(Push(series, {{kStart + 2000, 1}}).ok());
    return store_->Stats().wal_bytes <= 48 << 10;
  });
  EXPECT_EQ(Read(series).size(), 1001u);
}

TEST_F(StoreTest, AcknowledgesADuplicateWithoutApplyingIt) {
  RecordingObserver observer;
  observer_ = &observer;
  Open();
  const SeriesId series = Series("cpu");
  AppendBatch batch = Batch(series, {{kStart, 1}});
  batch.producer_id = "p";
  batch.sequence = 7;
  ASSERT_FALSE(Push(batch)->duplicate);
  batch.values[0] = 2;
  EXPECT_TRUE(Push(batch)->duplicate);
  for (int round = 0; round < 2; ++round) {
    Open();
    EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 7);
    EXPECT_EQ(store_->ProducerPosition(kSystemTenant, "p"), 0);
    const auto again = Push(batch);
    EXPECT_TRUE(again->duplicate);
    EXPECT_EQ(again->commit_sequence, 1);
    EXPECT_THAT(Read(series), ElementsAre(Points::value_type(kStart, 1)));
    SealAll();  // the second round reads the producers' own table
  }
  EXPECT_EQ(observer.commits.size(), 1u);
}

TEST_F(StoreTest, FindsADuplicateInsideOneGroup) {
  Open();
  const SeriesId series = Series("cpu");
  std::atomic<int> done = 0;
  std::atomic<int> duplicates = 0;
  for (int i = 0; i < 400; ++i) {
    AppendBatch batch = Batch(series, {{kStart + i / 2, i}});
    batch.producer_id = "p";
    batch.sequence = 1 + i / 2;
    ASSERT_TRUE(store_
                    ->Append(std::move(batch),
                             [&](const absl::StatusOr<CommitReceipt>& receipt) {
                               duplicates += receipt.ok() && receipt->duplicate ? 1 : 0;
                               ++done;
                             })
                    .ok());
  }
  WaitUntil([&] { return done == 400; });
  EXPECT_EQ(duplicates, 200);
  const Points points = Read(series);
  ASSERT_EQ(points.size(), 200u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(points[static_cast<size_t>(i)].second, 2 * i);
}

TEST_F(StoreTest, ForgetsTheProducerThatWasSilentLongest) {
  options_.max_producers_per_tenant = 2;
  Open();
  const SeriesId series = Series("cpu");
  const auto push = [&](const std::string& producer, int64_t sequence) {
    AppendBatch batch = Batch(series, {{kStart, 1}});
    batch.producer_id = producer;
    batch.sequence = sequence;
    ASSERT_TRUE(Push(batch).ok());
  };
  push("a", 1);
  push("b", 1);
  push("a", 2);
  SealAll();
  push("c", 1);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "b"), 0);
  SealAll();
  Open();
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "a"), 2);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "b"), 0);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "c"), 1);
}

TEST_F(StoreTest, LatestComesFromMemoryAndFromBlocksAfterRestart) {
  Open();
  const SeriesId series = Series("cpu");
  EXPECT_EQ(store_->Latest(series)->has_value(), false);
  ASSERT_TRUE(Push(series, {{kStart + 9, 9}, {kStart, 1}}).ok());
  EXPECT_EQ((*store_->Latest(series))->value, 9);
  SealAll();
  Open();
  ASSERT_TRUE(Push(series, {{kStart + 5, 5}}).ok());  // late: must not hide the newer one in the block
  EXPECT_EQ((*store_->Latest(series))->value, 9);
  ASSERT_TRUE(Push(series, {{kStart + 9, 10}}).ok());
  EXPECT_EQ((*store_->Latest(series))->value, 10);
}

TEST_F(StoreTest, ReplaysCommitsFromTheLog) {
  Open();
  const SeriesId a = Series("a");
  const SeriesId b = Series("b");
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Push(i % 2 == 0 ? a : b, {{kStart + i, i}, {kStart - i, -i}}).ok());
  for (int round = 0; round < 2; ++round) {
    int64_t next = 101;
    ASSERT_TRUE(store_
                    ->ReadCommits(100, 200,
                                  [&](const CommittedBatch& batch) {
                                    EXPECT_EQ(batch.commit_sequence, next++);
                                    const auto i = static_cast<double>(batch.commit_sequence - 1);
                                    EXPECT_EQ(batch.tenant, kDefaultTenant);
                                    EXPECT_THAT(std::vector<double>(batch.values.begin(), batch.values.end()),
                                                ElementsAre(i, -i));
                                    EXPECT_EQ(batch.series[0], batch.commit_sequence % 2 == 1 ? a : b);
                                    EXPECT_EQ(batch.times[1], kStart - static_cast<int64_t>(i));
                                    return absl::OkStatus();
                                  })
                    .ok());
    EXPECT_EQ(next, 201);
    Open();
  }
  int visits = 0;
  EXPECT_TRUE(store_->ReadCommits(300, 999, [&](const CommittedBatch&) { return ++visits, absl::OkStatus(); }).ok());
  EXPECT_EQ(visits, 0);
}

TEST_F(StoreTest, SaysWhenTheLogNoLongerReachesBack) {
  options_.wal_segment_bytes = 4096;
  options_.wal_retain_bytes = 8192;
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(Push(series, {{kStart + i, i}}).ok());
  const int64_t before = store_->Stats().wal_bytes;
  SealAll();
  EXPECT_LT(store_->Stats().wal_bytes, before);
  EXPECT_LE(store_->Stats().wal_bytes, 3 * 4096);
  const absl::Status status = store_->ReadCommits(0, 500, [](const CommittedBatch&) { return absl::OkStatus(); });
  EXPECT_TRUE(HasReason(status, ErrorReason::kResumeTokenExpired)) << status;
  const int64_t oldest = std::stoll(GetErrorDetail(status)->metadata.at("oldestCommitSequence"));
  int64_t next = oldest;
  EXPECT_TRUE(store_
                  ->ReadCommits(oldest - 1, 500,
                                [&](const CommittedBatch& batch) {
                                  EXPECT_EQ(batch.commit_sequence, next++);
                                  return absl::OkStatus();
                                })
                  .ok());
  EXPECT_EQ(next, 501);
  Open();
  EXPECT_EQ(Read(series).size(), 500u);
}

TEST_F(StoreTest, DropsWholeDaysBeyondTheRetention) {
  options_.raw_retention_ns = 2 * kNanosPerDay;
  options_.tiers.clear();
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart - kNanosPerDay, 1}, {kStart, 2}}).ok());
  SealAll();
  EXPECT_EQ(Read(series).size(), 2u);
  const SeriesId ids[] = {series};
  auto view = store_->OpenView(ids, kAllTime, nullptr);
  clock_.Advance(2 * kNanosPerDay);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_THAT(Read(series), ElementsAre(Points::value_type(kStart, 2)));
  EXPECT_EQ((*view)->Read(series, kAllTime)->size(), 2u);  // an open view keeps its day
  view->reset();
  clock_.Advance(9 * kNanosPerDay);
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_THAT(Read(series), IsEmpty());
  EXPECT_FALSE(store_->Latest(series)->has_value());
  Open();
  EXPECT_THAT(Read(series), IsEmpty());
  const SeriesId anew = Series("cpu");          // forgotten meanwhile
  ASSERT_TRUE(Push(anew, {{kStart, 5}}).ok());  // older than the retention: gone at the next sealing
  SealAll();
  EXPECT_THAT(Read(anew), IsEmpty());
}

TEST_F(StoreTest, ReadsRollupsOfSealedAndUnsealedSamples) {
  Open();
  const SeriesId series = Series("cpu");
  Points points;
  for (int i = 0; i < 300; ++i) points.emplace_back(kStart + i * 10 * kNanosPerSecond, i % 7);
  ASSERT_TRUE(Push(series, points).ok());
  SealAll();
  ASSERT_TRUE(Push(series, {{kStart + 15 * kNanosPerSecond, 99}, {kStart + 3001 * kNanosPerSecond, 5}}).ok());
  points.emplace_back(kStart + 15 * kNanosPerSecond, 99);
  points.emplace_back(kStart + 3001 * kNanosPerSecond, 5);
  std::sort(points.begin(), points.end());
  std::vector<int64_t> times;
  std::vector<double> values;
  for (const auto& [time, value] : points) {
    times.push_back(time);
    values.push_back(value);
  }
  const SeriesId ids[] = {series};
  const int64_t from = kStart + 777 * kNanosPerSecond;  // amid a bucket, which counts
  auto view = store_->OpenView(ids, {from, kAllTime.end}, nullptr);
  for (const TierOptions& tier : store_->Tiers(kDefaultTenant)) {
    RollupColumns expected;
    FoldSamples(times, values, tier.bucket_ns, false, &expected);
    const auto read = (*view)->ReadRollups(series, tier.bucket_ns, kAllTime, kAllRollupFields);
    ASSERT_TRUE(read.ok()) << read.status();
    const auto begins = [&](const RollupColumns& c) {
      return std::vector<int64_t>(std::lower_bound(c.starts.begin(), c.starts.end(), BucketStart(from, tier.bucket_ns)),
                                  c.starts.end());
    };
    EXPECT_EQ(read->starts, begins(expected));
    EXPECT_EQ(read->sums.back(), expected.sums.back());
    EXPECT_EQ(read->counts.front(), expected.counts[expected.size() - read->size()]);
  }
  const auto few = (*view)->ReadRollups(series, kNanosPerHour, kAllTime, RollupField::kSum | RollupField::kCount);
  EXPECT_EQ(few->sums.size(), few->size());
  EXPECT_TRUE(few->mins.empty());
}

TEST_F(StoreTest, OpensAStoreOfVersionOne) {
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  SealAll();
  Close();
  {
    RocksOptions rocks_options;
    rocks_options.directory = options_.directory + "/db";
    const auto rocks = Rocks::Open(rocks_options);
    std::string one;
    PutLittleEndian(&one, uint32_t{1});
    ASSERT_TRUE((*rocks)->db()->Put({}, (*rocks)->fixed("meta").get(), kFormatKey, one).ok());
  }
  options_.raw_retention_ns = 100 * kNanosPerDay;  // windows are longer from now on; the day stays what it is
  options_.tiers = {};
  Open();
  ASSERT_TRUE(Push(series, {{kStart + 1, 2}, {kStart + kNanosPerDay, 3}}).ok());
  SealAll();
  EXPECT_EQ(Read(series).size(), 3u);
  Open();
  EXPECT_EQ(Read(series).size(), 3u);
}

TEST_F(StoreTest, RefusesTiersThatDoNotFit) {
  options_.tiers = {{7 * kNanosPerMinute, 90 * kNanosPerDay}};
  const auto opened = Store::Open(options_, nullptr);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreTest, RefusesASecondOpenOfOneDirectory) {
  Open();
  const auto second = Store::Open(options_, nullptr);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
  EXPECT_NE(StatusMessage(second.status()).find(options_.directory), std::string::npos);
  const SeriesId series = Series("cpu");
  EXPECT_TRUE(Push(series, {{kStart, 1}}).ok());
}

TEST_F(StoreTest, CloseCommitsWhatIsQueuedAndRefusesMore) {
  Open();
  const SeriesId series = Series("cpu");
  std::atomic<int> committed = 0;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(store_
                    ->Append(Batch(series, {{kStart + i, i}}),
                             [&](const absl::StatusOr<CommitReceipt>& receipt) { committed += receipt.ok() ? 1 : 0; })
                    .ok());
  }
  EXPECT_TRUE(store_->Close().ok());
  EXPECT_EQ(committed, 200);
  EXPECT_TRUE(store_->Close().ok());
  const absl::Status refused = store_->Append(Batch(series, {{kStart, 1}}), [](const auto&) { FAIL(); });
  EXPECT_TRUE(HasReason(refused, ErrorReason::kShuttingDown));
  Open();
  EXPECT_EQ(Read(series).size(), 200u);
}

TEST_F(StoreTest, RefusesMoreThanTheQueueMayHold) {
  // The observer blocks the committer, so that the queue can only grow.
  struct Gate final : CommitObserver {
    std::promise<void> open;
    std::shared_future<void> opened = open.get_future().share();
    void OnCommit(const CommittedBatch&) noexcept override { opened.wait(); }
  } gate;
  observer_ = &gate;
  options_.append_queue_bytes = 4096;
  Open();
  const SeriesId series = Series("cpu");
  std::atomic<int> done = 0;
  int queued = 0;
  absl::Status refused;
  while (queued < 100) {
    refused = store_->Append(Batch(series, {{kStart + queued, 1}}), [&](const auto&) { ++done; });
    if (!refused.ok()) break;
    ++queued;
  }
  EXPECT_TRUE(HasReason(refused, ErrorReason::kIngestBacklogFull)) << refused;
  EXPECT_TRUE(GetErrorDetail(refused)->retry_after_ms.has_value());
  gate.open.set_value();
  WaitUntil([&] { return done == queued; });
  WaitUntil([&] { return store_->Stats().append_queue_bytes == 0; });
  EXPECT_TRUE(Push(series, {{kStart + 1000, 1}}).ok());
  EXPECT_EQ(Read(series).size(), static_cast<size_t>(queued) + 1);
  Close();
}

TEST_F(StoreTest, WorksWithBufferedCommits) {
  ack_mode_ = AckMode::kBuffered;
  options_.buffered_sync_interval_ns = 3600 * kNanosPerSecond;
  options_.wal_segment_bytes = 4096;
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(Push(series, {{kStart + i, i}})->fsynced);
  EXPECT_EQ(store_->Stats().buffered_batches, 200);
  Crash();
  Open();
  EXPECT_EQ(Read(series).size(), 200u);
  SealAll();
  Crash();
  Open();
  EXPECT_EQ(Read(series).size(), 200u);
}

TEST_F(StoreTest, RefusesABatchThatNamesAnUnknownSeriesAndGoesOn) {
  Open();
  const SeriesId series = Series("cpu");
  AppendBatch unknown = Batch(series + 1, {{kStart, 1}});
  EXPECT_TRUE(HasReason(Push(unknown).status(), ErrorReason::kInternal));
  AppendBatch foreign = Batch(series, {{kStart, 1}});
  foreign.tenant = kSystemTenant;
  EXPECT_TRUE(HasReason(Push(foreign).status(), ErrorReason::kInternal));
  AppendBatch ragged = Batch(series, {{kStart, 1}});
  ragged.values.clear();
  EXPECT_TRUE(HasReason(Push(ragged).status(), ErrorReason::kInternal));
  EXPECT_EQ(Push(series, {{kStart, 1}})->commit_sequence, 1);
}

TEST_F(StoreTest, CommitsAnEmptyBatchToMoveItsProducer) {
  Open();
  AppendBatch batch;
  batch.tenant = kDefaultTenant;
  batch.producer_id = "p";
  batch.sequence = 3;
  EXPECT_EQ(Push(batch)->commit_sequence, 1);
  Open();
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 3);
}

TEST_F(StoreTest, NeverHandsOutASeriesIdTwice) {
  Open();
  const SeriesId used = Series("used");
  ASSERT_TRUE(Push(used, {{kStart, 1}}).ok());
  const SeriesId unused = Series("unused");  // no commit uses it: forgotten by a crash, its id must not be
  Crash();
  Open();
  EXPECT_FALSE(store_->FindSeries(kDefaultTenant, SeriesKey{"unused", {}}).has_value());
  EXPECT_GT(Series("next"), unused);
}

TEST_F(StoreTest, KeepsItsIdForEver) {
  Open();
  const std::string id = store_->store_id();
  EXPECT_EQ(id.size(), 32u);
  Open();
  EXPECT_EQ(store_->store_id(), id);
}

TEST_F(StoreTest, TablesKeepRowsAcrossRestart) {
  Open();
  Table& users = store_->GetTable("users");
  ASSERT_TRUE(users.Put("u/1", "ann").ok());
  ASSERT_TRUE(users.Write({{"u/2", "bob"}, {"u/3", "eve"}, {"v/1", "x"}}).ok());
  ASSERT_TRUE(users.Delete("u/3").ok());
  Crash();
  Open();
  Table& again = store_->GetTable("users");
  EXPECT_EQ(again.Get("u/1")->value(), "ann");
  EXPECT_FALSE(again.Get("u/3")->has_value());
  std::vector<std::string> keys;
  ASSERT_TRUE(again
                  .Scan("u/", "",
                        [&](std::string_view key, std::string_view) {
                          keys.emplace_back(key);
                          return true;
                        })
                  .ok());
  EXPECT_THAT(keys, ElementsAre("u/1", "u/2"));
  keys.clear();
  ASSERT_TRUE(again
                  .Scan("u/", "u/2",
                        [&](std::string_view key, std::string_view) {
                          keys.emplace_back(key);
                          return true;
                        })
                  .ok());
  EXPECT_THAT(keys, ElementsAre("u/2"));
  EXPECT_FALSE(store_->GetTable("sessions").Get("u/1")->has_value());
}

}  // namespace
}  // namespace pulseboard
