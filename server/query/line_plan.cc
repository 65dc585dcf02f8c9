#include "server/query/line_plan.h"

#include <algorithm>

#include "common/analysis/rollup.h"

namespace pulseboard {
namespace {

constexpr int64_t kBucketsPerColumn = 4;
// Times this far from the ends of time are read as samples: rounding them to buckets could leave what can be said.
constexpr TimeRange kPlanned = {kAllTime.start + 400 * kNanosPerDay, kAllTime.end - 400 * kNanosPerDay};

int64_t RoundUp(int64_t time, int64_t bucket_ns) {
  const int64_t start = BucketStart(time, bucket_ns);
  return start == time ? time : start + bucket_ns;
}

class Planner {
 public:
  Planner(const LineRequest& request, std::span<const TierOptions> tiers) : request_(request), tiers_(tiers) {}

  LinePlan Make() {
    plan_.raw_from = request_.now_unix_nanos - request_.raw_retention_ns;
    if (request_.max_points <= 0 || request_.columns.empty()) {
      AddSamples(request_.readable);
      return std::move(plan_);
    }
    const size_t tier = ChooseTier();
    SetCanvas(tier);
    AddKept(request_.readable, tier);
    return std::move(plan_);
  }

  LinePlan MakeFromTier(int64_t bucket_ns) {
    plan_.raw_from = request_.now_unix_nanos - request_.raw_retention_ns;
    plan_.bucket_ns = bucket_ns;
    size_t tier = 0;
    while (tier < tiers_.size() && tiers_[tier].bucket_ns <= bucket_ns) ++tier;
    AddKept(request_.readable, tier);
    return std::move(plan_);
  }

 private:
  // Number of the tier wanted, counted from 1; 0: samples.
  size_t ChooseTier() const {
    if (request_.columns.start < kPlanned.start || request_.columns.end > kPlanned.end) return 0;
    const int64_t width = (request_.columns.end - request_.columns.start) / request_.max_points;
    size_t tier = 0;
    while (tier < tiers_.size() && tiers_[tier].bucket_ns <= width / kBucketsPerColumn) ++tier;
    return tier;
  }

  void SetCanvas(size_t tier) {
    plan_.canvas = request_.columns;
    plan_.columns = request_.max_points;
    if (tier == 0) return;
    plan_.bucket_ns = tiers_[tier - 1].bucket_ns;
    const int64_t start = BucketStart(request_.columns.start, plan_.bucket_ns);
    const int64_t span = request_.columns.end - start;
    const int64_t width = RoundUp((span + request_.max_points - 1) / request_.max_points, plan_.bucket_ns);
    plan_.columns = (span + width - 1) / width;
    plan_.canvas = {start, start + plan_.columns * width};
  }

  int64_t KeptFrom(size_t tier) const {
    return tier == 0 ? plan_.raw_from : request_.now_unix_nanos - tiers_[tier - 1].retention_ns;
  }

  // A range whose newest part is read from `tier`; what is older than that is kept comes from coarser tiers, before it.
  void AddKept(TimeRange range, size_t tier) {
    if (range.empty()) return;
    if (tier < tiers_.size() && range.start < KeptFrom(tier)) {
      // The bucket of the coarser tier that the border lies in is among the older ones.
      const int64_t border = std::min(range.end, RoundUp(KeptFrom(tier), tiers_[tier].bucket_ns));
      AddKept({range.start, border}, tier + 1);
      range.start = border;
    }
    const int64_t dense_end = std::clamp(request_.sparse_from, range.start, range.end);
    AddPart({range.start, dense_end}, tier);
    AddSamples({dense_end, range.end});
  }

  // A range from a tier where it holds whole buckets, its edges from finer ones.
  void AddPart(TimeRange range, size_t tier) {
    if (range.empty()) return;
    if (tier == 0 || range.start < kPlanned.start || range.end > kPlanned.end) return AddSamples(range);
    const int64_t bucket = tiers_[tier - 1].bucket_ns;
    // What is no longer kept finer is taken whole: its points outside the range are left out when they are read.
    const bool finer_is_kept = range.start >= KeptFrom(tier - 1);
    const TimeRange whole = {finer_is_kept ? RoundUp(range.start, bucket) : range.start,
                             range.end >= KeptFrom(tier - 1) ? BucketStart(range.end, bucket) : range.end};
    if (whole.start >= whole.end) return AddPart(range, tier - 1);
    AddPart({range.start, whole.start}, tier - 1);
    plan_.steps.push_back({whole, bucket, false});
    AddPart({whole.end, range.end}, tier - 1);
  }

  void AddSamples(TimeRange range) {
    const int64_t dense_end = std::clamp(request_.sparse_from, range.start, std::max(range.start, range.end));
    if (range.start < dense_end) plan_.steps.push_back({{range.start, dense_end}, kRawBucket, false});
    if (dense_end < range.end) plan_.steps.push_back({{dense_end, range.end}, kRawBucket, true});
  }

  const LineRequest request_;
  const std::span<const TierOptions> tiers_;
  LinePlan plan_;
};

}  // namespace

TimeRange PieceOf(const LineStep& step, int64_t from, int64_t piece_buckets, int64_t grid_buckets) {
  if (step.sparse) return {from, step.range.end};
  if (step.bucket_ns != kRawBucket) {
    const int64_t begin = BucketStart(from, grid_buckets * step.bucket_ns);
    return {from, std::min(step.range.end, begin + piece_buckets * step.bucket_ns)};
  }
  const bool rest_is_short = from >= step.range.end - kNanosPerDay;
  return {from, rest_is_short ? step.range.end : from + kNanosPerDay};
}

LinePlan PlanLine(const LineRequest& request, std::span<const TierOptions> tiers) {
  return Planner(request, tiers).Make();
}

LinePlan PlanTier(const LineRequest& request, std::span<const TierOptions> tiers, int64_t bucket_ns) {
  return Planner(request, tiers).MakeFromTier(bucket_ns);
}

int64_t PixelColumnWidth(int64_t span_ns, int32_t max_points, std::span<const TierOptions> tiers) {
  int64_t width = max_points > 0 ? span_ns / max_points : 0;
  int64_t bucket = 1;
  for (const TierOptions& tier : tiers) {
    if (tier.bucket_ns <= width / kBucketsPerColumn) bucket = tier.bucket_ns;
  }
  return RoundUp(width, bucket);
}

LinePlan WithoutTiers(const LinePlan& plan) {
  LinePlan out = plan;
  out.steps.clear();
  for (const LineStep& step : plan.steps) {
    // Rounded up as PlanLine does where the border lies within a step.
    const int64_t border = step.bucket_ns == kRawBucket
                               ? step.range.start
                               : std::clamp(RoundUp(plan.raw_from, step.bucket_ns), step.range.start, step.range.end);
    if (step.range.start < border) out.steps.push_back({{step.range.start, border}, step.bucket_ns, false});
    if (border < step.range.end) out.steps.push_back({{border, step.range.end}, kRawBucket, step.sparse});
  }
  return out;
}

}  // namespace pulseboard
