// Histograms over time: how the values of all samples of some series are distributed in each column of time, as counts
// per bucket of values and as quantiles. For heat maps and quantile bands. Reads samples, so no further back than they
// are kept.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/analysis/quantile_sketch.h"
#include "server/query/columns/column_query.h"
#include "server/query/columns/time_columns.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"

namespace pulseboard {

enum class BucketScale : uint8_t { kLinear, kExponential };

inline constexpr int32_t kDefaultBuckets = 32;
inline constexpr int32_t kMaxBuckets = 1'000;
inline constexpr size_t kMaxQuantiles = 16;

struct HistogramRequest {
  std::string selector;
  TimeRange range;
  ColumnStep step;
  // Bounds b0 < b1 … of the buckets (-Inf, b0], (b0, b1] … (bn, +Inf). Empty: `bucket_count` buckets from the smallest
  // to the greatest value of the range, of equal width, or (kExponential, positive values only) of equal ratio.
  std::vector<double> bounds;
  int32_t bucket_count = 0;  // 0: kDefaultBuckets
  BucketScale scale = BucketScale::kLinear;
  std::vector<double> quantiles;
};

struct HistogramColumn {
  int64_t start = 0;            // of the column of time
  std::vector<int64_t> counts;  // one per bucket
  std::vector<double> quantiles;
  int64_t count = 0;
};

struct HistogramAnswer {
  std::vector<int64_t> time_bounds;
  std::vector<double> bounds;
  std::vector<HistogramColumn> columns;  // those with values, ascending
  RangeSummary summary;
  std::shared_ptr<const QueryEstimate> estimate;  // of a dry run
};

// On the calling thread; errors as for QueryEngine. Holds all counts, and up to QuantileSketch::kExactValues values per
// column when quantiles are asked for.
absl::StatusOr<HistogramAnswer> QueryHistogram(QueryEngine& engine, const QueryContext& context,
                                               const HistogramRequest& request, bool dry_run);

}  // namespace pulseboard
