// What a store says of itself to an operator, and the state that a verification reads.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/base/errors.h"
#include "common/codec/block.h"
#include "common/codec/rollup_block.h"
#include "server/storage/durable_store.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

constexpr size_t kReadAheadBytes = 256 << 10;

rocksdb::ReadOptions ScanOptions() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = kReadAheadBytes;
  return options;
}

// Adds a block's samples or buckets; one that is not readable counts as a block.
void Count(const Window& window, std::string_view block, TenantUsage* usage) {
  int64_t samples = 0;
  TimeRange times;
  if (window.bucket_ns == kRawBucket) {
    const auto header = ReadBlockHeader(block);
    if (header.ok()) samples = header->count;
    if (header.ok()) times = {header->min_time, header->max_time};
  } else if (const auto span = ReadRollupSpan(block); span.ok()) {
    samples = span->count;
    times = {span->start, span->end() - 1};
  }
  if (++usage->blocks == 1) usage->oldest_unix_nanos = times.start;
  usage->samples += samples;
  usage->oldest_unix_nanos = std::min(usage->oldest_unix_nanos, times.start);
  usage->newest_unix_nanos = std::max(usage->newest_unix_nanos, times.end);
}

int64_t BytesOf(rocksdb::DB* db, const Partition& partition, TenantId tenant) {
  const std::string start = BlockKey(tenant, 0, kAllTime.start);
  const std::string limit = BlockKey(tenant + 1, 0, kAllTime.start);
  const rocksdb::Range range(start, limit);
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  options.include_files = true;
  uint64_t bytes = 0;
  if (!db->GetApproximateSizes(options, partition.family.get(), &range, 1, &bytes).ok()) return 0;
  return static_cast<int64_t>(bytes);
}

absl::StatusOr<WindowStatus> ReadWindow(const Partition& partition, bool count) {
  rocksdb::DB* const db = DatabaseOf(partition.family).get();
  WindowStatus status;
  status.family = FamilyName(partition.window);
  status.range = partition.window.range();
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(ScanOptions(), partition.family.get()));
  for (it->SeekToFirst(); it->Valid() && it->key().size() == kBlockKeyBytes;) {
    TenantUsage usage;
    usage.tenant = BlockKeySeries(ToView(it->key())).first;
    usage.bytes = BytesOf(db, partition, usage.tenant);
    const std::string limit = BlockKey(usage.tenant + 1, 0, kAllTime.start);
    if (!count) it->Seek(limit);
    for (; count && it->Valid() && ToView(it->key()) < limit; it->Next())
      Count(partition.window, ToView(it->value()), &usage);
    status.tenants.push_back(usage);
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "read " + status.family));
  return status;
}

}  // namespace

absl::StatusOr<StorageStatus> DurableStore::ReadStatus(bool count_samples) {
  StorageStatus status;
  status.store_id = store_id_;
  status.series = index_->Count();
  {
    MutexLock lock(&maintenance_mu_);
    status.checkpoint_sequence = flushed_checkpoint_;
  }
  {
    MutexLock lock(&commit_mu_);
    status.commit_sequence = last_commit_;
    status.head_samples = head_.sample_count();
    status.head_bytes = head_.bytes();
  }
  status.log_bytes = wal_->disk_bytes();
  status.recovery_bytes = wal_->BytesAfter(status.checkpoint_sequence);
  std::error_code error;
  const auto space = std::filesystem::space(options_.directory, error);
  if (!error) status.free_bytes = static_cast<int64_t>(space.available);
  const PartitionSetPtr partitions = blocks_->Partitions();
  for (const Tier& tier : tiers_) {
    TierStatus& to = status.tiers.emplace_back();
    to.tier = TierName(tier.bucket_ns);
    {
      MutexLock lock(&retention_mu_);
      to.retention_ns = policy_.RetentionOf(0, tier);
    }
    for (const PartitionPtr& partition : partitions->Overlapping(tier.bucket_ns, kAllTime)) {
      PB_ASSIGN_OR_RETURN(WindowStatus window, ReadWindow(*partition, count_samples));
      to.windows.push_back(std::move(window));
    }
  }
  return status;
}

absl::StatusOr<VerifySource> DurableStore::CutForVerify() {
  VerifySource source;
  PB_ASSIGN_OR_RETURN(const std::string store_id, ReadMeta(kStoreIdKey));
  std::vector<LogPart> log;
  // As for a backup: what is sealed and the log must fit together, and no file of the log may go before it is open.
  MutexLock lock(&maintenance_mu_);
  source.db = rocks_->db();
  source.tables = rocks_->FixedFamilies();
  source.snapshot = std::make_unique<Snapshot>(source.db);
  source.partitions = blocks_->Partitions();
  {
    MutexLock commit_lock(&commit_mu_);
    log = wal_->Parts();
  }
  for (const LogPart& part : log) {
    PB_ASSIGN_OR_RETURN(SuspectSegment segment, OpenSuspect(files_, part.path, part.first_commit, store_id));
    segment.file_bytes = part.bytes;  // as far as it was written
    source.log.push_back(std::move(segment));
  }
  return source;
}

}  // namespace pulseboard
