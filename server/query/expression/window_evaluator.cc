#include "server/query/expression/window_evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard::expression {
namespace {

constexpr size_t kCheckEvery = 4'096;   // samples of work between looks at the clock
constexpr size_t kTrimSamples = 4'096;  // passed samples that are worth moving the rest for

template <typename T>
void DropFront(size_t count, std::vector<T>* column) {
  if (!column->empty()) column->erase(column->begin(), column->begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace

WindowEvaluator::WindowEvaluator(WindowOptions options)
    : options_(std::move(options)),
      fields_(RollupFieldsOf(options_.windows.kind)),
      function_(MakeWindowFunction(options_.windows.kind)) {
  results_.reserve(options_.windows.grid.size);
}

absl::Status WindowEvaluator::Work(size_t samples) {
  work_ += samples;
  if (work_ < kCheckEvery) return absl::OkStatus();
  work_ = 0;
  return options_.check_alive ? options_.check_alive() : absl::OkStatus();
}

absl::Status WindowEvaluator::AddSamples(const SampleColumns& piece) {
  for (size_t begin = 0; begin < piece.size(); begin += kCheckEvery) {
    const size_t end = std::min(piece.size(), begin + kCheckEvery);
    for (size_t i = begin; i < end; ++i) {
      if (std::isnan(piece.values[i]) && !SeesNaN(options_.windows.kind)) continue;
      PushSample(piece.times[i], piece.values[i]);
    }
    PB_RETURN_IF_ERROR(Work(end - begin));
    // Later samples are later than this one: instants up to it have all they need.
    PB_RETURN_IF_ERROR(EvaluateUpTo(piece.times[end - 1]));
    Trim();
  }
  return absl::OkStatus();
}

absl::Status WindowEvaluator::AddBuckets(const RollupColumns& piece, int64_t reach_ns) {
  if (!has_buckets_) StartBuckets();
  for (size_t begin = 0; begin < piece.size(); begin += kCheckEvery) {
    const size_t end = std::min(piece.size(), begin + kCheckEvery);
    for (size_t i = begin; i < end; ++i) {
      if (piece.counts[i] == 0 && !SeesNaN(options_.windows.kind)) continue;
      PushBucket(piece.Get(i), reach_ns);
    }
    PB_RETURN_IF_ERROR(Work(end - begin));
    PB_RETURN_IF_ERROR(EvaluateUpTo(piece.last_times[end - 1]));
    Trim();
  }
  return absl::OkStatus();
}

void WindowEvaluator::PushSample(int64_t time, double value) {
  if (has_buckets_) return PushBucket({1, 0, value, value, value, value, value, 0, time, time, time, time}, 0);
  times_.push_back(time);
  values_.push_back(value);
}

void WindowEvaluator::StartBuckets() {
  has_buckets_ = true;
  const SampleColumns samples{std::move(times_), std::move(values_)};
  times_.clear();
  values_.clear();
  for (size_t i = 0; i < samples.size(); ++i) PushSample(samples.times[i], samples.values[i]);
}

void WindowEvaluator::PushBucket(const Rollup& rollup, int64_t reach_ns) {
  times_.push_back(rollup.last_time);
  values_.push_back(rollup.last);
  reaches_.push_back(std::max(options_.windows.length_ns, reach_ns));
  buckets_.counts.push_back(rollup.count);
  buckets_.first_times.push_back(rollup.first_time);
  buckets_.firsts.push_back(rollup.first);
  if (fields_.Has(RollupField::kSum)) buckets_.sums.push_back(rollup.sum);
  if (fields_.Has(RollupField::kMin)) buckets_.mins.push_back(rollup.min);
  if (fields_.Has(RollupField::kMax)) buckets_.maxs.push_back(rollup.max);
  if (fields_.Has(RollupField::kResets)) buckets_.resets.push_back(rollup.resets);
}

absl::StatusOr<std::vector<double>> WindowEvaluator::Finish() {
  PB_RETURN_IF_ERROR(EvaluateUpTo(std::numeric_limits<int64_t>::max()));
  return std::move(results_);
}

absl::Status WindowEvaluator::EvaluateUpTo(int64_t time) {
  const Windows& windows = options_.windows;
  while (results_.size() < windows.grid.size) {
    const int64_t instant = windows.grid.At(results_.size());
    if (instant > time) return absl::OkStatus();
    while (high_ < times_.size() && times_[high_] <= instant) ++high_;
    const bool reaches = has_buckets_ && high_ > 0 && SeesNaN(windows.kind);
    const int64_t before = SaturatingSubtract(instant, reaches ? reaches_[high_ - 1] : windows.length_ns);
    while (low_ < high_ && times_[low_] <= before) ++low_;
    PB_RETURN_IF_ERROR(Work(windows.kind == WindowKind::kQuantile ? high_ - low_ + 1 : 1));
    results_.push_back(low_ == high_ ? kNoValue : Value());
  }
  return absl::OkStatus();
}

double WindowEvaluator::Value() {
  const auto of = [this]<typename T>(const std::vector<T>& column, const std::vector<T>& else_column) {
    return (column.empty() ? else_column : column).data() + low_;
  };
  WindowSamples window;
  window.times = times_.data() + low_;
  window.values = values_.data() + low_;
  window.first_times = of(buckets_.first_times, times_);
  window.firsts = of(buckets_.firsts, values_);
  window.sums = of(buckets_.sums, values_);
  window.mins = of(buckets_.mins, values_);
  window.maxs = of(buckets_.maxs, values_);
  if (has_buckets_) window.counts = buckets_.counts.data() + low_;
  if (!buckets_.resets.empty()) window.resets = buckets_.resets.data() + low_;
  window.count = high_ - low_;
  window.first = trimmed_ + low_;
  window.has_before = low_ > 0 && window.first_times[0] - times_[low_ - 1] <= options_.windows.max_gap_ns;
  if (!options_.parameters.empty()) window.parameter = options_.parameters[results_.size()];
  return function_->Value(window);
}

void WindowEvaluator::Trim() {
  // The sample before the window stays.
  const size_t passed = low_ > 0 ? low_ - 1 : 0;
  if (passed < kTrimSamples || passed < times_.size() / 2) return;
  DropFront(passed, &times_);
  DropFront(passed, &values_);
  DropFront(passed, &reaches_);
  RollupColumns::VisitColumns(buckets_, [passed](RollupField, auto& column) { DropFront(passed, &column); });
  trimmed_ += passed;
  low_ -= passed;
  high_ -= passed;
}

}  // namespace pulseboard::expression
