#include "server/query/expression/parser.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/model/names.h"
#include "server/query/expression/functions.h"
#include "server/query/expression/lexer.h"
#include "server/query/expression/printer.h"
#include "server/query/expression/selector_parser.h"

namespace pulseboard::expression {
namespace {

std::optional<BinaryOp> FindBinaryOp(const Token& token) {
  if (token.kind != Token::Kind::kSymbol && token.kind != Token::Kind::kName) return std::nullopt;
  const std::string text = LowerCase(token.text);
  for (int i = 0; i <= static_cast<int>(BinaryOp::kUnless); ++i) {
    if (OperatorText(static_cast<BinaryOp>(i)) == text) return static_cast<BinaryOp>(i);
  }
  return std::nullopt;
}

std::optional<AggregationOp> FindAggregation(std::string_view name) {
  const std::string text = LowerCase(name);
  for (int i = 0; i <= static_cast<int>(AggregationOp::kCountValues); ++i) {
    if (AggregationName(static_cast<AggregationOp>(i)) == text) return static_cast<AggregationOp>(i);
  }
  return std::nullopt;
}

bool HasParameter(AggregationOp op) { return op >= AggregationOp::kTopk; }

// Recursive descent with one token of look-ahead.
class Parser : public SelectorParser {
 public:
  explicit Parser(std::string_view text) : SelectorParser(text) {}

  absl::StatusOr<NodePtr> Parse() {
    PB_RETURN_IF_ERROR(Take());
    PB_ASSIGN_OR_RETURN(NodePtr node, Operation(kLowestPrecedence));
    if (token_.kind != Token::Kind::kEnd) return Unexpected("an operator or the end of the expression");
    if (node->type == ValueType::kScalar || node->type == ValueType::kVector) return node;
    return WrongType(*node, "a number or an instant vector; for one, rate(x[5m]) is");
  }

 private:
  // --- Operators ---
  absl::StatusOr<NodePtr> Operation(int least) {
    if (++depth_ > kMaxDepth) return Unexpected("operands nested at most " + std::to_string(kMaxDepth) + " deep");
    PB_ASSIGN_OR_RETURN(NodePtr left, Negation());
    while (true) {
      const std::optional<BinaryOp> op = FindBinaryOp(token_);
      if (!op || Precedence(*op) < least) break;
      PB_ASSIGN_OR_RETURN(left, RestOfBinary(*op, std::move(left)));
    }
    --depth_;
    return left;
  }

  absl::StatusOr<NodePtr> Negation() {
    if (!Is("-") && !Is("+")) return Primary();
    const Token sign = token_;
    PB_RETURN_IF_ERROR(Take());
    PB_ASSIGN_OR_RETURN(NodePtr operand, Operation(kPowerPrecedence));
    if (operand->type != ValueType::kScalar && operand->type != ValueType::kVector) {
      return WrongType(*operand, "a number or an instant vector");
    }
    if (sign.text == "+") return operand;
    const ValueType type = operand->type;
    return Made(NegationNode{std::move(operand)}, type, sign.at);
  }

  absl::StatusOr<NodePtr> RestOfBinary(BinaryOp op, NodePtr left) {
    const Token token = token_;
    PB_RETURN_IF_ERROR(Take());
    BinaryNode node;
    node.op = op;
    if (IsWord("bool")) {
      if (!IsComparison(op)) return Unexpected("an operand; bool goes with == != > < >= <= only");
      node.return_bool = true;
      PB_RETURN_IF_ERROR(Take());
    }
    const Token modifier = token_;
    const bool has_matching = IsWord("on") || IsWord("ignoring");
    if (has_matching) PB_RETURN_IF_ERROR(Matching(op, &node.matching));
    PB_ASSIGN_OR_RETURN(NodePtr right, Operation(Precedence(op) + (op == BinaryOp::kPower ? 0 : 1)));
    for (const NodePtr* side : {&left, &right}) {
      const ValueType type = (*side)->type;
      if (IsSetOperator(op) ? type != ValueType::kVector : type != ValueType::kScalar && type != ValueType::kVector) {
        return WrongType(**side, IsSetOperator(op) ? "an instant vector" : "a number or an instant vector");
      }
    }
    const bool scalars = left->type == ValueType::kScalar && right->type == ValueType::kScalar;
    const bool vectors = left->type == ValueType::kVector && right->type == ValueType::kVector;
    if (has_matching && !vectors) return Fail(modifier, "instant vectors on both sides of on and ignoring");
    if (scalars && IsComparison(op) && !node.return_bool) {
      return Fail(token, "'" + std::string(token.text) + " bool' between numbers");
    }
    node.left = std::move(left);
    node.right = std::move(right);
    return Made(std::move(node), scalars ? ValueType::kScalar : ValueType::kVector, token.at);
  }

  absl::Status Matching(BinaryOp op, VectorMatching* matching) {
    matching->on = IsWord("on");
    PB_RETURN_IF_ERROR(Take());
    PB_ASSIGN_OR_RETURN(matching->labels, LabelNames());
    if (!IsWord("group_left") && !IsWord("group_right")) return absl::OkStatus();
    if (IsSetOperator(op)) return Unexpected("an operand; and, or, unless take no group_left or group_right");
    matching->group = IsWord("group_left") ? VectorMatching::Group::kLeft : VectorMatching::Group::kRight;
    PB_RETURN_IF_ERROR(Take());
    if (!Is("(")) return absl::OkStatus();
    const Token list = token_;
    PB_ASSIGN_OR_RETURN(matching->include, LabelNames());
    for (const std::string& label : matching->include) {
      const auto& labels = matching->labels;
      if (matching->on && std::find(labels.begin(), labels.end(), label) != labels.end()) {
        return Fail(list, "labels other than those of on (" + label + " is in both lists)");
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> LabelNames() {
    PB_RETURN_IF_ERROR(Expect("("));
    std::vector<std::string> labels;
    while (!Is(")")) {
      if (token_.kind != Token::Kind::kName) return Unexpected("a label name or ')'");
      labels.emplace_back(token_.text);
      PB_RETURN_IF_ERROR(Take());
      if (!Is(",")) break;
      PB_RETURN_IF_ERROR(Take());
    }
    if (!Is(")")) return Unexpected("',' or ')'");
    PB_RETURN_IF_ERROR(Take());
    return labels;
  }

  // --- Operands ---
  absl::StatusOr<NodePtr> Primary() {
    const Token token = token_;
    if (token.kind == Token::Kind::kNumber) {
      PB_RETURN_IF_ERROR(Take());
      PB_ASSIGN_OR_RETURN(NodePtr number, Made(NumberNode{token.number}, ValueType::kScalar, token.at));
      return Postfix(std::move(number), true);
    }
    if (token.kind == Token::Kind::kString) {
      PB_RETURN_IF_ERROR(Take());
      return Made(StringNode{token.string}, ValueType::kString, token.at);
    }
    if (token.kind == Token::Kind::kName) return Named();
    if (Is("{")) {
      PB_ASSIGN_OR_RETURN(NodePtr selector, InstantSelector(std::nullopt));
      return Postfix(std::move(selector), false);
    }
    if (!Is("(")) return Unexpected("a number, a selector, a function, an aggregation or '('");
    PB_RETURN_IF_ERROR(Take());
    PB_ASSIGN_OR_RETURN(NodePtr inner, Operation(kLowestPrecedence));
    if (!Is(")")) return Unexpected("an operator or ')'");
    PB_RETURN_IF_ERROR(Take());
    return Postfix(std::move(inner), true);
  }

  // A name is a function or aggregation when '(' follows, for aggregations also by or without; else it is a metric.
  absl::StatusOr<NodePtr> Named() {
    const Token name = token_;
    PB_RETURN_IF_ERROR(Take());
    const auto aggregation = FindAggregation(name.text);
    if (aggregation && (Is("(") || IsWord("by") || IsWord("without"))) {
      PB_ASSIGN_OR_RETURN(NodePtr node, Aggregation(*aggregation, name));
      return Postfix(std::move(node), true);
    }
    if (Is("(")) {
      PB_ASSIGN_OR_RETURN(NodePtr node, Call(name));
      return Postfix(std::move(node), true);
    }
    const std::string lower = LowerCase(name.text);
    if (lower == "inf" || lower == "nan") {
      const double value =
          lower == "inf" ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
      return Made(NumberNode{value}, ValueType::kScalar, name.at);
    }
    PB_ASSIGN_OR_RETURN(NodePtr selector, InstantSelector(name));
    return Postfix(std::move(selector), false);
  }

  // --- What may follow an operand: [range], [range:step], offset, @ ---
  absl::StatusOr<NodePtr> Postfix(NodePtr node, bool closed) {
    // `closed`: not a selector by itself, so that only a subquery may follow.
    while (true) {
      if (Is("[")) {
        PB_ASSIGN_OR_RETURN(node, Range(std::move(node), closed));
        closed = false;
      } else if (IsWord("offset") || Is("@")) {
        TimeShift* const shift = closed ? nullptr : ShiftOf(node.get());
        if (shift == nullptr) return Unexpected("an operator; offset and @ follow a selector or a subquery only");
        PB_RETURN_IF_ERROR(Is("@") ? At(shift) : Offset(shift));
      } else {
        return node;
      }
    }
  }

  static TimeShift* ShiftOf(Node* node) {
    if (auto* selector = std::get_if<SelectorNode>(&node->what)) return &selector->shift;
    if (auto* subquery = std::get_if<SubqueryNode>(&node->what)) return &subquery->shift;
    return nullptr;
  }

  absl::StatusOr<NodePtr> Range(NodePtr node, bool closed) {
    const Token bracket = token_;
    if (node->type != ValueType::kVector) return WrongType(*node, "an instant vector before '['");
    PB_RETURN_IF_ERROR(Take());
    PB_ASSIGN_OR_RETURN(const int64_t range, Duration());
    if (Is(":")) {
      PB_RETURN_IF_ERROR(Take());
      int64_t step = 0;
      if (!Is("]")) {
        PB_ASSIGN_OR_RETURN(step, Duration());
      }
      PB_RETURN_IF_ERROR(Expect("]"));
      const size_t at = node->column - 1;
      return Made(SubqueryNode{std::move(node), range, step, {}}, ValueType::kRange, at);
    }
    auto* const selector = closed ? nullptr : std::get_if<SelectorNode>(&node->what);
    const bool shifted =
        selector != nullptr && (selector->shift.offset_ns != 0 || selector->shift.anchor != TimeShift::Anchor::kNone);
    if (selector == nullptr || shifted) {
      return Fail(bracket, shifted ? "offset and @ after the range, or a subquery such as [1h:1m]"
                                   : "a range directly behind a selector, or a subquery such as [1h:1m]");
    }
    if (!Is("]")) return Unexpected("']', or ':' and a step");
    PB_RETURN_IF_ERROR(Take());
    selector->range_ns = range;
    node->type = ValueType::kRange;
    return node;
  }

  // --- Calls ---
  absl::Status CheckArgument(const Node& node, ValueType expected) const {
    return node.type == expected ? absl::OkStatus() : WrongType(node, TypeName(expected));
  }

  absl::StatusOr<NodePtr> Aggregation(AggregationOp op, const Token& name) {
    AggregationNode node;
    node.op = op;
    bool grouped = false;
    const auto grouping = [&]() -> absl::Status {
      if (grouped || (!IsWord("by") && !IsWord("without"))) return absl::OkStatus();
      grouped = true;
      node.without = IsWord("without");
      PB_RETURN_IF_ERROR(Take());
      PB_ASSIGN_OR_RETURN(node.labels, LabelNames());
      return absl::OkStatus();
    };
    PB_RETURN_IF_ERROR(grouping());
    PB_RETURN_IF_ERROR(Expect("("));
    if (HasParameter(op)) {
      PB_ASSIGN_OR_RETURN(node.parameter, Operation(kLowestPrecedence));
      PB_RETURN_IF_ERROR(
          CheckArgument(*node.parameter, op == AggregationOp::kCountValues ? ValueType::kString : ValueType::kScalar));
      if (op == AggregationOp::kCountValues) {
        PB_RETURN_IF_ERROR(CheckLabelName(*node.parameter));
      }
      PB_RETURN_IF_ERROR(Expect(","));
    }
    PB_ASSIGN_OR_RETURN(node.operand, Operation(kLowestPrecedence));
    PB_RETURN_IF_ERROR(CheckArgument(*node.operand, ValueType::kVector));
    if (!Is(")")) return Unexpected("an operator or ')'");
    PB_RETURN_IF_ERROR(Take());
    PB_RETURN_IF_ERROR(grouping());
    return Made(std::move(node), ValueType::kVector, name.at);
  }

  absl::Status CheckLabelName(const Node& node) const {
    const auto& name = std::get<StringNode>(node.what).value;
    if (name == kMetricNameLabel || ValidateLabelName("label", name).ok()) return absl::OkStatus();
    return BadExpression(text_, node.column - 1, "'" + Printable(name, 40) + "'", "a label name");
  }

  absl::StatusOr<NodePtr> Call(const Token& name) {
    CallNode node;
    node.function = FindFunction(name.text);
    if (node.function == nullptr) return Fail(name, "a function or aggregation of this language before '('");
    const FunctionInfo& info = *node.function;
    PB_RETURN_IF_ERROR(Take());
    while (!Is(")")) {
      const size_t count = node.arguments.size();
      if (count >= info.arguments.size() && !info.repeats) return Unexpected(ArgumentCount(info));
      PB_ASSIGN_OR_RETURN(NodePtr argument, Operation(kLowestPrecedence));
      PB_RETURN_IF_ERROR(CheckArgument(*argument, info.arguments[std::min(count, info.arguments.size() - 1)]));
      node.arguments.push_back(std::move(argument));
      if (Is(")")) break;
      if (!Is(",")) return Unexpected("an operator, ',' or ')'");
      PB_RETURN_IF_ERROR(Take());
      if (Is(")")) return Unexpected("an argument");
    }
    const size_t least = info.arguments.size() - info.optional - (info.repeats ? 1 : 0);
    if (node.arguments.size() < least) return Unexpected(ArgumentCount(info));
    PB_RETURN_IF_ERROR(Take());
    if (info.function == Function::kLabelReplace || info.function == Function::kLabelJoin) {
      PB_RETURN_IF_ERROR(CheckLabelFunction(node));
    }
    return Made(std::move(node), info.result, name.at);
  }

  static std::string ArgumentCount(const FunctionInfo& info) {
    const size_t most = info.arguments.size();
    std::string out(info.name);
    if (info.repeats) return out + " with at least " + std::to_string(most - 1) + " arguments";
    if (info.optional > 0) out += " with " + std::to_string(most - info.optional) + " or";
    if (info.optional == 0) out += " with";
    return out + " " + std::to_string(most) + (most == 1 ? " argument" : " arguments");
  }

  absl::Status CheckLabelFunction(const CallNode& node) const {
    PB_RETURN_IF_ERROR(CheckLabelName(*node.arguments[1]));
    if (node.function->function == Function::kLabelJoin) return absl::OkStatus();
    const Node& pattern = *node.arguments[4];
    const auto regex = Matcher::Make("x", Matcher::Op::kRegex, std::get<StringNode>(pattern.what).value);
    if (regex.ok()) return absl::OkStatus();
    return BadExpression(text_, pattern.column - 1, "'" + Printable(std::get<StringNode>(pattern.what).value, 40) + "'",
                         "a regular expression in RE2 syntax (" + StatusMessage(regex.status()) + ")");
  }

  size_t depth_ = 0;
};

}  // namespace

absl::StatusOr<NodePtr> Parse(std::string_view text) {
  if (text.size() > kMaxExpressionBytes) {
    return BadExpression(text, kMaxExpressionBytes, "byte " + std::to_string(kMaxExpressionBytes + 1),
                         "at most " + std::to_string(kMaxExpressionBytes) + " bytes");
  }
  return Parser(text).Parse();
}

}  // namespace pulseboard::expression
