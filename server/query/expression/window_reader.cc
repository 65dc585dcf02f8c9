#include "server/query/expression/window_reader.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard::expression {
namespace {

constexpr int64_t kPieceBuckets = 4'096;
constexpr int64_t kNearBuckets = 480;  // a span block of the usual finest tier

// The rollup of all but the first sample, which its first value goes on standing for; nothing where that is not known.
// REQUIRES: last_time > first_time.
std::optional<Rollup> WithoutFirst(const Rollup& rollup, RollupFields fields) {
  Rollup rest = rollup;
  --rest.count;
  ++rest.first_time;
  if (fields.Has(RollupField::kSum)) {
    rest.sum -= rollup.first;
    // What is much smaller than the first value was rounded away beside it.
    if (!(std::abs(rest.sum) >= std::abs(rollup.first) * 0x1p-20)) return std::nullopt;
  }
  // The first of several smallest is told; the last sample may be another one.
  if (fields.Has(RollupField::kMin) && rollup.first <= rollup.min && rollup.last > rollup.min) return std::nullopt;
  if (fields.Has(RollupField::kMax) && rollup.first >= rollup.max && rollup.last < rollup.max) return std::nullopt;
  return rest;
}

Rollup OfOne(int64_t time, double value) {
  const bool is_nan = std::isnan(value);
  return {is_nan ? 0 : 1, is_nan ? 1 : 0, value, value, value, value, value, 0, time, time, time, time};
}

}  // namespace

WindowReader::WindowReader(ReadView& view, const WindowPlan& plan, const SeriesInfo& info, Progress progress)
    : view_(view),
      plan_(plan),
      info_(info),
      windows_([&] {
        Windows windows = plan.windows();
        windows.kind = KindFor(windows.kind, info.metadata.kind);
        return windows;
      }()),
      fields_(RollupFieldsOf(windows_.kind)),
      progress_(std::move(progress)),
      noted_(view.stats()) {}

absl::Status WindowReader::Read(WindowInput* input) {
  input_ = input;
  for (const LineStep& step : plan_.StepsFor(info_.metadata.kind).steps) PB_RETURN_IF_ERROR(ReadStep(step));
  return absl::OkStatus();
}

absl::Status WindowReader::NoteProgress() {
  const ReadStats before = std::exchange(noted_, view_.stats());
  return progress_(noted_.scanned_samples - before.scanned_samples, noted_.scanned_rollups - before.scanned_rollups);
}

absl::Status WindowReader::ReadStep(const LineStep& step) {
  for (int64_t from = step.range.start; from < step.range.end;) {
    const TimeRange piece = PieceOf(step, from, kPieceBuckets);
    if (step.bucket_ns == kRawBucket) {
      PB_ASSIGN_OR_RETURN(const SampleColumns samples, view_.Read(info_.id, piece));
      PB_RETURN_IF_ERROR(input_->AddSamples(samples));
    } else {
      PB_RETURN_IF_ERROR(ReadBuckets(piece, step.bucket_ns, taken_up_to_));
      PB_RETURN_IF_ERROR(Flush());
      taken_up_to_ = BucketStart(piece.end - 1, step.bucket_ns) + step.bucket_ns;
    }
    PB_RETURN_IF_ERROR(NoteProgress());
    from = piece.end;
  }
  return absl::OkStatus();
}

absl::Status WindowReader::ReadBuckets(TimeRange piece, int64_t bucket_ns, int64_t from) {
  PB_ASSIGN_OR_RETURN(const RollupColumns rollups, view_.ReadRollups(info_.id, bucket_ns, piece, fields_));
  for (size_t i = 0; i < rollups.size(); ++i) {
    if (rollups.starts[i] < from) continue;
    PB_RETURN_IF_ERROR(Take(rollups.starts[i], bucket_ns, rollups.Get(i)));
  }
  return absl::OkStatus();
}

absl::Status WindowReader::Flush() {
  const RollupColumns out = std::exchange(out_, RollupColumns());
  return out.empty() ? absl::OkStatus() : input_->AddBuckets(out, reach_ns_);
}

absl::Status WindowReader::Take(int64_t start, int64_t bucket_ns, const Rollup& rollup) {
  const int64_t reach_ns = plan_.FinestKept(start);
  if (reach_ns != reach_ns_) PB_RETURN_IF_ERROR(Flush());
  reach_ns_ = reach_ns;
  const bool mixed = SeesNaN(windows_.kind) && rollup.count > 0 && rollup.nan_count > 0;
  if (mixed) return Divide(start, bucket_ns, rollup);  // which of them is the newest is not told
  const std::optional<int64_t> edge = windows_.FirstEdgeFrom(rollup.first_time);
  if (!edge || *edge >= rollup.last_time) {
    out_.push_back(start, rollup);
    return absl::OkStatus();
  }
  const std::optional<int64_t> next_edge = windows_.FirstEdgeFrom(*edge + 1);
  const bool cuts_off_first = *edge == rollup.first_time && (!next_edge || *next_edge >= rollup.last_time);
  if (!cuts_off_first || rollup.count == 0) return Divide(start, bucket_ns, rollup);
  const std::optional<Rollup> rest = WithoutFirst(rollup, fields_);
  if (!rest) return Divide(start, bucket_ns, rollup);
  if (NeedsSampleBefore(windows_.kind)) {
    PB_ASSIGN_OR_RETURN(const bool followed, IsFollowed(rollup, bucket_ns));
    if (!followed) return Divide(start, bucket_ns, rollup);
  }
  out_.push_back(start, OfOne(rollup.first_time, rollup.first));
  out_.push_back(start, *rest);
  return absl::OkStatus();
}

absl::Status WindowReader::Divide(int64_t start, int64_t bucket_ns, const Rollup& rollup) {
  const auto tiers = plan_.tiers();
  const auto tier =
      std::find_if(tiers.begin(), tiers.end(), [bucket_ns](const TierOptions& t) { return t.bucket_ns == bucket_ns; });
  const int64_t finer_ns = tier == tiers.begin() ? kRawBucket : (tier - 1)->bucket_ns;
  if (plan_.FinestKept(start) > finer_ns) {
    out_.push_back(start, rollup);  // there is nothing finer
    return absl::OkStatus();
  }
  const TimeRange readable = plan_.readable();
  const TimeRange range{std::max(start, readable.start), std::min(start + bucket_ns, readable.end)};
  if (finer_ns != kRawBucket) {
    PB_RETURN_IF_ERROR(ReadBuckets(range, finer_ns, start));
    return NoteProgress();
  }
  PB_ASSIGN_OR_RETURN(const SampleColumns samples, view_.Read(info_.id, range));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (std::isnan(samples.values[i]) && !SeesNaN(windows_.kind)) continue;
    out_.push_back(start, OfOne(samples.times[i], samples.values[i]));
  }
  return NoteProgress();
}

absl::StatusOr<bool> WindowReader::IsFollowed(const Rollup& rollup, int64_t bucket_ns) {
  if (bucket_ns <= windows_.max_gap_ns) return true;  // there is another one in the bucket
  const int64_t finest_ns = plan_.tiers().front().bucket_ns;
  if (finest_ns > windows_.max_gap_ns || plan_.FinestKept(rollup.first_time) > finest_ns) return false;
  // Mostly the next bucket tells, and those of many firsts lie side by side.
  const int64_t from = BucketStart(rollup.first_time, finest_ns);
  const int64_t to = SaturatingAdd(rollup.first_time, windows_.max_gap_ns);
  if (from < near_range_.start || to >= near_range_.end) {
    near_range_ = {from, from + std::max(kNearBuckets * finest_ns, windows_.max_gap_ns + 2 * finest_ns)};
    near_range_.end = std::min(near_range_.end, plan_.readable().end);
    PB_ASSIGN_OR_RETURN(
        near_, view_.ReadRollups(info_.id, finest_ns, near_range_, RollupField::kCount | RollupField::kFirstTime));
  }
  auto at =
      static_cast<size_t>(std::lower_bound(near_.starts.begin(), near_.starts.end(), from) - near_.starts.begin());
  for (; at < near_.size() && near_.starts[at] <= to; ++at) {
    if (near_.counts[at] == 0) continue;
    const bool is_its_own = near_.first_times[at] == rollup.first_time;
    if (is_its_own ? near_.counts[at] > 1 : near_.first_times[at] <= to) return true;
  }
  return false;
}

}  // namespace pulseboard::expression
