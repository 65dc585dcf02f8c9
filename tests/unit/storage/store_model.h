// Random runs of a whole store on a simulated disk beside a naive model: a map per series and the list of commits. A
// run is a list of steps that each carry their own randomness, so that any part of the list is a run again: that is how
// a failing one is made small.
#pragma once

#include <rocksdb/env.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/storage/store.h"
#include "tests/unit/storage/simulated_disk.h"

namespace pulseboard {

enum class StepKind {
  kPush,
  kPushSeveral,  // without waiting in between, so that they share a group
  kPushAgain,    // a batch that was sent before
  kRead,         // one series over some range, and its latest
  kReadCommits,
  kCheckpoint,
  kSealAll,
  kPassTime,  // up to days: retention
  kRestart,
  kKill,
  kCutPower,   // at some later change of the disk
  kDelete,     // samples of some series over some range
  kVerify,     // finds nothing, whatever came before
  kFailSync,   // one sync of the log fails: the store is read-only until it is opened again
  kFillDisk,   // no room for some time, then room again
  kFailRocks,  // one write or sync of RocksDB fails
};
inline constexpr int kStepKinds = 16;

struct Step {
  StepKind kind;
  uint64_t seed;
};

// Which options and which steps a seed stands for.
std::vector<Step> DrawSteps(uint64_t seed, size_t count);
StoreOptions DrawModelOptions(uint64_t seed);
// Whether batches of the run are BUFFERED and FSYNCED by turns; otherwise all are FSYNCED.
bool DrawMixedAcks(uint64_t seed);
std::string DescribeOptions(const StoreOptions& options);

// Not thread-safe.
class ModelRun {
 public:
  static constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;

  // `fresh`: the disk to begin with; an empty one, or for speed one on which a store was just created.
  ModelRun(uint64_t seed, const SimulatedDisk& fresh);
  ~ModelRun();
  ModelRun(const ModelRun&) = delete;
  ModelRun& operator=(const ModelRun&) = delete;

  // What is wrong, if anything.
  absl::Status Run(std::span<const Step> steps);
  // One line per step done.
  const std::vector<std::string>& story() const { return story_; }

 private:
  // By name, because an id may be another one after a power cut.
  struct Batch {
    std::vector<int> names;
    std::vector<int64_t> times;
    std::vector<double> values;
    std::string producer;
    int64_t sequence = 0;
    AckMode ack_mode = AckMode::kFsynced;
    std::vector<bool> optional;  // of a commit: whether the log may lack the sample; empty: none
    std::vector<SeriesId> ids;   // as it was sent
    bool IsOptional(size_t i) const { return !optional.empty() && optional[i]; }
  };
  using Samples = std::map<int64_t, double>;

  absl::Status Do(const Step& step);
  absl::Status Open();
  absl::Status Checkpoint(bool flush);
  absl::Status OnceThereIsRoom(const std::function<absl::Status()>& act);
  absl::Status Reopen();
  absl::Status AfterCrash(bool power_was_cut);
  absl::Status AdoptAfterLoss(int64_t commits);

  Batch DrawBatch();
  double DrawValue();
  absl::StatusOr<AppendBatch> ToAppend(const Batch& batch);
  bool IsOfForgotten(int name, SeriesId id) const;
  absl::Status Push(std::vector<Batch> batches);
  absl::Status PushAgain();
  absl::Status Delete();
  // How many samples the model has there; nothing when the retention may have taken some of them.
  std::optional<int64_t> CountToDelete() const;
  absl::Status ResolveDelete();
  void ApplyDelete();
  void NoteUnknown(int name);
  void Commit(const Batch& batch);
  absl::Status FillDisk();
  absl::Status Heal();
  absl::Status LeaveReadOnly();

  absl::Status CheckSeries(int name, TimeRange range);
  absl::Status CheckLatest(int name);
  absl::Status CheckRollups(int name);
  absl::Status CheckCommits();
  absl::Status CheckAll();
  absl::Status Verify();
  absl::StatusOr<SampleColumns> ReadAll(int name, TimeRange range);
  int64_t OldestKept() const;
  absl::Status Wrong(const std::string& what) const;
  uint64_t Pick(uint64_t n) { return random_() % n; }
  void Tell(std::string what) { story_.back() += " " + std::move(what); }

  StoreOptions options_;
  const bool mixed_acks_;
  const bool has_faults_;
  SimulatedDisk disk_;
  std::unique_ptr<rocksdb::Env> env_;
  ManualClock clock_{kStart};
  std::unique_ptr<Store> store_;
  std::mt19937_64 random_;
  std::vector<std::string> story_;

  // A deletion that was asked for and not answered: a crash has done all of it or nothing.
  struct Deletion {
    std::vector<int> names;
    TimeRange range;
    std::set<int> unknown;  // names of series that the store did not have, before or afterwards
  };
  std::optional<Deletion> deletion_;

  std::map<int, Samples> model_;  // by name
  std::vector<Batch> commits_;
  std::vector<Batch> uncertain_;  // sent, not acknowledged: a crash may have kept a first part of them
  std::vector<Batch> lost_;       // buffered ones taken by power cuts
  int64_t fsynced_ = 0;           // commits up to this one were said to be on the disk
  std::map<std::string, int64_t> positions_;
};

}  // namespace pulseboard
