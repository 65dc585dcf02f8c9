// Deleting samples: what goes, what stays, and a power cut before every change of the disk. Random runs:
// store_model_test.cc.
#include <algorithm>
#include <string>
#include <vector>

#include "common/analysis/rollup.h"
#include "server/storage/delete_record.h"
#include "server/storage/durable_store.h"
#include "server/storage/operations.h"
#include "tests/unit/storage/simulated_env.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class DeleteTest : public StoreTest {
 protected:
  static constexpr int64_t kSecond = kNanosPerSecond;

  DeleteResult Delete(const std::string& selector, TimeRange range, bool dry_run = false) {
    DeleteRequest request;
    request.tenant = kDefaultTenant;
    request.selector = Selector::Parse(selector).value();
    request.range = range;
    request.dry_run = dry_run;
    auto result = store_->operations().Delete(request);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : DeleteResult{-1, -1, -1};
  }
  static Points Seconds(int64_t from, int64_t to, double value = 1) {
    Points points;
    for (int64_t i = from; i < to; ++i) points.emplace_back(kStart + i * kSecond, value);
    return points;
  }
  static TimeRange Range(int64_t from, int64_t to) { return {kStart + from * kSecond, kStart + to * kSecond}; }
  static Points Concat(Points a, const Points& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
};

TEST_F(DeleteTest, TakesTheRangeOutOfBlocksAndHead) {
  Open();
  const SeriesId series = Series("m");
  const SeriesId other = Series("other");
  ASSERT_TRUE(Push(series, Seconds(0, 2'000)).ok());
  ASSERT_TRUE(Push(other, Seconds(0, 10)).ok());
  SealAll();
  ASSERT_TRUE(Push(series, Seconds(2'000, 2'500)).ok());
  EXPECT_EQ(Delete("m", Range(500, 2'100), true).samples, 1'600);
  EXPECT_EQ(Read(series).size(), 2'500u);
  const DeleteResult result = Delete("m", Range(500, 2'100));
  EXPECT_EQ(result.samples, 1'600);
  EXPECT_EQ(result.series, 1);
  EXPECT_EQ(result.commit_sequence, 3);
  const Points left = Concat(Seconds(0, 500), Seconds(2'100, 2'500));
  EXPECT_EQ(Read(series), left);
  EXPECT_EQ(Read(other), Seconds(0, 10));
  EXPECT_EQ(Delete("m", Range(500, 2'100)).samples, 0);
  Open();
  EXPECT_EQ(Read(series), left);
  Crash();
  Open();
  EXPECT_EQ(Read(series), left);
}

TEST_F(DeleteTest, WhatIsPushedAfterwardsStays) {
  Open();
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 100, 1)).ok());
  Delete("m", kAllTime);
  EXPECT_FALSE(store_->Latest(series)->has_value());
  ASSERT_TRUE(Push(series, Seconds(50, 60, 2)).ok());
  EXPECT_EQ(Read(series), Seconds(50, 60, 2));
  for (const bool sealed : {false, true}) {
    if (sealed) SealAll();
    Crash();
    Open();
    EXPECT_EQ(Read(series), Seconds(50, 60, 2));
    EXPECT_EQ((*store_->Latest(series))->time_unix_nanos, kStart + 59 * kSecond);
  }
}

TEST_F(DeleteTest, LatestIsThatOfWhatIsLeft) {
  Open();
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 100)).ok());
  Delete("m", Range(90, 200));
  EXPECT_EQ((*store_->Latest(series))->time_unix_nanos, kStart + 89 * kSecond);
  ASSERT_TRUE(Push(series, Seconds(80, 81)).ok());
  EXPECT_EQ((*store_->Latest(series))->time_unix_nanos, kStart + 89 * kSecond);
  Delete("m", Range(0, 50));
  EXPECT_EQ((*store_->Latest(series))->time_unix_nanos, kStart + 89 * kSecond);
}

TEST_F(DeleteTest, ViewTakenBeforeStillSeesTheSamples) {
  Open();
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 1'000)).ok());
  SealAll();
  ASSERT_TRUE(Push(series, Seconds(1'000, 1'100)).ok());
  const SeriesId ids[] = {series};
  const auto view = store_->OpenView(ids, kAllTime, nullptr);
  ASSERT_TRUE(view.ok());
  Delete("m", kAllTime);
  EXPECT_EQ((*view)->Read(series, kAllTime)->size(), 1'100u);
  EXPECT_TRUE(Read(series).empty());
}

TEST_F(DeleteTest, LogTellsDeletedSamplesToNobodyAndTheRecordGoesWithIt) {
  options_.wal_segment_bytes = 4096;
  options_.wal_retain_bytes = 0;
  Open();
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 100)).ok());
  Delete("m", Range(10, 100));
  ASSERT_TRUE(Push(series, Seconds(20, 21)).ok());
  std::vector<size_t> sizes;
  ASSERT_TRUE(store_
                  ->ReadCommits(0, 2,
                                [&sizes](const CommittedBatch& batch) {
                                  sizes.push_back(batch.times.size());
                                  return absl::OkStatus();
                                })
                  .ok());
  EXPECT_EQ(sizes, (std::vector<size_t>{10, 1}));
  const auto records = [this] {
    int64_t found = 0;
    EXPECT_TRUE(store_->GetTable("meta").Scan("store/delete/", "", [&found](auto, auto) { return ++found; }).ok());
    return found;
  };
  EXPECT_EQ(records(), 1);
  ASSERT_TRUE(Push(series, Seconds(200, 900)).ok());  // fills a segment
  SealAll();
  EXPECT_EQ(records(), 0);
  Crash();
  Open();
  EXPECT_EQ(Read(series, Range(0, 100)), Concat(Seconds(0, 10), Seconds(20, 21)));
}

TEST_F(DeleteTest, RecordsSurviveTheRoundTripAndNothingElseDoes) {
  DeleteRecord record;
  record.number = 7;
  record.erased = true;
  record.commit_sequence = 1'000;
  record.tenant = 3;
  record.range = {-5, 1'700'000'000'000'000'000};
  record.series = {1, 2, 300, 1'000'000};
  const std::string key = DeleteRecordKey(7);
  const std::string value = EncodeDeleteRecord(record);
  DeleteRecord read;
  ASSERT_TRUE(ParseDeleteRecord(key, value, &read));
  EXPECT_EQ(read.number, 7u);
  EXPECT_TRUE(read.erased);
  EXPECT_EQ(read.commit_sequence, 1'000);
  EXPECT_EQ(read.tenant, 3u);
  EXPECT_EQ(read.range, record.range);
  EXPECT_EQ(read.series, record.series);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(ParseDeleteRecord(key, value.substr(0, size), &read)) << size;
  }
  EXPECT_FALSE(ParseDeleteRecord(key, value + "x", &read));
  EXPECT_FALSE(ParseDeleteRecord("store/delete/", value, &read));
}

TEST_F(DeleteTest, RollupsAreThoseOfWhatIsLeft) {
  Open();
  const SeriesId series = Series("m");
  Points points;
  for (int64_t i = 0; i < 30'000; ++i) points.emplace_back(kStart + i * kSecond, static_cast<double>(i % 977) / 10);
  ASSERT_TRUE(Push(series, points).ok());
  SealAll();
  ASSERT_GT(store_->Stats().sealed_blocks, 0);
  const auto expect_exact = [&](const std::string& when) {
    const SeriesId ids[] = {series};
    const Points left = Read(series);
    std::vector<int64_t> times;
    std::vector<double> values;
    for (const auto& [time, value] : left) {
      times.push_back(time);
      values.push_back(value);
    }
    RollupColumns minutes;
    FoldSamples(times, values, kNanosPerMinute, false, &minutes);
    RollupColumns hours;
    FoldRollups(minutes, kNanosPerHour, false, &hours);
    for (const auto& [bucket, expected] : {std::pair(kNanosPerMinute, minutes), std::pair(kNanosPerHour, hours)}) {
      const auto view = store_->OpenView(ids, kAllTime, nullptr);
      ASSERT_TRUE(view.ok());
      const auto read = (*view)->ReadRollups(series, bucket, kAllTime, kAllRollupFields);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->starts, expected.starts) << when << " " << bucket;
      EXPECT_EQ(read->counts, expected.counts) << when << " " << bucket;
      EXPECT_EQ(read->sums, expected.sums) << when << " " << bucket;
      EXPECT_EQ(read->maxs, expected.maxs) << when << " " << bucket;
      EXPECT_EQ(read->last_times, expected.last_times) << when << " " << bucket;
    }
  };
  expect_exact("before");
  Delete("m", Range(1'234, 9'876));
  expect_exact("deleted");
  ASSERT_TRUE(Push(series, Seconds(5'000, 5'100, 3)).ok());
  SealAll();
  expect_exact("pushed again");
  Open();
  expect_exact("opened again");
}

TEST_F(DeleteTest, WhatIsLateStaysLateAmongWhatIsLeft) {
  DeleteRecord record;
  record.commit_sequence = 9;
  record.tenant = kDefaultTenant;
  record.range = {10, 20};
  record.series = {1};
  DeletedFilter deleted(std::make_shared<DeleteRecords>(DeleteRecords{record}));
  const std::vector<SeriesId> series = {1, 2, 1, 2, 1};
  const std::vector<int64_t> times = {10, 11, 19, 12, 20};
  const std::vector<double> values = {1, 2, 3, 4, 5};
  const std::vector<uint32_t> late = {0, 3, 4};
  CommittedBatch batch;
  batch.commit_sequence = 9;
  batch.tenant = kDefaultTenant;
  batch.series = series;
  batch.times = times;
  batch.values = values;
  batch.late = late;
  const CommittedBatch left = deleted.Apply(batch);
  EXPECT_THAT(left.times, ::testing::ElementsAre(11, 12, 20));
  EXPECT_THAT(left.values, ::testing::ElementsAre(2, 4, 5));
  EXPECT_THAT(left.late, ::testing::ElementsAre(1, 2));
  batch.commit_sequence = 10;
  EXPECT_EQ(deleted.Apply(batch).times.size(), 5u);
}

// The store on a simulated disk.
class DeletePowerCutTest : public DeleteTest {
 protected:
  DeletePowerCutTest() { options_.directory = "/store"; }
  absl::Status OpenOn(SimulatedDisk* disk, rocksdb::Env* env) {
    store_.reset();
    auto opened = DurableStore::Open(options_, nullptr, disk, env);
    if (!opened.ok()) return opened.status();
    store_ = *std::move(opened);
    return absl::OkStatus();
  }
};

TEST_F(DeletePowerCutTest, DeletesAllOrNothingWheneverThePowerGoes) {
  const auto env_of = [](SimulatedDisk* disk) { return MakeSimulatedEnv(disk); };
  SimulatedDisk before;
  const auto before_env = env_of(&before);
  ASSERT_TRUE(OpenOn(&before, before_env.get()).ok());
  // Two windows, blocks and head, and a sample of a commit that is not checkpointed.
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 1'500)).ok());
  ASSERT_TRUE(Push(series, Seconds(86'400, 87'000)).ok());
  SealAll();
  ASSERT_TRUE(Push(series, Seconds(1'500, 1'600)).ok());
  store_.reset();

  const Points everything = Concat(Seconds(0, 1'600), Seconds(86'400, 87'000));
  const Points left = Concat(Seconds(0, 100), Seconds(86'500, 87'000));
  const Points pushed_later = Seconds(200, 201, 7);
  int done = 0;
  int undone = 0;
  bool over = false;
  for (int64_t change = 0; !over; ++change) {
    SimulatedDisk disk;
    disk.CopyFrom(before);
    const auto env = env_of(&disk);
    ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    disk.CutPowerBefore(disk.changes() + change);
    DeleteRequest request;
    request.tenant = kDefaultTenant;
    request.selector = Selector::Parse("m").value();
    request.range = Range(100, 86'500);
    const bool answered = store_->operations().Delete(request).ok();
    over = store_->Checkpoint().ok();
    disk.CutPower();
    store_.reset();
    disk.PowerOn(static_cast<uint64_t>(change));
    ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    const Points read = Read(series);
    ASSERT_TRUE(read == everything || read == left) << "change " << change << " left " << read.size();
    ASSERT_TRUE(read == left || !answered);
    read == left ? ++done : ++undone;
    // What comes later stays, also after another crash.
    ASSERT_TRUE(Push(series, pushed_later).ok());
    SealAll();
    store_.reset();
    ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    EXPECT_EQ(Read(series, Range(200, 201)), pushed_later);
    store_.reset();
  }
  EXPECT_GT(done, 2);
  EXPECT_GT(undone, 2);
}

// A block that can't be read stops the erasing after it was decided: it is finished later, before anything is sealed.
TEST_F(DeletePowerCutTest, IsFinishedBeforeAnythingIsSealedWhenABlockCouldNotBeRead) {
  SimulatedDisk before;
  const auto before_env = MakeSimulatedEnv(&before);
  options_.checkpoint_interval_ns = 3600 * kNanosPerSecond;
  ASSERT_TRUE(OpenOn(&before, before_env.get()).ok());
  const SeriesId series = Series("m");
  ASSERT_TRUE(Push(series, Seconds(0, 100)).ok());
  SealAll();
  store_.reset();

  Points not_deleted = Seconds(0, 100);
  not_deleted[50].second = 7;
  const Points deleted = Seconds(50, 51, 7);
  int finished = 0;
  bool answered = false;
  for (int64_t read = 0; !answered; ++read) {
    SimulatedDisk disk;
    disk.CopyFrom(before);
    const auto env = MakeSimulatedEnv(&disk);
    ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    disk.Inject({SimulatedDisk::Op::kRead, ".sst", EIO, read, 1});
    DeleteRequest request;
    request.tenant = kDefaultTenant;
    request.selector = Selector::Parse("m").value();
    request.range = Range(0, 100);
    answered = store_->operations().Delete(request).ok();
    disk.Heal();
    if (!store_->Health().ok()) {  // it hit a flush: RocksDB is out until a restart
      store_.reset();
      ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    }
    ASSERT_TRUE(Push(series, Seconds(50, 51, 7)).ok());
    SealAll();
    ASSERT_TRUE(Read(series) == deleted || (!answered && Read(series) == not_deleted)) << "read " << read;
    if (!answered && Read(series) == deleted) ++finished;
    ASSERT_TRUE(OpenOn(&disk, env.get()).ok());
    ASSERT_TRUE(Read(series) == deleted || (!answered && Read(series) == not_deleted)) << "read " << read;
    store_.reset();
  }
  EXPECT_GT(finished, 0);
}

}  // namespace
}  // namespace pulseboard
