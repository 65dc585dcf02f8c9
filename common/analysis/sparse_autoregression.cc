#include "common/analysis/sparse_autoregression.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace pulseboard {
namespace {

// No forecast is further from the mean than this many standard deviations: an autoregression may be unstable.
constexpr double kFurthest = 6;
constexpr double kOutlierDeviations = 4;
// The standard deviation of a normal distribution whose median absolute value is one.
constexpr double kDeviationPerMedian = 1.4826;

double MedianSize(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

SparseAutoregression SparseAutoregression::Fit(std::span<const double> values, std::vector<int> lags, double ridge) {
  SparseAutoregression model;
  const double n = static_cast<double>(values.size());
  for (const double value : values) model.mean_ += value / n;
  double variance = 0;
  for (const double value : values) variance += (value - model.mean_) * (value - model.mean_) / n;
  model.deviation_ = variance > 0 ? std::sqrt(variance) : 1;
  std::vector<double> standardised;
  for (const double value : values) standardised.push_back((value - model.mean_) / model.deviation_);

  const Eigen::Index columns = static_cast<Eigen::Index>(lags.size()) + 1;
  const size_t first = lags.empty() ? 0 : static_cast<size_t>(lags.back());
  const Eigen::Index rows = static_cast<Eigen::Index>(values.size() - first);
  Eigen::MatrixXd earlier(rows, columns);
  Eigen::VectorXd now(rows);
  for (Eigen::Index row = 0; row < rows; ++row) {
    const size_t at = first + static_cast<size_t>(row);
    for (size_t i = 0; i < lags.size(); ++i) {
      earlier(row, static_cast<Eigen::Index>(i)) = standardised[at - static_cast<size_t>(lags[i])];
    }
    earlier(row, columns - 1) = 1;
    now(row) = standardised[at];
  }
  model.lags_ = std::move(lags);
  Eigen::VectorXd importance = Eigen::VectorXd::Ones(rows);
  for (int round = 0; round < 2; ++round) {
    Eigen::MatrixXd normal = earlier.transpose() * importance.asDiagonal() * earlier;
    for (Eigen::Index i = 0; i + 1 < columns; ++i) normal(i, i) += ridge * static_cast<double>(rows);
    const Eigen::VectorXd weights = normal.ldlt().solve(earlier.transpose() * importance.asDiagonal() * now);
    model.weights_.assign(weights.begin(), weights.end());
    if (round == 1) break;
    const Eigen::VectorXd errors = now - earlier * weights;
    const double limit = kOutlierDeviations * kDeviationPerMedian * MedianSize({errors.begin(), errors.end()});
    if (!(limit > 0) || errors.cwiseAbs().maxCoeff() <= limit) break;
    for (Eigen::Index row = 0; row < rows; ++row) importance(row) = std::min(1.0, limit / std::abs(errors(row)));
  }
  return model;
}

double SparseAutoregression::Next(const std::vector<double>& standardised, size_t at) const {
  double next = weights_.back();
  for (size_t i = 0; i < lags_.size(); ++i) next += weights_[i] * standardised[at - static_cast<size_t>(lags_[i])];
  return std::clamp(next, -kFurthest, kFurthest);
}

std::vector<double> SparseAutoregression::Extrapolate(std::span<const double> values, int horizon) const {
  // What the lags reach back to is enough.
  const size_t reach = lags_.empty() ? 0 : static_cast<size_t>(lags_.back());
  std::vector<double> standardised;
  for (const double value : values.last(reach)) standardised.push_back((value - mean_) / deviation_);
  std::vector<double> forecast;
  for (int step = 0; step < horizon; ++step) {
    standardised.push_back(Next(standardised, standardised.size()));
    forecast.push_back(standardised.back() * deviation_ + mean_);
  }
  return forecast;
}

}  // namespace pulseboard
