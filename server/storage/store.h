// Store: the durable home of series and samples on one machine. The only room that includes rocksdb/*.
//
// The way of a batch: Append queues it -> the committer thread writes many batches to the write-ahead log, one fsync
// for all -> the samples enter the head (open blocks in memory) -> CommitObserver::OnCommit -> AppendDone. Everything a
// reader or observer sees is as safe as its pusher asked (AckMode): with FSYNCED it is on the disk. On disk format:
// FORMAT.md.
//
// Thread-safe. Callbacks are named with the thread they run on; they must not block and must not call Append's waiters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/model/labels.h"
#include "common/model/rollups.h"
#include "common/model/samples.h"
#include "common/model/selector.h"
#include "server/storage/cardinality.h"
#include "server/storage/retention.h"
#include "server/storage/tiers.h"

namespace pulseboard {

class StoreOperations;
class Table;

struct StoreOptions {
  std::string directory;  // created when missing; one process at a time (locked)
  const Clock* clock = &SystemClock();
  int64_t buffered_sync_interval_ns = 100 * kNanosPerMilli;  // a BUFFERED commit waits at most so long for a sync
  int64_t append_queue_bytes = 64 << 20;                     // more queued than this: INGEST_BACKLOG_FULL
  int64_t wal_segment_bytes = 64 << 20;                      // preallocated size of one segment file
  int64_t wal_retain_bytes = 256 << 20;  // replayable tail kept for resuming subscribers, beyond what recovery needs
  int64_t wal_recovery_bytes = int64_t{1}
                               << 30;  // more log than this to replay after a crash: open samples are sealed early
  // Memory for unsealed samples, cached blocks and RocksDB's write buffers together; the shares: memory_budget.h.
  // 0: a quarter of the machine's, at most 1 GiB.
  int64_t memory_bytes = 0;
  // Of it, for blocks that are read often, decoded: a sixteenth at most. 0: none.
  int64_t decoded_bytes = 32 << 20;
  int64_t head_bytes = 0;         // for unsealed samples; at the limit appends wait for sealing. 0: the share
  int32_t block_samples = 2'048;  // samples per sealed block, at most
  int64_t seal_age_ns = 600 * kNanosPerSecond;  // open samples older than this (by commit) are sealed: frees the log
  int64_t checkpoint_interval_ns = 10 * kNanosPerSecond;
  int64_t raw_retention_ns = 30 * kNanosPerDay;     // whole windows of samples older than this are dropped
  std::vector<TierOptions> tiers = DefaultTiers();  // rollups kept beside the samples, ascending; see CheckTiers.
                                                    // None is kept for less time than the finer one.
  RetentionPolicy retention = {};                   // beyond raw_retention_ns and tiers; see Store::SetRetention
  int64_t min_free_bytes = 256 << 20;  // with less space on the disk writes are refused: DISK_FULL. 0: no reserve
  int64_t max_producers_per_tenant = 10'000;  // oldest are forgotten first
  std::string backup_directory;               // empty: no backups; see operations.h
  std::vector<std::string> backup_files;      // further files of `directory` to back up when they are there
  int64_t backup_rate = 128 << 20;            // bytes copied per second by a backup; 0: without limit
  int64_t verify_rate = 64 << 20;             // bytes read per second by a verification; 0: without limit
};

// How safe a batch is when it is acknowledged, and seen.
enum class AckMode : uint8_t {
  kFsynced,   // on the disk: survives a power cut
  kBuffered,  // with the operating system: survives the process; on the disk within buffered_sync_interval_ns + a sync
};

// Parallel columns; order is kept. All series belong to `tenant`.
struct AppendBatch {
  TenantId tenant = 0;
  AckMode ack_mode = AckMode::kFsynced;
  std::string producer_id;  // empty: no exactly-once tracking
  int64_t sequence = 0;
  std::vector<SeriesId> series;
  std::vector<int64_t> times;  // unix nanoseconds
  std::vector<double> values;
  int64_t pushed_unix_nanos = 0;  // by the pusher's clock, 0 unknown
  int64_t received_unix_nanos = 0;
  std::shared_ptr<const void> visit = nullptr;  // Store::VisitSeries from before the ids were found

  size_t size() const { return series.size(); }
};

struct CommitReceipt {
  int64_t commit_sequence = 0;  // of the batch; for a duplicate, the newest commit
  bool duplicate = false;       // (producer_id, sequence) was committed before; nothing applied
  bool fsynced = true;          // true also for a BUFFERED batch that was on the disk already when it was acknowledged
};

// Runs on the store's completion thread, after OnCommit of the same batch; batches of one caller complete in order.
using AppendDone = std::function<void(const absl::StatusOr<CommitReceipt>&)>;

// A batch as committed. The spans live only during the callback.
struct CommittedBatch {
  int64_t commit_sequence = 0;  // 1, 2, 3 … without holes in one store
  TenantId tenant = 0;
  std::span<const SeriesId> series;
  std::span<const int64_t> times;
  std::span<const double> values;
  int64_t pushed_unix_nanos = 0;
  int64_t received_unix_nanos = 0;
  int64_t committed_unix_nanos = 0;
  // Indices, ascending, of late samples: those not newer than the newest of their series at that moment, so out of
  // order or a new value for a time that may have one. Most batches have none.
  std::span<const uint32_t> late;
};

class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  // On the committer thread, in commit order, under the commit lock: be quick, never call the store's OpenView or
  // Append. GetSeries may be called.
  virtual void OnCommit(const CommittedBatch& batch) noexcept = 0;
};

struct ReadStats {
  int64_t scanned_samples = 0;
  int64_t decoded_blocks = 0;
  int64_t scanned_rollups = 0;  // buckets of decoded span blocks
};

// One consistent state of some series: exactly the samples of all commits up to commit_sequence(). Keeps old data alive
// while it exists: hold it for seconds, not for hours; must not outlive the store. Thread-compatible.
class ReadView {
 public:
  virtual ~ReadView() = default;
  virtual int64_t commit_sequence() const = 0;
  // Sorted samples of one of the view's series within `range` (which must be within the view's range).
  // DATA_LOSS/BLOCK_CORRUPT naming series, window and block.
  virtual absl::StatusOr<SampleColumns> Read(SeriesId series, TimeRange range) = 0;
  // Rollups of one of the view's series: all buckets, of the length of one of the store's tiers, that overlap `range`
  // and hold a sample. Exact for the samples of the view, whatever of it is stored as rollups. Columns outside `fields`
  // are left empty: fewer columns are faster. The start of the view's range counts as rounded down to a bucket.
  virtual absl::StatusOr<RollupColumns> ReadRollups(SeriesId series, int64_t bucket_ns, TimeRange range,
                                                    RollupFields fields) = 0;
  virtual const ReadStats& stats() const = 0;
};

struct StoreStats {
  int64_t commit_sequence = 0;
  int64_t series_count = 0;
  int64_t forgotten_series = 0;  // since start: their data was gone
  int64_t committed_batches = 0;
  int64_t committed_samples = 0;
  int64_t duplicate_batches = 0;
  int64_t late_samples = 0;      // see CommittedBatch::late
  int64_t buffered_batches = 0;  // acknowledged before they were on the disk
  int64_t wal_syncs = 0;
  int64_t wal_bytes = 0;  // on disk
  int64_t append_queue_bytes = 0;
  int64_t memory_limit_bytes = 0;  // StoreOptions::memory_bytes
  int64_t head_bytes = 0;          // of it, in use: by unsealed samples,
  int64_t write_buffer_bytes = 0;  // by RocksDB's write buffers,
  int64_t block_cache_bytes = 0;   // by cached blocks,
  int64_t decoded_bytes = 0;       // and by decoded ones
  int64_t decoded_hits = 0;        // reads of a block that was kept decoded, since start,
  int64_t decoded_misses = 0;      // and of one that was not
  int64_t free_bytes = -1;         // on the disk; -1 unknown
  int64_t background_errors = 0;   // of RocksDB, since start
  int64_t write_stalls = 0;        // times RocksDB slowed or stopped writes
  int64_t head_samples = 0;        // not yet sealed
  int64_t sealed_blocks = 0;       // since start
  int64_t sealed_samples = 0;
  int64_t sealed_bytes = 0;
  int64_t rollup_spans = 0;    // span blocks written since start, rewritten ones too
  int64_t rollup_bytes = 0;    // of those
  int64_t closed_windows = 0;  // flushed and compacted once they were over
  int64_t windows_to_close = 0;
  int64_t fsync_p50_ns = 0;  // of recent syncs
  int64_t fsync_p99_ns = 0;
  int64_t recovered_samples = 0;    // replayed at start
  int64_t truncated_wal_bytes = 0;  // torn tail cut at start
};

// The oldest time that is kept, and the setting that says so.
struct OldestTime {
  int64_t unix_nanos = 0;
  std::string_view setting;  // `storage.raw_retention` …
};

// What a policy would drop now.
struct RetentionPreview {
  std::vector<RetentionStep> steps;  // in the order in which they would be done
  int64_t total_bytes = 0;           // of all windows, before
};

class Store {
 public:
  // Opens or creates, replays the log. FAILED_PRECONDITION when another process holds the directory or the format is
  // newer, INVALID_ARGUMENT for tiers that do not fit (CheckTiers), DATA_LOSS/BLOCK_CORRUPT naming file and offset when
  // the log is damaged before its tail. `observer` may be null and must outlive the store; it is not called for
  // replayed commits.
  static absl::StatusOr<std::unique_ptr<Store>> Open(StoreOptions options, CommitObserver* observer);
  virtual ~Store() = default;

  // The series of this key, created when new (durable with the first commit that uses it). `created` may be null.
  virtual absl::StatusOr<SeriesId> FindOrCreateSeries(TenantId tenant, const SeriesKey& key,
                                                      const SeriesMetadata& metadata, bool* created) = 0;
  virtual std::optional<SeriesId> FindSeries(TenantId tenant, const SeriesKey& key) const = 0;
  // Null for an unknown id. The info never changes.
  virtual std::shared_ptr<const SeriesInfo> GetSeries(SeriesId id) const = 0;
  // Ascending ids of the tenant's series that match.
  virtual std::vector<SeriesId> SelectSeries(TenantId tenant, const Selector& selector) const = 0;
  // Distinct values of a label (`__name__`: metrics) among the series that match, ascending, those after `after` (null:
  // all), at most `limit`. Costs by the page, not by the series.
  virtual std::vector<LabelValueSummary> ListLabelValues(TenantId tenant, std::string_view label,
                                                         const Selector& selector, const std::string* after,
                                                         size_t limit) const = 0;
  // The metrics, labels and label values with most series, `limit` of each. Looks at every label value: some hundred
  // milliseconds for a million.
  virtual CardinalityReport Cardinality(TenantId tenant, const Selector& selector, CardinalityOrder order,
                                        size_t limit) const = 0;
  virtual int64_t SeriesCount(TenantId tenant) const = 0;
  virtual int64_t SeriesCount(TenantId tenant, std::string_view metric) const = 0;

  // Buckets of these lengths can be read with ReadView::ReadRollups, ascending, and how long they are kept of this
  // tenant, as retention is now.
  virtual std::vector<TierOptions> Tiers(TenantId tenant) const = 0;
  // How long samples are kept of this tenant, likewise.
  virtual int64_t RawRetention(TenantId tenant) const = 0;
  // The oldest time at which samples of this tenant are taken.
  virtual OldestTime OldestAccepted(TenantId tenant) const = 0;

  // Series without data are forgotten. Whoever keeps an id must hold on to it: over the time from finding it to Append
  // by a visit (Append makes one itself for the time after), for longer by HoldSeries, which is false when the series
  // is gone already, and ReleaseSeries, once per HoldSeries. A series that was forgotten comes back when samples come.
  virtual std::shared_ptr<const void> VisitSeries() const = 0;
  [[nodiscard]] virtual bool HoldSeries(SeriesId series) = 0;
  virtual void ReleaseSeries(std::span<const SeriesId> series) = 0;

  // Queues a batch; `done` runs exactly once. Refused at once, without running `done`, with INGEST_BACKLOG_FULL,
  // STORE_READ_ONLY, DISK_FULL, WRITE_STALLED or SHUTTING_DOWN.
  [[nodiscard]] virtual absl::Status Append(AppendBatch batch, AppendDone done) = 0;
  // Highest committed sequence of a producer; 0 when unknown.
  virtual int64_t ProducerPosition(TenantId tenant, std::string_view producer_id) const = 0;

  // A consistent view of `series` over `range`. `at_cut` (may be null) runs inside the commit lock at the exact cut, so
  // that an observer can take over from the commit after it without hole or double.
  virtual absl::StatusOr<std::unique_ptr<ReadView>> OpenView(
      std::span<const SeriesId> series, TimeRange range,
      const std::function<void(int64_t commit_sequence)>& at_cut) = 0;
  // Newest sample (largest time) of a series; nothing when it has none.
  virtual absl::StatusOr<std::optional<Sample>> Latest(SeriesId series) = 0;

  // Calls `visit` for each commit in (after, up_to], ascending. OUT_OF_RANGE/RESUME_TOKEN_EXPIRED with metadata
  // `oldestCommitSequence` when the log no longer reaches back to `after` + 1.
  virtual absl::Status ReadCommits(int64_t after, int64_t up_to,
                                   const std::function<absl::Status(const CommittedBatch&)>& visit) = 0;
  // Runs `at_cut` inside the commit lock with the newest commit: for observers that attach without reading.
  virtual void Cut(const std::function<void(int64_t commit_sequence)>& at_cut) = 0;
  // Random, fixed at creation: tells this store's resume tokens from another's.
  virtual const std::string& store_id() const = 0;
  // Random, new with each opening. A power cut may take commits that were only BUFFERED, and a restored backup goes on
  // from an earlier one: their numbers are then given out again, and (epoch, commit) tells them apart.
  virtual uint64_t epoch() const = 0;
  // OK when the commit that had this number in `epoch` is in this store; OUT_OF_RANGE/RESUME_TOKEN_EXPIRED when it was
  // lost or the epoch is not known (any more).
  virtual absl::Status CheckPosition(uint64_t epoch, int64_t commit_sequence) const = 0;

  // A small durable key-value table (users, sessions …) in a column family of its own. `name` must be one of the fixed
  // names in storage/families.h. Owned by the store. See table.h.
  virtual Table& GetTable(std::string_view name) = 0;

  // Status, backups, verification, deleting; see operations.h. Owned by the store.
  virtual StoreOperations& operations() = 0;
  // Takes over a policy, which the next maintenance carries out. It is not persisted.
  virtual void SetRetention(RetentionPolicy policy) = 0;
  virtual RetentionPolicy Retention() const = 0;
  // A dry run. Sizes are RocksDB's estimates.
  virtual RetentionPreview PreviewRetention(const RetentionPolicy& policy) const = 0;

  // Seals and frees what checkpoint_interval_ns would, now. For tests and operators.
  virtual absl::Status Checkpoint() = 0;
  // OK, or why writes are refused (background error, disk full).
  virtual absl::Status Health() const = 0;
  virtual StoreStats Stats() const = 0;
  // Refuses new appends, commits what is queued, syncs. Idempotent; the destructor does it too.
  virtual absl::Status Close() = 0;
};

}  // namespace pulseboard
