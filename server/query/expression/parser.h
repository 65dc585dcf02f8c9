// Parser of the expression language; LANGUAGE.md beside it is its manual.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/query/expression/ast.h"

namespace pulseboard::expression {

inline constexpr size_t kMaxExpressionBytes = 8'192;
inline constexpr size_t kMaxDepth = 64;   // of nested operands
inline constexpr size_t kMaxNodes = 512;  // operators, calls, selectors and literals

// The checked tree: types fit everywhere, and the whole is a number or an instant vector.
// INVALID_ARGUMENT/BAD_EXPRESSION naming the column (1-based byte), what was found and what would be accepted.
absl::StatusOr<NodePtr> Parse(std::string_view text);

}  // namespace pulseboard::expression
