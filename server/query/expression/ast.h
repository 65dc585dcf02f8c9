// The expression language as a tree. Plain values, made by parser.h, written by printer.h, evaluated by evaluator.h.
//
// What of PromQL is covered, and where the meaning differs on purpose: server/query/expression/LANGUAGE.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/model/selector.h"

namespace pulseboard::expression {

struct FunctionInfo;

enum class ValueType : uint8_t { kScalar, kVector, kRange, kString };

enum class BinaryOp : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kGreater,
  kLess,
  kGreaterEqual,
  kLessEqual,
  kAnd,
  kOr,
  kUnless,
};
inline bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEqual && op <= BinaryOp::kLessEqual; }
inline bool IsSetOperator(BinaryOp op) { return op >= BinaryOp::kAnd; }

enum class AggregationOp : uint8_t {
  kSum,
  kAvg,
  kMin,
  kMax,
  kCount,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kQuantile,
  kCountValues,
};

// `offset` and `@`: where in time a selector or subquery looks, seen from the instant of evaluation.
struct TimeShift {
  enum class Anchor : uint8_t { kNone, kTime, kStart, kEnd };

  int64_t offset_ns = 0;          // subtracted
  Anchor anchor = Anchor::kNone;  // `@ TIME`, `@ start()`, `@ end()`
  int64_t time_unix_nanos = 0;    // of Anchor::kTime
};

struct Node;
using NodePtr = std::unique_ptr<Node>;

struct NumberNode {
  double value = 0;
};
struct StringNode {
  std::string value;
};
struct SelectorNode {
  Selector selector;
  int64_t range_ns = 0;  // 0: an instant vector
  TimeShift shift;
};
struct SubqueryNode {
  NodePtr operand;
  int64_t range_ns = 0;
  int64_t step_ns = 0;  // 0: not said
  TimeShift shift;
};
struct NegationNode {
  NodePtr operand;
};

// How series of the two sides of an operator find each other.
struct VectorMatching {
  enum class Group : uint8_t { kNone, kLeft, kRight };  // which side may have many

  bool on = false;  // `labels` are the ones to match on; else the ones to ignore
  std::vector<std::string> labels;
  Group group = Group::kNone;
  std::vector<std::string> include;  // labels that the many side gets from the one side
};
struct BinaryNode {
  BinaryOp op = BinaryOp::kAdd;
  bool return_bool = false;
  VectorMatching matching;
  NodePtr left;
  NodePtr right;
};
struct AggregationNode {
  AggregationOp op = AggregationOp::kSum;
  bool without = false;
  std::vector<std::string> labels;
  NodePtr parameter;  // null for most
  NodePtr operand;
};
struct CallNode {
  const FunctionInfo* function = nullptr;
  std::vector<NodePtr> arguments;
};

struct Node {
  std::variant<NumberNode, StringNode, SelectorNode, SubqueryNode, NegationNode, BinaryNode, AggregationNode, CallNode>
      what;
  ValueType type = ValueType::kScalar;
  size_t column = 1;  // 1-based byte in the text at which it begins; for operators, of the operator
};

}  // namespace pulseboard::expression
