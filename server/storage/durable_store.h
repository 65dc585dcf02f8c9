// The Store of one machine: log, head and blocks put together. Threads:
//   committer   takes all queued batches, one log write and one fdatasync for all, then head, observer
//   (durable_store_commit.cc) completion  runs AppendDone, so that a caller's work never delays the next group
//   maintainer  seals full and old chunks into blocks, checkpoints, drops expired windows (durable_store_maintain.cc)
//   the log's   prepares the next segment file
// Lock order: maintenance_mu_ -> commit_mu_ -> the index's, the log's and RocksDB's own. queue_mu_, done_mu_ and
// wake_mu_ are leaves.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/block_store.h"
#include "server/storage/delete_record.h"
#include "server/storage/head.h"
#include "server/storage/health.h"
#include "server/storage/log_file.h"
#include "server/storage/memory_budget.h"
#include "server/storage/newest_times.h"
#include "server/storage/operations.h"
#include "server/storage/producer_table.h"
#include "server/storage/range_compactor.h"
#include "server/storage/read_view.h"
#include "server/storage/retry_pace.h"
#include "server/storage/rocks.h"
#include "server/storage/rollup_keeper.h"
#include "server/storage/sealer.h"
#include "server/storage/series_ages.h"
#include "server/storage/series_index.h"
#include "server/storage/space_watch.h"
#include "server/storage/store.h"
#include "server/storage/verify_store.h"
#include "server/storage/wal.h"
#include "server/storage/window_closer.h"

namespace rocksdb {
class Env;
}

namespace pulseboard {

// A consistent state of the files of a store.
struct StoreCut {
  int64_t commit_sequence = 0;  // all commits up to this one are in it
  std::vector<LogPart> log;     // paths where they were put
};

class DurableStore final : public Store {
 public:
  // `files` and `env`: for tests that make the disk fail, under the log and under RocksDB (null: the machine's own).
  // Both must outlive the store.
  static absl::StatusOr<std::unique_ptr<Store>> Open(StoreOptions options, CommitObserver* observer,
                                                     LogFileSystem* files, rocksdb::Env* env = nullptr);
  ~DurableStore() override;

  absl::StatusOr<SeriesId> FindOrCreateSeries(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata,
                                              bool* created) override;
  std::optional<SeriesId> FindSeries(TenantId tenant, const SeriesKey& key) const override;
  std::shared_ptr<const SeriesInfo> GetSeries(SeriesId id) const override;
  std::vector<SeriesId> SelectSeries(TenantId tenant, const Selector& selector) const override;
  std::vector<LabelValueSummary> ListLabelValues(TenantId tenant, std::string_view label, const Selector& selector,
                                                 const std::string* after, size_t limit) const override;
  CardinalityReport Cardinality(TenantId tenant, const Selector& selector, CardinalityOrder order,
                                size_t limit) const override;
  int64_t SeriesCount(TenantId tenant) const override;
  int64_t SeriesCount(TenantId tenant, std::string_view metric) const override;

  std::shared_ptr<const void> VisitSeries() const override;
  bool HoldSeries(SeriesId series) override;
  void ReleaseSeries(std::span<const SeriesId> series) override;
  std::vector<TierOptions> Tiers(TenantId tenant) const override;
  int64_t RawRetention(TenantId tenant) const override;
  OldestTime OldestAccepted(TenantId tenant) const override;
  absl::Status Append(AppendBatch batch, AppendDone done) override;
  int64_t ProducerPosition(TenantId tenant, std::string_view producer_id) const override;
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(std::span<const SeriesId> series, TimeRange range,
                                                     const std::function<void(int64_t)>& at_cut) override;
  absl::StatusOr<std::optional<Sample>> Latest(SeriesId series) override;
  absl::Status ReadCommits(int64_t after, int64_t up_to,
                           const std::function<absl::Status(const CommittedBatch&)>& visit) override;
  void Cut(const std::function<void(int64_t)>& at_cut) override;
  const std::string& store_id() const override { return store_id_; }
  uint64_t epoch() const override { return epochs_.back().id; }
  absl::Status CheckPosition(uint64_t epoch, int64_t commit_sequence) const override;
  Table& GetTable(std::string_view name) override;
  void SetRetention(RetentionPolicy policy) override;
  RetentionPolicy Retention() const override;
  RetentionPreview PreviewRetention(const RetentionPolicy& policy) const override;
  absl::Status Checkpoint() override;
  absl::Status Health() const override { return health_.Check(); }
  StoreStats Stats() const override;
  absl::Status Close() override;
  StoreOperations& operations() override { return *operations_; }

  // The following serve StoreOperations (store_operations.cc).
  const StoreOptions& options() const { return options_; }
  LogFileSystem& files() const { return *files_; }
  // Puts RocksDB's files and the log's, as hard links, into `staging`/db and `staging`/wal; which must not exist.
  // Pushes go on meanwhile, sealing waits.
  absl::StatusOr<StoreCut> CutForBackup(const std::string& staging);
  // Everything to be verified, as of one commit, for as long as the result lives.
  absl::StatusOr<VerifySource> CutForVerify();
  // See StoreOperations::Status.
  absl::StatusOr<StorageStatus> ReadStatus(bool count_samples);
  // See StoreOperations::Delete.
  absl::StatusOr<DeleteResult> DeleteSamples(const DeleteRequest& request);
  // Checkpoint as the maintainer does it by itself: what is sealed stays in RocksDB's memory until a flush is worth it.
  absl::Status CheckpointWhenDue();

 private:
  // A queued batch and what became of it.
  struct Request {
    AppendBatch batch;
    AppendDone done;
    int64_t bytes = 0;
    bool in_log = false;  // to be committed; otherwise `result` is final
    int64_t commit_sequence = 0;
    std::vector<SeriesId> new_series;  // whose definitions go with it into the log
    std::vector<uint32_t> late;
    absl::StatusOr<CommitReceipt> result = CommitReceipt{};
  };
  using Group = std::vector<Request>;
  // The newest sequences of producers within a group that is being built.
  using GroupProducers = std::map<std::pair<TenantId, std::string_view>, int64_t>;

  DurableStore(StoreOptions options, CommitObserver* observer, LogFileSystem* files, rocksdb::Env* env);

  // Opening, in this order.
  absl::Status LockDirectory();
  absl::Status OpenRocks();
  absl::Status LoadIdentity();
  absl::Status LoadSeries();
  absl::Status LoadSeriesAges();
  absl::Status LoadRetention();
  absl::Status LoadProducers();
  absl::Status ReplayLog();
  // `left`: what later deletions have left of its samples.
  absl::Status ReplayRecord(const WalRecord& record, const CommittedBatch& left) PB_REQUIRES(maintenance_mu_);
  absl::Status BeginEpoch();
  void StartThreads();

  // Committer.
  void CommitLoop();
  bool TakeGroup(Group* group);
  void WaitForHeadRoom();
  void CommitGroup(Group* group) PB_EXCLUDES(group_mu_);
  void AddToLog(Request* request, int64_t* next_commit, GroupProducers* producers) PB_REQUIRES(group_mu_);
  bool CollectDefinitions(Request* request, std::vector<SeriesInfoPtr>* definitions) PB_REQUIRES(group_mu_);
  int64_t NewestSealedTime(SeriesId series) const;
  void FailGroup(Group* group, const absl::Status& status) PB_REQUIRES(group_mu_);
  void Apply(Request* request);
  void Complete(Group group);
  void CompletionLoop();

  // Maintainer.
  void MaintainLoop();
  void WakeMaintainer();
  absl::Status SealPending() PB_REQUIRES(maintenance_mu_);
  // The `left` oldest of what waits for sealing.
  absl::Status SealOldest(size_t left) PB_REQUIRES(maintenance_mu_);
  enum class FlushWhen { kNow, kDue };
  absl::Status CheckpointLocked(FlushWhen when) PB_REQUIRES(maintenance_mu_);
  absl::Status WriteCheckpoint() PB_REQUIRES(maintenance_mu_);
  // Everything that is in RocksDB is on the disk; so is the checkpoint, up to which the log may go.
  absl::Status Flush() PB_REQUIRES(maintenance_mu_);
  bool FlushIsDue() const PB_REQUIRES(maintenance_mu_);
  absl::Status SaveSeries(std::span<const SeriesId> series);
  absl::Status TendWindows() PB_REQUIRES(maintenance_mu_);
  absl::Status TendWindow(const Tier& tier, const PartitionPtr& ended, bool has_coarser) PB_REQUIRES(maintenance_mu_);
  absl::Status TendOver(const Tier& tier, const PartitionPtr& over) PB_REQUIRES(maintenance_mu_);
  // One slice of filling rollups, and what waited for it.
  absl::Status WorkOnRollups(int64_t budget_ns) PB_REQUIRES(maintenance_mu_);
  absl::Status EnforceRetention() PB_REQUIRES(maintenance_mu_);
  absl::Status DropTenant(const PartitionPtr& partition, TenantId tenant) PB_REQUIRES(maintenance_mu_);
  absl::Status RaiseFloor(std::optional<TenantId> tenant, int64_t unix_nanos);
  std::vector<WindowUsage> CollectUsage() const;
  // Samples before this are not taken into blocks.
  int64_t RawFloor(TenantId tenant) const;
  // A tenant with a retention of its own is shown nothing older than these.
  struct ReadFloors {
    int64_t raw = std::numeric_limits<int64_t>::min();
    std::vector<int64_t> rollups;  // by tier, raw's unused; empty: none
  };
  ReadFloors FloorsOf(TenantId tenant) const;
  absl::Status ForgetSeries() PB_REQUIRES(maintenance_mu_);
  void RetireSeries(std::span<const SeriesId> candidates) PB_REQUIRES(maintenance_mu_) PB_EXCLUDES(group_mu_);
  void PurgeSeries();
  bool RelievePressure() PB_REQUIRES(maintenance_mu_);
  // After an error of RocksDB (durable_store_recover.cc).
  void NoteRocksFailure(const absl::Status& error);
  bool RecoverRocks() PB_EXCLUDES(maintenance_mu_);
  absl::Status ReopenRocks() PB_REQUIRES(maintenance_mu_);
  // Why sealing would have to wait for RocksDB; OK when it need not.
  absl::Status StallStatus() const;
  // Windows of a tier that end at or before this are to be dropped.
  int64_t DroppedBefore(const Tier& tier) const;
  // With more than this in open chunks long ones are sealed before they are full.
  int64_t OpenBytes() const { return std::min(options_.head_bytes / 2, kMaxOpenBytes); }
  // With more than this in the head, samples are sealed early …
  int64_t PressureBytes() const { return options_.head_bytes / 2; }
  // … and with more than this, appends wait. A group may add the last quarter.
  int64_t FullBytes() const { return options_.head_bytes - MaxGrowth(); }
  int64_t MaxGrowth() const { return options_.head_bytes / 4; }

  // Deleting (durable_store_delete.cc).
  absl::Status LoadDeletes() PB_REQUIRES(maintenance_mu_);
  absl::StatusOr<const DeleteRecord*> DecideDelete(DeleteRecord record) PB_REQUIRES(maintenance_mu_);
  absl::StatusOr<DeleteResult> EraseDecided(const DeleteRecord& record) PB_REQUIRES(maintenance_mu_);
  absl::StatusOr<DeleteResult> EraseBlocks(const DeleteRecord& record, bool dry_run) PB_REQUIRES(maintenance_mu_);
  absl::Status EraseRollups(const DeleteRecord& record, SeriesId id, rocksdb::WriteBatch* batch)
      PB_REQUIRES(maintenance_mu_);
  absl::Status FinishDeletes() PB_REQUIRES(maintenance_mu_);
  absl::Status ForgetDeletes() PB_REQUIRES(maintenance_mu_);
  DeleteRecordsPtr Deletes() const;  // null: none
  void SetDeletes(DeleteRecordsPtr records);

  absl::StatusOr<std::optional<Sample>> LatestFromBlocks(SeriesId series) const;
  absl::StatusOr<std::optional<Sample>> LatestFromRollups(SeriesId series) const;
  absl::Status PutMeta(std::string_view key, std::string_view value);   // as Rocks::Write
  absl::Status SaveMeta(std::string_view key, std::string_view value);  // and on the disk
  absl::StatusOr<std::string> ReadMeta(std::string_view key) const;     // empty when not there

  const StoreOptions options_;
  CommitObserver* const observer_;
  LogFileSystem* const files_;
  rocksdb::Env* const env_;
  std::unique_ptr<FileLock> lock_;
  std::string store_id_;
  // One per opening, oldest first; fixed once open.
  struct Epoch {
    uint64_t id = 0;
    int64_t first_commit = 0;
  };
  std::vector<Epoch> epochs_;
  StoreHealth health_;

  std::unique_ptr<Rocks> rocks_;
  std::map<std::string, std::unique_ptr<Table>, std::less<>> tables_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<DecodedBlocks> decoded_;
  std::unique_ptr<WindowCloser> closer_;
  std::unique_ptr<SeriesIndex> index_;
  mutable Mutex retention_mu_;  // a leaf
  RetentionPolicy policy_ PB_GUARDED_BY(retention_mu_);
  RetentionFloors floors_ PB_GUARDED_BY(retention_mu_);
  std::unique_ptr<RangeCompactor> compactor_;
  mutable Mutex ages_mu_;  // a leaf
  SeriesAges series_ages_ PB_GUARDED_BY(ages_mu_);
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<SpaceWatch> space_;
  std::vector<Tier> tiers_;  // raw first; fixed once open

  // Held from before a group is written to the log until it is applied, so that no series is forgotten in between.
  Mutex group_mu_;
  // Which series' definitions are in the log or in RocksDB, by id.
  std::vector<bool> defined_ PB_GUARDED_BY(group_mu_);
  NewestTimes newest_ PB_GUARDED_BY(group_mu_);  // of these series

  mutable Mutex commit_mu_;
  CondVar head_room_;
  Head head_ PB_GUARDED_BY(commit_mu_);
  ProducerTable producers_ PB_GUARDED_BY(commit_mu_);
  int64_t last_commit_ PB_GUARDED_BY(commit_mu_) = 0;
  int64_t newest_time_ PB_GUARDED_BY(commit_mu_) = NewestTimes::kNone;  // of all samples ever
  std::vector<SeriesId> unsaved_series_ PB_GUARDED_BY(commit_mu_);      // in the log, not yet in RocksDB
  // Retired ones whose row is to go, and the newest commit when they were retired.
  std::map<SeriesId, int64_t> forgotten_ PB_GUARDED_BY(commit_mu_);
  StoreStats counters_ PB_GUARDED_BY(commit_mu_);
  DeleteRecordsPtr deletes_ PB_GUARDED_BY(commit_mu_);     // null: none
  int64_t erasures_ PB_GUARDED_BY(commit_mu_) = 0;         // counts deletions: what was read from blocks before is old
  absl::Status sealing_status_ PB_GUARDED_BY(commit_mu_);  // of the maintainer's last round

  mutable Mutex queue_mu_;
  CondVar queue_changed_;
  Group queue_ PB_GUARDED_BY(queue_mu_);
  int64_t queue_bytes_ PB_GUARDED_BY(queue_mu_) = 0;  // queued or not yet completed
  bool closing_ PB_GUARDED_BY(queue_mu_) = false;

  Mutex done_mu_;
  CondVar done_changed_;
  std::deque<Group> done_ PB_GUARDED_BY(done_mu_);
  bool done_closing_ PB_GUARDED_BY(done_mu_) = false;

  Mutex maintenance_mu_;
  std::unique_ptr<RollupKeeper> rollups_ PB_GUARDED_BY(maintenance_mu_);
  std::unique_ptr<Sealer> sealer_ PB_GUARDED_BY(maintenance_mu_);
  int64_t saved_checkpoint_ PB_GUARDED_BY(maintenance_mu_) = 0;
  int64_t flushed_checkpoint_ PB_GUARDED_BY(maintenance_mu_) = 0;  // as the disk has it for certain
  int64_t filled_punched_at_ PB_GUARDED_BY(maintenance_mu_) = 0;   // monotonic
  bool forget_due_ PB_GUARDED_BY(maintenance_mu_) = true;          // some series may have lost their last block

  RetryPace rocks_pace_;  // the maintainer's own

  Mutex wake_mu_;
  CondVar wake_changed_;
  bool wake_ PB_GUARDED_BY(wake_mu_) = false;
  bool stop_maintainer_ PB_GUARDED_BY(wake_mu_) = false;

  Mutex close_mu_;
  bool closed_ PB_GUARDED_BY(close_mu_) = false;
  absl::Status close_status_ PB_GUARDED_BY(close_mu_);

  std::unique_ptr<StoreOperations> operations_;

  std::thread committer_;
  std::thread completer_;
  std::thread maintainer_;
};

}  // namespace pulseboard
