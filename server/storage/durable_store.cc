#include "server/storage/durable_store.h"
#include "server/storage/memory_budget.h"
#include "server/storage/memory_reads.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/codec/block.h"
#include "common/codec/rollup_block.h"

namespace pulseboard {
namespace {

StoreOptions WithRaisedRetentions(StoreOptions options) {
  options.tiers = RaiseRetentions(std::move(options.tiers), options.raw_retention_ns);
  return options;
}

}  // namespace

namespace {

StoreOptions WithShares(StoreOptions options) {
  if (options.memory_bytes == 0) options.memory_bytes = DefaultMemoryBytes();
  if (options.head_bytes == 0) options.head_bytes = ShareMemory(options.memory_bytes).head;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(StoreOptions options, CommitObserver* observer) {
  return DurableStore::Open(std::move(options), observer, &PosixLogFileSystem());
}

DurableStore::DurableStore(StoreOptions options, CommitObserver* observer, LogFileSystem* files, rocksdb::Env* env)
    : options_(WithShares(WithRaisedRetentions(std::move(options)))),
      observer_(observer),
      files_(files),
      env_(env),
      head_(options_.block_samples),
      producers_(options_.max_producers_per_tenant) {}

absl::StatusOr<SeriesId> DurableStore::FindOrCreateSeries(TenantId tenant, const SeriesKey& key,
                                                          const SeriesMetadata& metadata, bool* created) {
  absl::StatusOr<SeriesId> found = index_->FindOrCreate(tenant, key, metadata, created);
  if (!found.ok()) return StoreHealth::AsRefusal(found.status());
  return found;
}

std::optional<SeriesId> DurableStore::FindSeries(TenantId tenant, const SeriesKey& key) const {
  return index_->Find(tenant, key);
}

std::shared_ptr<const SeriesInfo> DurableStore::GetSeries(SeriesId id) const { return index_->Get(id); }

std::vector<SeriesId> DurableStore::SelectSeries(TenantId tenant, const Selector& selector) const {
  return index_->Select(tenant, selector);
}

std::shared_ptr<const void> DurableStore::VisitSeries() const { return index_->BeginVisit(); }

bool DurableStore::HoldSeries(SeriesId series) { return index_->Hold(series); }

void DurableStore::ReleaseSeries(std::span<const SeriesId> series) { index_->Release(series); }

std::vector<LabelValueSummary> DurableStore::ListLabelValues(TenantId tenant, std::string_view label,
                                                             const Selector& selector, const std::string* after,
                                                             size_t limit) const {
  return index_->LabelValues(tenant, label, selector, after, limit);
}

CardinalityReport DurableStore::Cardinality(TenantId tenant, const Selector& selector, CardinalityOrder order,
                                            size_t limit) const {
  const int64_t now = options_.clock->NowUnixNanos();
  SeriesAgeLimits ages;
  {
    MutexLock lock(&ages_mu_);
    ages = {series_ages_.FirstIdSince(now - kNanosPerDay / 24), series_ages_.FirstIdSince(now - kNanosPerDay)};
  }
  return index_->Cardinality(tenant, selector, ages, order, limit);
}

int64_t DurableStore::SeriesCount(TenantId tenant) const { return index_->Count(tenant); }

int64_t DurableStore::SeriesCount(TenantId tenant, std::string_view metric) const {
  return index_->Count(tenant, metric);
}

absl::StatusOr<std::unique_ptr<ReadView>> DurableStore::OpenView(std::span<const SeriesId> series, TimeRange range,
                                                                 const std::function<void(int64_t)>& at_cut) {
  StoreReadView::Cut cut;
  cut.range = range;
  cut.tiers = &tiers_;
  cut.decoded = decoded_.get();
  cut.visit = index_->BeginVisit();
  cut.series.reserve(series.size());
  for (const SeriesId id : series) {
    const std::optional<SeriesBrief> brief = index_->Brief(id);
    if (!brief) {
      // Forgotten since it was selected: it has no data.
      cut.series[id].has_blocks = cut.series[id].has_day_blocks = false;
      continue;
    }
    cut.series[id].tenant = brief->tenant;
    const ReadFloors floors = FloorsOf(brief->tenant);
    cut.series[id].raw_floor = floors.raw;
    if (!floors.rollups.empty()) cut.rollup_floors[brief->tenant] = floors.rollups;
    cut.series[id].is_counter = brief->kind == MetricKind::kCounter;
  }
  // Buckets that begin before the range are of the view, too; none crosses midnight.
  const int64_t midnight = std::max(range.start, kAllTime.start + kNanosPerDay);
  const int64_t bucket_start = FloorTo(midnight, kNanosPerDay);
  {
    MutexLock lock(&commit_mu_);
    bool any_blocks = false;
    for (auto& [id, one] : cut.series) {
      if (one.tenant == 0) continue;
      one.runs = head_.Runs(id);
      one.has_blocks = head_.MayHaveBlocksFrom(id, range.start);
      one.has_day_blocks = one.has_blocks || head_.MayHaveBlocksFrom(id, bucket_start);
      any_blocks |= one.has_day_blocks;
    }
    if (any_blocks) {
      cut.partitions = blocks_->Partitions();
      if (std::shared_ptr<rocksdb::DB> db = cut.partitions->db()) {
        cut.snapshot = std::make_unique<Snapshot>(std::move(db));
      }
    }
    cut.commit_sequence = last_commit_;
    if (at_cut) at_cut(last_commit_);
  }
  return std::unique_ptr<ReadView>(std::make_unique<StoreReadView>(std::move(cut)));
}

absl::StatusOr<std::optional<Sample>> DurableStore::Latest(SeriesId series) {
  bool known = false;
  std::optional<Sample> latest;
  int64_t erasures = 0;
  {
    MutexLock lock(&commit_mu_);
    latest = head_.Latest(series, &known);
    erasures = erasures_;
  }
  while (!known) {
    PB_ASSIGN_OR_RETURN(const std::optional<Sample> in_blocks, LatestFromBlocks(series));
    MutexLock lock(&commit_mu_);
    // What a deletion may have taken away meanwhile is read again.
    if (std::exchange(erasures, erasures_) == erasures_) head_.SetLatestFromBlocks(series, in_blocks);
    latest = head_.Latest(series, &known);
  }
  // Its window may have been dropped since.
  if (latest) {
    const Window window = blocks_->WindowFor(kRawBucket, latest->time_unix_nanos, tiers_.front().window_days);
    const ReadFloors floors = FloorsOf(index_->TenantOf(series).value_or(0));
    if (window.end() <= DroppedBefore(tiers_.front()) || latest->time_unix_nanos < floors.raw) {
      PB_ASSIGN_OR_RETURN(latest, LatestFromRollups(series));
      const bool hidden = latest && !floors.rollups.empty() && latest->time_unix_nanos < floors.rollups.back();
      if (hidden) latest.reset();
    }
  }
  return latest;
}

absl::StatusOr<std::optional<Sample>> DurableStore::LatestFromBlocks(SeriesId series) const {
  const std::optional<TenantId> tenant = index_->TenantOf(series);
  if (!tenant) return std::optional<Sample>();
  const std::vector<PartitionPtr> partitions = blocks_->Partitions()->Overlapping(kRawBucket, kAllTime);
  for (auto it = partitions.rbegin(); it != partitions.rend(); ++it) {
    PartitionCursor cursor(*it, nullptr);
    BlockScan scan(&cursor, *tenant, series);
    scan.SeekToLast();
    PB_RETURN_IF_ERROR(scan.status());
    if (!scan.Valid()) continue;
    PB_RETURN_IF_ERROR(MemoryReads::MayDecode(options_.block_samples));
    SampleColumns samples;
    if (const absl::Status status = DecodeBlock(scan.bytes(), &samples); !status.ok()) return scan.Describe(status);
    return std::optional<Sample>(Sample{samples.times.back(), samples.values.back()});
  }
  return LatestFromRollups(series);
}

// When the samples are gone. All tiers are complete then, each as far back as it is kept.
absl::StatusOr<std::optional<Sample>> DurableStore::LatestFromRollups(SeriesId series) const {
  std::optional<Sample> latest;
  const std::optional<TenantId> tenant = index_->TenantOf(series);
  if (!tenant) return latest;
  const PartitionSetPtr set = blocks_->Partitions();
  for (const Tier& tier : std::span(tiers_).subspan(1)) {
    const std::vector<PartitionPtr> partitions = set->Overlapping(tier.bucket_ns, kAllTime);
    for (auto it = partitions.rbegin(); it != partitions.rend(); ++it) {
      PartitionCursor cursor(*it, nullptr);
      BlockScan scan(&cursor, *tenant, series);
      scan.SeekToLast();
      PB_RETURN_IF_ERROR(scan.status());
      if (!scan.Valid()) continue;
      RollupSpan span;
      RollupColumns columns;
      const absl::Status status =
          DecodeRollupBlock(scan.bytes(), RollupField::kLast | RollupField::kLastTime, &span, &columns);
      if (!status.ok()) return scan.Describe(status);
      if (columns.empty()) continue;
      if (!latest || latest->time_unix_nanos < columns.last_times.back()) {
        latest = Sample{columns.last_times.back(), columns.lasts.back()};
      }
      break;
    }
  }
  return latest;
}

absl::Status DurableStore::ReadCommits(int64_t after, int64_t up_to,
                                       const std::function<absl::Status(const CommittedBatch&)>& visit) {
  {
    // What is in the log but not yet applied is not committed for anybody.
    MutexLock lock(&commit_mu_);
    up_to = std::min(up_to, last_commit_);
  }
  if (after >= up_to) return absl::OkStatus();
  DeletedFilter deleted(Deletes());
  return wal_->Read(after, up_to, [&](const CommittedBatch& batch) { return visit(deleted.Apply(batch)); });
}

void DurableStore::Cut(const std::function<void(int64_t)>& at_cut) {
  MutexLock lock(&commit_mu_);
  at_cut(last_commit_);
}

absl::Status DurableStore::CheckPosition(uint64_t epoch, int64_t commit_sequence) const {
  const auto it = std::find_if(epochs_.begin(), epochs_.end(), [epoch](const Epoch& e) { return e.id == epoch; });
  // Commits of an epoch are kept up to where the next one took over.
  if (it != epochs_.end() && (it + 1 == epochs_.end() || commit_sequence < (it + 1)->first_commit)) {
    return absl::OkStatus();
  }
  return MakeError(ErrorReason::kResumeTokenExpired,
                   "commit " + std::to_string(commit_sequence) +
                       " is not in this store: it was lost before it was on the disk, or it is too long ago",
                   {{"commitSequence", std::to_string(commit_sequence)}});
}

Table& DurableStore::GetTable(std::string_view name) {
  const auto it = tables_.find(name);
  if (it == tables_.end()) {
    PB_LOG(Error, "storage", "BUG: no table '{}'", name);
    std::abort();
  }
  return *it->second;
}

StoreStats DurableStore::Stats() const {
  StoreStats stats;
  {
    MutexLock lock(&commit_mu_);
    stats = counters_;
    stats.commit_sequence = last_commit_;
    stats.head_samples = head_.sample_count();
    stats.head_bytes = head_.bytes();
  }
  {
    MutexLock lock(&queue_mu_);
    stats.append_queue_bytes = queue_bytes_;
  }
  stats.series_count = index_->Count();
  stats.closed_windows = closer_->closed_count();
  stats.windows_to_close = closer_->waiting_count();
  stats.wal_syncs = wal_->sync_count();
  stats.wal_bytes = wal_->disk_bytes();
  const RocksStats rocks = rocks_->Stats();
  stats.memory_limit_bytes = options_.memory_bytes;
  stats.write_buffer_bytes = rocks.write_buffer_bytes;
  stats.block_cache_bytes = std::max<int64_t>(rocks.cache_bytes - rocks.write_buffer_bytes, 0);
  const DecodedBlocksStats decoded = decoded_->Stats();
  stats.decoded_bytes = decoded.bytes;
  stats.decoded_hits = decoded.hits;
  stats.decoded_misses = decoded.misses;
  stats.background_errors = rocks.background_errors;
  stats.write_stalls = rocks.write_stalls;
  stats.free_bytes = space_->free_bytes();
  const SyncTimes syncs = wal_->RecentSyncs();
  stats.fsync_p50_ns = syncs.p50_ns;
  stats.fsync_p99_ns = syncs.p99_ns;
  return stats;
}

}  // namespace pulseboard
