// What columns of time should hold, computed the plain way: over all samples, one by one, with the C library's
// calendar.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/columns/aggregates.h"
#include "server/query/columns/time_columns.h"

namespace pulseboard::testing {

inline double ReferenceQuantile(double phi, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double rank = phi * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(rank);
  const size_t high = std::min(low + 1, values.size() - 1);
  const double weight = rank - static_cast<double>(low);
  return values[low] == values[high] ? values[low] : values[low] * (1 - weight) + values[high] * weight;
}

// One aggregate of the samples within `in` (of one column), all samples of the series at hand.
inline std::optional<double> ReferenceValue(const Aggregate& aggregate, MetricKind kind,
                                            const std::map<int64_t, double>& all, TimeRange in, int64_t lookback) {
  std::vector<std::pair<int64_t, double>> numbers;
  for (auto it = all.lower_bound(in.start); it != all.end() && it->first < in.end; ++it) {
    if (!std::isnan(it->second)) numbers.emplace_back(*it);
  }
  if (numbers.empty()) return std::nullopt;
  std::optional<std::pair<int64_t, double>> before;
  for (auto it = all.lower_bound(in.start); it != all.begin();) {
    --it;
    if (std::isnan(it->second)) continue;
    if (numbers[0].first - it->first <= lookback) before = *it;
    break;
  }
  long double sum = 0;
  for (const auto& [time, value] : numbers) sum += value;
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  switch (aggregate.kind) {
    case AggregateKind::kAvg:
      return static_cast<double>(sum / static_cast<long double>(numbers.size()));
    case AggregateKind::kSum:
      return static_cast<double>(sum);
    case AggregateKind::kMin:
      return std::min_element(numbers.begin(), numbers.end(), less)->second;
    case AggregateKind::kMax:
      return std::max_element(numbers.begin(), numbers.end(), less)->second;
    case AggregateKind::kCount:
      return static_cast<double>(numbers.size());
    case AggregateKind::kFirst:
      return numbers.front().second;
    case AggregateKind::kLast:
      return numbers.back().second;
    case AggregateKind::kQuantile: {
      std::vector<double> values;
      for (const auto& [time, value] : numbers) values.push_back(value);
      return ReferenceQuantile(aggregate.quantile, std::move(values));
    }
    case AggregateKind::kIncrease:
    case AggregateKind::kRate:
      break;
  }
  long double growth = 0;
  std::vector<std::pair<int64_t, double>> steps = numbers;
  if (before) steps.insert(steps.begin(), *before);
  const int64_t covered = steps.back().first - steps.front().first;
  const bool rate = aggregate.kind == AggregateKind::kRate;
  for (size_t i = 1; i < steps.size(); ++i) {
    const double a = steps[i - 1].second, b = steps[i].second;
    growth += kind == MetricKind::kDelta ? b : b < a ? b : b - a;
  }
  if (kind == MetricKind::kDelta && !before && !rate) growth += numbers.front().second;
  if (covered == 0 && (kind != MetricKind::kDelta || rate)) return std::nullopt;
  return static_cast<double>(rate ? growth / (static_cast<long double>(covered) / 1e9L) : growth);
}

}  // namespace pulseboard::testing
