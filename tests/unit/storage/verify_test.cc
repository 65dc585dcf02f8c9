// Verification: silent about whole stores, whatever was done to them, and exact about each kind of damage.
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "common/analysis/rollup.h"
#include "common/codec/block.h"
#include "common/codec/rollup_block.h"
#include "server/storage/block_store.h"
#include "server/storage/operations.h"
#include "server/storage/rocks.h"
#include "server/storage/verify_directory.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;

class VerifyTest : public StoreTest {
 protected:
  static constexpr int64_t kSecond = kNanosPerSecond;

  VerifyTest() {
    options_.verify_rate = 0;
    options_.block_samples = 720;
    watch_.on_finding = [this](const VerifyFinding& finding) { findings_.push_back(finding); };
  }
  VerifySummary Online() {
    findings_.clear();
    auto summary = store_->operations().Verify(watch_);
    EXPECT_TRUE(summary.ok()) << summary.status();
    return summary.ok() ? *summary : VerifySummary{};
  }
  VerifySummary Offline() {
    Close();
    findings_.clear();
    auto summary = VerifyDirectory(options_.directory, watch_);
    EXPECT_TRUE(summary.ok()) << summary.status();
    return summary.ok() ? *summary : VerifySummary{};
  }
  std::string Findings() const {
    std::string all;
    for (const VerifyFinding& f : findings_) {
      all += f.family + " " + std::to_string(f.series) + " " + std::to_string(f.block_start) + " " + f.file + ": " +
             f.description + "\n";
    }
    return all;
  }
  // Five hours of seconds, dense enough for rollups, and some minutes in the head.
  void Fill() {
    series_ = Series("m");
    Points points;
    for (int64_t i = 0; i < 18'000; ++i) points.emplace_back(kStart + i * kSecond, static_cast<double>(i % 977) / 10);
    ASSERT_TRUE(Push(series_, points).ok());
    AppendBatch tracked = Batch(Series("other"), {{kStart, 7}});
    tracked.producer_id = "p";
    tracked.sequence = 41;
    ASSERT_TRUE(Push(tracked).ok());
    SealAll();
    ASSERT_TRUE(Push(series_, {{kStart + 18'000 * kSecond, 1}}).ok());
  }
  // Changes RocksDB of the closed store behind its back.
  void WithBlocks(int64_t bucket, const std::function<void(rocksdb::DB*, const PartitionPtr&)>& change) {
    Close();
    RocksOptions rocks_options;
    rocks_options.directory = options_.directory + "/db";
    auto rocks = Rocks::Open(rocks_options);
    ASSERT_TRUE(rocks.ok()) << rocks.status();
    BlockStore blocks(rocks->get());
    const auto partitions = blocks.Partitions()->Overlapping(bucket, kAllTime);
    ASSERT_FALSE(partitions.empty());
    for (const PartitionPtr& partition : partitions) {
      const std::unique_ptr<rocksdb::Iterator> it((*rocks)->db()->NewIterator({}, partition->family.get()));
      it->SeekToFirst();
      if (!it->Valid()) continue;
      return change((*rocks)->db().get(), partition);
    }
    FAIL() << "there is no block";
  }
  static std::pair<std::string, std::string> FirstRow(rocksdb::DB* db, const PartitionPtr& partition) {
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}, partition->family.get()));
    it->SeekToFirst();
    return {it->key().ToString(), it->value().ToString()};
  }

  SeriesId series_ = 0;
  VerifyWatcher watch_;
  std::vector<VerifyFinding> findings_;
};

TEST_F(VerifyTest, FindsNothingInAWholeStoreAndCountsWhatItRead) {
  Open();
  Fill();
  for (const bool online : {true, false}) {
    const VerifySummary summary = online ? Online() : Offline();
    EXPECT_EQ(summary.findings, 0) << Findings();
    EXPECT_EQ(summary.samples, 18'001);
    EXPECT_GT(summary.blocks, 20);
    EXPECT_GT(summary.rollup_blocks, 0);
    EXPECT_GT(summary.rollups, 200);
    EXPECT_EQ(summary.unchecked_rollups, 0);
    EXPECT_EQ(summary.series, 2);
    EXPECT_EQ(summary.producers, 1);
    EXPECT_EQ(summary.log_commits, 3);
    EXPECT_GT(summary.bytes, 0);
  }
}

TEST_F(VerifyTest, FindsNothingAfterLateSamplesDeletionsAndCrashes) {
  Open();
  Fill();
  ASSERT_TRUE(Push(series_, {{kStart + 500 * kSecond + 7, 3}, {kStart + 501 * kSecond, 4}}).ok());
  SealAll();
  DeleteRequest request;
  request.tenant = kDefaultTenant;
  request.selector = Selector::Parse("m").value();
  request.range = {kStart + 1'000 * kSecond, kStart + 9'999 * kSecond};
  ASSERT_TRUE(store_->operations().Delete(request).ok());
  EXPECT_EQ(Online().findings, 0) << Findings();
  ASSERT_TRUE(Push(series_, {{kStart + 3'000 * kSecond, 3}}).ok());
  Crash();
  EXPECT_EQ(Offline().findings, 0) << Findings();
  Open();
  SealAll();
  EXPECT_EQ(Online().findings, 0) << Findings();
}

TEST_F(VerifyTest, WorksOnOneStateWhilePushesGoOn) {
  Open();
  Fill();
  int64_t next = 20'000;
  watch_.on_progress = [&](const VerifyProgress&) {
    if (next < 20'040) {
      EXPECT_TRUE(Push(series_, {{kStart + next++ * kSecond, 1}, {kStart + (next % 50) * kSecond, 9}}).ok());
      if (next % 10 == 0) SealAll();
    }
    return absl::OkStatus();
  };
  const VerifySummary summary = Online();
  EXPECT_EQ(summary.findings, 0) << Findings();
  EXPECT_EQ(summary.samples, 18'001);
}

TEST_F(VerifyTest, LocatesADamagedBlock) {
  Open();
  Fill();
  std::string damaged;
  WithBlocks(kRawBucket, [&damaged](rocksdb::DB* db, const PartitionPtr& partition) {
    auto [key, block] = FirstRow(db, partition);
    block[block.size() / 2] = static_cast<char>(block[block.size() / 2] ^ 1);
    ASSERT_TRUE(db->Put({}, partition->family.get(), key, block).ok());
    damaged = key;
  });
  const VerifySummary summary = Offline();
  ASSERT_EQ(summary.findings, 1) << Findings();
  EXPECT_EQ(findings_[0].family, "raw.20231114");
  EXPECT_EQ(findings_[0].series, series_);
  EXPECT_EQ(findings_[0].tenant, kDefaultTenant);
  EXPECT_EQ(findings_[0].block_start, BlockKeyTime(damaged));
  Open();
  EXPECT_EQ(Online().findings, 1) << Findings();
}

TEST_F(VerifyTest, FindsBlocksThatStandWhereTheyMustNot) {
  Open();
  Fill();
  WithBlocks(kRawBucket, [this](rocksdb::DB* db, const PartitionPtr& partition) {
    const auto [key, block] = FirstRow(db, partition);
    auto* family = partition->family.get();
    const int64_t start = BlockKeyTime(key);
    const int64_t times[] = {start + 1, start + 2};
    const double values[] = {1, 2};
    ASSERT_TRUE(db->Put({}, family, BlockKey(kDefaultTenant, series_, start + 1), EncodeBlock(times, values)).ok());
    ASSERT_TRUE(db->Put({}, family, BlockKey(kDefaultTenant, 999, start + 1), EncodeBlock(times, values)).ok());
    ASSERT_TRUE(db->Put({}, family, BlockKey(7, series_, start + 1), EncodeBlock(times, values)).ok());
    ASSERT_TRUE(db->Put({}, family, BlockKey(kDefaultTenant, series_ + 1, start), EncodeBlock(times, values)).ok());
    ASSERT_TRUE(db->Put({}, family, "no key", "no block").ok());
    const int64_t outside[] = {start - 2 * kNanosPerDay};
    ASSERT_TRUE(db->Put({}, family, BlockKey(kDefaultTenant, series_ + 1, outside[0]),
                        EncodeBlock(outside, std::span(values).first(1)))
                    .ok());
  });
  Offline();
  EXPECT_THAT(Findings(), HasSubstr("overlaps with the block before"));
  EXPECT_THAT(Findings(), HasSubstr("999 " + std::to_string(kStart + 1) + " : the series is not defined"));
  EXPECT_THAT(Findings(), HasSubstr("belongs to tenant"));
  EXPECT_THAT(Findings(), HasSubstr("the first sample is at"));
  EXPECT_THAT(Findings(), HasSubstr("outside the window"));
  EXPECT_THAT(Findings(), HasSubstr("is no block's"));
}

TEST_F(VerifyTest, FindsARollupThatIsOffByTheLastBit) {
  Open();
  Fill();
  int64_t bucket_start = 0;
  WithBlocks(kNanosPerMinute, [&bucket_start](rocksdb::DB* db, const PartitionPtr& partition) {
    const auto [key, block] = FirstRow(db, partition);
    RollupSpan span;
    RollupColumns columns;
    ASSERT_TRUE(DecodeRollupBlock(block, kAllRollupFields, &span, &columns).ok());
    ASSERT_GT(columns.size(), 3u);
    bucket_start = columns.starts[3];
    columns.sums[3] = std::nextafter(columns.sums[3], 1e300);
    ASSERT_TRUE(db->Put({}, partition->family.get(), key, EncodeRollupBlock(span, columns)).ok());
  });
  Offline();
  ASSERT_FALSE(findings_.empty());
  EXPECT_THAT(Findings(), HasSubstr("the bucket at " + std::to_string(bucket_start) + " is not the fold of raw"));
  EXPECT_EQ(findings_[0].series, series_);
}

TEST_F(VerifyTest, FindsSamplesThatNoRollupKnowsOf) {
  Open();
  Fill();
  WithBlocks(kRawBucket, [](rocksdb::DB* db, const PartitionPtr& partition) {
    ASSERT_TRUE(db->Delete({}, partition->family.get(), FirstRow(db, partition).first).ok());
  });
  EXPECT_GT(Offline().findings, 0);
  EXPECT_THAT(Findings(), HasSubstr("is not the fold of raw"));
}

TEST_F(VerifyTest, FindsDamageInRocksDbsOwnFilesAndReadsOnBehindIt) {
  Open();
  Fill();
  WithBlocks(kRawBucket, [](rocksdb::DB* db, const PartitionPtr& partition) {
    ASSERT_TRUE(db->Flush({}, partition->family.get()).ok());
  });
  std::string largest;
  for (const std::string& path : FilesIn("db", ".sst")) {
    if (largest.empty() || std::filesystem::file_size(path) > std::filesystem::file_size(largest)) largest = path;
  }
  std::fstream file(largest, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(200);
  file.write("damage", 6);
  file.close();
  EXPECT_GT(Offline().findings, 0);
  EXPECT_THAT(Findings(), HasSubstr("can't be read"));
}

TEST_F(VerifyTest, LocatesDamageInTheLog) {
  Open();
  Fill();
  for (int64_t i = 0; i < 20; ++i) ASSERT_TRUE(Push(series_, {{kStart + (30'000 + i) * kSecond, 1}}).ok());
  Close();
  const auto segments = FilesIn("wal", ".wal");
  ASSERT_FALSE(segments.empty());
  std::fstream file(segments.back(), std::ios::in | std::ios::out | std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  file.seekp(static_cast<std::streamoff>(content.find_last_not_of('\0') - 400));  // some records before the end
  file.write("damage", 6);
  file.close();
  ASSERT_GT(Offline().findings, 0);
  EXPECT_EQ(findings_[0].family, "log");
  EXPECT_EQ(findings_[0].file, segments.back());
  EXPECT_GT(findings_[0].offset, 64);
}

TEST_F(VerifyTest, ChangesNothingAndRefusesADirectoryInUse) {
  Open();
  Fill();
  EXPECT_EQ(VerifyDirectory(options_.directory, watch_).status().code(), absl::StatusCode::kFailedPrecondition);
  Close();
  const auto state = [this] {
    std::map<std::string, std::filesystem::file_time_type> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.directory)) {
      files[entry.path().string()] = entry.last_write_time();
    }
    return files;
  };
  const auto before = state();
  EXPECT_EQ(Offline().findings, 0) << Findings();
  EXPECT_EQ(state(), before);
  EXPECT_EQ(VerifyDirectory(dir_.path() + "/nothing", watch_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(VerifyTest, StopsWhenItsWatcherSaysSo) {
  Open();
  Fill();
  watch_.on_progress = [](const VerifyProgress&) { return absl::CancelledError("enough"); };
  EXPECT_EQ(store_->operations().Verify(watch_).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(VerifyTest, StatusCountsByTierWindowAndTenant) {
  Open();
  Fill();
  const auto status = store_->operations().Status(true);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->store_id, store_->store_id());
  EXPECT_EQ(status->commit_sequence, 3);
  EXPECT_EQ(status->checkpoint_sequence, 2);
  EXPECT_EQ(status->head_samples, 1);
  EXPECT_EQ(status->series, 2);
  EXPECT_GT(status->log_bytes, 0);
  EXPECT_GT(status->free_bytes, 0);
  ASSERT_EQ(status->tiers.size(), 1 + options_.tiers.size());
  EXPECT_EQ(status->tiers[0].tier, "raw");
  int64_t samples = 0;
  int64_t oldest = kAllTime.end;
  int64_t newest = 0;
  for (const WindowStatus& window : status->tiers[0].windows) {
    for (const TenantUsage& usage : window.tenants) {
      EXPECT_EQ(usage.tenant, kDefaultTenant);
      EXPECT_GT(usage.blocks, 0);
      samples += usage.samples;
      oldest = std::min(oldest, usage.oldest_unix_nanos);
      newest = std::max(newest, usage.newest_unix_nanos);
    }
  }
  EXPECT_EQ(samples, 18'001);
  EXPECT_EQ(oldest, kStart);
  EXPECT_EQ(newest, kStart + 17'999 * kSecond);
  EXPECT_EQ(status->tiers[1].tier, "1m");
  ASSERT_FALSE(status->tiers[1].windows.empty());
  const auto quick = store_->operations().Status(false);
  ASSERT_TRUE(quick.ok());
  EXPECT_EQ(quick->tiers[0].windows.size(), status->tiers[0].windows.size());
  EXPECT_EQ(quick->tiers[0].windows[0].tenants.at(0).samples, 0);
}

}  // namespace
}  // namespace pulseboard
