// Functions of vectors: value by value, of labels, and of the vector as a whole.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"
#include "server/query/expression/functions.h"

namespace pulseboard::expression {

// The value at instant i; kNoValue takes it away. Not called for absent values.
using ValueMap = std::function<double(double value, size_t i)>;
// Prepared once, before the first series.
using PrepareValueMap = std::function<absl::StatusOr<ValueMap>()>;

// Series without any value left are dropped. `drop_name`: the values are others now.
VectorStreamPtr MapValues(VectorStreamPtr inner, PrepareValueMap prepare, bool drop_name);
VectorStreamPtr MapLabels(VectorStreamPtr inner, std::function<void(SeriesKey*)> map);

// Of the arguments of a call to label_replace or label_join, which the parser has checked.
std::function<void(SeriesKey*)> MakeLabelReplace(const CallNode& call);
std::function<void(SeriesKey*)> MakeLabelJoin(const CallNode& call);

// One series of ones where `inner` has no series; its labels are those that `of` fixes with `=`, if it is a selector.
VectorStreamPtr Absent(const EvaluationContext& context, VectorStreamPtr inner, const Node& of, size_t grid_size);
// The value of the only series at each instant, NaN where there is none or more than one.
ScalarSource OnlySeries(VectorStreamPtr inner, size_t grid_size);
// By value, when the grid is one instant; else as it comes.
VectorStreamPtr Sorted(const EvaluationContext& context, VectorStreamPtr inner, bool descending);
// Of buckets: series that differ in `le`, the upper bound of what they count. `which`: kHistogramQuantile, or the lower
// (kHistogramQuantileLow) or upper bound of the bucket that holds it.
VectorStreamPtr HistogramQuantile(const EvaluationContext& context, Function which, ScalarSource phi,
                                  VectorStreamPtr inner, size_t grid_size);

}  // namespace pulseboard::expression
