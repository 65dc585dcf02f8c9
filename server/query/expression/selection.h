// Streams that begin at samples: selectors and subqueries, as instant vectors or under a function of a range.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "server/query/expression/ast.h"
#include "server/query/expression/evaluation.h"
#include "server/query/expression/windows.h"

namespace pulseboard::expression {

// What to do with the samples of each series.
struct Windowed {
  WindowKind kind = WindowKind::kNewest;
  ScalarSource parameter;  // kQuantile
  bool keep_name = false;
};

VectorStreamPtr SelectWindows(const EvaluationContext& context, const SelectorNode& selector, const Grid& grid,
                              Windowed windowed);
// BAD_EXPRESSION when the subquery has more than kMaxInstants steps. `column`: of the subquery.
absl::StatusOr<VectorStreamPtr> SubqueryWindows(const EvaluationContext& context, const SubqueryNode& subquery,
                                                size_t column, const Grid& grid, Windowed windowed);

}  // namespace pulseboard::expression
