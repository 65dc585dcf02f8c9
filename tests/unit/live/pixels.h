// What shows of samples in pixel columns.
#pragma once

#include <cstdint>
#include <map>

#include "common/analysis/m4.h"
#include "common/analysis/rollup.h"
#include "common/model/samples.h"

namespace pulseboard::testing {

// First, smallest, largest and last of each column, which begin at multiples of `width`.
inline SampleColumns PixelsOf(const SampleColumns& samples, int64_t width) {
  if (samples.empty()) return {};
  const int64_t first = BucketStart(samples.times.front(), width);
  M4Reducer reducer({first, first + width}, 1);
  reducer.StartReducing();
  reducer.Add(samples);
  return reducer.Finish();
}

inline SampleColumns ColumnsOf(const std::map<int64_t, double>& samples) {
  SampleColumns columns;
  for (const auto& [time, value] : samples) columns.push_back(time, value);
  return columns;
}

}  // namespace pulseboard::testing
