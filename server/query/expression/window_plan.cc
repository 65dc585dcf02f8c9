#include "server/query/expression/window_plan.h"

#include <algorithm>

#include "common/analysis/rollup.h"
#include "common/base/clock.h"

namespace pulseboard::expression {
namespace {

constexpr int64_t kBucketsOnEdges = 4;
constexpr int64_t kBucketsOffEdges = 32;  // dividing a bucket costs as much as reading so many
// Of buckets this long one will do: a span of them is worth writing at any usual rate of samples; finer ones are often
// derived, and then samples are as fast.
constexpr int64_t kLongBucketNanos = kNanosPerHour;
// Less time than this between two windows is read along with them.
constexpr int64_t kGapNanos = 6 * kNanosPerHour;
// Samples can lie this far outside of what the clock and the retention say: clocks step, whole days are dropped late.
constexpr int64_t kSlackNanos = 2 * kNanosPerDay;

int64_t ChooseBucket(const Windows& windows, std::span<const TierOptions> tiers) {
  const Grid& grid = windows.grid;
  const bool once = grid.size == 1 || grid.step == 0;
  const bool newest = SeesOnlyNewest(windows.kind);
  const int64_t between = once ? windows.length_ns : newest ? grid.step : std::min(windows.length_ns, grid.step);
  const TimeRange readable = windows.Readable();
  int64_t bucket_ns = kRawBucket;
  for (const TierOptions& tier : tiers) {
    const int64_t bucket = tier.bucket_ns;
    const bool is_long = bucket >= kLongBucketNanos;
    const bool on_edges =
        grid.start % bucket == 0 && (once || grid.step % bucket == 0) && (newest || windows.length_ns % bucket == 0);
    if (newest && !on_edges) break;
    if (!is_long && SaturatingSubtract(readable.end, readable.start) < kLongBucketNanos) break;
    const int64_t least = !on_edges ? kBucketsOffEdges : is_long ? 1 : kBucketsOnEdges;
    if (between / least >= bucket) bucket_ns = bucket;
  }
  return bucket_ns;
}

}  // namespace

WindowPlan::WindowPlan(const Windows& windows, int64_t now_unix_nanos, int64_t raw_retention_ns,
                       std::span<const TierOptions> tiers)
    : windows_(windows),
      now_unix_nanos_(now_unix_nanos),
      raw_retention_ns_(raw_retention_ns),
      tiers_(tiers.begin(), tiers.end()),
      from_tiers_(PlanFrom(ChooseBucket(windows, tiers), tiers)),
      from_samples_(PlanFrom(kRawBucket, {})) {
  readable_ = {INT64_MAX, INT64_MIN};
  for (const LinePlan* plan : {&from_tiers_, &from_samples_}) {
    if (plan->steps.empty()) continue;
    readable_.start = std::min(readable_.start, plan->steps.front().range.start);
    readable_.end = std::max(readable_.end, plan->steps.back().range.end);
  }
  if (readable_.empty()) readable_ = {0, 0};
}

std::vector<TimeRange> WindowPlan::Stretches(int64_t bucket_ns, int64_t kept_from) const {
  const Grid& grid = windows_.grid;
  const TimeRange first = windows_.Readable(grid.start);
  const int64_t between =
      grid.size == 1 ? 0 : SaturatingSubtract(grid.step, SaturatingSubtract(first.end, first.start));
  const bool apart = between > std::max(kGapNanos, 2 * bucket_ns);
  std::vector<TimeRange> out;
  for (size_t i = 0; i < (apart ? grid.size : 1); ++i) {
    TimeRange range = apart ? windows_.Readable(grid.At(i)) : windows_.Readable();
    range.start = std::max(range.start, kept_from);
    if (bucket_ns != kRawBucket && !range.empty() && range.end < now_unix_nanos_ + kSlackNanos) {
      range.start = BucketStart(range.start, bucket_ns);
      range.end = BucketStart(range.end - 1, bucket_ns) + bucket_ns;
    }
    if (!range.empty()) out.push_back(range);
  }
  return out;
}

LinePlan WindowPlan::PlanFrom(int64_t bucket_ns, std::span<const TierOptions> tiers) const {
  LinePlan plan;
  plan.bucket_ns = bucket_ns;
  plan.raw_from = now_unix_nanos_ - raw_retention_ns_;
  const int64_t kept_from = now_unix_nanos_ - LongestRetention(tiers, raw_retention_ns_) - kSlackNanos;
  for (const TimeRange& range : Stretches(bucket_ns, kept_from)) {
    const LineRequest line{range, range, 0, now_unix_nanos_ + kSlackNanos, now_unix_nanos_, raw_retention_ns_};
    const LinePlan part = PlanTier(line, tiers, bucket_ns);
    plan.steps.insert(plan.steps.end(), part.steps.begin(), part.steps.end());
  }
  return plan;
}

int64_t WindowPlan::FinestKept(int64_t time) const {
  if (time >= now_unix_nanos_ - raw_retention_ns_) return kRawBucket;
  for (const TierOptions& tier : tiers_) {
    if (time >= now_unix_nanos_ - tier.retention_ns) return tier.bucket_ns;
  }
  return tiers_.empty() ? kRawBucket : tiers_.back().bucket_ns;
}

const LinePlan& WindowPlan::StepsFor(MetricKind kind) const {
  return ReadsRollups(windows_.kind, kind) ? from_tiers_ : from_samples_;
}

}  // namespace pulseboard::expression
