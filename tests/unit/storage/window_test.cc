#include "server/storage/window.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/base/endian.h"
#include "server/storage/block_store.h"
#include "server/storage/families.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

TEST(Window, NamesRoundTrip) {
  EXPECT_EQ(FamilyName({kRawBucket, 0, 1}), "raw.19700101");
  EXPECT_EQ(FamilyName(WindowAt(kRawBucket, 1'706'659'200 * kNanosPerSecond, 1)), "raw.20240131");
  EXPECT_EQ(FamilyName(WindowAt(kNanosPerMinute, 1'706'659'200 * kNanosPerSecond, 8)), "1m.20240130.8");
  EXPECT_EQ(FamilyName({kNanosPerDay, 0, 1}), "1d.19700101.1");
  for (const int64_t bucket : {kRawBucket, 90 * kNanosPerSecond, kNanosPerMinute, 6 * kNanosPerHour, kNanosPerDay}) {
    for (int64_t day = -106'751; day <= 106'751; day += 97) {
      for (const int64_t days : {1, 2, 8, 256}) {
        const Window window = {bucket, day, days};
        EXPECT_EQ(ParseFamilyName(FamilyName(window)), window) << FamilyName(window);
      }
    }
  }
  EXPECT_EQ(FormatDay(0), "1970-01-01");
}

TEST(Window, RefusesNamesThatAreNoWindow) {
  for (const char* name : {"raw.",          "raw.2024013",      "raw.202401311",   "raw.20240230",   "raw.20241301",
                           "raw.2024-1-1",  "RAW.20240131",     "m1.20240131.8",   "1m.20240131",    "1m.20240131.",
                           "1m.20240131.0", "1m.20240131.5000", "1m.20240131.08",  "60s.20240131.8", "0m.20240131.8",
                           "2d.20240131.8", "raw.20240131.1",   "raw.20240131.4x", "default",        ""}) {
    EXPECT_FALSE(ParseFamilyName(name).has_value()) << name;
  }
  EXPECT_TRUE(IsFixedFamily("users"));
  EXPECT_FALSE(IsFixedFamily("default"));
}

TEST(Window, LengthKeepsATierAtTwelveToThirtyWindows) {
  EXPECT_EQ(WindowDays(30 * kNanosPerDay), 1);
  EXPECT_EQ(WindowDays(31 * kNanosPerDay), 2);
  EXPECT_EQ(WindowDays(180 * kNanosPerDay), 8);
  EXPECT_EQ(WindowDays(1'825 * kNanosPerDay), 64);
  EXPECT_EQ(WindowDays(7'300 * kNanosPerDay), 256);
  for (int64_t days = 16; days < 30'000; ++days) {
    const int64_t windows = days / WindowDays(days * kNanosPerDay);
    EXPECT_LE(windows, 30) << days;
    EXPECT_GE(windows, 12) << days;
  }
}

TEST(Window, RoundsDownBeforeTheEpochAndStopsWhereTimeDoes) {
  EXPECT_EQ(DayOf(0), 0);
  EXPECT_EQ(DayOf(-1), -1);
  EXPECT_EQ(DayOf(-kNanosPerDay), -1);
  EXPECT_EQ(DayOf(-kNanosPerDay - 1), -2);
  EXPECT_EQ(DayOf(kNanosPerDay - 1), 0);
  EXPECT_EQ(WindowAt(kNanosPerHour, -1, 64).start_day, -64);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(WindowAt(kRawBucket, kMax, 8).end(), kMax);
  EXPECT_EQ(WindowAt(kRawBucket, -kMax - 1, 8).start(), -kMax - 1);
}

TEST(BlockKey, BytesOrderLikeTenantSeriesAndTime) {
  EXPECT_LT(BlockKey(1, 9, 9), BlockKey(2, 1, 1));
  EXPECT_LT(BlockKey(1, 255, 9), BlockKey(1, 256, 1));
  EXPECT_LT(BlockKey(1, 1, -1), BlockKey(1, 1, 0));
  EXPECT_LT(BlockKey(1, 1, std::numeric_limits<int64_t>::min()), BlockKey(1, 1, -1));
  EXPECT_EQ(BlockKeyTime(BlockKey(7, 8, -42)), -42);
}

class BlockStoreTest : public ::testing::Test {
 protected:
  void Open() {
    blocks_.reset();
    rocks_.reset();
    RocksOptions options;
    options.directory = dir_.path() + "/db";
    auto opened = Rocks::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    rocks_ = *std::move(opened);
    blocks_ = std::make_unique<BlockStore>(rocks_.get());
  }
  std::vector<std::string> Names(int64_t bucket, TimeRange range = kAllTime) const {
    std::vector<std::string> names;
    for (const auto& p : blocks_->Partitions()->Overlapping(bucket, range)) names.push_back(FamilyName(p->window));
    return names;
  }

  TempDir dir_;
  std::unique_ptr<Rocks> rocks_;
  std::unique_ptr<BlockStore> blocks_;
};

TEST_F(BlockStoreTest, WindowsOfAnotherLengthFitAroundThoseThatAreThere) {
  Open();
  const auto day = [](int64_t n) { return n * kNanosPerDay; };
  ASSERT_TRUE(blocks_->ForWrite(kRawBucket, day(17) + 5, 1).ok());
  EXPECT_EQ((*blocks_->ForWrite(kRawBucket, day(17) + 7, 8))->window, (Window{kRawBucket, 17, 1}));
  EXPECT_EQ((*blocks_->ForWrite(kRawBucket, day(16), 8))->window, (Window{kRawBucket, 16, 1}));
  EXPECT_EQ((*blocks_->ForWrite(kRawBucket, day(21), 8))->window, (Window{kRawBucket, 20, 4}));
  EXPECT_EQ((*blocks_->ForWrite(kRawBucket, day(24), 8))->window, (Window{kRawBucket, 24, 8}));
  EXPECT_EQ((*blocks_->ForWrite(kNanosPerMinute, day(17), 8))->window, (Window{kNanosPerMinute, 16, 8}));
  const std::vector<std::string> all = {"raw.19700117", "raw.19700118", "raw.19700121.4", "raw.19700125.8"};
  EXPECT_EQ(Names(kRawBucket), all);
  Open();  // the names carry the lengths
  EXPECT_EQ(Names(kRawBucket), all);
  EXPECT_EQ(Names(kNanosPerMinute), std::vector<std::string>{"1m.19700117.8"});
  EXPECT_EQ(blocks_->Partitions()->Buckets(), (std::vector<int64_t>{kRawBucket, kNanosPerMinute}));
}

TEST_F(BlockStoreTest, FindsAndDropsByTime) {
  Open();
  const auto day = [](int64_t n) { return n * kNanosPerDay; };
  for (const int64_t n : {16, 17, 20, 24}) ASSERT_TRUE(blocks_->ForWrite(kRawBucket, day(n), n < 20 ? 1 : 4).ok());
  EXPECT_EQ(Names(kRawBucket, {day(17), day(20)}), std::vector<std::string>{"raw.19700118"});
  EXPECT_EQ(Names(kRawBucket, {day(18) - 1, day(20) + 1}),
            (std::vector<std::string>{"raw.19700118", "raw.19700121.4"}));
  EXPECT_EQ(Names(kRawBucket, {day(23), day(23) + 1}), std::vector<std::string>{"raw.19700121.4"});
  EXPECT_TRUE(Names(kRawBucket, {day(18), day(20)}).empty());
  EXPECT_TRUE(Names(kRawBucket, {day(17), day(17)}).empty());
  EXPECT_EQ(blocks_->Partitions()->Find(kRawBucket, day(18)), nullptr);
  EXPECT_NE(blocks_->Partitions()->Find(kRawBucket, day(24) - 1), nullptr);
  EXPECT_TRUE(blocks_->EndedBy(kRawBucket, day(17) - 1).empty());
  const auto ended = blocks_->EndedBy(kRawBucket, day(24) - 1);
  ASSERT_EQ(ended.size(), 2u);
  const PartitionSetPtr before = blocks_->Partitions();
  for (const PartitionPtr& partition : ended) EXPECT_TRUE(blocks_->Drop(partition).ok());
  EXPECT_EQ(Names(kRawBucket), (std::vector<std::string>{"raw.19700121.4", "raw.19700125.4"}));
  EXPECT_NE(before->Find(kRawBucket, day(16)), nullptr) << "a set in use does not change";
}

}  // namespace
}  // namespace pulseboard
