// Full disks, damaged blocks, foreign directories.
#include <rocksdb/db.h>

#include <fstream>

#include "server/storage/durable_store.h"
#include "server/storage/rocks.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;

class StoreFaultTest : public StoreTest {
 protected:
  ~StoreFaultTest() override { Close(); }
  void OpenFaulty() {
    store_.reset();
    auto opened = DurableStore::Open(options_, observer_, &files_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  // Runs `change` on the closed store's RocksDB.
  void WithRocks(const std::function<void(Rocks*)>& change) {
    Close();
    RocksOptions rocks_options;
    rocks_options.directory = options_.directory + "/db";
    auto rocks = Rocks::Open(rocks_options);
    ASSERT_TRUE(rocks.ok()) << rocks.status();
    change(rocks->get());
  }
  FaultyFiles files_;
};

TEST_F(StoreFaultTest, AFullDiskRefusesWritesAndNothingElseUntilThereIsSpace) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  files_.FailWrites(ENOSPC);
  AppendBatch batch = Batch(series, {{kStart + 1, 2}});
  batch.producer_id = "p";
  batch.sequence = 1;
  const auto refused = Push(batch);
  EXPECT_TRUE(HasReason(refused.status(), ErrorReason::kDiskFull)) << refused.status();
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(HasReason(store_->Health(), ErrorReason::kDiskFull));
  const absl::Status at_once = store_->Append(batch, [](const auto&) { FAIL() << "refused batches don't complete"; });
  EXPECT_TRUE(HasReason(at_once, ErrorReason::kDiskFull));
  EXPECT_TRUE(GetErrorDetail(at_once)->retry_after_ms.has_value());
  EXPECT_EQ(Read(series).size(), 1u);
  EXPECT_EQ((*store_->Latest(series))->value, 1);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 0);

  files_.FailWrites(0);
  WaitUntil([&] { return store_->Health().ok(); });
  const auto retried = Push(batch);
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_FALSE(retried->duplicate);
  EXPECT_EQ(retried->commit_sequence, 2);
  Crash();
  Open();
  EXPECT_EQ(Read(series), (Points{{kStart, 1}, {kStart + 1, 2}}));
}

TEST_F(StoreFaultTest, ASeriesFirstUsedInARefusedBatchIsDefinedByTheNext) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  files_.FailSyncs(ENOSPC);
  EXPECT_FALSE(Push(series, {{kStart, 1}}).ok());
  files_.FailSyncs(0);
  WaitUntil([&] { return store_->Health().ok(); });
  ASSERT_TRUE(Push(series, {{kStart, 2}}).ok());
  Crash();
  Open();
  EXPECT_EQ(store_->FindSeries(kDefaultTenant, SeriesKey{"cpu", {}}), series);
  EXPECT_EQ(Read(series), (Points{{kStart, 2}}));
}

TEST_F(StoreFaultTest, AnIoErrorMakesTheStoreReadOnly) {
  OpenFaulty();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  files_.FailSyncs(EIO);
  EXPECT_TRUE(HasReason(Push(series, {{kStart + 1, 2}}).status(), ErrorReason::kStoreReadOnly));
  files_.FailSyncs(0);
  EXPECT_TRUE(HasReason(Push(series, {{kStart + 1, 2}}).status(), ErrorReason::kStoreReadOnly));
  EXPECT_TRUE(HasReason(store_->Health(), ErrorReason::kStoreReadOnly));
  EXPECT_EQ(Read(series).size(), 1u);
  Open();
  EXPECT_TRUE(Push(series, {{kStart + 1, 2}}).ok());
}

TEST_F(StoreFaultTest, ADamagedBlockIsNamedAndTheRestStaysReadable) {
  Open();
  const SeriesId series = Series("cpu");
  const SeriesId other = Series("other");
  const int64_t next_day = kStart + kNanosPerDay;
  ASSERT_TRUE(Push(series, {{kStart, 1}, {next_day, 2}}).ok());
  ASSERT_TRUE(Push(other, {{kStart, 3}}).ok());
  SealAll();
  WithRocks([&](Rocks* rocks) {
    BlockStore blocks(rocks);
    auto* family = blocks.Partitions()->Find(kRawBucket, kStart)->family.get();
    const std::string key = BlockKey(kDefaultTenant, series, kStart);
    std::string block;
    ASSERT_TRUE(rocks->db()->Get({}, family, key, &block).ok());
    block[block.size() / 2] = static_cast<char>(block[block.size() / 2] ^ 1);
    ASSERT_TRUE(rocks->db()->Put({}, family, key, block).ok());
  });
  Open();
  const SeriesId ids[] = {series};
  auto view = store_->OpenView(ids, kAllTime, nullptr);
  const absl::Status status = (*view)->Read(series, kAllTime).status();
  EXPECT_TRUE(HasReason(status, ErrorReason::kBlockCorrupt)) << status;
  EXPECT_THAT(StatusMessage(status), HasSubstr("series " + std::to_string(series)));
  EXPECT_THAT(StatusMessage(status), HasSubstr(FormatDay(DayOf(kStart))));
  EXPECT_THAT(StatusMessage(status), HasSubstr(std::to_string(kStart)));
  EXPECT_EQ(Read(series, {next_day, next_day + 1}).size(), 1u);
  EXPECT_EQ(Read(other).size(), 1u);
  // Late samples beside the damage are not lost with it, and sealing goes on.
  ASSERT_TRUE(Push(series, {{kStart + 5, 5}}).ok());
  SealAll();
  EXPECT_EQ(store_->Stats().head_samples, 0);
  EXPECT_TRUE(store_->Health().ok());
}

TEST_F(StoreFaultTest, RefusesAFamilyThatItDoesNotKnow) {
  Open();
  WithRocks([](Rocks* rocks) {
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    ASSERT_TRUE(rocks->db()->CreateColumnFamily({}, "m1.202401", &handle).ok());
    ASSERT_TRUE(rocks->db()->DestroyColumnFamilyHandle(handle).ok());
  });
  const auto opened = Store::Open(options_, nullptr);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition) << opened.status();
  EXPECT_THAT(StatusMessage(opened.status()), HasSubstr("m1.202401"));
}

TEST_F(StoreFaultTest, RefusesANewerFormat) {
  Open();
  WithRocks([](Rocks* rocks) {
    ASSERT_TRUE(rocks->db()->Put({}, rocks->fixed("meta").get(), "store/format", std::string("\x03\0\0\0", 4)).ok());
  });
  EXPECT_EQ(Store::Open(options_, nullptr).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreFaultTest, ReportsATornTail) {
  Open();
  const SeriesId series = Series("cpu");
  ASSERT_TRUE(Push(series, {{kStart, 1}}).ok());
  ASSERT_TRUE(Push(series, {{kStart + 1, 2.7}}).ok());
  Close();
  const std::string segment = FilesIn("wal", ".wal").back();
  std::fstream file(segment, std::ios::binary | std::ios::in | std::ios::out);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::filesystem::resize_file(segment, bytes.find_last_not_of('\0') - 3);
  Open();
  EXPECT_GT(store_->Stats().truncated_wal_bytes, 0);
  EXPECT_EQ(Read(series), (Points{{kStart, 1}}));
  EXPECT_EQ(Push(series, {{kStart + 1, 3}})->commit_sequence, 2);
}

TEST_F(StoreFaultTest, RefusesADamagedLogNamingFileAndOffset) {
  Open();
  const SeriesId series = Series("cpu");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Push(series, {{kStart + i, i}}).ok());
  Close();
  const std::string segment = FilesIn("wal", ".wal").back();
  std::fstream file(segment, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(kSegmentHeaderBytes + 40);
  file.put('\xee');
  file.close();
  const auto opened = Store::Open(options_, nullptr);
  EXPECT_TRUE(HasReason(opened.status(), ErrorReason::kBlockCorrupt)) << opened.status();
  EXPECT_EQ(GetErrorDetail(opened.status())->metadata.at("file"), segment);
  EXPECT_EQ(GetErrorDetail(opened.status())->metadata.at("offset"), std::to_string(kSegmentHeaderBytes));
}

}  // namespace
}  // namespace pulseboard
