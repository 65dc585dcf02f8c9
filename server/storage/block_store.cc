#include "server/storage/block_store.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/memory_reads.h"

namespace pulseboard {
namespace {

// The series that a batch writes blocks of, by family number.
struct SeriesPut final : rocksdb::WriteBatch::Handler {
  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& /*value*/) override {
    if (key.size() != kBlockKeyBytes) return rocksdb::Status::OK();
    std::vector<SeriesId>& ids = by_family[family];
    const auto id = GetBigEndian<SeriesId>(ToView(key).substr(sizeof(TenantId)));
    if (ids.empty() || ids.back() != id) ids.push_back(id);
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override { return rocksdb::Status::OK(); }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }

  std::map<uint32_t, std::vector<SeriesId>> by_family;
};

}  // namespace

std::string BlockKey(TenantId tenant, SeriesId series, int64_t start_time) {
  std::string key;
  key.reserve(kBlockKeyBytes);
  PutBigEndian(&key, tenant);
  PutBigEndian(&key, series);
  PutBigEndian(&key, TimeToOrdered(start_time));
  return key;
}

int64_t BlockKeyTime(std::string_view key) {
  return OrderedToTime(GetBigEndian<uint64_t>(key.substr(kBlockKeyBytes - sizeof(uint64_t))));
}

std::pair<TenantId, SeriesId> BlockKeySeries(std::string_view key) {
  return {GetBigEndian<TenantId>(key), GetBigEndian<SeriesId>(key.substr(sizeof(TenantId)))};
}

rocksdb::Status GetBlock(const Partition& partition, std::string_view key, std::string* bytes) {
  return DatabaseOf(partition.family)->Get(rocksdb::ReadOptions(), partition.family.get(), ToSlice(key), bytes);
}

PartitionCursor::PartitionCursor(PartitionPtr partition, const rocksdb::Snapshot* snapshot)
    : partition_(std::move(partition)), iterator_([&] {
        rocksdb::ReadOptions options;
        options.snapshot = snapshot;
        if (MemoryReads::Current() != nullptr) options.read_tier = rocksdb::kBlockCacheTier;
        return DatabaseOf(partition_->family)->NewIterator(options, partition_->family.get());
      }()) {}

BlockScan::BlockScan(PartitionCursor* cursor, TenantId tenant, SeriesId series)
    : cursor_(cursor),
      tenant_(tenant),
      series_(series),
      prefix_(BlockKey(tenant, series, 0).substr(0, kBlockKeyBytes - sizeof(uint64_t))) {}

void BlockScan::SeekTo(int64_t time) {
  it()->SeekForPrev(BlockKey(tenant_, series_, time));
  if (!Valid() && it()->status().ok()) it()->Seek(prefix_);
}

void BlockScan::SeekBefore(int64_t time) {
  const int64_t length = cursor_->usual_length_ns();
  if (length > 0 && time > std::numeric_limits<int64_t>::min() + length) {
    it()->Seek(BlockKey(tenant_, series_, time - length));
    if (Valid() && start_time() <= time) return;
  }
  SeekTo(time);
}

void BlockScan::SeekToLast() { it()->SeekForPrev(BlockKey(tenant_, series_, std::numeric_limits<int64_t>::max())); }

bool BlockScan::Valid() const {
  return it()->Valid() && it()->key().size() == kBlockKeyBytes && ToView(it()->key()).starts_with(prefix_);
}

absl::Status BlockScan::status() const {
  if (it()->status().ok()) return absl::OkStatus();
  if (MemoryReads* const reads = MemoryReads::Current(); reads != nullptr && it()->status().IsIncomplete())
    reads->Fail();
  return FromRocks(it()->status(), "read blocks of series " + std::to_string(series_) + " in " +
                                       FamilyName(cursor_->partition().window));
}

absl::Status BlockScan::Describe(const absl::Status& status) const {
  return WithContext(status, "series " + std::to_string(series_) + ", day " + FormatDay(DayOf(start_time())) + ", in " +
                                 FamilyName(cursor_->partition().window) + ", block starting at " +
                                 std::to_string(start_time()));
}

std::vector<PartitionPtr> PartitionSet::Overlapping(int64_t bucket_ns, TimeRange range) const {
  std::vector<PartitionPtr> out;
  const auto tier = tiers_.find(bucket_ns);
  if (range.empty() || tier == tiers_.end()) return out;
  auto it = tier->second.upper_bound(range.start);
  if (it != tier->second.begin() && std::prev(it)->second->window.end() > range.start) --it;
  for (; it != tier->second.end() && it->first < range.end; ++it) out.push_back(it->second);
  return out;
}

PartitionPtr PartitionSet::Find(int64_t bucket_ns, int64_t time) const {
  const auto tier = tiers_.find(bucket_ns);
  if (tier == tiers_.end()) return nullptr;
  const auto it = tier->second.upper_bound(time);
  if (it == tier->second.begin()) return nullptr;
  const PartitionPtr& before = std::prev(it)->second;
  return DayOf(time) < before->window.start_day + before->window.days ? before : nullptr;
}

std::vector<int64_t> PartitionSet::Buckets() const {
  std::vector<int64_t> out;
  for (const auto& [bucket, windows] : tiers_) out.push_back(bucket);
  return out;
}

std::vector<PartitionPtr> PartitionSet::All() const {
  std::vector<PartitionPtr> out;
  for (const auto& [bucket, windows] : tiers_) {
    for (const auto& [start, partition] : windows) out.push_back(partition);
  }
  return out;
}

std::shared_ptr<rocksdb::DB> PartitionSet::db() const {
  for (const auto& [bucket, windows] : tiers_) {
    if (!windows.empty()) return DatabaseOf(windows.begin()->second->family);
  }
  return nullptr;
}

BlockStore::BlockStore(Rocks* rocks) : rocks_(rocks), presence_(rocks) {
  MutexLock lock(&mu_);
  partitions_ = TakeFound();
}

PartitionSetPtr BlockStore::TakeFound() const {
  auto partitions = std::make_shared<PartitionSet>();
  for (WindowFamily& found : rocks_->TakeWindowFamilies()) {
    const Window window = found.window;
    partitions->tiers_[window.bucket_ns].emplace(
        window.start(), std::make_shared<const Partition>(Partition{window, std::move(found.family)}));
  }
  return partitions;
}

PartitionSetPtr BlockStore::Partitions() const {
  MutexLock lock(&mu_);
  return partitions_;
}

Window BlockStore::WindowFor(int64_t bucket_ns, int64_t time, int64_t days) const {
  const PartitionSetPtr partitions = Partitions();
  if (const PartitionPtr found = partitions->Find(bucket_ns, time)) return found->window;
  // One day always fits: windows are whole days and none holds this one.
  for (; days > 1; days /= 2) {
    const Window window = WindowAt(bucket_ns, time, days);
    if (partitions->Overlapping(bucket_ns, window.range()).empty()) return window;
  }
  return WindowAt(bucket_ns, time, 1);
}

absl::StatusOr<PartitionPtr> BlockStore::ForWrite(int64_t bucket_ns, int64_t time, int64_t days) {
  if (PartitionPtr found = Partitions()->Find(bucket_ns, time)) return found;
  const Window window = WindowFor(bucket_ns, time, days);
  PB_ASSIGN_OR_RETURN(FamilyPtr family, rocks_->CreateWindowFamily(window));
  auto partition = std::make_shared<const Partition>(Partition{window, std::move(family)});
  presence_.AddNew(window);
  Replace([&](PartitionSet* partitions) { partitions->tiers_[bucket_ns].emplace(window.start(), partition); });
  return partition;
}

absl::Status BlockStore::Load() {
  for (const PartitionPtr& partition : Partitions()->All()) PB_RETURN_IF_ERROR(presence_.Load(partition->window));
  return absl::OkStatus();
}

void BlockStore::Reload() {
  PartitionSetPtr now = TakeFound();
  const PartitionSetPtr before = Partitions();
  for (const PartitionPtr& partition : now->All()) {
    const Window& window = partition->window;
    if (before->Find(window.bucket_ns, window.start()) != nullptr) continue;
    // Its creation or its end was answered with an error.
    if (const absl::Status status = presence_.Load(window); !status.ok()) {
      PB_LOG(Warning, "storage", "failed reading presence family={} error={}", FamilyName(window),
             StatusMessage(status));
    }
  }
  MutexLock lock(&mu_);
  partitions_ = std::move(now);
}

absl::Status BlockStore::Write(rocksdb::WriteBatch* batch) {
  SeriesPut found;
  PB_RETURN_IF_ERROR(FromRocks(batch->Iterate(&found), "write blocks"));
  for (const PartitionPtr& partition : Partitions()->All()) {
    const auto it = found.by_family.find(partition->family->GetID());
    if (it == found.by_family.end()) continue;
    std::sort(it->second.begin(), it->second.end());
    PB_RETURN_IF_ERROR(presence_.Add(partition->window, SeriesSet(it->second), batch));
  }
  absl::Status written = rocks_->Write(batch, "write blocks");
  if (!written.ok()) presence_.NoteUnwritten();
  return written;
}

absl::Status BlockStore::FindPresence() {
  for (const Window& window : presence_.Unknown()) {
    const PartitionPtr partition = Partitions()->Find(window.bucket_ns, window.start());
    if (partition == nullptr) continue;
    PB_ASSIGN_OR_RETURN(SeriesSet series, ReadSeries(DatabaseOf(partition->family).get(), partition->family.get()));
    presence_.Set(window, std::move(series));
  }
  return absl::OkStatus();
}

std::vector<PartitionPtr> BlockStore::EndedBy(int64_t bucket_ns, int64_t time) const {
  std::vector<PartitionPtr> out;
  for (PartitionPtr& partition : Partitions()->Overlapping(bucket_ns, {kAllTime.start, time})) {
    if (partition->window.end() <= time) out.push_back(std::move(partition));
  }
  return out;
}

absl::Status BlockStore::Drop(const PartitionPtr& partition) {
  const Window& window = partition->window;
  // Out of sight first: no new read begins on a family that is going.
  Replace([&](PartitionSet* partitions) {
    partitions->tiers_[window.bucket_ns].erase(window.start());
    if (partitions->tiers_[window.bucket_ns].empty()) partitions->tiers_.erase(window.bucket_ns);
  });
  PB_RETURN_IF_ERROR(presence_.Remove(window));
  PB_RETURN_IF_ERROR(rocks_->DropFamily(partition->family));
  PB_LOG(Info, "storage", "dropped window family={}", FamilyName(window));
  return absl::OkStatus();
}

void BlockStore::Replace(const std::function<void(PartitionSet*)>& change) {
  MutexLock lock(&mu_);
  auto changed = std::make_shared<PartitionSet>(*partitions_);
  change(changed.get());
  partitions_ = std::move(changed);
}

}  // namespace pulseboard
