#include "server/storage/read_view.h"

#include <algorithm>
#include <string>

#include "common/base/errors.h"
#include "common/codec/block.h"
#include "server/storage/families.h"

namespace pulseboard {
namespace {

void MergeWithin(std::span<const int64_t> times, std::span<const double> values, TimeRange range, SampleColumns* out) {
  const IndexRange part = IndicesWithin(times, range);
  MergeRun(times.subspan(part.first, part.count), values.subspan(part.first, part.count), out);
}

}  // namespace

absl::StatusOr<SampleColumns> StoreReadView::Read(SeriesId series, TimeRange range) {
  const auto it = cut_.series.find(series);
  if (it == cut_.series.end()) {
    return MakeError(ErrorReason::kInternal, "BUG: series " + std::to_string(series) + " is not of this view");
  }
  range = {std::max(range.start, cut_.range.start), std::min(range.end, cut_.range.end)};
  SampleColumns out;
  if (range.empty()) return out;
  if (it->second.has_blocks) {
    for (size_t i = 0; i < cursors_.size(); ++i) {
      const int64_t day = cut_.partitions[i]->day;
      if (day < DayOf(range.start) || day > DayOf(range.end - 1)) continue;
      if (cursors_[i] == nullptr) {
        cursors_[i] = std::make_unique<PartitionCursor>(cut_.partitions[i], cut_.db.get(), cut_.snapshot->get());
      }
      PB_RETURN_IF_ERROR(ReadBlocks(cursors_[i].get(), it->second.tenant, series, range, &out));
    }
  }
  for (const SampleRun& run : it->second.runs) {
    stats_.scanned_samples += run.count;
    MergeWithin(run.times(), run.values(), range, &out);
  }
  return out;
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
