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
  bool is_counter = false;
  bool has_blocks = true;      // false: the head alone has everything in the view's range
  bool has_day_blocks = true;  // the same for the range from the midnight before it: buckets begin there
  std::vector<SampleRun> runs;
};

class StoreReadView final : public ReadView {
 public:
  struct Cut {
    int64_t commit_sequence = 0;
    TimeRange range;
    std::unordered_map<SeriesId, SeriesCut> series;
    PartitionSetPtr partitions;  // null when no series has blocks
    std::unique_ptr<Snapshot> snapshot;
    std::shared_ptr<rocksdb::DB> db;
  };

  explicit StoreReadView(Cut cut) : cut_(std::move(cut)) {}

  int64_t commit_sequence() const override { return cut_.commit_sequence; }
  absl::StatusOr<SampleColumns> Read(SeriesId series, TimeRange range) override;
  absl::StatusOr<RollupColumns> ReadRollups(SeriesId series, int64_t bucket_ns, TimeRange range,
                                            RollupFields fields) override;
  const ReadStats& stats() const override { return stats_; }

 private:
  absl::StatusOr<const SeriesCut*> Find(SeriesId series) const;
  PartitionCursor* CursorOf(const PartitionPtr& partition);
  // All samples of the view within `range`, which may begin before the view's by less than a bucket.
  absl::Status ReadSamples(SeriesId series, const SeriesCut& cut, bool has_blocks, TimeRange range, SampleColumns* out);
  absl::Status ReadBlocks(PartitionCursor* cursor, TenantId tenant, SeriesId series, TimeRange range,
                          SampleColumns* out);

  Cut cut_;
  std::unordered_map<const Partition*, std::unique_ptr<PartitionCursor>> cursors_;  // before cut_ in death
  ReadStats stats_;
};

}  // namespace pulseboard
