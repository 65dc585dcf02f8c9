#include "server/query/expression/aggregation.h"

#include <cmath>
#include <map>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/series_keys.h"

namespace pulseboard::expression {
namespace {

// One group at one instant. Sums are compensated (Neumaier), variances after Welford.
struct Accumulator {
  double count = 0;
  double a = 0;  // sum, smallest, greatest or mean
  double b = 0;  // what the sum has lost, or the sum of squared distances from the mean
};

void AddToSum(double value, Accumulator* to) {
  const double sum = to->a + value;
  to->b += std::abs(to->a) >= std::abs(value) ? (to->a - sum) + value : (value - sum) + to->a;
  to->a = sum;
}

void Add(AggregationOp op, double value, Accumulator* to) {
  const bool first = to->count == 0;
  to->count += 1;
  switch (op) {
    case AggregationOp::kSum:
    case AggregationOp::kAvg:
      AddToSum(value, to);
      break;
    // NaN is neither smallest nor greatest while there is anything else.
    case AggregationOp::kMin:
      if (first || to->a > value || std::isnan(to->a)) to->a = value;
      break;
    case AggregationOp::kMax:
      if (first || to->a < value || std::isnan(to->a)) to->a = value;
      break;
    case AggregationOp::kStddev:
    case AggregationOp::kStdvar: {
      const double distance = value - to->a;
      to->a += distance / to->count;
      to->b += distance * (value - to->a);
      break;
    }
    default:
      break;
  }
}

double Result(AggregationOp op, const Accumulator& of) {
  const double sum = std::isfinite(of.a) ? of.a + of.b : of.a;
  switch (op) {
    case AggregationOp::kSum:
      return sum;
    case AggregationOp::kAvg:
      return sum / of.count;
    case AggregationOp::kMin:
    case AggregationOp::kMax:
      return of.a;
    case AggregationOp::kCount:
      return of.count;
    case AggregationOp::kStddev:
      return std::sqrt(of.b / of.count);
    case AggregationOp::kStdvar:
      return of.b / of.count;
    default:
      return 1;  // group
  }
}

class AggregateStream final : public VectorStream {
 public:
  AggregateStream(const EvaluationContext& context, const AggregationNode& node, VectorStreamPtr inner,
                  size_t grid_size)
      : context_(context), node_(node), inner_(std::move(inner)), size_(grid_size) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(Gather());
      next_ = groups_.begin();
    }
    if (next_ == groups_.end()) return false;
    const auto& [key, instants] = *next_++;
    *out = {key, 0, {}, std::vector<double>(size_, kNoValue)};
    for (size_t i = 0; i < size_; ++i) {
      if (instants[i].count > 0) out->values[i] = Result(node_.op, instants[i]);
    }
    return true;
  }

 private:
  using Groups = std::map<SeriesKey, std::vector<Accumulator>>;

  absl::Status Gather() {
    EvaluatedSeries series;
    while (true) {
      PB_RETURN_IF_ERROR(context_.source->CheckAlive());
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(&series));
      if (!more) return absl::OkStatus();
      SeriesKey key = node_.without ? DropLabels(series.key, node_.labels) : KeepLabels(series.key, node_.labels);
      const auto [group, is_new] = groups_.try_emplace(std::move(key));
      if (is_new) {
        PB_RETURN_IF_ERROR(context_.source->Hold(size_ * (sizeof(Accumulator) / sizeof(double))));
        group->second.resize(size_);
      }
      for (size_t i = 0; i < size_; ++i) {
        if (!IsAbsent(series.values[i])) Add(node_.op, series.values[i], &group->second[i]);
      }
    }
  }

  const EvaluationContext context_;
  const AggregationNode& node_;
  const VectorStreamPtr inner_;
  const size_t size_;
  bool started_ = false;
  Groups groups_;
  Groups::const_iterator next_;
};

}  // namespace

VectorStreamPtr Aggregate(const EvaluationContext& context, const AggregationNode& node, VectorStreamPtr inner,
                          size_t grid_size) {
  return std::make_unique<AggregateStream>(context, node, std::move(inner), grid_size);
}

}  // namespace pulseboard::expression
