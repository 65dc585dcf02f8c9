// Functions of a window of time that moves over the samples of one series, in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard::expression {

enum class WindowKind : uint8_t {
  kNewest,     // an instant vector: the newest sample; none when it is NaN
  kTimestamp,  // the same, but its time in seconds
  kRate,
  kIncrease,
  kDelta,
  kIrate,
  kIdelta,
  kDeriv,
  kResets,
  kChanges,
  kAvg,
  kMin,
  kMax,
  kSum,
  kCount,
  kLast,
  kQuantile,
  kStddev,
  kStdvar,
  kPresent,
  kDeltaIncrease,  // kIncrease and kRate of a counter whose samples are increases
  kDeltaRate,
};

// What `kind` is for a series of this metric kind.
WindowKind KindFor(WindowKind kind, MetricKind metric);

// The sample before a window takes part: the step from it to the window's first sample.
bool NeedsSampleBefore(WindowKind kind);

// The samples of one window, as indices into a buffer; never empty.
struct WindowSamples {
  const int64_t* times = nullptr;  // of sample `first`, and so on; [-1] is there when has_before
  const double* values = nullptr;
  size_t count = 0;
  uint64_t first = 0;       // number of the first sample since the beginning of the series
  bool has_before = false;  // the sample before the first is close enough to count
  double parameter = 0;
};

class WindowFunction {
 public:
  virtual ~WindowFunction() = default;
  // Windows come in order: neither their first nor their last sample ever goes back.
  virtual double Value(const WindowSamples& window) = 0;
};

struct WindowOptions {
  WindowKind kind = WindowKind::kNewest;
  Grid grid;  // at each instant T the window is (T - length_ns, T]
  int64_t length_ns = 0;
  int64_t max_gap_ns = 0;                     // an older sample before the window does not count; see NeedsSampleBefore
  std::vector<double> parameters;             // kQuantile: one per instant
  std::function<absl::Status()> check_alive;  // called every few thousand samples
};

// Moves the window over one series. O(samples + instants), but for kQuantile, which is O(samples of each window). Holds
// the samples of one window and of one piece. Not thread-safe.
class WindowEvaluator {
 public:
  explicit WindowEvaluator(WindowOptions options);
  // Samples of pieces ascend, within and from piece to piece.
  absl::Status Add(const SampleColumns& piece);
  // One value per instant. The evaluator is done.
  absl::StatusOr<std::vector<double>> Finish();

 private:
  absl::Status EvaluateUpTo(int64_t time);
  absl::Status Work(size_t samples);
  double Value();
  void Trim();

  const WindowOptions options_;
  std::unique_ptr<WindowFunction> function_;
  std::vector<int64_t> times_;
  std::vector<double> values_;
  uint64_t trimmed_ = 0;  // samples dropped from the front of the buffer
  size_t low_ = 0;        // the window of the current instant: [low_, high_) of the buffer
  size_t high_ = 0;
  size_t work_ = 0;
  std::vector<double> results_;
};

// The φ-quantile of `values` (not empty, reordered), interpolated between neighbours; -Inf below 0, Inf above 1.
double Quantile(double phi, std::vector<double>* values);

}  // namespace pulseboard::expression
