// topk, bottomk, quantile, count_values: aggregations that need the series of a group side by side.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/aggregation.h"
#include "server/query/expression/series_keys.h"
#include "server/query/expression/window_functions.h"

namespace pulseboard::expression {
namespace {

constexpr size_t kCheckEvery = 256;  // instants between looks at the clock

// Digits without exponent, as few as read back the same.
std::string CountedText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 400> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return {text.data(), end};
}

class HoldingStream final : public VectorStream {
 public:
  HoldingStream(const EvaluationContext& context, const AggregationNode& node, ScalarSource parameter,
                VectorStreamPtr inner, size_t grid_size)
      : context_(context),
        node_(node),
        parameter_source_(std::move(parameter)),
        inner_(std::move(inner)),
        size_(grid_size) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(Gather());
      for (auto& [key, members] : groups_) PB_RETURN_IF_ERROR(Evaluate(key, &members));
      groups_.clear();
    }
    if (next_ == results_.size()) return false;
    *out = std::move(results_[next_++]);
    return true;
  }

 private:
  using Members = std::vector<EvaluatedSeries>;

  absl::Status Gather() {
    if (parameter_source_ != nullptr) {
      PB_ASSIGN_OR_RETURN(parameters_, parameter_source_());
    }
    EvaluatedSeries series;
    while (true) {
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(&series));
      if (!more) return absl::OkStatus();
      PB_RETURN_IF_ERROR(context_.source->Hold(size_));
      SeriesKey key = node_.without ? DropLabels(series.key, node_.labels) : KeepLabels(series.key, node_.labels);
      groups_[std::move(key)].push_back(std::move(series));
    }
  }

  absl::Status Evaluate(const SeriesKey& key, Members* members) {
    switch (node_.op) {
      case AggregationOp::kQuantile:
        return EvaluateQuantile(key, *members);
      case AggregationOp::kCountValues:
        return EvaluateCountValues(key, *members);
      default:
        return EvaluateTop(members);
    }
  }

  absl::Status CheckNowAndThen(size_t i) {
    return i % kCheckEvery == 0 ? context_.source->CheckAlive() : absl::OkStatus();
  }

  absl::Status EvaluateQuantile(const SeriesKey& key, const Members& members) {
    EvaluatedSeries result{key, 0, {}, std::vector<double>(size_, kNoValue)};
    std::vector<double> present;
    for (size_t i = 0; i < size_; ++i) {
      PB_RETURN_IF_ERROR(CheckNowAndThen(i));
      present.clear();
      for (const EvaluatedSeries& series : members) {
        if (!IsAbsent(series.values[i])) present.push_back(series.values[i]);
      }
      if (!present.empty()) result.values[i] = Quantile(parameters_[i], &present);
    }
    results_.push_back(std::move(result));
    return absl::OkStatus();
  }

  absl::Status EvaluateCountValues(const SeriesKey& key, const Members& members) {
    const std::string& label = std::get<StringNode>(node_.parameter->what).value;
    std::map<std::string, EvaluatedSeries> by_value;
    for (const EvaluatedSeries& series : members) {
      for (size_t i = 0; i < size_; ++i) {
        PB_RETURN_IF_ERROR(CheckNowAndThen(i));
        if (IsAbsent(series.values[i])) continue;
        const auto [it, is_new] = by_value.try_emplace(CountedText(series.values[i]));
        EvaluatedSeries& counts = it->second;
        if (is_new) {
          PB_RETURN_IF_ERROR(context_.source->Hold(size_));
          counts = {key, 0, {}, std::vector<double>(size_, kNoValue)};
          SetLabel(label, it->first, &counts.key);
        }
        counts.values[i] = IsAbsent(counts.values[i]) ? 1 : counts.values[i] + 1;
      }
    }
    for (auto& [value, counts] : by_value) results_.push_back(std::move(counts));
    return absl::OkStatus();
  }

  // Keeps the k best values of each instant and takes the others away.
  absl::Status EvaluateTop(Members* members) {
    const bool greatest = node_.op == AggregationOp::kTopk;
    // Of equal values those of the least labels win; NaN is worse than anything.
    std::sort(members->begin(), members->end(),
              [](const EvaluatedSeries& a, const EvaluatedSeries& b) { return a.key < b.key; });
    std::vector<size_t> order;
    for (size_t i = 0; i < size_; ++i) {
      PB_RETURN_IF_ERROR(CheckNowAndThen(i));
      const double k = std::isnan(parameters_[i]) ? 0 : std::clamp(std::trunc(parameters_[i]), 0.0, 1e9);
      order.clear();
      for (size_t m = 0; m < members->size(); ++m) {
        if (!IsAbsent((*members)[m].values[i])) order.push_back(m);
      }
      const auto better = [&](size_t a, size_t b) {
        const double x = (*members)[a].values[i];
        const double y = (*members)[b].values[i];
        if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
        if (!std::isnan(x) && x != y) return greatest ? x > y : x < y;
        return a < b;
      };
      const size_t kept = std::min(order.size(), static_cast<size_t>(k));
      const auto bound = order.begin() + static_cast<ptrdiff_t>(kept);
      if (size_ == 1) {
        std::partial_sort(order.begin(), bound, order.end(), better);
      } else if (kept > 0 && kept < order.size()) {
        std::nth_element(order.begin(), bound - 1, order.end(), better);
      }
      for (auto loser = bound; loser != order.end(); ++loser) (*members)[*loser].values[i] = kNoValue;
    }
    // At a single instant the best comes first.
    if (size_ != 1) {
      order.resize(members->size());
      std::iota(order.begin(), order.end(), size_t{0});
    }
    for (const size_t m : order) {
      EvaluatedSeries& series = (*members)[m];
      if (!std::all_of(series.values.begin(), series.values.end(), IsAbsent)) results_.push_back(std::move(series));
    }
    return absl::OkStatus();
  }

  const EvaluationContext context_;
  const AggregationNode& node_;
  const ScalarSource parameter_source_;
  const VectorStreamPtr inner_;
  const size_t size_;
  bool started_ = false;
  std::vector<double> parameters_;
  std::map<SeriesKey, Members> groups_;
  std::vector<EvaluatedSeries> results_;
  size_t next_ = 0;
};

}  // namespace

VectorStreamPtr AggregateHolding(const EvaluationContext& context, const AggregationNode& node, ScalarSource parameter,
                                 VectorStreamPtr inner, size_t grid_size) {
  return std::make_unique<HoldingStream>(context, node, std::move(parameter), std::move(inner), grid_size);
}

}  // namespace pulseboard::expression
