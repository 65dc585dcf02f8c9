#include "server/storage/read_view.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"

namespace pulseboard {

StoreReadView::StoreReadView(Cut cut)
    : cut_(std::move(cut)),
      reader_(cut_.snapshot == nullptr ? nullptr : cut_.snapshot->get(), cut_.partitions, cut_.tiers, cut_.decoded) {}

absl::StatusOr<const SeriesCut*> StoreReadView::Find(SeriesId series) const {
  const auto it = cut_.series.find(series);
  if (it != cut_.series.end()) return &it->second;
  return MakeError(ErrorReason::kInternal, "BUG: series " + std::to_string(series) + " is not of this view");
}

absl::StatusOr<SampleColumns> StoreReadView::Read(SeriesId series, TimeRange range) {
  PB_ASSIGN_OR_RETURN(const SeriesCut* const cut, Find(series));
  range = {std::max({range.start, cut_.range.start, cut->raw_floor}), std::min(range.end, cut_.range.end)};
  SampleColumns out;
  PB_RETURN_IF_ERROR(
      reader_.ReadSamples({series, cut->tenant, cut->is_counter, cut->has_blocks}, cut->runs, range, &out));
  return out;
}

absl::StatusOr<RollupColumns> StoreReadView::ReadRollups(SeriesId series, int64_t bucket_ns, TimeRange range,
                                                         RollupFields fields) {
  PB_ASSIGN_OR_RETURN(const SeriesCut* const cut, Find(series));
  const auto tier = std::find_if(cut_.tiers->begin(), cut_.tiers->end(),
                                 [&](const Tier& t) { return t.bucket_ns == bucket_ns && t.filled; });
  if (tier == cut_.tiers->end() || bucket_ns == kRawBucket) {
    return MakeError(ErrorReason::kInternal, "BUG: no tier of " + std::to_string(bucket_ns) + " ns");
  }
  int64_t floor = kBucketTimes.start;
  if (const auto own = cut_.rollup_floors.find(cut->tenant); own != cut_.rollup_floors.end()) {
    floor = std::max(floor, own->second[static_cast<size_t>(tier - cut_.tiers->begin())]);
  }
  range = {std::max({range.start, cut_.range.start, floor}), std::min({range.end, cut_.range.end, kBucketTimes.end})};
  RollupColumns out;
  if (range.empty()) return out;
  range = {BucketStart(range.start, bucket_ns), BucketStart(range.end - 1, bucket_ns) + bucket_ns};
  PB_RETURN_IF_ERROR(reader_.ReadRollups({series, cut->tenant, cut->is_counter, cut->has_day_blocks}, cut->runs,
                                         static_cast<size_t>(tier - cut_.tiers->begin()), range, fields, &out));
  return out;
}

}  // namespace pulseboard
