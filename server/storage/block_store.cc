#include "server/storage/block_store.h"

#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/families.h"

namespace pulseboard {

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

PartitionCursor::PartitionCursor(PartitionPtr partition, rocksdb::DB* db, const rocksdb::Snapshot* snapshot)
    : partition_(std::move(partition)), iterator_([&] {
        rocksdb::ReadOptions options;
        options.snapshot = snapshot;
        return db->NewIterator(options, partition_->family.get());
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

void BlockScan::SeekToLast() { it()->SeekForPrev(BlockKey(tenant_, series_, std::numeric_limits<int64_t>::max())); }

bool BlockScan::Valid() const {
  return it()->Valid() && it()->key().size() == kBlockKeyBytes && ToView(it()->key()).starts_with(prefix_);
}

absl::Status BlockScan::status() const {
  return FromRocks(it()->status(),
                   "read blocks of series " + std::to_string(series_) + " of " + FormatDay(cursor_->partition().day));
}

absl::Status BlockScan::Describe(const absl::Status& status) const {
  return WithContext(status, "series " + std::to_string(series_) + ", day " + FormatDay(cursor_->partition().day) +
                                 ", block starting at " + std::to_string(start_time()));
}

BlockStore::BlockStore(Rocks* rocks) : rocks_(rocks) {
  for (auto& [day, family] : rocks->TakeRawFamilies()) {
    partitions_.emplace(day, std::make_shared<const Partition>(Partition{day, std::move(family)}));
  }
}

std::vector<PartitionPtr> BlockStore::Overlapping(TimeRange range) const {
  std::vector<PartitionPtr> out;
  if (range.empty()) return out;
  const int64_t last_day = DayOf(range.end - 1);
  MutexLock lock(&mu_);
  for (auto it = partitions_.lower_bound(DayOf(range.start)); it != partitions_.end() && it->first <= last_day; ++it) {
    out.push_back(it->second);
  }
  return out;
}

PartitionPtr BlockStore::Find(int64_t day) const {
  MutexLock lock(&mu_);
  const auto it = partitions_.find(day);
  return it == partitions_.end() ? nullptr : it->second;
}

absl::StatusOr<PartitionPtr> BlockStore::ForWrite(int64_t day) {
  if (PartitionPtr found = Find(day)) return found;
  PB_ASSIGN_OR_RETURN(FamilyPtr family, rocks_->CreateRawFamily(day));
  auto partition = std::make_shared<const Partition>(Partition{day, std::move(family)});
  MutexLock lock(&mu_);
  partitions_.emplace(day, partition);
  return partition;
}

absl::StatusOr<int64_t> BlockStore::DropBefore(int64_t day) {
  std::vector<PartitionPtr> dropped;
  {
    MutexLock lock(&mu_);
    while (!partitions_.empty() && partitions_.begin()->first < day) {
      dropped.push_back(std::move(partitions_.begin()->second));
      partitions_.erase(partitions_.begin());
    }
  }
  for (const PartitionPtr& partition : dropped) {
    const std::string name = RawFamilyName(partition->day);
    PB_RETURN_IF_ERROR(FromRocks(db()->DropColumnFamily(partition->family.get()), "drop family " + name));
    PB_LOG(Info, "storage", "dropped day family={}", name);
  }
  return static_cast<int64_t>(dropped.size());
}

}  // namespace pulseboard
