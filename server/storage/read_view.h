// A consistent cut: runs of the head and a RocksDB snapshot taken together under the commit lock.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "server/storage/block_store.h"
#include "server/storage/head.h"
#include "server/storage/store.h"
#include "server/storage/tier_reader.h"

namespace pulseboard {

// What a view needs of one series.
struct SeriesCut {
  TenantId tenant = 0;
  bool is_counter = false;
  bool has_blocks = true;      // false: the head alone has everything in the view's range
  bool has_day_blocks = true;  // the same for the range from the midnight before it: buckets begin there
  std::vector<SampleRun> runs;
  int64_t raw_floor = std::numeric_limits<int64_t>::min();  // nothing older is shown of samples
};

class StoreReadView final : public ReadView {
 public:
  struct Cut {
    int64_t commit_sequence = 0;
    TimeRange range;
    std::unordered_map<SeriesId, SeriesCut> series;
    PartitionSetPtr partitions;                // null when no series has blocks
    std::unique_ptr<Snapshot> snapshot;        // of their instance of RocksDB
    const std::vector<Tier>* tiers = nullptr;  // the store's
    DecodedBlocks* decoded = nullptr;          // likewise
    // By tier: buckets that end before are not shown. Tenants with a retention of their own only.
    std::map<TenantId, std::vector<int64_t>> rollup_floors;
    std::shared_ptr<const void> visit;  // its series are not purged meanwhile
  };

  explicit StoreReadView(Cut cut);

  int64_t commit_sequence() const override { return cut_.commit_sequence; }
  absl::StatusOr<SampleColumns> Read(SeriesId series, TimeRange range) override;
  absl::StatusOr<RollupColumns> ReadRollups(SeriesId series, int64_t bucket_ns, TimeRange range,
                                            RollupFields fields) override;
  const ReadStats& stats() const override { return reader_.stats(); }

 private:
  absl::StatusOr<const SeriesCut*> Find(SeriesId series) const;

  const Cut cut_;
  TierReader reader_;  // before cut_ in death
};

}  // namespace pulseboard
