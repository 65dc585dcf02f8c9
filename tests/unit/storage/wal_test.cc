// The log on its own: torn tails, damage, full disks.
#include "server/storage/wal.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }

class WalTest : public ::testing::Test {
 protected:
  WalTest() {
    options_.directory = dir_.path() + "/wal";
    options_.store_id = std::string(kStoreIdBytes, 's');
    options_.segment_bytes = 64 << 10;
  }

  // What Open said and replayed.
  struct Opened {
    absl::Status status;
    WalRecovery recovery;
    std::vector<int64_t> commits;
    std::vector<double> values;
  };
  Opened Open(int64_t checkpoint = 0) {
    wal_.reset();
    Opened out;
    auto wal = Wal::Open(
        options_, checkpoint,
        [&out](const WalRecord& record) {
          out.commits.push_back(record.commit_sequence);
          out.values.insert(out.values.end(), record.batch.values.begin(), record.batch.values.end());
          return absl::OkStatus();
        },
        &out.recovery);
    out.status = wal.status();
    if (wal.ok()) wal_ = *std::move(wal);
    next_ = out.recovery.last_commit + 1;
    return out;
  }

  absl::Status Commit(int records = 1, size_t samples = 3, AckMode mode = AckMode::kFsynced) {
    const int64_t first = next_;
    for (int i = 0; i < records; ++i) {
      AppendBatch batch;
      batch.tenant = 1;
      for (size_t s = 0; s < samples; ++s) {
        batch.series.push_back(1 + s);
        batch.times.push_back(1000 * next_);
        batch.values.push_back(static_cast<double>(next_));
      }
      wal_->AddToGroup(next_++, 0, batch, {}, {});
    }
    absl::Status status = wal_->CommitGroup(mode);
    if (!status.ok()) next_ = first;
    return status;
  }

  std::vector<std::string> Segments() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(options_.directory)) {
      if (entry.path().extension() == ".wal") paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  TempDir dir_;
  WalOptions options_;
  std::unique_ptr<Wal> wal_;
  int64_t next_ = 1;
};

// Length of a segment's content: header and records, without the zeros behind.
size_t ContentBytes(const std::string& bytes) { return bytes.find_last_not_of('\0') + 1; }

TEST_F(WalTest, ReplaysInOrderFromTheCheckpoint) {
  ASSERT_TRUE(Open().status.ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Commit(i % 3 + 1).ok());
  const int64_t last = next_ - 1;
  Opened all = Open();
  EXPECT_EQ(all.recovery.last_commit, last);
  ASSERT_EQ(all.commits.size(), static_cast<size_t>(last));
  for (int64_t i = 0; i < last; ++i) EXPECT_EQ(all.commits[static_cast<size_t>(i)], i + 1);
  EXPECT_EQ(all.recovery.truncated_bytes, 0);
  EXPECT_EQ(Open(last - 2).commits, (std::vector<int64_t>{last - 1, last}));
}

TEST_F(WalTest, GoesOnAfterManyRestartsWithoutAppends) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Open().status.ok());
    ASSERT_TRUE(Open().status.ok());
    ASSERT_TRUE(Commit().ok());
  }
  EXPECT_EQ(Open().commits, (std::vector<int64_t>{1, 2, 3, 4, 5}));
}

TEST_F(WalTest, WritesABatchLargerThanASegment) {
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  ASSERT_TRUE(Commit(1, 50'000).ok());
  ASSERT_TRUE(Commit().ok());
  EXPECT_EQ(Open().values.size(), 50'006u);
}

TEST_F(WalTest, CutsATornTailAtEveryByteOfTheLastRecord) {
  ASSERT_TRUE(Open().status.ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Commit().ok());
  const size_t before = ContentBytes(ReadFile(Segments().back()));
  ASSERT_TRUE(Commit().ok());
  const std::string path = Segments().back();
  wal_.reset();
  const std::string whole = ReadFile(path);
  const size_t after = ContentBytes(whole);
  ASSERT_GT(after, before + kFrameHeaderBytes);
  for (size_t cut = before; cut <= after; ++cut) {
    for (const bool zeros :
         {true, false}) {  // the rest of the record never came: preallocated zeros, or a shorter file
      std::string torn = whole.substr(0, cut);
      if (zeros) torn.resize(whole.size(), '\0');
      WriteFile(path, torn);
      const Opened opened = Open();
      ASSERT_TRUE(opened.status.ok()) << cut << " " << opened.status;
      // A value's own trailing zeros may make the record whole before its last byte.
      const bool is_whole = torn.substr(0, after) == whole.substr(0, after);
      ASSERT_EQ(opened.recovery.last_commit, is_whole ? 4 : 3) << cut;
      if (!is_whole && cut > before) {
        EXPECT_GT(opened.recovery.truncated_bytes, 0) << cut;
      }
      ASSERT_TRUE(Commit().ok());
      const Opened again = Open();
      ASSERT_EQ(again.recovery.last_commit, is_whole ? 5 : 4) << cut;
      wal_.reset();
      for (const std::string& segment : Segments()) {
        if (segment != path) fs::remove(segment);
      }
    }
  }
}

TEST_F(WalTest, CutsATornGroupWhosePagesCameInAnyOrder) {
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  const size_t before = ContentBytes(ReadFile(Segments().back()));
  ASSERT_TRUE(Commit(8).ok());  // one group: none of it was acknowledged when the power went
  const std::string path = Segments().back();
  wal_.reset();
  std::string bytes = ReadFile(path);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(before), 40,
              '\0');  // the first page is missing, later ones came
  WriteFile(path, bytes);
  const Opened opened = Open();
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(opened.commits, (std::vector<int64_t>{1}));
  EXPECT_GT(opened.recovery.truncated_bytes, 0);
}

TEST_F(WalTest, RefusesADamagedMiddleNamingFileAndOffset) {
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  const size_t second = ContentBytes(ReadFile(Segments().back()));
  ASSERT_TRUE(Commit().ok());
  const size_t third = ContentBytes(ReadFile(Segments().back()));
  ASSERT_TRUE(Commit().ok());
  const std::string path = Segments().back();
  wal_.reset();
  const std::string whole = ReadFile(path);
  // The last bytes of values may be zero: their record ends a few bytes behind what was measured.
  for (size_t at = second + 8; at < third; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    WriteFile(path, bad);
    const Opened opened = Open();
    ASSERT_EQ(opened.status.code(), absl::StatusCode::kDataLoss) << at << " " << opened.status;
    ASSERT_TRUE(HasReason(opened.status, ErrorReason::kBlockCorrupt));
    const auto detail = GetErrorDetail(opened.status);
    EXPECT_EQ(detail->metadata.at("file"), path);
    const auto offset = static_cast<size_t>(std::stoll(detail->metadata.at("offset")));
    EXPECT_GE(offset, second);
    EXPECT_LT(offset, second + 8);
    EXPECT_THAT(StatusMessage(opened.status), HasSubstr(path));
  }
  WriteFile(path, whole);
  EXPECT_TRUE(Open().status.ok());
}

TEST_F(WalTest, RefusesDamageAtTheEndOfAnEarlierSegment) {
  options_.segment_bytes = 4096;
  ASSERT_TRUE(Open().status.ok());
  while (!fs::exists(options_.directory) || Segments().size() < 3) ASSERT_TRUE(Commit().ok());
  wal_.reset();
  const std::vector<std::string> segments = Segments();
  std::string bytes = ReadFile(segments[0]);
  bytes.resize(ContentBytes(bytes) - 30);
  WriteFile(segments[0], bytes);
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(WalTest, RefusesAMissingSegment) {
  options_.segment_bytes = 4096;
  ASSERT_TRUE(Open().status.ok());
  while (Segments().size() < 4) ASSERT_TRUE(Commit().ok());
  wal_.reset();
  const std::vector<std::string> segments = Segments();
  const std::string saved = ReadFile(segments[1]);
  fs::remove(segments[1]);
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kDataLoss);
  WriteFile(segments[1], saved);
  EXPECT_TRUE(Open().status.ok());
  wal_.reset();
  // The beginning may be missing only when nothing after the checkpoint was in it.
  const auto first_of_second = ParseSegmentName(fs::path(segments[1]).filename().string());
  fs::remove(segments[0]);
  EXPECT_EQ(Open(*first_of_second - 2).status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(Open(*first_of_second - 1).status.ok());
}

// Nothing was written into the last one; its name still tells that there was something before it.
TEST_F(WalTest, RefusesAMissingSegmentBeforeABlankOne) {
  options_.segment_bytes = 4096;
  ASSERT_TRUE(Open().status.ok());
  while (Segments().size() < 4) ASSERT_TRUE(Commit().ok());
  wal_.reset();
  const std::vector<std::string> segments = Segments();
  fs::resize_file(segments.back(), 0);
  const std::string& before = segments[segments.size() - 2];
  const std::string saved = ReadFile(before);
  fs::remove(before);
  const absl::Status refused = Open().status;
  EXPECT_TRUE(HasReason(refused, ErrorReason::kBlockCorrupt)) << refused;
  EXPECT_EQ(GetErrorDetail(refused)->metadata.at("file"), segments.back());
  WriteFile(before, saved);
  EXPECT_TRUE(Open().status.ok());
}

TEST_F(WalTest, RefusesALogThatEndsBeforeTheCheckpoint) {
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  EXPECT_EQ(Open(5).status.code(), absl::StatusCode::kDataLoss);
  wal_.reset();
  fs::remove_all(options_.directory);
  EXPECT_EQ(Open(1).status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(WalTest, RefusesASegmentOfAnotherStore) {
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  options_.store_id = std::string(kStoreIdBytes, 'x');
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kDataLoss);
}

TEST_F(WalTest, RandomDamageNeverCrashesNorInventsRecords) {
  ASSERT_TRUE(Open().status.ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Commit(2).ok());
  const std::string path = Segments().back();
  wal_.reset();
  const std::string whole = ReadFile(path);
  const size_t content = ContentBytes(whole);
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    for (const std::string& segment : Segments()) fs::remove(segment);
    std::string bad = whole;
    for (uint64_t n = 1 + random() % 8; n > 0; --n) bad[random() % content] = static_cast<char>(random());
    WriteFile(path, bad);
    const Opened opened = Open();
    for (size_t i = 0; i < opened.commits.size(); ++i) ASSERT_EQ(opened.commits[i], static_cast<int64_t>(i + 1));
    for (size_t i = 0; i < opened.values.size(); ++i) {
      const size_t commit = i / 3 + 1;
      ASSERT_EQ(opened.values[i], static_cast<double>(commit));
    }
    wal_.reset();
  }
}

TEST_F(WalTest, AFullDiskRefusesUntilThereIsSpaceAndReplaysNothingOfTheRefused) {
  for (const bool at_sync : {false, true}) {
    wal_.reset();
    fs::remove_all(options_.directory);
    FaultyFiles files;
    options_.files = &files;
    std::atomic<int> space{0};
    options_.on_space = [&space] { ++space; };
    ASSERT_TRUE(Open().status.ok());
    ASSERT_TRUE(Commit().ok());
    if (at_sync) {
      files.FailSyncs(ENOSPC);
    } else {
      files.FailWrites(ENOSPC);
    }
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = Commit();
      EXPECT_TRUE(HasReason(status, ErrorReason::kDiskFull)) << status;
    }
    wal_->WatchForSpace();
    EXPECT_EQ(space, 0);
    files.FailSyncs(0);
    files.FailWrites(0);
    WaitUntil([&] { return space == 1; });
    ASSERT_TRUE(Commit().ok());
    EXPECT_EQ(Open().values, (std::vector<double>{1, 1, 1, 2, 2, 2}));
    wal_.reset();
  }
}

TEST_F(WalTest, AnIoErrorEndsWritingButNotReading) {
  FaultyFiles files;
  options_.files = &files;
  ASSERT_TRUE(Open().status.ok());
  ASSERT_TRUE(Commit().ok());
  files.FailSyncs(EIO);
  EXPECT_TRUE(HasReason(Commit(), ErrorReason::kStoreReadOnly));
  files.FailSyncs(0);
  EXPECT_TRUE(HasReason(Commit(), ErrorReason::kStoreReadOnly)) << "after a failed sync nothing can be trusted";
  int visits = 0;
  EXPECT_TRUE(wal_->Read(0, 9, [&](const CommittedBatch&) { return ++visits, absl::OkStatus(); }).ok());
  EXPECT_EQ(visits, 1);
  EXPECT_EQ(Open().commits, (std::vector<int64_t>{1}));
  EXPECT_TRUE(Commit().ok());
  wal_.reset();
}

// A segment as version 1 wrote it: it must replay for ever. Written anew with PULSEBOARD_WRITE_GOLDEN=1.
TEST_F(WalTest, ReplaysTheGoldenSegment) {
  const std::string golden = std::string(PULSEBOARD_SOURCE_DIR) + "/tests/golden/storage/segment_v1.wal";
  if (const char* write = std::getenv("PULSEBOARD_WRITE_GOLDEN"); write != nullptr && *write != '\0') {
    ASSERT_TRUE(Open().status.ok());
    ASSERT_TRUE(Commit(2).ok());
    ASSERT_TRUE(Commit(1, 40).ok());
    const std::string bytes = ReadFile(Segments().back());
    WriteFile(golden, std::string_view(bytes).substr(0, ContentBytes(bytes) + 8));
    wal_.reset();
    fs::remove_all(options_.directory);
  }
  fs::create_directories(options_.directory);
  fs::copy_file(golden, options_.directory + "/" + SegmentName(1));
  const Opened opened = Open();
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_EQ(opened.commits, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(opened.values.size(), 46u);
  EXPECT_EQ(opened.values.back(), 3);
  EXPECT_EQ(opened.recovery.truncated_bytes, 0);
}

TEST(WalRecord, HostileBytesAreRefusedWithoutHarm) {
  AppendBatch batch;
  batch.tenant = 3;
  batch.producer_id = "producer";
  batch.sequence = 9;
  for (int i = 0; i < 40; ++i) {
    batch.series.push_back(static_cast<SeriesId>(1000 - i));
    batch.times.push_back(1'700'000'000'000'000'000 + i * 1000);
    batch.values.push_back(i);
  }
  auto info = std::make_shared<SeriesInfo>(
      SeriesInfo{961, 3, {"cpu", {{"host", "a"}, {"mode", "b"}}}, {MetricKind::kCounter, "By", "bytes"}});
  const std::vector<std::shared_ptr<const SeriesInfo>> definitions = {info};
  std::string bytes;
  const std::vector<uint32_t> late = {0, 3, 39};
  EncodeWalRecord(77, 5, batch, definitions, late, &bytes);
  WalRecord record;
  ASSERT_TRUE(DecodeWalRecord(bytes, &record));
  EXPECT_EQ(record.commit_sequence, 77);
  EXPECT_EQ(record.batch.series, batch.series);
  EXPECT_EQ(record.batch.times, batch.times);
  EXPECT_EQ(record.batch.values, batch.values);
  EXPECT_EQ(record.batch.producer_id, "producer");
  ASSERT_EQ(record.definitions.size(), 1u);
  EXPECT_EQ(record.definitions[0]->key, info->key);
  EXPECT_EQ(record.definitions[0]->metadata, info->metadata);
  EXPECT_EQ(record.late, late);
  // Without its list of late samples a record is one of version 1.
  const size_t version1_bytes = bytes.size() - (1 + late.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeWalRecord(std::string_view(bytes).substr(0, size), &record), size == version1_bytes) << size;
  }
  std::mt19937_64 random(1);
  for (int round = 0; round < 50'000; ++round) {
    std::string bad = bytes;
    for (uint64_t n = 1 + random() % 3; n > 0; --n) bad[random() % bad.size()] = static_cast<char>(random());
    if (DecodeWalRecord(bad, &record)) {
      ASSERT_EQ(record.batch.times.size(), record.batch.series.size());
    }
  }
}

TEST(WalRecord, ExtremeTimesAndIdsRoundTrip) {
  AppendBatch batch;
  batch.tenant = 1;
  batch.series = {1, std::numeric_limits<SeriesId>::max(), 2, 2};
  batch.times = {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), -1, 0};
  batch.values = {1, 2, 3, 4};
  std::string bytes;
  EncodeWalRecord(1, 0, batch, {}, {}, &bytes);
  WalRecord record;
  ASSERT_TRUE(DecodeWalRecord(bytes, &record));
  EXPECT_EQ(record.batch.series, batch.series);
  EXPECT_EQ(record.batch.times, batch.times);
}

}  // namespace
}  // namespace pulseboard
