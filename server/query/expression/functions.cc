#include "server/query/expression/functions.h"

#include <algorithm>

namespace pulseboard::expression {

const std::vector<FunctionInfo>& AllFunctions() {
  constexpr ValueType kScalar = ValueType::kScalar;
  constexpr ValueType kVector = ValueType::kVector;
  constexpr ValueType kRange = ValueType::kRange;
  constexpr ValueType kString = ValueType::kString;
  static const auto* const functions = new std::vector<FunctionInfo>{
      {Function::kRate, "rate", kVector, {kRange}},
      {Function::kIncrease, "increase", kVector, {kRange}},
      {Function::kDelta, "delta", kVector, {kRange}},
      {Function::kIrate, "irate", kVector, {kRange}},
      {Function::kIdelta, "idelta", kVector, {kRange}},
      {Function::kDeriv, "deriv", kVector, {kRange}},
      {Function::kResets, "resets", kVector, {kRange}},
      {Function::kChanges, "changes", kVector, {kRange}},
      {Function::kAvgOverTime, "avg_over_time", kVector, {kRange}},
      {Function::kMinOverTime, "min_over_time", kVector, {kRange}},
      {Function::kMaxOverTime, "max_over_time", kVector, {kRange}},
      {Function::kSumOverTime, "sum_over_time", kVector, {kRange}},
      {Function::kCountOverTime, "count_over_time", kVector, {kRange}},
      {Function::kLastOverTime, "last_over_time", kVector, {kRange}},
      {Function::kQuantileOverTime, "quantile_over_time", kVector, {kScalar, kRange}},
      {Function::kStddevOverTime, "stddev_over_time", kVector, {kRange}},
      {Function::kStdvarOverTime, "stdvar_over_time", kVector, {kRange}},
      {Function::kPresentOverTime, "present_over_time", kVector, {kRange}},
      {Function::kAbsentOverTime, "absent_over_time", kVector, {kRange}},
      {Function::kAbs, "abs", kVector, {kVector}},
      {Function::kCeil, "ceil", kVector, {kVector}},
      {Function::kFloor, "floor", kVector, {kVector}},
      {Function::kRound, "round", kVector, {kVector, kScalar}, 1},
      {Function::kClamp, "clamp", kVector, {kVector, kScalar, kScalar}},
      {Function::kClampMin, "clamp_min", kVector, {kVector, kScalar}},
      {Function::kClampMax, "clamp_max", kVector, {kVector, kScalar}},
      {Function::kExp, "exp", kVector, {kVector}},
      {Function::kLn, "ln", kVector, {kVector}},
      {Function::kLog2, "log2", kVector, {kVector}},
      {Function::kLog10, "log10", kVector, {kVector}},
      {Function::kSqrt, "sqrt", kVector, {kVector}},
      {Function::kSgn, "sgn", kVector, {kVector}},
      {Function::kAbsent, "absent", kVector, {kVector}},
      {Function::kScalar, "scalar", kScalar, {kVector}},
      {Function::kVector, "vector", kVector, {kScalar}},
      {Function::kTime, "time", kScalar, {}},
      {Function::kTimestamp, "timestamp", kVector, {kVector}},
      {Function::kLabelReplace, "label_replace", kVector, {kVector, kString, kString, kString, kString}},
      {Function::kLabelJoin, "label_join", kVector, {kVector, kString, kString, kString}, 0, true},
      {Function::kSort, "sort", kVector, {kVector}},
      {Function::kSortDesc, "sort_desc", kVector, {kVector}},
      {Function::kHistogramQuantile, "histogram_quantile", kVector, {kScalar, kVector}},
      {Function::kHistogramQuantileLow, "histogram_quantile_low", kVector, {kScalar, kVector}},
      {Function::kHistogramQuantileHigh, "histogram_quantile_high", kVector, {kScalar, kVector}},
  };
  return *functions;
}

const FunctionInfo* FindFunction(std::string_view name) {
  const auto& all = AllFunctions();
  const auto it = std::find_if(all.begin(), all.end(), [name](const FunctionInfo& info) { return info.name == name; });
  return it == all.end() ? nullptr : &*it;
}

std::string_view TypeName(ValueType type) {
  switch (type) {
    case ValueType::kScalar:
      return "a number";
    case ValueType::kVector:
      return "an instant vector";
    case ValueType::kRange:
      return "a range vector such as x[5m]";
    case ValueType::kString:
      return "a quoted text";
  }
  return "";
}

}  // namespace pulseboard::expression
