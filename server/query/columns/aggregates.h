// Aggregates: what is told of the samples of one series in one column of time.
//
// NaN samples are no values and left out. Counters are exact, as in expressions (expression/LANGUAGE.md): between two
// neighbouring samples a cumulative counter grows by their difference, or, when it fell, by the later value; the step
// into a column from the last sample before it counts, unless that is further away than `query.lookback`. Nothing is
// extrapolated, increases of neighbouring columns add up. A sample of a delta counter is itself the increase since the
// one before.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/analysis/quantile_sketch.h"
#include "common/model/labels.h"
#include "common/model/rollups.h"

namespace pulseboard {

enum class AggregateKind : uint8_t {
  kAvg,
  kSum,
  kMin,
  kMax,
  kCount,
  kFirst,
  kLast,
  kQuantile,
  kIncrease,
  kRate,  // increase per second of the time it covers
};
inline constexpr int kAggregateKinds = 10;

struct Aggregate {
  AggregateKind kind = AggregateKind::kAvg;
  double quantile = 0;  // of kQuantile, 0 to 1
  bool operator==(const Aggregate&) const = default;
};

// BAD_FIELD for a quantile outside 0 to 1, or one where it does not belong.
absl::Status CheckAggregates(std::string_view field, std::span<const Aggregate> aggregates);

// What a set of aggregates needs of the store.
struct AggregateNeeds {
  RollupFields fields;  // of rollups
  bool values = false;  // every single value: samples, not rollups
  bool before = false;  // the last sample before the first column
  bool falls = false;   // where a counter fell
};
AggregateNeeds NeedsOf(std::span<const Aggregate> aggregates);

// The samples of one column that has any.
struct ColumnState {
  MetricKind kind = MetricKind::kGauge;
  Rollup rollup;
  bool has_before = false;  // a sample before, near enough
  int64_t before_time = 0;
  double before = 0;
  bool falls_known = true;           // resets of the rollup are those of all samples
  QuantileSketch* sketch = nullptr;  // null: the single values are not known
};

// The value, or kNoValue (expression/evaluation.h) where there is none: no numbers in the column; a rate or increase of
// a single sample of which nothing is known before; a quantile of values that only rollups know of.
double ValueOf(const Aggregate& aggregate, const ColumnState& column);

}  // namespace pulseboard
