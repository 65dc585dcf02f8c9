#include "server/query/columns/column_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

// Columns of so many buckets are read from a tier. Of buckets this long one will do: a span of them is worth writing at
// any usual rate of samples; finer ones are often derived, and then samples are folded faster as they are.
constexpr int64_t kBucketsPerColumn = 4;
constexpr int64_t kLongBucketNanos = 3'600 * kNanosPerSecond;
constexpr int64_t kPieceBuckets = 16'384;
// Samples can lie this far outside of what the clock and the retention say: clocks step, whole windows go late.
constexpr int64_t kSlackNanos = 2 * kNanosPerDay;

// Bucket length of the coarsest tier whose buckets lie within columns.
int64_t ChooseBucket(const ColumnRequest& request, std::span<const TierOptions> tiers) {
  const std::vector<int64_t>& bounds = request.columns.bounds;
  int64_t bucket_ns = kRawBucket;
  for (const TierOptions& tier : tiers) {
    const int64_t least = (tier.bucket_ns < kLongBucketNanos ? kBucketsPerColumn : 1) * tier.bucket_ns;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      if (bounds[i + 1] - bounds[i] < least) return bucket_ns;
      if (i > 0 && bounds[i] % tier.bucket_ns != 0) return bucket_ns;
    }
    bucket_ns = tier.bucket_ns;
  }
  return bucket_ns;
}

// The first place after `from` whose time is not before `end`.
size_t EndOfRun(std::span<const int64_t> times, size_t from, int64_t end) {
  if (times.back() < end) return times.size();
  // Mostly near: doubling steps, then halving.
  size_t step = 8, low = from + 1;
  while (low + step < times.size() && times[low + step] < end) {
    low += step;
    step *= 2;
  }
  const auto until = times.begin() + static_cast<ptrdiff_t>(std::min(times.size(), low + step + 1));
  return static_cast<size_t>(std::lower_bound(times.begin() + static_cast<ptrdiff_t>(low), until, end) - times.begin());
}

}  // namespace

ColumnPlan::ColumnPlan(ColumnRequest request, std::span<const TierOptions> tiers) : request_(std::move(request)) {
  readable_ = request_.range;
  if (request_.needs.before)
    readable_.start = std::max(readable_.start, INT64_MIN + request_.lookback_ns) - request_.lookback_ns;
  readable_.start = std::max(readable_.start, request_.now_unix_nanos - request_.longest_retention_ns - kSlackNanos);
  readable_.end = std::max(readable_.start, readable_.end);
  from_samples_ = PlanFrom(kRawBucket, tiers);
  from_tiers_ = request_.needs.values ? from_samples_ : PlanFrom(ChooseBucket(request_, tiers), tiers);
}

LinePlan ColumnPlan::PlanFrom(int64_t bucket_ns, std::span<const TierOptions> tiers) const {
  LineRequest line{readable_,
                   readable_,
                   0,
                   request_.now_unix_nanos + kSlackNanos,
                   request_.now_unix_nanos,
                   request_.raw_retention_ns};
  // No bucket may hold both what is before the range and what is in it.
  const int64_t border = std::clamp(request_.range.start, readable_.start, readable_.end);
  line.readable.end = border;
  LinePlan plan = PlanTier(line, tiers, bucket_ns);
  line.readable = {border, readable_.end};
  LinePlan rest = PlanTier(line, tiers, bucket_ns);
  plan.steps.insert(plan.steps.end(), rest.steps.begin(), rest.steps.end());
  return plan;
}

const LinePlan& ColumnPlan::StepsFor(MetricKind kind) const {
  const bool falls_in_rollups = kind == MetricKind::kCounter || kind == MetricKind::kDelta;
  return request_.needs.falls && !falls_in_rollups ? from_samples_ : from_tiers_;
}

ColumnReader::ColumnReader(ReadView& view, const ColumnPlan& plan, const SeriesInfo& info)
    : view_(view),
      plan_(plan),
      info_(info),
      bounds_(plan.columns().bounds),
      fold_(plan.needs().falls && info.metadata.kind != MetricKind::kDelta,
            plan.needs().fields.Has(RollupField::kSum)) {
  if (!bounds_.empty()) column_end_ = std::max(bounds_.front(), plan.request_.range.start);
}

absl::Status ColumnReader::Read(const Visit& visit, const Progress& progress) {
  if (plan_.columns().size() == 0) return absl::OkStatus();
  visit_ = &visit;
  for (const LineStep& step : plan_.StepsFor(info_.metadata.kind).steps) {
    for (int64_t from = step.range.start; from < step.range.end;) {
      const TimeRange piece = PieceOf(step, from, kPieceBuckets);
      const ReadStats before = view_.stats();
      PB_RETURN_IF_ERROR(ReadPiece(step, piece));
      PB_RETURN_IF_ERROR(progress(view_.stats().scanned_samples - before.scanned_samples,
                                  view_.stats().scanned_rollups - before.scanned_rollups));
      from = piece.end;
    }
  }
  EndColumn();
  return absl::OkStatus();
}

absl::Status ColumnReader::ReadPiece(const LineStep& step, TimeRange piece) {
  if (step.bucket_ns == kRawBucket) {
    PB_ASSIGN_OR_RETURN(const SampleColumns samples, view_.Read(info_.id, piece));
    AddSamples(samples);
    return absl::OkStatus();
  }
  PB_ASSIGN_OR_RETURN(const RollupColumns rollups,
                      view_.ReadRollups(info_.id, step.bucket_ns, piece, plan_.needs().fields));
  AddRollups(rollups, piece.start);
  return absl::OkStatus();
}

void ColumnReader::AddSamples(const SampleColumns& samples) {
  const std::span<const int64_t> times(samples.times);
  const std::span<const double> values(samples.values);
  for (size_t i = 0; i < times.size();) {
    if (times[i] >= column_end_) Advance(times[i]);
    const size_t end = EndOfRun(times, i, column_end_);
    if (end < times.size() && TellWhole(times.subspan(i, end - i), values.subspan(i, end - i))) {
      i = end;
      continue;
    }
    fold_.AddRun(times.subspan(i, end - i), values.subspan(i, end - i));
    if (plan_.needs().values && !before_first_) AddValues(values.subspan(i, end - i));
    i = end;
  }
}

bool ColumnReader::TellWhole(std::span<const int64_t> times, std::span<const double> values) {
  const AggregateNeeds& needs = plan_.needs();
  if (before_first_ || !fold_.empty() || needs.falls || needs.values || needs.before) return false;
  if (!FoldRun(times, values, needs.fields.Has(RollupField::kSum), &whole_.rollup)) return false;
  whole_.kind = info_.metadata.kind;
  (*visit_)(column_, whole_);
  return true;
}

void ColumnReader::AddValues(std::span<const double> values) {
  for (const double value : values) {
    if (std::isnan(value)) continue;
    if (value_visit_) {
      value_visit_(column_, value);
    } else {
      sketch_.Add(value);
    }
  }
}

void ColumnReader::AddRollups(const RollupColumns& rollups, int64_t from) {
  const bool falls = info_.metadata.kind == MetricKind::kCounter || info_.metadata.kind == MetricKind::kDelta;
  for (size_t i = 0; i < rollups.size(); ++i) {
    if (rollups.starts[i] < from) continue;  // counted where it begins
    if (rollups.starts[i] >= column_end_) Advance(rollups.starts[i]);
    fold_.AddRollup(rollups.Get(i));
    values_known_ = false;
    falls_known_ &= falls;
  }
}

void ColumnReader::Advance(int64_t time) {
  EndColumn();
  size_t next = before_first_ ? 0 : column_ + 1;
  before_first_ = false;
  if (next + 1 < bounds_.size() && time >= bounds_[next + 1]) {
    // The last bound not after it begins the column that holds it.
    const auto after = std::upper_bound(bounds_.begin() + static_cast<ptrdiff_t>(next), bounds_.end(), time);
    next = static_cast<size_t>(after - bounds_.begin()) - 1;
  }
  column_ = std::min(next, bounds_.size() - 2);
  column_end_ = column_ + 2 == bounds_.size() ? kAllTime.end : bounds_[column_ + 1];
}

void ColumnReader::EndColumn() {
  if (fold_.empty()) return;
  ColumnState state;
  state.kind = info_.metadata.kind;
  state.rollup = fold_.Take();
  state.falls_known = falls_known_;
  state.sketch = plan_.needs().values && values_known_ ? &sketch_ : nullptr;
  state.before = last_;
  state.before_time = last_time_;
  const int64_t gap = state.rollup.first_time - last_time_;
  state.has_before = any_number_ && gap <= plan_.request_.lookback_ns;
  if (!before_first_) (*visit_)(column_, state);
  if (state.rollup.count > 0) {
    any_number_ = true;
    last_time_ = state.rollup.last_time;
    last_ = state.rollup.last;
  }
  falls_known_ = values_known_ = true;
  if (plan_.needs().values) sketch_.clear();
}

}  // namespace pulseboard
