#include "common/analysis/quantile_sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pulseboard {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A bin (low, low * kRatio] is told as 2 * high / (kRatio + 1), at most kRelativeError away from all it holds.
constexpr double kRatio = (1 + QuantileSketch::kRelativeError) / (1 - QuantileSketch::kRelativeError);
// Less than this is zero, and more than the greatest double is infinity. Bins of positive values are 1 and up.
constexpr double kSmallest = 1e-300;
const double kLogRatio = std::log(kRatio);
const int32_t kFirst = static_cast<int32_t>(std::ceil(std::log(kSmallest) / kLogRatio));
const int32_t kLast = static_cast<int32_t>(std::ceil(std::log(std::numeric_limits<double>::max()) / kLogRatio));
const int32_t kInfinityBin = kLast - kFirst + 2;

int32_t BinOf(double value) {
  const double size = std::abs(value);
  if (size < kSmallest) return 0;
  const int32_t bin =
      std::isinf(size) ? kInfinityBin : static_cast<int32_t>(std::ceil(std::log(size) / kLogRatio)) - kFirst + 1;
  return value < 0 ? -bin : bin;
}

double ValueOf(int32_t bin) {
  if (bin == 0) return 0;
  const int32_t size = std::abs(bin);
  if (size == kInfinityBin) return bin < 0 ? -kInfinity : kInfinity;
  const double value = 2 * std::exp((size - 1 + kFirst) * kLogRatio - std::log1p(kRatio));
  return bin < 0 ? -value : value;
}

}  // namespace

void QuantileSketch::Add(double value) {
  if (std::isnan(value)) return;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  ++count_;
  if (!exact()) return AddToBins(value, 1);
  values_.push_back(value);
  if (values_.size() <= kExactValues) return;
  for (const double kept : values_) AddToBins(kept, 1);
  values_ = {};
}

void QuantileSketch::Merge(const QuantileSketch& other) {
  if (other.count_ == 0) return;
  if (other.exact()) {
    for (const double value : other.values_) Add(value);
    return;
  }
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_;
  for (const double kept : values_) AddToBins(kept, 1);
  values_ = {};
  for (const auto& [bin, count] : other.bins_) bins_[bin] += count;
}

void QuantileSketch::clear() { *this = QuantileSketch(); }

void QuantileSketch::AddToBins(double value, int64_t count) { bins_[BinOf(value)] += count; }

double QuantileSketch::AtRank(int64_t rank) const {
  // What is known exactly.
  if (rank == 0) return min_;
  if (rank == count_ - 1) return max_;
  int64_t passed = 0;
  for (const auto& [bin, count] : bins_) {
    passed += count;
    if (passed > rank) return std::clamp(ValueOf(bin), min_, max_);
  }
  return max_;
}

double QuantileSketch::Quantile(double phi) {
  if (count_ == 0 || std::isnan(phi)) return kNan;
  if (phi < 0) return -kInfinity;
  if (phi > 1) return kInfinity;
  const double rank = phi * static_cast<double>(count_ - 1);
  const double weight = rank - std::floor(rank);
  const auto lower = static_cast<int64_t>(std::floor(rank));
  double below = 0, above = 0;
  if (exact()) {
    const auto at = values_.begin() + lower;
    std::nth_element(values_.begin(), at, values_.end());
    below = *at;
    above = weight == 0 ? below : *std::min_element(at + 1, values_.end());
  } else {
    below = AtRank(lower);
    above = weight == 0 ? below : AtRank(lower + 1);
  }
  if (weight == 0 || below == above) return below;  // not infinity times zero
  return below * (1 - weight) + above * weight;
}

}  // namespace pulseboard
