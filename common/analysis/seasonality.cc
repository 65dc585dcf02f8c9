#include "common/analysis/seasonality.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pulseboard {
namespace {

// Longer periods are not looked for: a lag costs one pass over the series.
constexpr size_t kLongestLag = 400;
constexpr size_t kShortestPeriod = 3;
constexpr double kLeastCorrelation = 0.1;
// A shorter period explains a longer, stronger peak when it has this share of its correlation.
constexpr double kShareOfStrongest = 0.5;
constexpr int kCyclesInCycle = 7;
constexpr int kShortestWithLongCycle = 12;

std::vector<double> Differences(std::span<const double> values, size_t lag) {
  std::vector<double> differences;
  for (size_t i = lag; i < values.size(); ++i) differences.push_back(values[i] - values[i - lag]);
  return differences;
}

// Cuts what is more than three times the 90th percentile of the absolute values.
void CutExtremes(std::vector<double>& values) {
  std::vector<double> sizes;
  for (const double value : values) sizes.push_back(std::abs(value));
  const auto percentile = sizes.begin() + static_cast<ptrdiff_t>(sizes.size() * 9 / 10);
  std::nth_element(sizes.begin(), percentile, sizes.end());
  const double limit = *percentile > 0 ? 3 * *percentile : *std::max_element(sizes.begin(), sizes.end());
  for (double& value : values) value = std::clamp(value, -limit, limit);
}

// By lag, 0..longest.
std::vector<double> Autocorrelation(const std::vector<double>& values, size_t longest) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  std::vector<double> centred;
  double variance = 0;
  for (const double value : values) {
    centred.push_back(value - mean);
    variance += centred.back() * centred.back();
  }
  std::vector<double> correlation(longest + 1);
  if (variance <= 0) return correlation;
  for (size_t lag = 0; lag <= longest && lag < centred.size(); ++lag) {
    double sum = 0;
    for (size_t i = lag; i < centred.size(); ++i) sum += centred[i] * centred[i - lag];
    correlation[lag] = sum / variance;
  }
  return correlation;
}

// The lags above `floor` that no neighbour exceeds, ascending.
std::vector<size_t> Peaks(const std::vector<double>& correlation, size_t first, double floor) {
  std::vector<size_t> peaks;
  for (size_t lag = first; lag + 1 < correlation.size(); ++lag) {
    if (correlation[lag] > floor && correlation[lag] >= correlation[lag - 1] &&
        correlation[lag] >= correlation[lag + 1]) {
      peaks.push_back(lag);
    }
  }
  return peaks;
}

size_t StrongestOf(const std::vector<size_t>& lags, const std::vector<double>& correlation) {
  return *std::max_element(lags.begin(), lags.end(),
                           [&](size_t a, size_t b) { return correlation[a] < correlation[b]; });
}

size_t FirstPeriod(const std::vector<size_t>& peaks, const std::vector<double>& correlation) {
  const size_t strongest = StrongestOf(peaks, correlation);
  for (const size_t lag : peaks) {
    if (lag >= strongest) break;
    if (correlation[lag] < kShareOfStrongest * correlation[strongest]) continue;
    // Each peak is known to one sample: the multiple to as many as there are cycles.
    const double cycles = static_cast<double>(strongest) / static_cast<double>(lag);
    if (std::abs(cycles - std::round(cycles)) < 1.0 / static_cast<double>(lag) + 0.05) return lag;
  }
  return strongest;
}

}  // namespace

std::vector<int> FindPeriods(std::span<const double> values) {
  const size_t longest = std::min(values.size() / 3, kLongestLag);
  if (longest <= kShortestPeriod) return {};
  std::vector<double> changes = Differences(values, 1);
  CutExtremes(changes);
  const double root = std::sqrt(static_cast<double>(values.size()));
  const std::vector<double> correlation = Autocorrelation(changes, longest);
  const std::vector<size_t> peaks = Peaks(correlation, kShortestPeriod, std::max(kLeastCorrelation, 4 / root));
  if (peaks.empty()) return {};
  const size_t first = FirstPeriod(peaks, correlation);

  const std::vector<double> left = Autocorrelation(Differences(changes, first), longest);
  std::vector<size_t> multiples;
  for (const size_t lag : Peaks(left, 2 * first, std::max(kLeastCorrelation, 4 / root))) {
    if (lag % first <= 1 || lag % first == first - 1) multiples.push_back(lag);
  }
  const int period = static_cast<int>(first);
  if (!multiples.empty()) {
    const size_t strongest = StrongestOf(multiples, left);
    return {period, static_cast<int>((strongest + first / 2) / first) * period};
  }
  if (period >= kShortestWithLongCycle && kCyclesInCycle * first * 3 < values.size()) {
    return {period, kCyclesInCycle * period};
  }
  return {period};
}

}  // namespace pulseboard
