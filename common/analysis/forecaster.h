// Forecasts of any evenly spaced series, with bands that hold what they promise.
//
// Point forecast: the median, step by step, of four sparse autoregressions (of the series and of its differences, each
// plain and of the logarithm where all values are positive) on the last few samples and those one or two periods ago,
// periods found by FindPeriods(). Combining simple methods by the median beats choosing one of them (Makridakis,
// Spiliotis, Assimakopoulos, "The M4 Competition", Int. J. Forecasting 36, 2020; Petropoulos, Svetunkov, same issue).
// Bands: the same is done from up to twelve earlier origins of the series itself, and its errors there, by step, are
// what a forecast is trusted with: split conformal prediction (Lei et al., JASA 113, 2018), scaled by step.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pulseboard {

struct Forecast {
  std::vector<double> point;  // by step, the first is one interval after the last sample; so are the others
  std::vector<double> lower_80;
  std::vector<double> upper_80;
  std::vector<double> lower_95;
  std::vector<double> upper_95;
  std::vector<int> periods;  // found, in samples, ascending; at most two
};

// What there must be, and what is looked at: of a longer series the end.
inline constexpr size_t kLeastForecastSamples = 4;
inline constexpr size_t kMostForecastSamples = 4'096;
inline constexpr int kMostForecastSteps = 1'000;

// `values` oldest first; NaN where a sample is missing. INVALID_ARGUMENT for a horizon that is not in
// 1..kMostForecastSteps, for infinities, and for fewer than kLeastForecastSamples numbers.
// A series that never was negative is not forecast to be. Thread-safe; takes about 5 ms for 1,000 values, 48 steps.
absl::StatusOr<Forecast> MakeForecast(std::span<const double> values, int horizon);

}  // namespace pulseboard
