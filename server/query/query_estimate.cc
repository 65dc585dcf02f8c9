#include "server/query/query_estimate.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int64_t kPointBytes = 11;  // a time delta and a double, as they go over the wire
constexpr int64_t kLineBytes = 160;  // a definition with some labels

// Samples of one series within a range, counted where counting is cheap.
absl::StatusOr<int64_t> CountSamples(ReadView& view, SeriesId id, TimeRange range, std::span<const TierOptions> tiers) {
  if (tiers.empty()) {
    // Without rollups a day stands for all of them.
    const TimeRange day{std::max(range.start, range.end - kNanosPerDay), range.end};
    PB_ASSIGN_OR_RETURN(const SampleColumns samples, view.Read(id, day));
    const double days = static_cast<double>(range.end - range.start) / static_cast<double>(day.end - day.start);
    return static_cast<int64_t>(static_cast<double>(samples.size()) * days);
  }
  // The coarsest tier that the range holds a few buckets of.
  size_t tier = 0;
  while (tier + 1 < tiers.size() && tiers[tier + 1].bucket_ns <= (range.end - range.start) / 4) ++tier;
  PB_ASSIGN_OR_RETURN(const RollupColumns rollups,
                      view.ReadRollups(id, tiers[tier].bucket_ns, range, RollupField::kCount | RollupField::kNanCount));
  int64_t count = 0;
  for (size_t i = 0; i < rollups.size(); ++i) count += rollups.counts[i] + rollups.nan_counts[i];
  return count;
}

}  // namespace

void QueryEstimate::Add(const QueryEstimate& other) {
  series_count += other.series_count;
  scanned_sample_count += other.scanned_sample_count;
  scanned_rollup_count += other.scanned_rollup_count;
  answer_point_count += other.answer_point_count;
  answer_bytes += other.answer_bytes;
}

void QueryEstimate::AddAnswer(int64_t lines, int64_t points) {
  answer_point_count += points;
  answer_bytes += points * kPointBytes + lines * kLineBytes;
}

absl::StatusOr<QueryEstimate> EstimateRead(QueryEngine& engine, const QueryContext& context,
                                           std::span<const SeriesId> ids, const LinePlan& plan) {
  QueryEstimate estimate;
  estimate.series_count = static_cast<int64_t>(ids.size());
  if (ids.empty() || plan.steps.empty()) return estimate;
  const int64_t now = engine.clock().NowUnixNanos();
  const TimeRange hull{plan.steps.front().range.start, std::min(plan.steps.back().range.end, now + kNanosPerDay)};
  if (hull.empty()) return estimate;
  std::vector<SeriesId> some;
  const size_t count = std::min(ids.size(), kEstimateSeries);
  for (size_t i = 0; i < count; ++i) some.push_back(ids[i * ids.size() / count]);
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<ReadView> view, engine.store().OpenView(some, hull, nullptr));
  const std::vector<TierOptions> tiers = engine.store().Tiers(context.tenant);
  double samples = 0;  // of a series, per nanosecond of the hull
  for (const SeriesId id : some) {
    PB_RETURN_IF_ERROR(engine.CheckAlive(context));
    PB_ASSIGN_OR_RETURN(const int64_t of_one, CountSamples(*view, id, hull, tiers));
    samples += static_cast<double>(of_one) / static_cast<double>(count) / static_cast<double>(hull.end - hull.start);
  }
  double raw = 0, rollups = 0;
  for (const LineStep& step : plan.steps) {
    const double length = static_cast<double>(std::min(step.range.end, hull.end) - step.range.start);
    if (length <= 0) continue;
    if (step.bucket_ns == kRawBucket) {
      raw += length * samples;
    } else {
      rollups += std::min(length * samples, length / static_cast<double>(step.bucket_ns));
    }
  }
  estimate.scanned_sample_count = static_cast<int64_t>(raw * static_cast<double>(ids.size()));
  estimate.scanned_rollup_count = static_cast<int64_t>(rollups * static_cast<double>(ids.size()));
  return estimate;
}

absl::StatusOr<RangeChunk> EstimateSource::Next() {
  RangeChunk chunk;
  chunk.estimate = std::make_shared<const QueryEstimate>(estimate_);
  chunk.summary = RangeSummary{};
  return chunk;
}

}  // namespace pulseboard
