#include "server/query/series_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "common/analysis/rollup.h"
#include "common/base/clock.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

// Pieces begin at multiples of so many buckets: few enough that a piece stays in the cache, and whole span blocks of
// the usual tiers (480 buckets of 1m, 384 of 1h), none of which is then decoded twice.
constexpr int64_t kPieceBuckets = 1'920;
constexpr RollupFields kFields = kLineFields | RollupField::kCount;

// First, last, smallest and greatest, in the order of their times, those within `piece`. How many samples that are.
int64_t AppendCorners(const Rollup& rollup, TimeRange piece, SampleColumns* out) {
  // The first and the last enclose the other two.
  const Sample min = {rollup.min_time, rollup.min}, max = {rollup.max_time, rollup.max};
  const bool min_first = min.time_unix_nanos <= max.time_unix_nanos;
  const std::array<Sample, 4> corners = {Sample{rollup.first_time, rollup.first}, min_first ? min : max,
                                         min_first ? max : min, Sample{rollup.last_time, rollup.last}};
  int64_t distinct = 0;
  for (size_t i = 0; i < corners.size(); ++i) {
    const int64_t time = corners[i].time_unix_nanos;
    if (i > 0 && time == corners[i - 1].time_unix_nanos) continue;
    ++distinct;
    if (time >= piece.start && time < piece.end) out->push_back(time, corners[i].value);
  }
  return distinct;
}

}  // namespace

SeriesReader::SeriesReader(ReadView& view, SeriesId series, std::shared_ptr<const LinePlan> plan)
    : view_(view), series_(series) {
  Start(std::move(plan));
}

void SeriesReader::Start(std::shared_ptr<const LinePlan> plan) {
  plan_ = std::move(plan);
  step_ = 0;
  samples_ = 0;
  left_out_some_ = false;
  if (!done()) read_up_to_ = plan_->steps.front().range.start;
  if (!plan_->canvas.empty()) reducer_ = std::make_unique<M4Reducer>(plan_->canvas, plan_->columns);
}

absl::StatusOr<SampleColumns> SeriesReader::Next() {
  const LineStep& step = plan_->steps[step_];
  const TimeRange piece = PieceOf(step, read_up_to_, kPieceBuckets, kPieceBuckets);
  PB_ASSIGN_OR_RETURN(SampleColumns samples, ReadPiece(step, piece));
  read_up_to_ = piece.end;
  if (piece.end >= step.range.end) {
    ++step_;
    if (!done()) read_up_to_ = plan_->steps[step_].range.start;
  }
  if (reducer_ == nullptr) return samples;
  reducer_->Add(samples);
  if (!reducer_->FitsAsItIs(samples_)) reducer_->StartReducing();
  if (!done()) return SampleColumns{};
  if (!ShouldReadSamplesInstead()) return reducer_->Finish();
  without_tiers_ = true;
  Start(std::make_shared<const LinePlan>(WithoutTiers(*plan_)));
  return SampleColumns{};
}

bool SeriesReader::ShouldReadSamplesInstead() const {
  return !without_tiers_ && left_out_some_ && reducer_->FitsAsItIs(samples_);
}

absl::StatusOr<SampleColumns> SeriesReader::ReadPiece(const LineStep& step, TimeRange piece) {
  if (step.bucket_ns == kRawBucket) {
    PB_ASSIGN_OR_RETURN(SampleColumns samples, ReadSamples(piece));
    samples_ += static_cast<int64_t>(samples.size());
    return samples;
  }
  const ReadStats before = view_.stats();
  PB_ASSIGN_OR_RETURN(const RollupColumns rollups, view_.ReadRollups(series_, step.bucket_ns, piece, kFields));
  scanned_samples_ += view_.stats().scanned_samples - before.scanned_samples;
  scanned_rollups_ +=
      std::max(view_.stats().scanned_rollups - before.scanned_rollups, static_cast<int64_t>(rollups.size()));
  SampleColumns out;
  PB_RETURN_IF_ERROR(AppendBuckets(rollups, step.bucket_ns, piece, &out));
  return out;
}

absl::StatusOr<SampleColumns> SeriesReader::ReadSamples(TimeRange range) {
  const int64_t before = view_.stats().scanned_samples;
  PB_ASSIGN_OR_RETURN(SampleColumns samples, view_.Read(series_, range));
  scanned_samples_ += std::max(view_.stats().scanned_samples - before, static_cast<int64_t>(samples.size()));
  return samples;
}

bool SeriesReader::FoldBucket(const RollupColumns& rollups, size_t at, TimeRange bucket, TimeRange piece,
                              SampleColumns* out) {
  constexpr int64_t kCorners = 4;  // of no more samples than this all may be kept
  if (rollups.counts[at] <= kCorners || bucket.start < piece.start || bucket.end > piece.end) return false;
  if (!reducer_->FitsAsItIs(samples_)) reducer_->StartReducing();
  if (!out->empty()) {
    reducer_->Add(*out);
    out->clear();
  }
  if (!reducer_->AddWithinColumn({rollups.first_times[at], rollups.firsts[at]},
                                 {rollups.min_times[at], rollups.mins[at]}, {rollups.max_times[at], rollups.maxs[at]},
                                 {rollups.last_times[at], rollups.lasts[at]})) {
    return false;
  }
  samples_ += rollups.counts[at] + rollups.nan_counts[at];
  left_out_some_ = true;
  return true;
}

absl::Status SeriesReader::AppendBuckets(const RollupColumns& rollups, int64_t bucket_ns, TimeRange piece,
                                         SampleColumns* out) {
  out->times.reserve(4 * rollups.size());
  out->values.reserve(4 * rollups.size());
  for (size_t i = 0; i < rollups.size();) {
    const auto is_broken = [&](size_t at) {
      return rollups.nan_counts[at] > 0 && rollups.counts[at] > 0 && rollups.starts[at] >= plan_->raw_from;
    };
    if (is_broken(i)) {
      // Neighbours are read together, a day of them at most.
      TimeRange range = {rollups.starts[i], rollups.starts[i] + bucket_ns};
      for (++i; i < rollups.size() && is_broken(i) && rollups.starts[i] == range.end &&
                range.end - range.start < kNanosPerDay;
           ++i) {
        range.end += bucket_ns;
      }
      range = {std::max(range.start, piece.start), std::min(range.end, piece.end)};
      PB_ASSIGN_OR_RETURN(const SampleColumns samples, ReadSamples(range));
      samples_ += static_cast<int64_t>(samples.size());
      out->times.insert(out->times.end(), samples.times.begin(), samples.times.end());
      out->values.insert(out->values.end(), samples.values.begin(), samples.values.end());
      continue;
    }
    const size_t at = i++;
    if (FoldBucket(rollups, at, {rollups.starts[at], rollups.starts[at] + bucket_ns}, piece, out)) continue;
    const Rollup rollup = rollups.Get(at);
    samples_ += rollup.count + rollup.nan_count;
    int64_t kept = 0;
    if (rollup.count > 0) {
      kept = AppendCorners(rollup, piece, out);
    } else {
      // Nothing but NaN: the break from its first to its last.
      for (const int64_t time : {rollup.first_time, rollup.last_time}) {
        if (time < piece.start || time >= piece.end || (kept > 0 && out->times.back() == time)) continue;
        out->push_back(time, std::numeric_limits<double>::quiet_NaN());
        ++kept;
      }
    }
    left_out_some_ |= kept < rollup.count + rollup.nan_count;
  }
  return absl::OkStatus();
}

}  // namespace pulseboard
