#include "server/query/expression/binary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/lexer.h"
#include "server/query/expression/series_keys.h"
#include "server/query/expression/vector_functions.h"

namespace pulseboard::expression {
namespace {

// Of two present values: the result, or kNoValue where a comparison without bool does not hold. `kept`: what a
// comparison that holds answers.
double Combine(const BinaryNode& node, double a, double b, double kept) {
  if (!IsComparison(node.op) || node.return_bool) return Compute(node.op, a, b);
  return Compute(node.op, a, b) != 0 ? kept : kNoValue;
}

bool DropsName(const BinaryNode& node) { return !IsComparison(node.op) || node.return_bool; }

// What must be equal for two series to match.
SeriesKey Signature(const VectorMatching& matching, const SeriesKey& key) {
  return matching.on ? KeepLabels(key, matching.labels) : DropLabels(key, matching.labels);
}

using Series = std::vector<EvaluatedSeries>;
using BySignature = std::map<SeriesKey, Series>;

class VectorOperatorStream : public VectorStream {
 public:
  VectorOperatorStream(const EvaluationContext& context, const BinaryNode& node, size_t column, VectorStreamPtr left,
                       VectorStreamPtr right, size_t grid_size)
      : context_(context),
        node_(node),
        column_(column),
        left_(std::move(left)),
        right_(std::move(right)),
        size_(grid_size) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(Evaluate());
      next_ = results_.begin();
    }
    // A comparison may have left a series without any value.
    while (next_ != results_.end()) {
      EvaluatedSeries& series = next_->second;
      ++next_;
      if (std::all_of(series.values.begin(), series.values.end(), IsAbsent)) continue;
      *out = std::move(series);
      return true;
    }
    return false;
  }

 protected:
  virtual absl::Status Evaluate() = 0;

  absl::StatusOr<BySignature> Gather(VectorStream& stream) {
    BySignature all;
    EvaluatedSeries series;
    while (true) {
      PB_RETURN_IF_ERROR(context_.source->CheckAlive());
      PB_ASSIGN_OR_RETURN(const bool more, stream.Next(&series));
      if (!more) return all;
      PB_RETURN_IF_ERROR(context_.source->Hold(size_));
      SeriesKey signature = Signature(node_.matching, series.key);
      all[std::move(signature)].push_back(std::move(series));
    }
  }
  // The result of this name, new when there is none.
  absl::StatusOr<EvaluatedSeries*> ResultOf(const SeriesKey& key) {
    const auto [it, is_new] = results_.try_emplace(key);
    if (is_new) {
      PB_RETURN_IF_ERROR(context_.source->Hold(size_));
      it->second = {key, 0, {}, std::vector<double>(size_, kNoValue)};
    }
    return &it->second;
  }
  absl::Status Ambiguous(const std::string& found, std::string_view expected) const {
    return BadExpression(context_.text, column_ - 1, found, expected);
  }

  const EvaluationContext context_;
  const BinaryNode& node_;
  const size_t column_;
  const VectorStreamPtr left_;
  const VectorStreamPtr right_;
  const size_t size_;
  std::map<SeriesKey, EvaluatedSeries> results_;

 private:
  bool started_ = false;
  std::map<SeriesKey, EvaluatedSeries>::iterator next_;
};

class ArithmeticStream final : public VectorOperatorStream {
 public:
  using VectorOperatorStream::VectorOperatorStream;

 private:
  using Group = VectorMatching::Group;

  // The side that may have many series per match; both may not.
  bool many_is_left() const { return node_.matching.group != Group::kRight; }

  absl::Status Evaluate() override {
    PB_ASSIGN_OR_RETURN(const BySignature many, Gather(many_is_left() ? *left_ : *right_));
    PB_ASSIGN_OR_RETURN(const BySignature one, Gather(many_is_left() ? *right_ : *left_));
    for (const auto& [signature, series] : many) {
      const auto match = one.find(signature);
      if (match != one.end()) PB_RETURN_IF_ERROR(EvaluateMatch(signature, series, match->second));
    }
    return absl::OkStatus();
  }

  absl::Status EvaluateMatch(const SeriesKey& signature, const Series& many, const Series& one) {
    // Which of the one side is there at each instant.
    std::vector<const EvaluatedSeries*> partner(size_, nullptr);
    for (const EvaluatedSeries& series : one) {
      for (size_t i = 0; i < size_; ++i) {
        if (IsAbsent(series.values[i])) continue;
        if (partner[i] != nullptr) {
          return Ambiguous(
              "several series of " + Described(signature) + " on the " + (many_is_left() ? "right" : "left") + " side",
              node_.matching.group == Group::kNone ? "one; or on, ignoring, an aggregation or group_left, group_right"
                                                   : "one; or on, ignoring or an aggregation that leaves one");
        }
        partner[i] = &series;
      }
    }
    std::map<const EvaluatedSeries*, EvaluatedSeries*> results;  // by partner, of one of the many
    for (const EvaluatedSeries& series : many) {
      PB_RETURN_IF_ERROR(context_.source->CheckAlive());
      results.clear();
      for (size_t i = 0; i < size_; ++i) {
        if (IsAbsent(series.values[i]) || partner[i] == nullptr) continue;
        const double other = partner[i]->values[i];
        const double a = many_is_left() ? series.values[i] : other;
        const double b = many_is_left() ? other : series.values[i];
        const double value = Combine(node_, a, b, a);
        if (IsAbsent(value)) continue;
        EvaluatedSeries*& result = results[partner[i]];
        if (result == nullptr) {
          PB_ASSIGN_OR_RETURN(result, ResultOf(ResultKey(series.key, partner[i]->key)));
        }
        if (!IsAbsent(result->values[i])) {
          return Ambiguous("several matches that give " + Described(result->key),
                           node_.matching.group == Group::kNone
                               ? "one; or on, ignoring, an aggregation or group_left, group_right"
                               : "labels that keep them apart");
        }
        result->values[i] = value;
      }
    }
    return absl::OkStatus();
  }

  SeriesKey ResultKey(const SeriesKey& many, const SeriesKey& one) const {
    const VectorMatching& matching = node_.matching;
    SeriesKey key = many;
    if (matching.group == Group::kNone) {
      // DropLabels takes the metric name as well; a comparison keeps it.
      key = matching.on ? KeepLabels(many, matching.labels) : DropLabels(many, matching.labels);
      if (!matching.on) key.metric = many.metric;
    }
    if (DropsName(node_)) key.metric.clear();
    for (const std::string& label : matching.include) SetLabel(label, one.Get(label), &key);
    return key;
  }
};

class SetStream final : public VectorOperatorStream {
 public:
  using VectorOperatorStream::VectorOperatorStream;

 private:
  absl::Status Evaluate() override {
    PB_ASSIGN_OR_RETURN(BySignature left, Gather(*left_));
    PB_ASSIGN_OR_RETURN(BySignature right, Gather(*right_));
    if (node_.op == BinaryOp::kOr) {
      PB_RETURN_IF_ERROR(AddAll(left, nullptr, false));
      return AddAll(right, &left, false);
    }
    return AddAll(left, &right, node_.op == BinaryOp::kAnd);
  }

  // Adds the values of `series` at the instants where `other` has, or has not, something of their signature.
  absl::Status AddAll(const BySignature& all, const BySignature* other, bool where_present) {
    for (const auto& [signature, series] : all) {
      std::vector<bool> present(size_, false);
      if (other != nullptr) {
        if (const auto match = other->find(signature); match != other->end()) MarkPresent(match->second, &present);
      }
      for (const EvaluatedSeries& member : series) {
        PB_RETURN_IF_ERROR(context_.source->CheckAlive());
        PB_ASSIGN_OR_RETURN(EvaluatedSeries* const result, ResultOf(member.key));
        result->id = member.id;
        result->metadata = member.metadata;
        for (size_t i = 0; i < size_; ++i) {
          if (IsAbsent(member.values[i]) || present[i] != where_present) continue;
          if (!IsAbsent(result->values[i])) {
            return Ambiguous("several series " + Described(member.key), "labels that keep them apart");
          }
          result->values[i] = member.values[i];
        }
      }
    }
    return absl::OkStatus();
  }

  void MarkPresent(const Series& series, std::vector<bool>* present) const {
    for (const EvaluatedSeries& member : series) {
      for (size_t i = 0; i < size_; ++i) {
        if (!IsAbsent(member.values[i])) (*present)[i] = true;
      }
    }
  }
};

}  // namespace

double Compute(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSubtract:
      return a - b;
    case BinaryOp::kMultiply:
      return a * b;
    case BinaryOp::kDivide:
      return a / b;
    case BinaryOp::kModulo:
      return std::fmod(a, b);
    case BinaryOp::kPower:
      return std::pow(a, b);
    case BinaryOp::kEqual:
      return a == b ? 1 : 0;
    case BinaryOp::kNotEqual:
      return a != b ? 1 : 0;
    case BinaryOp::kGreater:
      return a > b ? 1 : 0;
    case BinaryOp::kLess:
      return a < b ? 1 : 0;
    case BinaryOp::kGreaterEqual:
      return a >= b ? 1 : 0;
    case BinaryOp::kLessEqual:
      return a <= b ? 1 : 0;
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
    case BinaryOp::kUnless:
      break;  // between vectors only
  }
  return 0;
}

ScalarSource ScalarOperator(const BinaryNode& node, ScalarSource left, ScalarSource right) {
  return [op = node.op, left = std::move(left), right = std::move(right)]() -> absl::StatusOr<std::vector<double>> {
    PB_ASSIGN_OR_RETURN(std::vector<double> values, left());
    PB_ASSIGN_OR_RETURN(const std::vector<double> others, right());
    for (size_t i = 0; i < values.size(); ++i) values[i] = Compute(op, values[i], others[i]);
    return values;
  };
}

VectorStreamPtr VectorScalarOperator(const BinaryNode& node, VectorStreamPtr vector, ScalarSource scalar,
                                     bool vector_left) {
  PrepareValueMap prepare = [&node, scalar = std::move(scalar), vector_left]() -> absl::StatusOr<ValueMap> {
    PB_ASSIGN_OR_RETURN(std::vector<double> scalars, scalar());
    return ValueMap([&node, scalars = std::move(scalars), vector_left](double value, size_t i) {
      return vector_left ? Combine(node, value, scalars[i], value) : Combine(node, scalars[i], value, value);
    });
  };
  return MapValues(std::move(vector), std::move(prepare), DropsName(node));
}

VectorStreamPtr VectorOperator(const EvaluationContext& context, const BinaryNode& node, size_t column,
                               VectorStreamPtr left, VectorStreamPtr right, size_t grid_size) {
  if (IsSetOperator(node.op)) {
    return std::make_unique<SetStream>(context, node, column, std::move(left), std::move(right), grid_size);
  }
  return std::make_unique<ArithmeticStream>(context, node, column, std::move(left), std::move(right), grid_size);
}

}  // namespace pulseboard::expression
