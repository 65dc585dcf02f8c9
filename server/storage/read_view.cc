#include "server/storage/read_view.h"

#include <algorithm>
#include <string>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "common/codec/block.h"

namespace pulseboard {
namespace {

// Times whose bucket is a time as well.
constexpr TimeRange kBucketTimes = {kAllTime.start + 2 * kNanosPerDay, kAllTime.end - 2 * kNanosPerDay};

void MergeWithin(std::span<const int64_t> times, std::span<const double> values, TimeRange range, SampleColumns* out) {
  const IndexRange part = IndicesWithin(times, range);
  MergeRun(times.subspan(part.first, part.count), values.subspan(part.first, part.count), out);
}

}  // namespace

absl::StatusOr<const SeriesCut*> StoreReadView::Find(SeriesId series) const {
  const auto it = cut_.series.find(series);
  if (it != cut_.series.end()) return &it->second;
  return MakeError(ErrorReason::kInternal, "BUG: series " + std::to_string(series) + " is not of this view");
}

PartitionCursor* StoreReadView::CursorOf(const PartitionPtr& partition) {
  std::unique_ptr<PartitionCursor>& cursor = cursors_[partition.get()];
  if (cursor == nullptr) cursor = std::make_unique<PartitionCursor>(partition, cut_.db.get(), cut_.snapshot->get());
  return cursor.get();
}

absl::StatusOr<SampleColumns> StoreReadView::Read(SeriesId series, TimeRange range) {
  PB_ASSIGN_OR_RETURN(const SeriesCut* const cut, Find(series));
  range = {std::max(range.start, cut_.range.start), std::min(range.end, cut_.range.end)};
  SampleColumns out;
  PB_RETURN_IF_ERROR(ReadSamples(series, *cut, cut->has_blocks, range, &out));
  return out;
}

absl::StatusOr<RollupColumns> StoreReadView::ReadRollups(SeriesId series, int64_t bucket_ns, TimeRange range,
                                                         RollupFields fields) {
  PB_ASSIGN_OR_RETURN(const SeriesCut* const cut, Find(series));
  range = {std::max({range.start, cut_.range.start, kBucketTimes.start}),
           std::min({range.end, cut_.range.end, kBucketTimes.end})};
  RollupColumns out;
  if (range.empty()) return out;
  range = {BucketStart(range.start, bucket_ns), BucketStart(range.end - 1, bucket_ns) + bucket_ns};
  SampleColumns samples;
  PB_RETURN_IF_ERROR(ReadSamples(series, *cut, cut->has_day_blocks, range, &samples));
  FoldSamples(samples.times, samples.values, bucket_ns, cut->is_counter, &out);
  out.Keep(fields);
  return out;
}

absl::Status StoreReadView::ReadSamples(SeriesId series, const SeriesCut& cut, bool has_blocks, TimeRange range,
                                        SampleColumns* out) {
  if (range.empty()) return absl::OkStatus();
  if (has_blocks && cut_.partitions != nullptr) {
    for (const PartitionPtr& partition : cut_.partitions->Overlapping(kRawBucket, range)) {
      PB_RETURN_IF_ERROR(ReadBlocks(CursorOf(partition), cut.tenant, series, range, out));
    }
  }
  for (const SampleRun& run : cut.runs) {
    stats_.scanned_samples += run.count;
    MergeWithin(run.times(), run.values(), range, out);
  }
  return absl::OkStatus();
}

absl::Status StoreReadView::ReadBlocks(PartitionCursor* cursor, TenantId tenant, SeriesId series, TimeRange range,
                                       SampleColumns* out) {
  BlockScan scan(cursor, tenant, series);
  SampleColumns block;
  for (scan.SeekTo(range.start); scan.Valid() && scan.start_time() < range.end; scan.Next()) {
    const absl::StatusOr<BlockHeader> header = ReadBlockHeader(scan.bytes());
    if (!header.ok()) return scan.Describe(header.status());
    if (header->max_time < range.start) continue;
    block.clear();
    if (const absl::Status status = DecodeBlock(scan.bytes(), &block); !status.ok()) return scan.Describe(status);
    ++stats_.decoded_blocks;
    stats_.scanned_samples += static_cast<int64_t>(block.size());
    MergeWithin(block.times, block.values, range, out);
  }
  return scan.status();
}

}  // namespace pulseboard
