// Writes an expression so that Parse reads the same tree back: the canonical text.
#pragma once

#include <string>
#include <string_view>

#include "server/query/expression/ast.h"

namespace pulseboard::expression {

std::string Print(const Node& node);
// As in the language: `+`, `and`, `sum`.
std::string_view OperatorText(BinaryOp op);
std::string_view AggregationName(AggregationOp op);
// Higher binds tighter; see LANGUAGE.md.
int Precedence(BinaryOp op);
inline constexpr int kLowestPrecedence = 1;
inline constexpr int kNegationPrecedence = 5;  // as `*`
inline constexpr int kPowerPrecedence = 6;

// The shortest text that reads as this value again.
std::string FormatNumber(double value);

}  // namespace pulseboard::expression
