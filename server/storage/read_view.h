// A consistent cut: runs of the head and a RocksDB snapshot taken together under the commit lock.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "server/storage/block_store.h"
#include "server/storage/head.h"
#include "server/storage/store.h"

namespace pulseboard {

// What a view needs of one series.
struct SeriesCut {
  TenantId tenant = 0;
  bool has_blocks = true;  // false: the head alone has everything in the view's range
  std::vector<SampleRun> runs;
};

class StoreReadView final : public ReadView {
 public:
  struct Cut {
    int64_t commit_sequence = 0;
    TimeRange range;
    std::unordered_map<SeriesId, SeriesCut> series;
    std::vector<PartitionPtr> partitions;  // ascending, those that overlap the range
    std::unique_ptr<Snapshot> snapshot;
    std::shared_ptr<rocksdb::DB> db;
  };

  explicit StoreReadView(Cut cut) : cut_(std::move(cut)), cursors_(cut_.partitions.size()) {}

  int64_t commit_sequence() const override { return cut_.commit_sequence; }
  absl::StatusOr<SampleColumns> Read(SeriesId series, TimeRange range) override;
  const ReadStats& stats() const override { return stats_; }

 private:
  absl::Status ReadBlocks(PartitionCursor* cursor, TenantId tenant, SeriesId series, TimeRange range,
                          SampleColumns* out);

  Cut cut_;
  std::vector<std::unique_ptr<PartitionCursor>>
      cursors_;  // beside cut_.partitions; null until needed; before cut_ in death
  ReadStats stats_;
};

}  // namespace pulseboard
