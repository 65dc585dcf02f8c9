#include "common/analysis/tail_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pulseboard {
namespace {

constexpr double kHeaviestShape = -0.2;
// Below this the GEV's terms cancel; Gumbel is the same to all digits.
constexpr double kGumbelShape = -1e-4;
// The least spread the maxima are taken to have, as a share of their range: counts that moved between two values have a
// second moment of almost nothing, and the third value would be a miracle.
constexpr double kLeastSpread = 0.02;

// Maxima are kept as floats: differences of this share are their rounding.
constexpr double kRounding = 1e-7;
constexpr double kNothing = 1e-30;

}  // namespace

double TailModel::Surprise(double value) const {
  if (!fitted_) return 0;
  const double reduced = (value - location_) / scale_;
  double exponent = reduced;
  if (shape_ != 0) {
    const double base = 1 - shape_ * reduced;
    if (base <= 0) return 0;  // below the lower end of the distribution
    exponent = -std::log(base) / shape_;
  }
  // P(maximum >= value) = 1 - exp(-exp(-exponent))
  const double probability = -std::expm1(-std::exp(-exponent));
  if (probability < 1e-6) return kGreatestSurprise;
  return -std::log10(probability);
}

void TailModel::Learn(double value) {
  const float narrowed = static_cast<float>(value);
  block_maximum_ = in_block_ == 0 ? narrowed : std::max(block_maximum_, narrowed);
  if (++in_block_ == kBlockSamples) CloseBlock();
}

void TailModel::CloseBlock() {
  in_block_ = 0;
  const uint8_t slot = static_cast<uint8_t>(next_slot_);
  next_slot_ = (next_slot_ + 1) % kBlocks;
  if (blocks_ == kBlocks) {
    const auto oldest = std::find(order_.begin(), order_.end(), slot);
    std::copy(oldest + 1, order_.end(), oldest);
  } else {
    ++blocks_;
  }
  maxima_[slot] = block_maximum_;
  const auto end = order_.begin() + (blocks_ - 1);
  const auto place = std::upper_bound(order_.begin(), end, block_maximum_,
                                      [this](float maximum, uint8_t other) { return maximum < maxima_[other]; });
  std::copy_backward(place, end, end + 1);
  *place = slot;
  if (blocks_ >= kLeastBlocks) Fit();
}

void TailModel::Fit() {
  // Unbiased probability-weighted moments b0, b1, b2 of the ordered maxima, then the first L-moments of them.
  const double n = blocks_;
  double b0 = 0;
  double b1 = 0;
  double b2 = 0;
  for (int i = 0; i < blocks_; ++i) {
    const double maximum = maxima_[order_[static_cast<size_t>(i)]];
    b0 += maximum;
    b1 += maximum * i;
    b2 += maximum * i * (i - 1.0);
  }
  b0 /= n;
  b1 /= n * (n - 1);
  b2 /= n * (n - 1) * (n - 2);
  const double range =
      static_cast<double>(maxima_[order_[static_cast<size_t>(blocks_ - 1)]]) - static_cast<double>(maxima_[order_[0]]);
  const double l1 = b0;
  const double spread = std::max({2 * b1 - b0, kLeastSpread * range, kRounding * std::abs(l1), kNothing});
  const double skewness = (6 * b2 - 6 * b1 + b0) / spread;
  // Hosking, Wallis, Wood (1985), equation 14: within 9e-4 of the root for every shape between -1/2 and 1/2.
  const double c = 2 / (3 + skewness) - std::numbers::ln2 / std::log(3.0);
  shape_ = std::clamp(7.8590 * c + 2.9554 * c * c, kHeaviestShape, 0.0);
  if (shape_ > kGumbelShape) {
    shape_ = 0;
    scale_ = spread / std::numbers::ln2;
    location_ = l1 - std::numbers::egamma * scale_;
  } else {
    const double gamma = std::tgamma(1 + shape_);
    scale_ = spread * shape_ / ((1 - std::pow(2.0, -shape_)) * gamma);
    location_ = l1 - scale_ * (1 - gamma) / shape_;
  }
  fitted_ = true;
}

}  // namespace pulseboard
