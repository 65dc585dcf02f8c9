// A store that pushes to an older pulseboardd left behind at a kill -9, when RocksDB still had a log of its own: what
// our log had been freed of was in that one only. How it was made: tests/golden/storage/make_rocksdb_wal_store.py.
#include <filesystem>

#include "server/storage/operations.h"
#include "server/storage/table.h"
#include "server/storage/verify_directory.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr int64_t kMidnight = 1'795'478'400 * kNanosPerSecond;  // 2026-11-24
constexpr int64_t kMinutes = 410;                               // of old.walk
constexpr int64_t kSeconds = 9'000;                             // of old.count
constexpr int64_t kBatches = 28;                                // that the producer numbered

class OldStoreTest : public StoreTest {
 protected:
  OldStoreTest() {
    fs::copy(std::string(PULSEBOARD_SOURCE_DIR) + "/tests/golden/storage/rocksdb_wal_store", options_.directory,
             fs::copy_options::recursive);
    clock_.StepWall(kMidnight + 16 * kNanosPerHour - kStart);
  }

  Points ReadNamed(const std::string& metric, Labels labels = {}) {
    const auto series = store_->FindSeries(kDefaultTenant, SeriesKey{metric, std::move(labels)});
    EXPECT_TRUE(series.has_value()) << metric;
    return series ? Read(*series) : Points();
  }

  void ExpectAllThere() {
    for (int64_t host = 0; host < 4; ++host) {
      Points expected;
      for (int64_t i = 0; i < kMinutes; ++i) {
        expected.emplace_back(kMidnight + i * kNanosPerMinute, static_cast<double>((i * 37 + host * 11) % 1000) / 100);
      }
      if (host == 0) expected[100].second = -1;  // came late, over a sealed one
      EXPECT_EQ(ReadNamed("old.walk", {{"host", std::to_string(host)}}), expected) << host;
    }
    Points expected;
    for (int64_t i = 0; i < kSeconds; ++i) {
      expected.emplace_back(kMidnight + i * kNanosPerSecond, static_cast<double>(i * 3 % 9000));
    }
    EXPECT_EQ(ReadNamed("old.count"), expected);
    EXPECT_THAT(ReadNamed("old.last"), ElementsAre(Pair(kMidnight, 5.0)));
    EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "golden"), kBatches);
    int accounts = 0;
    EXPECT_TRUE(store_->GetTable("users")
                    .Scan("", "",
                          [&accounts](std::string_view, std::string_view value) {
                            if (value.find("golden") != std::string_view::npos) ++accounts;
                            return true;
                          })
                    .ok());
    EXPECT_GT(accounts, 0);
  }

  void ExpectNothingWrong(const absl::StatusOr<VerifySummary>& summary) {
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->findings, 0) << findings_;
    EXPECT_GE(summary->samples, kSeconds);
    EXPECT_GT(summary->rollups, 0);
  }

  std::string findings_;
  const VerifyWatcher watch_ = {.on_progress = {},
                                .on_finding = [this](const VerifyFinding& found) { findings_ += found.description; }};
};

TEST_F(OldStoreTest, HasEverySampleAndKeepsItFromThenOn) {
  // What the test is about: nothing was flushed, and our log had been freed of most.
  EXPECT_TRUE(FilesIn("db", ".sst").empty());
  ASSERT_EQ(FilesIn("db", ".log").size(), 1u);
  ASSERT_EQ(FilesIn("wal", ".wal").size(), 1u);
  EXPECT_GT(FilesIn("wal", ".wal").front(), options_.directory + "/wal/00000000000000000030.wal");

  Open();
  ExpectAllThere();
  ExpectNothingWrong(store_->operations().Verify(watch_));
  Crash();  // right away: what its RocksDB log had must be on the disk in another way by now
  Open();
  ExpectAllThere();
  const SeriesId last = *store_->FindSeries(kDefaultTenant, SeriesKey{"old.last", {}});
  ASSERT_TRUE(Push(last, {{kMidnight + 1, 6}}).ok());
  SealAll();
  Open();
  EXPECT_THAT(ReadNamed("old.last"), ElementsAre(Pair(kMidnight, 5.0), Pair(kMidnight + 1, 6.0)));
  ExpectNothingWrong(store_->operations().Verify(watch_));
}

TEST_F(OldStoreTest, IsVerifiedBeforeAnyoneOpensIt) {
  ExpectNothingWrong(VerifyDirectory(options_.directory, watch_));
  Open();
  ExpectAllThere();
}

}  // namespace
}  // namespace pulseboard
