// The functions of the expression language and their signatures.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "server/query/expression/ast.h"

namespace pulseboard::expression {

enum class Function : uint8_t {
  // Of a range vector, series by series (window_functions.h).
  kRate,
  kIncrease,
  kDelta,
  kIrate,
  kIdelta,
  kDeriv,
  kResets,
  kChanges,
  kAvgOverTime,
  kMinOverTime,
  kMaxOverTime,
  kSumOverTime,
  kCountOverTime,
  kLastOverTime,
  kQuantileOverTime,
  kStddevOverTime,
  kStdvarOverTime,
  kPresentOverTime,
  kAbsentOverTime,
  // Of each value by itself.
  kAbs,
  kCeil,
  kFloor,
  kRound,
  kClamp,
  kClampMin,
  kClampMax,
  kExp,
  kLn,
  kLog2,
  kLog10,
  kSqrt,
  kSgn,
  // Of a whole vector.
  kAbsent,
  kScalar,
  kVector,
  kTime,
  kTimestamp,
  kLabelReplace,
  kLabelJoin,
  kSort,
  kSortDesc,
  kHistogramQuantile,
  kHistogramQuantileLow,
  kHistogramQuantileHigh,
};

struct FunctionInfo {
  Function function;
  std::string_view name;
  ValueType result;
  std::vector<ValueType> arguments;
  size_t optional = 0;   // how many of the last arguments may be left out
  bool repeats = false;  // the last argument may be given any number of times, also none
};

// Null for a name that is no function.
const FunctionInfo* FindFunction(std::string_view name);
// All of them, in no particular order.
const std::vector<FunctionInfo>& AllFunctions();

std::string_view TypeName(ValueType type);

}  // namespace pulseboard::expression
