#include "server/query/expression/printer.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "common/base/units.h"
#include "server/query/expression/functions.h"
#include "server/query/expression/lexer.h"

namespace pulseboard::expression {
namespace {

constexpr int kPrimaryPrecedence = 10;

int PrecedenceOf(const Node& node) {
  if (const auto* binary = std::get_if<BinaryNode>(&node.what)) return Precedence(binary->op);
  if (std::holds_alternative<NegationNode>(node.what)) return kNegationPrecedence;
  return kPrimaryPrecedence;
}

std::string InParentheses(const std::string& text) { return "(" + text + ")"; }

std::string Operand(const Node& node, int least) {
  return PrecedenceOf(node) < least ? InParentheses(Print(node)) : Print(node);
}

std::string LabelList(const std::vector<std::string>& labels) {
  std::string out;
  for (const std::string& label : labels) out += (out.empty() ? "" : ", ") + label;
  return InParentheses(out);
}

std::string MatcherText(const Matcher& matcher) {
  constexpr std::array<std::string_view, 4> kOps = {"=", "!=", "=~", "!~"};
  return matcher.label() + std::string(kOps[static_cast<size_t>(matcher.op())]) + QuoteText(matcher.value());
}

std::string ShiftText(const TimeShift& shift) {
  std::string out;
  switch (shift.anchor) {
    case TimeShift::Anchor::kNone:
      break;
    case TimeShift::Anchor::kTime: {
      const int64_t millis = shift.time_unix_nanos / kNanosPerMilli;
      char text[32];
      std::snprintf(text, sizeof(text), "%s%lld.%03lld", millis < 0 ? "-" : "", std::llabs(millis / 1'000),
                    std::llabs(millis % 1'000));
      out += std::string(" @ ") + text;
      break;
    }
    case TimeShift::Anchor::kStart:
      out += " @ start()";
      break;
    case TimeShift::Anchor::kEnd:
      out += " @ end()";
      break;
  }
  if (shift.offset_ns > 0) out += " offset " + FormatDuration(shift.offset_ns);
  if (shift.offset_ns < 0) out += " offset -" + FormatDuration(-shift.offset_ns);
  return out;
}

std::string Text(const NumberNode& node) { return FormatNumber(node.value); }
std::string Text(const StringNode& node) { return QuoteText(node.value); }

std::string Text(const SelectorNode& node) {
  const auto& matchers = node.selector.matchers();
  std::string out;
  std::string conditions;
  size_t first = 0;
  const bool named =
      !matchers.empty() && matchers[0].label() == kMetricNameLabel && matchers[0].op() == Matcher::Op::kEqual;
  if (named) {
    first = 1;
    if (IsBareName(matchers[0].value())) {
      out = matchers[0].value();
    } else {
      conditions = QuoteText(matchers[0].value());
    }
  }
  for (size_t i = first; i < matchers.size(); ++i)
    conditions += (conditions.empty() ? "" : ",") + MatcherText(matchers[i]);
  if (!conditions.empty()) out += "{" + conditions + "}";
  if (node.range_ns > 0) out += "[" + FormatDuration(node.range_ns) + "]";
  return out + ShiftText(node.shift);
}

std::string Text(const SubqueryNode& node) {
  std::string out = Operand(*node.operand, kPrimaryPrecedence) + "[" + FormatDuration(node.range_ns) + ":";
  if (node.step_ns > 0) out += FormatDuration(node.step_ns);
  return out + "]" + ShiftText(node.shift);
}

std::string Text(const NegationNode& node) { return "-" + Operand(*node.operand, kPowerPrecedence); }

std::string Text(const BinaryNode& node) {
  const int precedence = Precedence(node.op);
  const bool right_associative = node.op == BinaryOp::kPower;
  std::string out = Operand(*node.left, precedence + (right_associative ? 1 : 0));
  out += " " + std::string(OperatorText(node.op));
  if (node.return_bool) out += " bool";
  const VectorMatching& matching = node.matching;
  if (matching.on || !matching.labels.empty() || matching.group != VectorMatching::Group::kNone) {
    out += (matching.on ? " on " : " ignoring ") + LabelList(matching.labels);
  }
  if (matching.group != VectorMatching::Group::kNone) {
    out += matching.group == VectorMatching::Group::kLeft ? " group_left " : " group_right ";
    out += LabelList(matching.include);
  }
  // A negation may follow any operator as it is.
  const bool negation = std::holds_alternative<NegationNode>(node.right->what);
  const int least = negation ? 0 : precedence + (right_associative ? 0 : 1);
  return out + " " + Operand(*node.right, least);
}

std::string Text(const AggregationNode& node) {
  std::string out(AggregationName(node.op));
  if (node.without || !node.labels.empty()) out += (node.without ? " without " : " by ") + LabelList(node.labels) + " ";
  out += "(";
  if (node.parameter != nullptr) out += Print(*node.parameter) + ", ";
  return out + Print(*node.operand) + ")";
}

std::string Text(const CallNode& node) {
  std::string arguments;
  for (const NodePtr& argument : node.arguments) arguments += (arguments.empty() ? "" : ", ") + Print(*argument);
  return std::string(node.function->name) + InParentheses(arguments);
}

}  // namespace

std::string Print(const Node& node) {
  return std::visit([](const auto& what) { return Text(what); }, node.what);
}

std::string_view OperatorText(BinaryOp op) {
  constexpr std::array<std::string_view, 15> kTexts = {
      "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"};
  return kTexts[static_cast<size_t>(op)];
}

std::string_view AggregationName(AggregationOp op) {
  constexpr std::array<std::string_view, 12> kNames = {
      "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"};
  return kNames[static_cast<size_t>(op)];
}

int Precedence(BinaryOp op) {
  switch (op) {
    case BinaryOp::kOr:
      return kLowestPrecedence;
    case BinaryOp::kAnd:
    case BinaryOp::kUnless:
      return 2;
    case BinaryOp::kEqual:
    case BinaryOp::kNotEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kLess:
    case BinaryOp::kGreaterEqual:
    case BinaryOp::kLessEqual:
      return 3;
    case BinaryOp::kAdd:
    case BinaryOp::kSubtract:
      return 4;
    case BinaryOp::kMultiply:
    case BinaryOp::kDivide:
    case BinaryOp::kModulo:
      return kNegationPrecedence;
    case BinaryOp::kPower:
      return kPowerPrecedence;
  }
  return kLowestPrecedence;
}

std::string FormatNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  return ShortestDecimal(value);
}

}  // namespace pulseboard::expression
