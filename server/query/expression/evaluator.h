// Evaluator: turns a checked expression into streams of series.
#pragma once

#include "absl/status/statusor.h"
#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard::expression {

// The streams of `node` over `grid`. Registers all selections with the context's source, reads nothing yet. `node`,
// the source and the text must outlive the streams.
// BAD_EXPRESSION for what cannot be known before the times are: a subquery of too many steps; later, from the streams:
// series that match several on the other side of an operator.
absl::StatusOr<VectorStreamPtr> EvaluateVector(const EvaluationContext& context, const Node& node, const Grid& grid);
absl::StatusOr<ScalarSource> EvaluateScalar(const EvaluationContext& context, const Node& node, const Grid& grid);

// A number as a vector: one series without labels.
VectorStreamPtr MakeScalarVector(ScalarSource scalar);

}  // namespace pulseboard::expression
