// Windows: at which instants a selection of an expression is looked at, how far back from each, and for what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/model/labels.h"
#include "common/model/rollups.h"
#include "common/model/samples.h"

namespace pulseboard::expression {

// The instants start, start + step, …: `size` of them. REQUIRES: size > 0, step >= 0.
struct Grid {
  int64_t start = 0;  // unix nanoseconds
  int64_t step = 1;
  size_t size = 1;

  int64_t At(size_t i) const { return start + static_cast<int64_t>(i) * step; }
  int64_t last() const { return At(size - 1); }
  // The first instant not before `time`.
  std::optional<int64_t> FirstFrom(int64_t time) const;
};

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
// NaN samples are seen; elsewhere they are no values.
bool SeesNaN(WindowKind kind);
// Only the newest sample of a window counts, so that it does not matter what else a bucket holds that it ends.
bool SeesOnlyNewest(WindowKind kind);
// Whether rollups of a series of this kind have what it takes, and which columns of them that is (beside counts, first
// and last).
bool ReadsRollups(WindowKind kind, MetricKind metric);
RollupFields RollupFieldsOf(WindowKind kind);

// At each instant T of the grid the window is (T - length_ns, T].
struct Windows {
  WindowKind kind = WindowKind::kNewest;
  Grid grid;
  int64_t length_ns = 0;
  int64_t max_gap_ns = 0;  // an older sample before the window does not count; see NeedsSampleBefore

  // The times that are looked at from `instant`, samples before the window included.
  TimeRange Readable(int64_t instant) const;
  TimeRange Readable() const { return {Readable(grid.start).start, Readable(grid.last()).end}; }
  // The first edge of a window not before `time`: the samples up to and with it are on the one side, later ones on the
  // other.
  std::optional<int64_t> FirstEdgeFrom(int64_t time) const;
};

// What takes the samples of one series, ascending, in the form in which they are kept. Not thread-safe.
class WindowInput {
 public:
  virtual ~WindowInput() = default;
  virtual absl::Status AddSamples(const SampleColumns& piece) = 0;
  // Buckets with all columns of RollupFieldsOf. One counts in the windows that hold its last sample, whole: no edge
  // should lie from its first sample up to its last. `reach_ns`: how long its last value is at least the newest one.
  virtual absl::Status AddBuckets(const RollupColumns& piece, int64_t reach_ns) = 0;
};

// a + b, a - b without overflow.
inline int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t out = 0;
  if (!__builtin_add_overflow(a, b, &out)) return out;
  return b < 0 ? INT64_MIN : INT64_MAX;
}
inline int64_t SaturatingSubtract(int64_t a, int64_t b) {
  int64_t out = 0;
  if (!__builtin_sub_overflow(a, b, &out)) return out;
  return b > 0 ? INT64_MIN : INT64_MAX;
}

}  // namespace pulseboard::expression
