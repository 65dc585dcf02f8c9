// A second evaluator of the expression language, written for being plainly right: instant by instant, over all raw
// samples, without any of the production evaluator's code but the tree.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/expression/ast.h"

namespace pulseboard::expression {

struct StoredSeries {
  std::shared_ptr<const SeriesInfo> info;
  SampleColumns samples;
};

// Labels with the metric name as `__name__`.
using ReferenceLabels = std::map<std::string, std::string>;
struct ReferenceElement {
  ReferenceLabels labels;
  double value = 0;
};
using ReferenceVector = std::vector<ReferenceElement>;

// What the language calls an error at evaluation.
struct AmbiguousMatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ReferenceEvaluator {
 public:
  // `start`, `end`: of the query. Both arguments must outlive it.
  ReferenceEvaluator(const std::vector<StoredSeries>& series, int64_t lookback_ns, int64_t start, int64_t end)
      : series_(series), lookback_ns_(lookback_ns), start_(start), end_(end) {}

  // Throws AmbiguousMatch.
  ReferenceVector Vector(const Node& node, int64_t time) const;
  double Scalar(const Node& node, int64_t time) const;

 private:
  struct Point {
    int64_t time;
    double value;
  };
  // The samples of one series in a window, and the one before.
  struct Window {
    ReferenceLabels labels;
    std::vector<Point> points;
    std::optional<Point> before;
    int64_t max_gap = 0;
  };

  int64_t Shift(const TimeShift& shift, int64_t time) const;
  std::vector<Window> Range(const Node& node, int64_t time) const;
  std::vector<Window> SelectorRange(const SelectorNode& node, int64_t time) const;
  std::vector<Window> SubqueryRange(const SubqueryNode& node, int64_t time) const;
  ReferenceVector Select(const SelectorNode& node, int64_t time, bool timestamps) const;
  ReferenceVector Binary(const BinaryNode& node, int64_t time) const;
  ReferenceVector Match(const BinaryNode& node, int64_t time) const;
  ReferenceVector Aggregation(const AggregationNode& node, int64_t time) const;
  std::optional<double> OfWindow(const CallNode& node, const Window& window, int64_t time) const;
  std::optional<double> OfNumber(const CallNode& node, double v, int64_t time) const;
  ReferenceLabels Relabelled(const CallNode& node, ReferenceLabels labels) const;
  ReferenceVector Call(const CallNode& node, int64_t time) const;
  ReferenceVector HistogramQuantile(const CallNode& node, int64_t time) const;

  const std::vector<StoredSeries>& series_;
  const int64_t lookback_ns_;
  const int64_t start_;
  const int64_t end_;
};

}  // namespace pulseboard::expression
