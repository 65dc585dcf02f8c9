// LinePlan: from which tier each part of a range is read when it is drawn in so many pixel columns.
//
// A tier serves columns of at least four of its buckets. The columns are then whole buckets: their grid is the tier's
// and they are as wide as it takes, so that the first, last, smallest and greatest samples of the buckets make exactly
// those of the columns. What lies in a bucket that the range cuts comes from finer tiers, at last from samples. Parts
// older than a tier is kept for come from the finest tier that reaches back so far.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/samples.h"
#include "server/storage/tiers.h"

namespace pulseboard {

// What a plan is made for.
struct LineRequest {
  TimeRange readable;       // what is read; may be more or less than `columns`
  TimeRange columns;        // the range that max_points counts in
  int32_t max_points = 0;   // 0: samples as they are, from wherever they are kept
  int64_t sparse_from = 0;  // from here on (well ahead of the clock) next to nothing is expected
  int64_t now_unix_nanos = 0;
  int64_t raw_retention_ns = 0;
};

// A stretch of time and the tier it is read from, kRawBucket for samples.
struct LineStep {
  TimeRange range;
  int64_t bucket_ns = kRawBucket;
  bool sparse = false;  // hardly anything there: one piece however long
};

struct LinePlan {
  std::vector<LineStep> steps;  // ascending, each begins where the last one ends
  TimeRange canvas;             // columns of equal width; empty: no reduction
  int64_t columns = 0;
  int64_t bucket_ns = kRawBucket;  // the tier that the columns were made for
  int64_t raw_from = 0;            // samples before are kept as rollups only

  int64_t column_ns() const { return columns == 0 ? 0 : (canvas.end - canvas.start) / columns; }
};

// What is read at once of `step`, beginning at `from`: of rollups `piece_buckets`, counted from the multiple of
// `grid_buckets` that `from` lies in; of samples a day, or up to two at the end of the step; of a sparse step the rest.
TimeRange PieceOf(const LineStep& step, int64_t from, int64_t piece_buckets, int64_t grid_buckets = 1);
// `tiers`: ascending, as Store::Tiers gives them.
LinePlan PlanLine(const LineRequest& request, std::span<const TierOptions> tiers);
// Reads `request.readable` from the tier of `bucket_ns` where it holds whole buckets, its edges from finer ones, what
// is older than kept from coarser ones. No columns.
LinePlan PlanTier(const LineRequest& request, std::span<const TierOptions> tiers, int64_t bucket_ns);
// The width of pixel columns, `span_ns` / `max_points` rounded up to what a tier can serve: PlanLine makes just these
// columns of a range that begins and ends at their multiples and is cut into so many. 0 when there are none.
int64_t PixelColumnWidth(int64_t span_ns, int32_t max_points, std::span<const TierOptions> tiers);
// The same range and columns from samples alone, as far back as there are any.
LinePlan WithoutTiers(const LinePlan& plan);

}  // namespace pulseboard
