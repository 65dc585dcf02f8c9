#include "server/query/columns/histogram_query.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

absl::Status CheckRequest(const HistogramRequest& request) {
  if (request.range.end < request.range.start) {
    return BadField("end_time", std::to_string(request.range.end),
                    "a time not before start_time (" + std::to_string(request.range.start) + ")");
  }
  if (request.bucket_count < 0 || request.bucket_count > kMaxBuckets) {
    return BadField("bucket_count", std::to_string(request.bucket_count), "0 to " + std::to_string(kMaxBuckets));
  }
  if (request.bounds.size() >= static_cast<size_t>(kMaxBuckets)) {
    return BadField("bounds", std::to_string(request.bounds.size()) + " bounds",
                    "less than " + std::to_string(kMaxBuckets));
  }
  for (size_t i = 0; i < request.bounds.size(); ++i) {
    const bool ascends = i == 0 || request.bounds[i - 1] < request.bounds[i];
    if (std::isfinite(request.bounds[i]) && ascends) continue;
    return BadField("bounds[" + std::to_string(i) + "]", std::to_string(request.bounds[i]),
                    "finite numbers, ascending,");
  }
  if (request.quantiles.size() > kMaxQuantiles) {
    return BadField("quantiles", std::to_string(request.quantiles.size()) + " quantiles",
                    "at most " + std::to_string(kMaxQuantiles));
  }
  for (size_t i = 0; i < request.quantiles.size(); ++i) {
    if (request.quantiles[i] >= 0 && request.quantiles[i] <= 1) continue;
    return BadField("quantiles[" + std::to_string(i) + "]", std::to_string(request.quantiles[i]), "0 to 1");
  }
  return absl::OkStatus();
}

// Bounds that cut [min, max] into `count` buckets; fewer where doubles run out.
std::vector<double> CutValues(double min, double max, int32_t count, BucketScale scale) {
  std::vector<double> bounds;
  for (int32_t i = 1; i < count; ++i) {
    const double part = static_cast<double>(i) / count;
    const double bound = scale == BucketScale::kLinear ? min * (1 - part) + max * part
                                                       : std::exp(std::log(min) * (1 - part) + std::log(max) * part);
    if (bound >= max) break;
    if (bound >= min && (bounds.empty() || bound > bounds.back())) bounds.push_back(bound);
  }
  return bounds;
}

// Of the finite values in the range; they come from rollups. Nothing: empty.
absl::StatusOr<std::vector<double>> ChooseBounds(QueryEngine& engine, const QueryContext& context,
                                                 const HistogramRequest& request, RangeSummary* summary) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<Aggregate> extremes = {{AggregateKind::kMin, 0}, {AggregateKind::kMax, 0}};
  ColumnQuerySpec spec{request.selector, request.range, SingleColumn(request.range), {}, NeedsOf(extremes)};
  PB_ASSIGN_OR_RETURN(const auto query, ColumnQuery::Open(engine, context, std::move(spec)));
  double min = kInfinity, max = -kInfinity;
  for (const auto& info : query->series()) {
    PB_RETURN_IF_ERROR(query->Read(*info, 0, [&](size_t, const ColumnState& state) {
      if (state.rollup.count == 0) return;
      min = std::min(min, state.rollup.min);
      max = std::max(max, state.rollup.max);
    }));
  }
  summary->scanned_sample_count += query->scanned_samples();
  summary->scanned_rollup_count += query->scanned_rollups();
  if (min > max) return std::vector<double>();
  min = std::max(min, std::numeric_limits<double>::lowest());
  max = std::min(max, std::numeric_limits<double>::max());
  if (request.scale == BucketScale::kExponential && !(min > 0)) {
    return BadField(
        "scale", "BUCKET_SCALE_EXPONENTIAL",
        "positive values only (the smallest is " + std::to_string(min) + "), or `bounds`, or linear buckets,");
  }
  return CutValues(min, max, request.bucket_count == 0 ? kDefaultBuckets : request.bucket_count, request.scale);
}

}  // namespace

absl::StatusOr<HistogramAnswer> QueryHistogram(QueryEngine& engine, const QueryContext& context,
                                               const HistogramRequest& request, bool dry_run) {
  PB_RETURN_IF_ERROR(CheckRequest(request));
  HistogramAnswer answer;
  ColumnQuerySpec spec;
  spec.selector = request.selector;
  spec.range = request.range;
  PB_ASSIGN_OR_RETURN(spec.columns, CutIntoColumns(request.range, request.step));
  spec.needs.fields = RollupField::kCount | RollupField::kNanCount;
  spec.needs.values = true;
  answer.time_bounds = spec.columns.bounds;
  const size_t columns = spec.columns.size();
  PB_ASSIGN_OR_RETURN(const auto query, ColumnQuery::Open(engine, context, std::move(spec)));
  if (dry_run) {
    PB_ASSIGN_OR_RETURN(QueryEstimate estimate, query->Estimate());
    const auto buckets = static_cast<int64_t>(request.bounds.empty() ? std::max(kDefaultBuckets, request.bucket_count)
                                                                     : static_cast<int32_t>(request.bounds.size()) + 1);
    const int64_t most = std::min(static_cast<int64_t>(columns), estimate.scanned_sample_count);
    estimate.AddAnswer(0, most * (buckets + static_cast<int64_t>(request.quantiles.size())));
    answer.estimate = std::make_shared<const QueryEstimate>(estimate);
    return answer;
  }
  answer.bounds = request.bounds;
  if (answer.bounds.empty()) {
    PB_ASSIGN_OR_RETURN(answer.bounds, ChooseBounds(engine, context, request, &answer.summary));
  }
  const size_t buckets = answer.bounds.size() + 1;
  const bool sketched = !request.quantiles.empty();
  std::vector<HistogramColumn> all(columns);
  std::vector<QuantileSketch> sketches(sketched ? columns : 0);
  absl::Status held;  // not to be returned from within the visit
  for (const auto& info : query->series()) {
    PB_RETURN_IF_ERROR(query->Read(
        *info, 0, [](size_t, const ColumnState&) {},
        [&](size_t column, double value) {
          HistogramColumn& to = all[column];
          if (to.count++ == 0) {
            held.Update(query->Hold(buckets + (sketched ? QuantileSketch::kExactValues : 0)));
            to.counts.resize(held.ok() ? buckets : 0);
          }
          if (!held.ok()) return;
          const auto bound = std::lower_bound(answer.bounds.begin(), answer.bounds.end(), value);
          ++to.counts[static_cast<size_t>(bound - answer.bounds.begin())];
          if (sketched) sketches[column].Add(value);
        }));
    PB_RETURN_IF_ERROR(held);
  }
  for (size_t i = 0; i < columns; ++i) {
    if (all[i].count == 0) continue;
    all[i].start = answer.time_bounds[i];
    for (const double phi : request.quantiles) all[i].quantiles.push_back(sketches[i].Quantile(phi));
    if (sketched) {
      answer.summary.max_quantile_error = std::max(answer.summary.max_quantile_error, sketches[i].relative_error());
    }
    answer.summary.sample_count += all[i].count;
    answer.columns.push_back(std::move(all[i]));
  }
  answer.summary.series_count = static_cast<int64_t>(query->series().size());
  answer.summary.scanned_sample_count += query->scanned_samples();
  answer.summary.scanned_rollup_count += query->scanned_rollups();
  answer.summary.commit_sequence = query->commit_sequence();
  return answer;
}

}  // namespace pulseboard
