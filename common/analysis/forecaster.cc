#include "common/analysis/forecaster.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/analysis/seasonality.h"
#include "common/analysis/sparse_autoregression.h"

namespace pulseboard {
namespace {

constexpr double kRidge = 1e-4;
constexpr double kRidgeOfDifferences = 1e-3;
// Fewer samples than this tell no weights: the last value stands for the future.
constexpr size_t kLeastFitted = 12;
constexpr double kOutlierRanges = 5;
constexpr int kOrigins = 12;
constexpr size_t kLeastBeforeOrigin = 30;
// Errors of a step are smoothed with those of as many steps before and after it, and drawn to the mean of all steps.
constexpr int kSmoothedSteps = 3;
constexpr double kShareOfMeanError = 0.2;

bool AllPositive(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
}

std::vector<int> LagsFor(const std::vector<int>& periods, size_t samples) {
  std::set<int> lags = periods.empty() ? std::set<int>{1, 2, 3, 4, 5, 6, 8, 10, 12, 13} : std::set<int>{1, 2, 3};
  const int samples_now = static_cast<int>(samples);
  for (const int period : periods) {
    lags.insert({period - 1, period, period + 1});
    if (2 * period < samples_now / 3) lags.insert(2 * period);
  }
  std::vector<int> usable;
  for (const int lag : lags) {
    if (lag >= 1 && 2 * lag < samples_now) usable.push_back(lag);
  }
  return usable;
}

std::vector<double> FromLevels(std::span<const double> values, int horizon, const std::vector<int>& lags) {
  return SparseAutoregression::Fit(values, lags, kRidge).Extrapolate(values, horizon);
}

std::vector<double> FromDifferences(std::span<const double> values, int horizon, std::vector<int> lags) {
  std::vector<double> differences;
  for (size_t i = 1; i < values.size(); ++i) differences.push_back(values[i] - values[i - 1]);
  while (!lags.empty() && 2 * static_cast<size_t>(lags.back()) >= differences.size()) lags.pop_back();
  std::vector<double> forecast =
      SparseAutoregression::Fit(differences, std::move(lags), kRidgeOfDifferences).Extrapolate(differences, horizon);
  double level = values.back();
  for (double& step : forecast) step = level += step;
  return forecast;
}

// The median of the members at each step.
std::vector<double> Combine(const std::vector<std::vector<double>>& members, int horizon) {
  std::vector<double> combined;
  for (size_t step = 0; step < static_cast<size_t>(horizon); ++step) {
    std::vector<double> votes;
    for (const std::vector<double>& member : members) {
      if (std::isfinite(member[step])) votes.push_back(member[step]);
    }
    std::sort(votes.begin(), votes.end());
    const size_t middle = votes.size() / 2;
    combined.push_back(votes.size() % 2 == 1 ? votes[middle] : std::midpoint(votes[middle - 1], votes[middle]));
  }
  return combined;
}

std::vector<double> PointForecast(std::span<const double> values, int horizon, const std::vector<int>& periods) {
  if (values.size() < kLeastFitted) return std::vector<double>(static_cast<size_t>(horizon), values.back());
  const std::vector<int> lags = LagsFor(periods, values.size());
  std::vector<std::vector<double>> members = {FromLevels(values, horizon, lags),
                                              FromDifferences(values, horizon, lags)};
  if (AllPositive(values)) {
    std::vector<double> logarithms;
    for (const double value : values) logarithms.push_back(std::log(value));
    members.push_back(FromLevels(logarithms, horizon, lags));
    members.push_back(FromDifferences(logarithms, horizon, lags));
    for (size_t i = members.size() - 2; i < members.size(); ++i) {
      for (double& step : members[i]) step = std::exp(step);
    }
  }
  return Combine(members, horizon);
}

// What is further from all the others than they are from each other, several times over, is no part of the series: it
// counts as missing. Smaller outliers are for the fits' weights.
void DropOutliers(std::vector<double>& values) {
  std::vector<double> sorted;
  for (const double value : values) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  std::sort(sorted.begin(), sorted.end());
  const size_t edge = sorted.size() / 50;  // each side's share that may be outliers
  const double low = sorted[edge];
  const double high = sorted[sorted.size() - 1 - edge];
  const double far = kOutlierRanges * (high - low);
  if (!(far > 0)) return;
  for (double& value : values) {
    if (value < low - far || value > high + far) value = std::numeric_limits<double>::quiet_NaN();
  }
}

// Missing samples become what lies between their neighbours; longer gaps what was and will be there a period away.
std::vector<double> FillGaps(std::span<const double> values) {
  std::vector<double> filled(values.begin(), values.end());
  size_t known = 0;
  for (size_t i = 1; i < filled.size(); ++i) {
    if (std::isnan(filled[i])) continue;
    for (size_t gap = known + 1; gap < i; ++gap) {
      const double share = static_cast<double>(gap - known) / static_cast<double>(i - known);
      filled[gap] = std::lerp(filled[known], filled[i], share);
    }
    known = i;
  }
  return filled;
}

void RefillBySeason(std::span<const double> values, size_t period, std::vector<double>& filled) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isnan(values[i])) continue;
    double sum = 0;
    int known = 0;
    if (i >= period) {
      sum += filled[i - period];
      ++known;
    }
    if (i + period < values.size() && !std::isnan(values[i + period])) {
      sum += values[i + period];
      ++known;
    }
    if (known > 0) filled[i] = sum / known;
  }
}

// The absolute errors by step that forecasts from earlier origins had.
std::vector<std::vector<double>> Backtest(std::span<const double> values, int horizon,
                                          const std::vector<int>& periods) {
  std::vector<std::vector<double>> errors;
  const int64_t samples = static_cast<int64_t>(values.size());
  const int64_t least = std::max<int64_t>(kLeastBeforeOrigin, samples / 3);
  for (int back = 0; back < kOrigins; ++back) {
    const int64_t origin = samples - horizon - back * std::max<int64_t>(1, horizon / 2);
    if (origin < least) break;
    const size_t cut = static_cast<size_t>(origin);
    std::vector<double> forecast = PointForecast(values.first(cut), horizon, periods);
    for (size_t step = 0; step < forecast.size(); ++step) {
      forecast[step] = std::abs(values[cut + step] - forecast[step]);
    }
    errors.push_back(std::move(forecast));
  }
  return errors;
}

// Where the series is too short for a backtest: how far it moved in as many steps.
std::vector<std::vector<double>> Moves(std::span<const double> values, int horizon) {
  std::vector<double> moves;
  for (size_t i = 1; i < values.size(); ++i) moves.push_back(std::abs(values[i] - values[i - 1]));
  std::vector<std::vector<double>> errors;
  for (const double move : moves) {
    std::vector<double>& by_step = errors.emplace_back();
    for (int step = 1; step <= horizon; ++step) by_step.push_back(move * std::sqrt(step));
  }
  return errors;
}

std::vector<double> ScaleBySteps(const std::vector<std::vector<double>>& errors, int horizon) {
  std::vector<double> scale;
  double mean = 0;
  for (int step = 0; step < horizon; ++step) {
    double sum = 0;
    int64_t count = 0;
    for (int near = std::max(0, step - kSmoothedSteps); near <= std::min(horizon - 1, step + kSmoothedSteps); ++near) {
      for (const std::vector<double>& origin : errors) {
        sum += origin[static_cast<size_t>(near)];
        ++count;
      }
    }
    scale.push_back(sum / static_cast<double>(count));
    mean += scale.back() / horizon;
  }
  for (double& step : scale) step = std::lerp(step, mean, kShareOfMeanError);
  return scale;
}

// The quantile with the correction for a finite sample that makes the promise hold (Lei et al., equation 2).
double ConformalQuantile(const std::vector<double>& sorted, double coverage) {
  const double rank = coverage * static_cast<double>(sorted.size() + 1);
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(rank))];
}

void AddBands(const std::vector<std::vector<double>>& errors, bool never_negative, Forecast& forecast) {
  const std::vector<double> scale = ScaleBySteps(errors, static_cast<int>(forecast.point.size()));
  std::vector<double> relative;
  for (const std::vector<double>& origin : errors) {
    for (size_t step = 0; step < origin.size(); ++step) {
      relative.push_back(scale[step] > 0 ? origin[step] / scale[step] : 0);
    }
  }
  std::sort(relative.begin(), relative.end());
  const double wide = ConformalQuantile(relative, 0.95);
  const double narrow = ConformalQuantile(relative, 0.80);
  const double floor = never_negative ? 0 : -std::numeric_limits<double>::infinity();
  for (size_t step = 0; step < forecast.point.size(); ++step) {
    double& point = forecast.point[step];
    point = std::max(point, floor);
    forecast.lower_80.push_back(std::max(point - narrow * scale[step], floor));
    forecast.upper_80.push_back(point + narrow * scale[step]);
    forecast.lower_95.push_back(std::max(point - wide * scale[step], floor));
    forecast.upper_95.push_back(point + wide * scale[step]);
  }
}

}  // namespace

absl::StatusOr<Forecast> MakeForecast(std::span<const double> values, int horizon) {
  if (horizon < 1 || horizon > kMostForecastSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("horizon is ", horizon, ", accepted are 1 to ", kMostForecastSteps, " steps"));
  }
  if (std::any_of(values.begin(), values.end(), [](double value) { return std::isinf(value); })) {
    return absl::InvalidArgumentError("an infinite value cannot be forecast from");
  }
  std::vector<double> known(values.last(std::min(values.size(), kMostForecastSamples)).begin(), values.end());
  const auto numbers = std::count_if(known.begin(), known.end(), [](double value) { return !std::isnan(value); });
  if (numbers < static_cast<ptrdiff_t>(kLeastForecastSamples)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a forecast needs at least ", kLeastForecastSamples, " samples, there are ", numbers));
  }
  DropOutliers(known);
  while (std::isnan(known.front())) known.erase(known.begin());
  // A gap at the end is part of what is forecast.
  const size_t with_end = known.size();
  while (std::isnan(known.back())) known.pop_back();
  const size_t missing_at_end = with_end - known.size();

  std::vector<double> filled = FillGaps(known);
  Forecast forecast;
  forecast.periods = FindPeriods(filled);
  if (!forecast.periods.empty()) RefillBySeason(known, static_cast<size_t>(forecast.periods.front()), filled);
  const int steps = horizon + static_cast<int>(missing_at_end);
  forecast.point = PointForecast(filled, steps, forecast.periods);
  std::vector<std::vector<double>> errors = Backtest(filled, steps, forecast.periods);
  if (errors.empty()) errors = Moves(filled, steps);
  const bool never_negative = std::all_of(filled.begin(), filled.end(), [](double value) { return value >= 0; });
  AddBands(errors, never_negative, forecast);
  for (std::vector<double>* by_step :
       {&forecast.point, &forecast.lower_80, &forecast.upper_80, &forecast.lower_95, &forecast.upper_95}) {
    by_step->erase(by_step->begin(), by_step->begin() + static_cast<ptrdiff_t>(missing_at_end));
  }
  return forecast;
}

}  // namespace pulseboard
