// A linear autoregression on chosen lags: the next value as a weighted sum of a few earlier ones.
#pragma once

#include <span>
#include <vector>

namespace pulseboard {

// Fitted by ridge regression (Hoerl, Kennard, Technometrics 12, 1970) over all of the series, in which rows with errors
// beyond four robust standard deviations count less in a second fit (Huber's weights). A value; copyable.
class SparseAutoregression {
 public:
  // `lags` ascending, each from 1 to less than half of values.size(). `ridge` is the penalty as a share of the series'
  // variance: what a weight must gain to be worth having.
  static SparseAutoregression Fit(std::span<const double> values, std::vector<int> lags, double ridge);

  // The `horizon` values after the last of `values`, each from those before it.
  std::vector<double> Extrapolate(std::span<const double> values, int horizon) const;

 private:
  double Next(const std::vector<double>& standardised, size_t at) const;

  std::vector<int> lags_;
  std::vector<double> weights_;  // by lag, then the constant
  double mean_ = 0;
  double deviation_ = 1;
};

}  // namespace pulseboard
