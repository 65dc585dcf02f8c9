// Sealing commits that were only BUFFERED, and then the power goes.
#include "server/storage/durable_store.h"
#include "tests/unit/storage/simulated_env.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

class BufferedSealTest : public StoreTest {
 protected:
  BufferedSealTest() {
    options_.directory = "/store";
    options_.block_samples = 16;
    options_.buffered_sync_interval_ns = 3600 * kNanosPerSecond;  // nothing is synced without a reason
    options_.min_free_bytes = 0;
    ack_mode_ = AckMode::kBuffered;
  }
  void OpenOn(SimulatedDisk* disk, rocksdb::Env* env) {
    auto opened = DurableStore::Open(options_, nullptr, disk, env);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
};

// A block on the disk whose commits the log has lost would be of commits whose numbers are given out again.
TEST_F(BufferedSealTest, ABlockNeverHoldsWhatThePowerMayStillTakeFromTheLog) {
  for (uint64_t luck = 1; luck <= 20; ++luck) {
    SimulatedDisk disk;
    const auto env = MakeSimulatedEnv(&disk);
    OpenOn(&disk, env.get());
    const SeriesId series = Series("m");
    Points points;
    for (int64_t i = 0; i < options_.block_samples; ++i) points.emplace_back(kStart + i, static_cast<double>(i));
    ASSERT_FALSE(Push(series, points)->fsynced);
    WaitUntil([this] { return store_->Stats().sealed_blocks > 0; });
    // So many that ids are reserved, which flushes RocksDB, blocks and all.
    for (int i = 0; i < 600; ++i) Series("other" + std::to_string(i));
    disk.CutPower();
    store_.reset();
    disk.PowerOn(luck);
    OpenOn(&disk, env.get());
    if (HasFailure()) return;
    EXPECT_EQ(store_->Stats().commit_sequence, 1) << luck;
    EXPECT_EQ(Read(series), points) << luck;
    store_.reset();
  }
}

}  // namespace
}  // namespace pulseboard
