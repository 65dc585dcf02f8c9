#include "server/query/expression/evaluator.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/aggregation.h"
#include "server/query/expression/binary.h"
#include "server/query/expression/functions.h"
#include "server/query/expression/selection.h"
#include "server/query/expression/vector_functions.h"

namespace pulseboard::expression {
namespace {

// What a function of a range does in each window.
struct WindowFunctionInfo {
  Function function;
  WindowKind kind;
};
constexpr WindowFunctionInfo kWindowFunctions[] = {
    {Function::kRate, WindowKind::kRate},
    {Function::kIncrease, WindowKind::kIncrease},
    {Function::kDelta, WindowKind::kDelta},
    {Function::kIrate, WindowKind::kIrate},
    {Function::kIdelta, WindowKind::kIdelta},
    {Function::kDeriv, WindowKind::kDeriv},
    {Function::kResets, WindowKind::kResets},
    {Function::kChanges, WindowKind::kChanges},
    {Function::kAvgOverTime, WindowKind::kAvg},
    {Function::kMinOverTime, WindowKind::kMin},
    {Function::kMaxOverTime, WindowKind::kMax},
    {Function::kSumOverTime, WindowKind::kSum},
    {Function::kCountOverTime, WindowKind::kCount},
    {Function::kLastOverTime, WindowKind::kLast},
    {Function::kQuantileOverTime, WindowKind::kQuantile},
    {Function::kStddevOverTime, WindowKind::kStddev},
    {Function::kStdvarOverTime, WindowKind::kStdvar},
    {Function::kPresentOverTime, WindowKind::kPresent},
    {Function::kAbsentOverTime, WindowKind::kPresent},
};

const WindowFunctionInfo* FindWindowFunction(Function function) {
  const auto* const it = std::find_if(std::begin(kWindowFunctions), std::end(kWindowFunctions),
                                      [function](const WindowFunctionInfo& info) { return info.function == function; });
  return it == std::end(kWindowFunctions) ? nullptr : it;
}

// A function of each value by itself; null for others.
double (*FindPlainFunction(Function function))(double) {
  switch (function) {
    case Function::kAbs:
      return [](double v) { return std::abs(v); };
    case Function::kCeil:
      return [](double v) { return std::ceil(v); };
    case Function::kFloor:
      return [](double v) { return std::floor(v); };
    case Function::kExp:
      return [](double v) { return std::exp(v); };
    case Function::kLn:
      return [](double v) { return std::log(v); };
    case Function::kLog2:
      return [](double v) { return std::log2(v); };
    case Function::kLog10:
      return [](double v) { return std::log10(v); };
    case Function::kSqrt:
      return [](double v) { return std::sqrt(v); };
    case Function::kSgn:
      return [](double v) { return v < 0 ? -1.0 : v > 0 ? 1.0 : v; };
    default:
      return nullptr;
  }
}

double NotBelow(double value, double least) {
  return std::isnan(value) || std::isnan(least) ? std::nan("") : std::max(value, least);
}
double NotAbove(double value, double most) {
  return std::isnan(value) || std::isnan(most) ? std::nan("") : std::min(value, most);
}

// A function of a value and the call's numbers at the same instant.
double Clamped(Function function, double value, double first, double second) {
  switch (function) {
    case Function::kClamp:
      return first > second ? kNoValue : NotBelow(NotAbove(value, second), first);
    case Function::kClampMin:
      return NotBelow(value, first);
    case Function::kClampMax:
      return NotAbove(value, first);
    default: {  // round, halves upwards
      const double inverse = 1.0 / first;
      return std::floor(value * inverse + 0.5) / inverse;
    }
  }
}

class ScalarVectorStream final : public VectorStream {
 public:
  explicit ScalarVectorStream(ScalarSource scalar) : scalar_(std::move(scalar)) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (std::exchange(done_, true)) return false;
    *out = {};
    PB_ASSIGN_OR_RETURN(out->values, scalar_());
    return true;
  }

 private:
  const ScalarSource scalar_;
  bool done_ = false;
};

ScalarSource Constant(double value, size_t size) {
  return [value, size]() -> absl::StatusOr<std::vector<double>> { return std::vector<double>(size, value); };
}

ScalarSource Times(const Grid& grid) {
  return [grid]() -> absl::StatusOr<std::vector<double>> {
    std::vector<double> values(grid.size);
    for (size_t i = 0; i < grid.size; ++i) {
      values[i] = static_cast<double>(grid.At(i)) / static_cast<double>(kNanosPerSecond);
    }
    return values;
  };
}

// Turns nodes into streams.
class Evaluator {
 public:
  Evaluator(const EvaluationContext& context, const Grid& grid) : context_(context), grid_(grid) {}

  absl::StatusOr<VectorStreamPtr> Vector(const Node& node) {
    if (const auto* selector = std::get_if<SelectorNode>(&node.what)) {
      return SelectWindows(context_, *selector, grid_, {WindowKind::kNewest, nullptr, true});
    }
    if (const auto* negation = std::get_if<NegationNode>(&node.what)) {
      PB_ASSIGN_OR_RETURN(VectorStreamPtr operand, Vector(*negation->operand));
      return Plain(std::move(operand), [](double v) { return -v; });
    }
    if (const auto* binary = std::get_if<BinaryNode>(&node.what)) return Binary(*binary, node.column);
    if (const auto* aggregation = std::get_if<AggregationNode>(&node.what)) return Aggregation(*aggregation);
    if (const auto* call = std::get_if<CallNode>(&node.what)) return Call(*call);
    return MakeError(ErrorReason::kInternal, "BUG: not a vector");
  }

  absl::StatusOr<ScalarSource> Scalar(const Node& node) {
    if (const auto* number = std::get_if<NumberNode>(&node.what)) return Constant(number->value, grid_.size);
    if (const auto* negation = std::get_if<NegationNode>(&node.what)) {
      PB_ASSIGN_OR_RETURN(ScalarSource operand, Scalar(*negation->operand));
      return ScalarSource([operand = std::move(operand)]() -> absl::StatusOr<std::vector<double>> {
        PB_ASSIGN_OR_RETURN(std::vector<double> values, operand());
        for (double& value : values) value = -value;
        return values;
      });
    }
    if (const auto* binary = std::get_if<BinaryNode>(&node.what)) {
      PB_ASSIGN_OR_RETURN(ScalarSource left, Scalar(*binary->left));
      PB_ASSIGN_OR_RETURN(ScalarSource right, Scalar(*binary->right));
      return ScalarOperator(*binary, std::move(left), std::move(right));
    }
    if (const auto* call = std::get_if<CallNode>(&node.what)) {
      if (call->function->function == Function::kTime) return Times(grid_);
      if (call->function->function == Function::kScalar) {
        PB_ASSIGN_OR_RETURN(VectorStreamPtr vector, Vector(*call->arguments[0]));
        return OnlySeries(std::move(vector), grid_.size);
      }
    }
    return MakeError(ErrorReason::kInternal, "BUG: not a number");
  }

 private:
  VectorStreamPtr Plain(VectorStreamPtr inner, double (*function)(double)) {
    return MapValues(
        std::move(inner),
        [function]() -> absl::StatusOr<ValueMap> {
          return ValueMap([function](double value, size_t) { return function(value); });
        },
        true);
  }

  absl::StatusOr<VectorStreamPtr> Binary(const BinaryNode& node, size_t column) {
    if (node.left->type == ValueType::kVector && node.right->type == ValueType::kVector) {
      PB_ASSIGN_OR_RETURN(VectorStreamPtr left, Vector(*node.left));
      PB_ASSIGN_OR_RETURN(VectorStreamPtr right, Vector(*node.right));
      return VectorOperator(context_, node, column, std::move(left), std::move(right), grid_.size);
    }
    const bool vector_left = node.left->type == ValueType::kVector;
    PB_ASSIGN_OR_RETURN(VectorStreamPtr vector, Vector(vector_left ? *node.left : *node.right));
    PB_ASSIGN_OR_RETURN(ScalarSource scalar, Scalar(vector_left ? *node.right : *node.left));
    return VectorScalarOperator(node, std::move(vector), std::move(scalar), vector_left);
  }

  absl::StatusOr<VectorStreamPtr> Aggregation(const AggregationNode& node) {
    PB_ASSIGN_OR_RETURN(VectorStreamPtr operand, Vector(*node.operand));
    if (node.parameter == nullptr) return Aggregate(context_, node, std::move(operand), grid_.size);
    ScalarSource parameter;
    if (node.op != AggregationOp::kCountValues) {
      PB_ASSIGN_OR_RETURN(parameter, Scalar(*node.parameter));
    }
    return AggregateHolding(context_, node, std::move(parameter), std::move(operand), grid_.size);
  }

  absl::StatusOr<VectorStreamPtr> Call(const CallNode& call) {
    const Function function = call.function->function;
    if (const auto* window = FindWindowFunction(function)) return WindowCall(call, *window);
    if (auto* plain = FindPlainFunction(function)) {
      PB_ASSIGN_OR_RETURN(VectorStreamPtr inner, Vector(*call.arguments[0]));
      return Plain(std::move(inner), plain);
    }
    switch (function) {
      case Function::kRound:
      case Function::kClamp:
      case Function::kClampMin:
      case Function::kClampMax:
        return ClampCall(call);
      case Function::kVector: {
        PB_ASSIGN_OR_RETURN(ScalarSource scalar, Scalar(*call.arguments[0]));
        return MakeScalarVector(std::move(scalar));
      }
      case Function::kTimestamp:
        return TimestampCall(*call.arguments[0]);
      case Function::kHistogramQuantile:
      case Function::kHistogramQuantileLow:
      case Function::kHistogramQuantileHigh: {
        PB_ASSIGN_OR_RETURN(ScalarSource phi, Scalar(*call.arguments[0]));
        PB_ASSIGN_OR_RETURN(VectorStreamPtr buckets, Vector(*call.arguments[1]));
        return HistogramQuantile(context_, call.function->function, std::move(phi), std::move(buckets), grid_.size);
      }
      default:
        return WholeVectorCall(call);
    }
  }

  absl::StatusOr<VectorStreamPtr> WholeVectorCall(const CallNode& call) {
    PB_ASSIGN_OR_RETURN(VectorStreamPtr inner, Vector(*call.arguments[0]));
    switch (call.function->function) {
      case Function::kAbsent:
        return Absent(context_, std::move(inner), *call.arguments[0], grid_.size);
      case Function::kLabelReplace:
        return MapLabels(std::move(inner), MakeLabelReplace(call));
      case Function::kLabelJoin:
        return MapLabels(std::move(inner), MakeLabelJoin(call));
      case Function::kSort:
      case Function::kSortDesc:
        if (grid_.size > 1) return inner;
        return Sorted(context_, std::move(inner), call.function->function == Function::kSortDesc);
      default:
        return MakeError(ErrorReason::kInternal,
                         "BUG: function '" + std::string(call.function->name) + "' has no code");
    }
  }

  absl::StatusOr<VectorStreamPtr> WindowCall(const CallNode& call, const WindowFunctionInfo& info) {
    Windowed windowed;
    windowed.kind = info.kind;
    windowed.keep_name = info.function == Function::kLastOverTime;
    if (info.function == Function::kQuantileOverTime) {
      PB_ASSIGN_OR_RETURN(windowed.parameter, Scalar(*call.arguments[0]));
    }
    const Node& range = *call.arguments.back();
    VectorStreamPtr stream;
    if (const auto* subquery = std::get_if<SubqueryNode>(&range.what)) {
      PB_ASSIGN_OR_RETURN(stream, SubqueryWindows(context_, *subquery, range.column, grid_, std::move(windowed)));
    } else {
      stream = SelectWindows(context_, std::get<SelectorNode>(range.what), grid_, std::move(windowed));
    }
    if (info.function != Function::kAbsentOverTime) return stream;
    return Absent(context_, std::move(stream), range, grid_.size);
  }

  absl::StatusOr<VectorStreamPtr> ClampCall(const CallNode& call) {
    PB_ASSIGN_OR_RETURN(VectorStreamPtr inner, Vector(*call.arguments[0]));
    ScalarSource first = Constant(1, grid_.size);  // round to whole numbers
    if (call.arguments.size() > 1) {
      PB_ASSIGN_OR_RETURN(first, Scalar(*call.arguments[1]));
    }
    ScalarSource second = first;
    if (call.arguments.size() > 2) {
      PB_ASSIGN_OR_RETURN(second, Scalar(*call.arguments[2]));
    }
    PrepareValueMap prepare = [function = call.function->function, first, second]() -> absl::StatusOr<ValueMap> {
      PB_ASSIGN_OR_RETURN(std::vector<double> firsts, first());
      std::vector<double> seconds;
      if (function == Function::kClamp) {
        PB_ASSIGN_OR_RETURN(seconds, second());
      }
      return ValueMap([function, firsts = std::move(firsts), seconds = std::move(seconds)](double value, size_t i) {
        return Clamped(function, value, firsts[i], seconds.empty() ? 0 : seconds[i]);
      });
    };
    return MapValues(std::move(inner), std::move(prepare), true);
  }

  // Of a selector, the times of its samples; else the instants of evaluation.
  absl::StatusOr<VectorStreamPtr> TimestampCall(const Node& argument) {
    if (const auto* selector = std::get_if<SelectorNode>(&argument.what)) {
      return SelectWindows(context_, *selector, grid_, {WindowKind::kTimestamp, nullptr, false});
    }
    PB_ASSIGN_OR_RETURN(VectorStreamPtr inner, Vector(argument));
    PrepareValueMap prepare = [times = Times(grid_)]() -> absl::StatusOr<ValueMap> {
      PB_ASSIGN_OR_RETURN(std::vector<double> values, times());
      return ValueMap([values = std::move(values)](double, size_t i) { return values[i]; });
    };
    return MapValues(std::move(inner), std::move(prepare), true);
  }

  const EvaluationContext& context_;
  const Grid grid_;
};

}  // namespace

absl::StatusOr<VectorStreamPtr> EvaluateVector(const EvaluationContext& context, const Node& node, const Grid& grid) {
  return Evaluator(context, grid).Vector(node);
}

absl::StatusOr<ScalarSource> EvaluateScalar(const EvaluationContext& context, const Node& node, const Grid& grid) {
  return Evaluator(context, grid).Scalar(node);
}

VectorStreamPtr MakeScalarVector(ScalarSource scalar) {
  return std::make_unique<ScalarVectorStream>(std::move(scalar));
}

}  // namespace pulseboard::expression
