// Functions of a window of time that moves over the samples of one series. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/query/expression/windows.h"

namespace pulseboard::expression {

// What one window holds, samples or buckets of them, never empty. `times` and `values` are those of samples or of the
// last sample of each bucket; [-1] is there when has_before.
struct WindowSamples {
  const int64_t* times = nullptr;
  const double* values = nullptr;
  // Of buckets, as far as the function needs them; of samples the same as times and values.
  const int64_t* first_times = nullptr;
  const double* firsts = nullptr;
  const double* sums = nullptr;
  const double* mins = nullptr;
  const double* maxs = nullptr;
  const double* resets = nullptr;   // null: none
  const int64_t* counts = nullptr;  // null: one each
  size_t count = 0;
  uint64_t first = 0;       // number of the first since the beginning of the series
  bool has_before = false;  // the sample before the first is close enough to count
  double parameter = 0;
};

class WindowFunction {
 public:
  virtual ~WindowFunction() = default;
  // Windows come in order: neither their first nor their last sample ever goes back.
  virtual double Value(const WindowSamples& window) = 0;
};

std::unique_ptr<WindowFunction> MakeWindowFunction(WindowKind kind);

// The φ-quantile of `values` (not empty, reordered), interpolated between neighbours; -Inf below 0, Inf above 1.
double Quantile(double phi, std::vector<double>* values);

}  // namespace pulseboard::expression
