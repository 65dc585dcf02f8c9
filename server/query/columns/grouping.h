// Grouping: values of several series at the same place combined into one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/model/labels.h"

namespace pulseboard {

enum class GroupFunction : uint8_t { kNone, kSum, kAvg, kMin, kMax, kCount, kQuantile };

// kNone: series stay by themselves. Series with the same labels, of those named (or, with `without`, of the others, the
// metric name excepted), make one group; `__name__` may be named.
struct Grouping {
  GroupFunction function = GroupFunction::kNone;
  double quantile = 0;  // of kQuantile, 0 to 1
  bool without = false;
  std::vector<std::string> labels;
};

absl::Status CheckGrouping(std::string_view field, const Grouping& grouping);
SeriesKey GroupOf(const SeriesKey& key, const Grouping& grouping);

// The values of one group at `size` places. Sums are compensated. Places without a value stay so (kNoValue).
class GroupValues {
 public:
  GroupValues(const Grouping& grouping, size_t size);
  // What one more series adds to what is held: values of 8 bytes.
  static size_t HeldPerGroup(const Grouping& grouping, size_t size);
  static size_t HeldPerSeries(const Grouping& grouping, size_t size);
  void Add(const std::vector<double>& values);
  std::vector<double> Take();

 private:
  const Grouping& grouping_;
  const size_t size_;
  std::vector<double> counts_, sums_, lost_;
  std::vector<std::vector<double>> members_;  // of kQuantile
};

}  // namespace pulseboard
