#include "common/analysis/rollup.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace pulseboard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Two values side by side, as every x86-64 has them; two such chains hide the latency of one.
constexpr size_t kLanes = 2;
constexpr size_t kChains = 2;
constexpr size_t kStride = kLanes * kChains;
using Lanes = double __attribute__((vector_size(kLanes * sizeof(double))));
using LaneMask = int64_t __attribute__((vector_size(kLanes * sizeof(double))));

inline Lanes Load(const double* from) {
  Lanes out;
  std::memcpy(&out, from, sizeof(out));
  return out;
}

// Smallest and greatest; false when there is a NaN among them.
bool Extremes(std::span<const double> values, double* min, double* max) {
  double low = values[0], high = values[0];
  bool numbers = true;
  size_t i = 0;
  if (values.size() >= 2 * kStride) {
    Lanes lows[kChains], highs[kChains];
    LaneMask nans{};
    for (size_t chain = 0; chain < kChains; ++chain) lows[chain] = highs[chain] = Load(values.data() + chain * kLanes);
    for (; i + kStride <= values.size(); i += kStride) {
      for (size_t chain = 0; chain < kChains; ++chain) {
        const Lanes v = Load(values.data() + i + chain * kLanes);
        nans |= v != v;  // NOLINT(misc-redundant-expression): only a NaN is not itself
        lows[chain] = v < lows[chain] ? v : lows[chain];
        highs[chain] = v > highs[chain] ? v : highs[chain];
      }
    }
    for (size_t lane = 0; lane < kStride; ++lane) {
      low = std::min(low, lows[lane / kLanes][lane % kLanes]);
      high = std::max(high, highs[lane / kLanes][lane % kLanes]);
    }
    numbers = nans[0] == 0 && nans[1] == 0;
  }
  for (; i < values.size(); ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
    numbers &= !std::isnan(values[i]);
  }
  *min = low;
  *max = high;
  return numbers;
}

// Adds up by TwoSum (Knuth): the sum and what rounding has left out of it.
template <typename Number>
struct TwoSum {
  Number sum{};
  Number lost{};
  void Add(const Number& value) {
    const Number next = sum + value;
    const Number rest = next - sum;
    lost += (sum - (next - rest)) + (value - rest);
    sum = next;
  }
};

TwoSum<double> SumOf(std::span<const double> values) {
  TwoSum<double> out;
  size_t i = 0;
  if (values.size() >= 2 * kStride) {
    TwoSum<Lanes> chains[kChains];
    for (; i + kStride <= values.size(); i += kStride) {
      for (size_t chain = 0; chain < kChains; ++chain) chains[chain].Add(Load(values.data() + i + chain * kLanes));
    }
    for (size_t lane = 0; lane < kStride; ++lane) {
      out.Add(chains[lane / kLanes].sum[lane % kLanes]);
      out.lost += chains[lane / kLanes].lost[lane % kLanes];
    }
  }
  for (; i < values.size(); ++i) out.Add(values[i]);
  return out;
}

}  // namespace

void RollupFold::AddToSum(double value) {
  const double sum = rollup_.sum + value;
  lost_ += std::abs(rollup_.sum) >= std::abs(value) ? (rollup_.sum - sum) + value : (value - sum) + rollup_.sum;
  rollup_.sum = sum;
}

void RollupFold::AddSample(int64_t time, double value) {
  if (std::isnan(value)) {
    if (empty()) rollup_.first_time = time;
    if (rollup_.count == 0) rollup_.last_time = time;
    ++rollup_.nan_count;
    return;
  }
  if (rollup_.count == 0) {
    rollup_.min = rollup_.max = rollup_.first = value;
    rollup_.min_time = rollup_.max_time = rollup_.first_time = time;
  } else {
    if (value < rollup_.min) {
      rollup_.min = value;
      rollup_.min_time = time;
    }
    if (value > rollup_.max) {
      rollup_.max = value;
      rollup_.max_time = time;
    }
    if (is_counter_ && value < rollup_.last) rollup_.resets += rollup_.last;
  }
  rollup_.last = value;
  rollup_.last_time = time;
  ++rollup_.count;
  if (with_sum_) AddToSum(value);
}

size_t RollupFold::AddSamples(std::span<const int64_t> times, std::span<const double> values, size_t from,
                              int64_t start, int64_t bucket_ns) {
  size_t end = from + 1;
  while (end < times.size() && times[end] - start < bucket_ns) ++end;
  for (size_t i = from; i < end;) {
    if (std::isnan(values[i])) {
      AddSample(times[i], values[i]);
      ++i;
    } else {
      i = AddNumbers(times, values, i, end);
    }
  }
  return end;
}

size_t RollupFold::AddNumbers(std::span<const int64_t> times, std::span<const double> values, size_t from, size_t end) {
  // The first by itself, so that there is something to compare with.
  AddSample(times[from], values[from]);
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  size_t lowest = kNone, highest = kNone;
  double low = rollup_.min, high = rollup_.max;
  size_t i = from + 1;
  for (; i < end; ++i) {
    const double value = values[i];
    if (std::isnan(value)) break;
    if (value < low) {
      low = value;
      lowest = i;
    }
    if (value > high) {
      high = value;
      highest = i;
    }
  }
  if (i == from + 1) return i;
  rollup_.min = low;
  rollup_.max = high;
  if (lowest != kNone) rollup_.min_time = times[lowest];
  if (highest != kNone) rollup_.max_time = times[highest];
  rollup_.last = values[i - 1];
  rollup_.last_time = times[i - 1];
  rollup_.count += static_cast<int64_t>(i - from - 1);
  for (size_t k = from + 1; is_counter_ && k < i; ++k) {
    if (values[k] < values[k - 1]) rollup_.resets += values[k - 1];
  }
  for (size_t k = from + 1; with_sum_ && k < i; ++k) AddToSum(values[k]);
  return i;
}

void RollupFold::AddRun(std::span<const int64_t> times, std::span<const double> values) {
  if (values.empty()) return;
  Rollup run;
  if (!Extremes(values, &run.min, &run.max)) {
    for (size_t i = 0; i < values.size(); ++i) AddSample(times[i], values[i]);
    return;
  }
  run.count = static_cast<int64_t>(values.size());
  run.first = values.front();
  run.last = values.back();
  run.first_time = run.min_time = run.max_time = times.front();
  run.last_time = times.back();
  for (size_t i = 1; is_counter_ && i < values.size(); ++i) {
    if (values[i] < values[i - 1]) run.resets += values[i - 1];
  }
  double lost = 0;
  if (with_sum_) {
    const TwoSum<double> sum = SumOf(values);
    run.sum = sum.sum;
    lost = sum.lost;
  }
  AddRollup(run);
  lost_ += lost;
}

void RollupFold::AddRollup(const Rollup& rollup) {
  if (rollup.count == 0) {
    if (rollup_.count == 0) {
      if (empty()) rollup_.first_time = rollup.first_time;
      rollup_.last_time = rollup.last_time;
    }
    rollup_.nan_count += rollup.nan_count;
    return;
  }
  if (rollup_.count == 0) {
    const int64_t nan_count = rollup_.nan_count + rollup.nan_count;
    rollup_ = rollup;
    rollup_.nan_count = nan_count;
    rollup_.sum = 0;
  } else {
    if (rollup.min < rollup_.min) {
      rollup_.min = rollup.min;
      rollup_.min_time = rollup.min_time;
    }
    if (rollup.max > rollup_.max) {
      rollup_.max = rollup.max;
      rollup_.max_time = rollup.max_time;
    }
    if (is_counter_) {
      if (rollup.first < rollup_.last) rollup_.resets += rollup_.last;
      rollup_.resets += rollup.resets;
    }
    rollup_.last = rollup.last;
    rollup_.last_time = rollup.last_time;
    rollup_.count += rollup.count;
    rollup_.nan_count += rollup.nan_count;
  }
  if (with_sum_) AddToSum(rollup.sum);
}

Rollup RollupFold::Take() {
  Rollup out = std::exchange(rollup_, Rollup());
  const double lost = std::exchange(lost_, 0);
  if (out.count == 0) {
    out.min = out.max = out.first = out.last = kNan;
    out.min_time = out.max_time = out.first_time;
    return out;
  }
  // Beyond the finite nothing that was lost makes sense; one kind of NaN, so that folds compare by their bits.
  if (std::isfinite(out.sum)) out.sum += lost;
  if (std::isnan(out.sum)) out.sum = kNan;
  return out;
}

bool FoldRun(std::span<const int64_t> times, std::span<const double> values, bool with_sum, Rollup* out) {
  if (!Extremes(values, &out->min, &out->max)) return false;
  out->count = static_cast<int64_t>(values.size());
  out->nan_count = 0;
  out->first = values.front();
  out->last = values.back();
  out->first_time = out->min_time = out->max_time = times.front();
  out->last_time = times.back();
  out->resets = 0;
  out->sum = 0;
  if (!with_sum) return true;
  const TwoSum<double> sum = SumOf(values);
  out->sum += sum.sum;  // never -0.0
  if (std::isfinite(out->sum)) out->sum += sum.lost;
  if (std::isnan(out->sum)) out->sum = kNan;
  return true;
}

int64_t BucketStart(int64_t time, int64_t bucket_ns) {
  const int64_t rest = time % bucket_ns;
  return time - (rest < 0 ? rest + bucket_ns : rest);
}

RollupFields FieldsToFold(RollupFields fields) {
  // Counts tell buckets of nothing but NaN, falls need first and last.
  RollupFields out = kLineFields | RollupField::kCount;
  if (fields.Has(RollupField::kSum)) out = out | RollupField::kSum;
  if (fields.Has(RollupField::kResets)) out = out | RollupField::kResets;
  return out;
}

void FoldSamples(std::span<const int64_t> times, std::span<const double> values, int64_t bucket_ns, bool is_counter,
                 RollupColumns* out, RollupFields fields) {
  RollupFold fold(is_counter, fields.Has(RollupField::kSum));
  for (size_t i = 0; i < times.size();) {
    const int64_t start = BucketStart(times[i], bucket_ns);
    i = fold.AddSamples(times, values, i, start, bucket_ns);
    out->push_back(start, fold.Take());
  }
}

void FoldRollups(const RollupColumns& finer, int64_t bucket_ns, bool is_counter, RollupColumns* out,
                 RollupFields fields) {
  RollupFold fold(is_counter, fields.Has(RollupField::kSum));
  for (size_t i = 0; i < finer.size();) {
    const int64_t start = BucketStart(finer.starts[i], bucket_ns);
    for (; i < finer.size() && finer.starts[i] - start < bucket_ns; ++i) fold.AddRollup(finer.Get(i));
    out->push_back(start, fold.Take());
  }
}

Rollup MergeRollups(const Rollup& earlier, const Rollup& later, bool is_counter) {
  if (earlier.count == 0 && earlier.nan_count == 0) return later;
  if (later.count == 0 && later.nan_count == 0) return earlier;
  RollupFold fold(is_counter);
  fold.AddRollup(earlier);
  fold.AddRollup(later);
  Rollup out = fold.Take();
  if (out.count > 0) {
    out.sum = earlier.sum + later.sum;
    if (std::isnan(out.sum)) out.sum = kNan;
  }
  return out;
}

}  // namespace pulseboard
