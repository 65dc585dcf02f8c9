// Aggregations: many series to one per group.
#pragma once

#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard::expression {

// sum, avg, min, max, count, group, stddev, stdvar: hold one column per group and moment.
VectorStreamPtr Aggregate(const EvaluationContext& context, const AggregationNode& node, VectorStreamPtr inner,
                          size_t grid_size);
// topk, bottomk, quantile, count_values: hold every series. `parameter` is null for count_values.
VectorStreamPtr AggregateHolding(const EvaluationContext& context, const AggregationNode& node, ScalarSource parameter,
                                 VectorStreamPtr inner, size_t grid_size);

}  // namespace pulseboard::expression
