#include "server/query/columns/grouping.h"

#include <algorithm>
#include <cmath>

#include "common/base/errors.h"
#include "server/query/expression/evaluation.h"
#include "server/query/expression/series_keys.h"
#include "server/query/expression/window_functions.h"

namespace pulseboard {

using expression::IsAbsent;
using expression::kNoValue;

absl::Status CheckGrouping(std::string_view field, const Grouping& grouping) {
  const std::string path(field);
  if (grouping.function == GroupFunction::kNone && (grouping.without || !grouping.labels.empty())) {
    return BadField(path + ".function", "none", "a function that says how series are combined");
  }
  if (grouping.function != GroupFunction::kQuantile) {
    if (grouping.quantile == 0) return absl::OkStatus();
    return BadField(path + ".quantile", std::to_string(grouping.quantile), "none but for QUANTILE");
  }
  if (grouping.quantile >= 0 && grouping.quantile <= 1) return absl::OkStatus();
  return BadField(path + ".quantile", std::to_string(grouping.quantile), "0 to 1");
}

SeriesKey GroupOf(const SeriesKey& key, const Grouping& grouping) {
  return grouping.without ? expression::DropLabels(key, grouping.labels) : expression::KeepLabels(key, grouping.labels);
}

GroupValues::GroupValues(const Grouping& grouping, size_t size) : grouping_(grouping), size_(size) {
  if (grouping.function == GroupFunction::kQuantile) return;
  counts_.resize(size);
  sums_.resize(size);
  lost_.resize(size);
}

size_t GroupValues::HeldPerGroup(const Grouping& grouping, size_t size) {
  return grouping.function == GroupFunction::kQuantile ? 0 : 3 * size;
}
size_t GroupValues::HeldPerSeries(const Grouping& grouping, size_t size) {
  return grouping.function == GroupFunction::kQuantile ? size : 0;
}

void GroupValues::Add(const std::vector<double>& values) {
  if (grouping_.function == GroupFunction::kQuantile) {
    members_.push_back(values);
    return;
  }
  for (size_t i = 0; i < size_; ++i) {
    const double value = values[i];
    if (IsAbsent(value)) continue;
    const bool first = counts_[i]++ == 0;
    switch (grouping_.function) {
      case GroupFunction::kMin:
        if (first || value < sums_[i]) sums_[i] = value;
        break;
      case GroupFunction::kMax:
        if (first || value > sums_[i]) sums_[i] = value;
        break;
      default: {
        const double sum = sums_[i] + value;
        lost_[i] += std::abs(sums_[i]) >= std::abs(value) ? (sums_[i] - sum) + value : (value - sum) + sums_[i];
        sums_[i] = sum;
      }
    }
  }
}

std::vector<double> GroupValues::Take() {
  std::vector<double> out(size_, kNoValue);
  std::vector<double> present;
  for (size_t i = 0; i < size_; ++i) {
    if (grouping_.function == GroupFunction::kQuantile) {
      present.clear();
      for (const std::vector<double>& member : members_) {
        if (!IsAbsent(member[i])) present.push_back(member[i]);
      }
      if (!present.empty()) out[i] = expression::Quantile(grouping_.quantile, &present);
      continue;
    }
    if (counts_[i] == 0) continue;
    const double sum = std::isfinite(sums_[i]) ? sums_[i] + lost_[i] : sums_[i];
    switch (grouping_.function) {
      case GroupFunction::kCount:
        out[i] = counts_[i];
        break;
      case GroupFunction::kAvg:
        out[i] = sum / counts_[i];
        break;
      case GroupFunction::kSum:
        out[i] = sum;
        break;
      default:
        out[i] = sums_[i];
    }
  }
  return out;
}

}  // namespace pulseboard
