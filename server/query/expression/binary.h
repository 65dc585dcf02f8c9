// Operators between numbers and vectors.
#pragma once

#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"

namespace pulseboard::expression {

// a op b. Comparisons give 1 or 0.
double Compute(BinaryOp op, double a, double b);

ScalarSource ScalarOperator(const BinaryNode& node, ScalarSource left, ScalarSource right);
// One side a vector, the other a number. `vector_left`: which.
VectorStreamPtr VectorScalarOperator(const BinaryNode& node, VectorStreamPtr vector, ScalarSource scalar,
                                     bool vector_left);
// Between vectors, also and, or, unless. `column`: of the operator, for errors.
VectorStreamPtr VectorOperator(const EvaluationContext& context, const BinaryNode& node, size_t column,
                               VectorStreamPtr left, VectorStreamPtr right, size_t grid_size);

}  // namespace pulseboard::expression
