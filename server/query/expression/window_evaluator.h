// WindowEvaluator: moves windows over the samples of one series, or over rollups of them, in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/query/expression/window_functions.h"
#include "server/query/expression/windows.h"

namespace pulseboard::expression {

struct WindowOptions {
  Windows windows;
  std::vector<double> parameters;             // kQuantile: one per instant
  std::function<absl::Status()> check_alive;  // called every few thousand samples
};

// O(samples + instants), but for kQuantile, which is O(samples of each window). Holds the samples of one window and of
// one piece. A bucket takes the place of a sample: with the times and values of its first and last samples, and with
// what of the others the function needs. Not thread-safe.
class WindowEvaluator final : public WindowInput {
 public:
  explicit WindowEvaluator(WindowOptions options);
  absl::Status AddSamples(const SampleColumns& piece) override;
  absl::Status AddBuckets(const RollupColumns& piece, int64_t reach_ns) override;
  // One value per instant. The evaluator is done.
  absl::StatusOr<std::vector<double>> Finish();

 private:
  void PushSample(int64_t time, double value);
  // From the first bucket on, samples are kept as buckets of one.
  void StartBuckets();
  void PushBucket(const Rollup& rollup, int64_t reach_ns);
  absl::Status EvaluateUpTo(int64_t time);
  absl::Status Work(size_t samples);
  double Value();
  void Trim();

  const WindowOptions options_;
  const RollupFields fields_;
  std::unique_ptr<WindowFunction> function_;
  std::vector<int64_t> times_;
  std::vector<double> values_;
  bool has_buckets_ = false;
  RollupColumns buckets_;         // beside times_ and values_: those of the other columns that the function needs
  std::vector<int64_t> reaches_;  // the same
  uint64_t trimmed_ = 0;          // samples dropped from the front of the buffer
  size_t low_ = 0;                // the window of the current instant: [low_, high_) of the buffer
  size_t high_ = 0;
  size_t work_ = 0;
  std::vector<double> results_;
};

}  // namespace pulseboard::expression
