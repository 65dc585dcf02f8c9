// Random runs of the store against a naive model, over all option sets and with crashes (store_model.h).
//   PULSEBOARD_MODEL_SEEDS=N       seeds per shard (four shards, one ctest each)
//   PULSEBOARD_MODEL_FIRST_SEED=K  start there; with SEEDS=1 and shard 0 that is one run
//   PULSEBOARD_MODEL_STEPS=N       steps per seed
//   PULSEBOARD_MODEL_SHRINK=N      runs to spend on making a failing list short
//   PULSEBOARD_MODEL_FAULTS=N      kinds of faults in one seed of eight: 0 none, 1 syncs of the log fail (default),
//                                  2 full disks as well, 3 errors of the disk under RocksDB as well
//   PULSEBOARD_MODEL_LOG=1         the store's log on stdout
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"
#include "tests/support/environment.h"
#include "tests/unit/storage/simulated_env.h"
#include "tests/unit/storage/store_model.h"

namespace pulseboard {
namespace {

using testing::FromEnvironment;

constexpr uint64_t kShards = 4;

// A disk on which a store has just been created, so that not every run has to.
const SimulatedDisk& FreshDisk() {
  static const SimulatedDisk* const disk = [] {
    auto* made = new SimulatedDisk;
    const std::unique_ptr<rocksdb::Env> env = MakeSimulatedEnv(made);
    StoreOptions options = DrawModelOptions(1);
    const ManualClock clock(ModelRun::kStart);
    options.clock = &clock;
    auto store = DurableStore::Open(options, nullptr, made, env.get());
    if (!store.ok()) ADD_FAILURE() << store.status();
    return made;
  }();
  return *disk;
}

absl::Status RunOnce(uint64_t seed, const std::vector<Step>& steps, std::string* story) {
  ModelRun run(seed, FreshDisk());
  const absl::Status status = run.Run(steps);
  if (story != nullptr) {
    for (const std::string& line : run.story()) *story += "  " + line + "\n";
  }
  return status;
}

// Leaves out ever smaller parts of the list as long as the rest still fails.
std::vector<Step> Shrink(uint64_t seed, std::vector<Step> steps) {
  const uint64_t most = FromEnvironment("PULSEBOARD_MODEL_SHRINK", 400);
  uint64_t runs = 0;
  for (size_t part = steps.size() / 2; part > 0; part /= 2) {
    for (size_t at = 0; at < steps.size() && runs < most;) {
      std::vector<Step> fewer(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(at));
      const size_t behind = std::min(steps.size(), at + part);
      fewer.insert(fewer.end(), steps.begin() + static_cast<std::ptrdiff_t>(behind), steps.end());
      ++runs;
      if (RunOnce(seed, fewer, nullptr).ok()) {
        at += part;
      } else {
        steps = std::move(fewer);
      }
    }
  }
  return steps;
}

class StoreModelTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(StoreModelTest, AgreesWithANaiveModelWhateverHappens) {
  if (std::getenv("PULSEBOARD_MODEL_LOG") == nullptr) spdlog::set_level(spdlog::level::off);  // crashes on purpose
  const uint64_t first = FromEnvironment("PULSEBOARD_MODEL_FIRST_SEED", 1);
  const uint64_t seeds = FromEnvironment("PULSEBOARD_MODEL_SEEDS", 500);
  const uint64_t steps = FromEnvironment("PULSEBOARD_MODEL_STEPS", 60);
  for (uint64_t i = 0; i < seeds; ++i) {
    const uint64_t seed = first + GetParam() + i * kShards;
    const std::vector<Step> drawn = DrawSteps(seed, steps);
    std::string whole;
    const absl::Status status = RunOnce(seed, drawn, &whole);
    if (status.ok()) continue;
    const std::vector<Step> fewest = Shrink(seed, drawn);
    std::string story;
    const absl::Status small = RunOnce(seed, fewest, &story);
    FAIL() << "seed " << seed << ": " << StatusMessage(status)
           << "\noptions: " << DescribeOptions(DrawModelOptions(seed)) << (DrawMixedAcks(seed) ? " mixed acks" : "")
           << "\nsmallest list that fails: " << (small.ok() ? "(not once more)" : StatusMessage(small)) << "\n"
           << (small.ok() ? whole : story);
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, StoreModelTest, ::testing::Range(uint64_t{0}, kShards));

}  // namespace
}  // namespace pulseboard
