#include "tests/unit/query/expression_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <regex>
#include <set>

#include "server/query/expression/functions.h"

namespace pulseboard::expression {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int64_t kSecond = 1'000'000'000;

ReferenceLabels LabelsOf(const SeriesKey& key) {
  ReferenceLabels out;
  if (!key.metric.empty()) out["__name__"] = key.metric;
  for (const Label& label : key.labels) out[label.name] = label.value;
  return out;
}

ReferenceLabels WithoutName(ReferenceLabels labels) {
  labels.erase("__name__");
  return labels;
}

ReferenceLabels Only(const ReferenceLabels& labels, const std::vector<std::string>& names) {
  ReferenceLabels out;
  for (const std::string& name : names) {
    if (const auto it = labels.find(name); it != labels.end()) out.insert(*it);
  }
  return out;
}

ReferenceLabels Except(ReferenceLabels labels, const std::vector<std::string>& names) {
  labels.erase("__name__");
  for (const std::string& name : names) labels.erase(name);
  return labels;
}

std::string Get(const ReferenceLabels& labels, const std::string& name) {
  const auto it = labels.find(name);
  return it == labels.end() ? "" : it->second;
}

void Set(const std::string& name, const std::string& value, ReferenceLabels* labels) {
  labels->erase(name);
  if (!value.empty()) (*labels)[name] = value;
}

double Operate(BinaryOp op, double a, double b) {
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
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    case BinaryOp::kGreater:
      return a > b;
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kGreaterEqual:
      return a >= b;
    case BinaryOp::kLessEqual:
      return a <= b;
    default:
      throw std::logic_error("no arithmetic");
  }
}

double SortedQuantile(double phi, std::vector<double> values) {
  if (std::isnan(phi)) return kNaN;
  if (phi < 0) return -kInf;
  if (phi > 1) return kInf;
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return (std::isnan(a) && !std::isnan(b)) || a < b; });
  const double rank = phi * (static_cast<double>(values.size()) - 1);
  const auto low = static_cast<size_t>(std::max(0.0, std::floor(rank)));
  if (rank == std::floor(rank)) return values[low];
  const size_t high = std::min(values.size() - 1, low + 1);
  return values[low] * (1 - (rank - std::floor(rank))) + values[high] * (rank - std::floor(rank));
}

double Mean(const std::vector<double>& values) {
  long double sum = 0;
  for (const double v : values) sum += v;
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

double VarianceOf(const std::vector<double>& values) {
  long double mean = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<long double>(values.size());
  long double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

bool Reserved(const Node& node) { return std::holds_alternative<SelectorNode>(node.what); }

}  // namespace

int64_t ReferenceEvaluator::Shift(const TimeShift& shift, int64_t time) const {
  if (shift.anchor == TimeShift::Anchor::kTime) time = shift.time_unix_nanos;
  if (shift.anchor == TimeShift::Anchor::kStart) time = start_;
  if (shift.anchor == TimeShift::Anchor::kEnd) time = end_;
  return time - shift.offset_ns;
}

ReferenceVector ReferenceEvaluator::Select(const SelectorNode& node, int64_t time, bool timestamps) const {
  ReferenceVector out;
  const int64_t at = Shift(node.shift, time);
  for (const StoredSeries& series : series_) {
    if (!node.selector.Matches(series.info->key)) continue;
    std::optional<Point> newest;
    for (size_t i = 0; i < series.samples.size(); ++i) {
      const int64_t t = series.samples.times[i];
      if (t <= at && t > at - lookback_ns_) newest = Point{t, series.samples.values[i]};
    }
    if (!newest || std::isnan(newest->value)) continue;
    const ReferenceLabels labels = LabelsOf(series.info->key);
    if (timestamps) {
      out.push_back({WithoutName(labels), static_cast<double>(newest->time) / kSecond});
    } else {
      out.push_back({labels, newest->value});
    }
  }
  return out;
}

std::vector<ReferenceEvaluator::Window> ReferenceEvaluator::SelectorRange(const SelectorNode& node,
                                                                          int64_t time) const {
  std::vector<Window> out;
  const int64_t at = Shift(node.shift, time);
  for (const StoredSeries& series : series_) {
    if (!node.selector.Matches(series.info->key)) continue;
    Window window{LabelsOf(series.info->key), {}, std::nullopt, lookback_ns_};
    for (size_t i = 0; i < series.samples.size(); ++i) {
      const Point point{series.samples.times[i], series.samples.values[i]};
      if (std::isnan(point.value) || point.time > at) continue;
      if (point.time > at - node.range_ns) {
        window.points.push_back(point);
      } else {
        window.before = point;
      }
    }
    out.push_back(window);
  }
  return out;
}

std::vector<ReferenceEvaluator::Window> ReferenceEvaluator::SubqueryRange(const SubqueryNode& node,
                                                                          int64_t time) const {
  const int64_t at = Shift(node.shift, time);
  const int64_t step = node.step_ns > 0 ? node.step_ns : 60 * kSecond;
  const int64_t gap = std::max(step, lookback_ns_);
  std::map<ReferenceLabels, Window> windows;
  for (int64_t t = (at - node.range_ns - gap) / step * step; t <= at; t += step) {
    if (t <= at - node.range_ns - gap) continue;
    for (const ReferenceElement& element : Vector(*node.operand, t)) {
      if (std::isnan(element.value)) continue;
      Window& window = windows[element.labels];
      window.labels = element.labels;
      window.max_gap = gap;
      if (t > at - node.range_ns) {
        window.points.push_back({t, element.value});
      } else {
        window.before = Point{t, element.value};
      }
    }
  }
  std::vector<Window> out;
  for (auto& [labels, window] : windows) out.push_back(window);
  return out;
}

std::vector<ReferenceEvaluator::Window> ReferenceEvaluator::Range(const Node& node, int64_t time) const {
  std::vector<Window> windows = std::holds_alternative<SelectorNode>(node.what)
                                    ? SelectorRange(std::get<SelectorNode>(node.what), time)
                                    : SubqueryRange(std::get<SubqueryNode>(node.what), time);
  std::erase_if(windows, [](const Window& window) { return window.points.empty(); });
  for (Window& window : windows) {
    if (window.before && window.points[0].time - window.before->time > window.max_gap) window.before.reset();
  }
  return windows;
}

double ReferenceEvaluator::Scalar(const Node& node, int64_t time) const {
  if (const auto* number = std::get_if<NumberNode>(&node.what)) return number->value;
  if (const auto* negation = std::get_if<NegationNode>(&node.what)) return -Scalar(*negation->operand, time);
  if (const auto* binary = std::get_if<BinaryNode>(&node.what)) {
    return Operate(binary->op, Scalar(*binary->left, time), Scalar(*binary->right, time));
  }
  const auto& call = std::get<CallNode>(node.what);
  if (call.function->function == Function::kTime) return static_cast<double>(time) / kSecond;
  const ReferenceVector vector = Vector(*call.arguments[0], time);
  return vector.size() == 1 ? vector[0].value : kNaN;
}

ReferenceVector ReferenceEvaluator::Vector(const Node& node, int64_t time) const {
  if (const auto* selector = std::get_if<SelectorNode>(&node.what)) return Select(*selector, time, false);
  if (const auto* negation = std::get_if<NegationNode>(&node.what)) {
    ReferenceVector out = Vector(*negation->operand, time);
    for (ReferenceElement& e : out) e = {WithoutName(e.labels), -e.value};
    return out;
  }
  if (const auto* binary = std::get_if<BinaryNode>(&node.what)) return Binary(*binary, time);
  if (const auto* aggregation = std::get_if<AggregationNode>(&node.what)) return Aggregation(*aggregation, time);
  return Call(std::get<CallNode>(node.what), time);
}

ReferenceVector ReferenceEvaluator::Binary(const BinaryNode& node, int64_t time) const {
  const bool left_vector = node.left->type == ValueType::kVector;
  if (left_vector && node.right->type == ValueType::kVector) return Match(node, time);
  ReferenceVector out;
  const double number = Scalar(left_vector ? *node.right : *node.left, time);
  for (const ReferenceElement& e : Vector(left_vector ? *node.left : *node.right, time)) {
    const double value = left_vector ? Operate(node.op, e.value, number) : Operate(node.op, number, e.value);
    if (IsComparison(node.op) && !node.return_bool) {
      if (value != 0) out.push_back(e);
    } else {
      out.push_back({WithoutName(e.labels), value});
    }
  }
  return out;
}

ReferenceVector ReferenceEvaluator::Match(const BinaryNode& node, int64_t time) const {
  const ReferenceVector left = Vector(*node.left, time);
  const ReferenceVector right = Vector(*node.right, time);
  const VectorMatching& matching = node.matching;
  const auto signature = [&matching](const ReferenceElement& e) {
    return matching.on ? Only(e.labels, matching.labels) : Except(e.labels, matching.labels);
  };
  const auto has = [&signature](const ReferenceVector& vector, const ReferenceElement& e) {
    return std::any_of(vector.begin(), vector.end(),
                       [&](const auto& other) { return signature(other) == signature(e); });
  };
  ReferenceVector out;
  if (IsSetOperator(node.op)) {
    for (const ReferenceElement& e : left) {
      if (node.op == BinaryOp::kOr || has(right, e) == (node.op == BinaryOp::kAnd)) out.push_back(e);
    }
    if (node.op == BinaryOp::kOr) {
      for (const ReferenceElement& e : right) {
        if (!has(left, e)) out.push_back(e);
      }
    }
    return out;
  }
  const bool swapped = matching.group == VectorMatching::Group::kRight;
  std::set<ReferenceLabels> made;
  for (const ReferenceElement& many : swapped ? right : left) {
    const ReferenceElement* partner = nullptr;
    for (const ReferenceElement& one : swapped ? left : right) {
      if (signature(one) != signature(many)) continue;
      if (partner != nullptr) throw AmbiguousMatch("several on the one side");
      partner = &one;
    }
    if (partner == nullptr) continue;
    const double a = swapped ? partner->value : many.value;
    const double b = swapped ? many.value : partner->value;
    double value = Operate(node.op, a, b);
    const bool filter = IsComparison(node.op) && !node.return_bool;
    if (filter && value == 0) continue;
    if (filter) value = a;
    ReferenceLabels labels = many.labels;
    if (matching.group == VectorMatching::Group::kNone) {
      if (matching.on) labels = Only(labels, matching.labels);
      for (const std::string& label : matching.labels) {
        if (!matching.on) labels.erase(label);
      }
    }
    if (!filter) labels.erase("__name__");
    for (const std::string& label : matching.include) Set(label, Get(partner->labels, label), &labels);
    if (!made.insert(labels).second) throw AmbiguousMatch("several results of one name");
    out.push_back({labels, value});
  }
  return out;
}

ReferenceVector ReferenceEvaluator::Aggregation(const AggregationNode& node, int64_t time) const {
  std::map<ReferenceLabels, ReferenceVector> groups;
  for (const ReferenceElement& e : Vector(*node.operand, time)) {
    groups[node.without ? Except(e.labels, node.labels) : Only(e.labels, node.labels)].push_back(e);
  }
  ReferenceVector out;
  for (auto& [labels, members] : groups) {
    std::vector<double> values;
    for (const ReferenceElement& e : members) values.push_back(e.value);
    std::vector<double> numbers = values;
    std::erase_if(numbers, [](double v) { return std::isnan(v); });
    switch (node.op) {
      case AggregationOp::kSum:
        out.push_back({labels, Mean(values) * static_cast<double>(values.size())});
        break;
      case AggregationOp::kAvg:
        out.push_back({labels, Mean(values)});
        break;
      case AggregationOp::kMin:
        out.push_back({labels, numbers.empty() ? kNaN : *std::min_element(numbers.begin(), numbers.end())});
        break;
      case AggregationOp::kMax:
        out.push_back({labels, numbers.empty() ? kNaN : *std::max_element(numbers.begin(), numbers.end())});
        break;
      case AggregationOp::kCount:
        out.push_back({labels, static_cast<double>(values.size())});
        break;
      case AggregationOp::kGroup:
        out.push_back({labels, 1});
        break;
      case AggregationOp::kStddev:
        out.push_back({labels, std::sqrt(VarianceOf(values))});
        break;
      case AggregationOp::kStdvar:
        out.push_back({labels, VarianceOf(values)});
        break;
      case AggregationOp::kQuantile:
        out.push_back({labels, SortedQuantile(Scalar(*node.parameter, time), values)});
        break;
      case AggregationOp::kTopk:
      case AggregationOp::kBottomk: {
        const double k = Scalar(*node.parameter, time);
        const double sign = node.op == AggregationOp::kTopk ? -1 : 1;
        std::sort(members.begin(), members.end(), [sign](const ReferenceElement& a, const ReferenceElement& b) {
          if (std::isnan(a.value) != std::isnan(b.value)) return std::isnan(b.value);
          if (!std::isnan(a.value) && a.value != b.value) return sign * a.value < sign * b.value;
          return a.labels < b.labels;
        });
        for (size_t i = 0; i < members.size() && static_cast<double>(i) + 1 <= k; ++i) out.push_back(members[i]);
        break;
      }
      case AggregationOp::kCountValues: {
        std::map<std::string, double> counts;
        for (const double v : values) {
          // Test data are whole numbers where this is used.
          ++counts[std::isnan(v) ? "NaN" : std::to_string(static_cast<int64_t>(v))];
        }
        for (const auto& [text, count] : counts) {
          ReferenceLabels named = labels;
          Set(std::get<StringNode>(node.parameter->what).value, text, &named);
          out.push_back({named, count});
        }
        break;
      }
    }
  }
  return out;
}

ReferenceVector ReferenceEvaluator::HistogramQuantile(const CallNode& node, int64_t time) const {
  const double phi = Scalar(*node.arguments[0], time);
  std::map<ReferenceLabels, std::map<double, double>> histograms;
  for (const ReferenceElement& e : Vector(*node.arguments[1], time)) {
    const std::string bound = Get(e.labels, "le");
    if (bound.empty()) continue;
    histograms[Except(e.labels, {"le"})][bound == "+Inf" ? kInf : std::stod(bound)] += e.value;
  }
  ReferenceVector out;
  for (const auto& [labels, buckets] : histograms) {
    double value = kNaN;
    std::vector<std::pair<double, double>> cumulated;
    for (const auto& [bound, count] : buckets) {
      cumulated.emplace_back(bound, cumulated.empty() ? count : std::max(count, cumulated.back().second));
    }
    if (phi < 0) value = -kInf;
    if (phi > 1) value = kInf;
    if (phi >= 0 && phi <= 1 && cumulated.size() > 1 && std::isinf(cumulated.back().first) &&
        cumulated.back().second > 0) {
      const double rank = phi * cumulated.back().second;
      size_t b = 0;
      while (b + 1 < cumulated.size() && cumulated[b].second < rank) ++b;
      if (node.function->function == Function::kHistogramQuantileHigh) {
        value = cumulated[b].first;
      } else if (node.function->function == Function::kHistogramQuantileLow) {
        value = b == 0 ? -kInf : cumulated[b - 1].first;
      } else if (b + 1 == cumulated.size()) {
        value = cumulated[b - 1].first;
      } else if (b == 0 && cumulated[0].first <= 0) {
        value = cumulated[0].first;
      } else {
        const double low = b == 0 ? 0 : cumulated[b - 1].first;
        const double below = b == 0 ? 0 : cumulated[b - 1].second;
        value = low + (cumulated[b].first - low) * (rank - below) / (cumulated[b].second - below);
      }
    }
    out.push_back({labels, value});
  }
  return out;
}

// The value of a function of a window; none when the window has too few samples for it.
std::optional<double> ReferenceEvaluator::OfWindow(const CallNode& node, const Window& window, int64_t time) const {
  const Function function = node.function->function;
  const std::vector<Point>& p = window.points;
  std::vector<double> v;
  for (const Point& point : p) v.push_back(point.value);
  std::vector<Point> chain = p;
  if (window.before) chain.insert(chain.begin(), *window.before);
  const double covered = static_cast<double>(chain.back().time - chain.front().time) / kSecond;
  double increase = 0;
  for (size_t i = 1; i < chain.size(); ++i) {
    increase += chain[i].value < chain[i - 1].value ? chain[i].value : chain[i].value - chain[i - 1].value;
  }
  std::optional<double> value;
  const double n = static_cast<double>(p.size());
  switch (function) {
    case Function::kRate:
      if (chain.size() > 1) value = increase / covered;
      break;
    case Function::kIncrease:
      if (chain.size() > 1) value = increase;
      break;
    case Function::kDelta:
      if (chain.size() > 1) value = chain.back().value - chain.front().value;
      break;
    case Function::kIrate:
    case Function::kIdelta:
      if (p.size() > 1) {
        const Point& a = p[p.size() - 2];
        const Point& b = p.back();
        value = b.value - a.value;
        if (function == Function::kIrate) {
          value = (b.value < a.value ? b.value : *value) / (static_cast<double>(b.time - a.time) / kSecond);
        }
      }
      break;
    case Function::kDeriv:
      if (p.size() > 1) {
        long double sx = 0, sy = 0, sxy = 0, sxx = 0;
        for (const Point& point : p) {
          const long double x = static_cast<long double>(point.time - p[0].time) / kSecond;
          sx += x;
          sy += point.value;
          sxy += x * point.value;
          sxx += x * x;
        }
        value = static_cast<double>((sxy - sx * sy / n) / (sxx - sx * sx / n));
      }
      break;
    case Function::kResets:
    case Function::kChanges:
      value = 0;
      for (size_t i = 1; i < p.size(); ++i) {
        *value += function == Function::kResets ? v[i] < v[i - 1] : v[i] != v[i - 1];
      }
      break;
    case Function::kAvgOverTime:
      value = Mean(v);
      break;
    case Function::kSumOverTime:
      value = Mean(v) * n;
      break;
    case Function::kMinOverTime:
      value = *std::min_element(v.begin(), v.end());
      break;
    case Function::kMaxOverTime:
      value = *std::max_element(v.begin(), v.end());
      break;
    case Function::kCountOverTime:
      value = n;
      break;
    case Function::kLastOverTime:
      value = v.back();
      break;
    case Function::kQuantileOverTime:
      value = SortedQuantile(Scalar(*node.arguments[0], time), v);
      break;
    case Function::kStddevOverTime:
      value = std::sqrt(VarianceOf(v));
      break;
    case Function::kStdvarOverTime:
      value = VarianceOf(v);
      break;
    default:
      value = 1;  // present_over_time
  }
  return value;
}

// Of the functions of one number; none when it has no value.
std::optional<double> ReferenceEvaluator::OfNumber(const CallNode& node, double v, int64_t time) const {
  const auto number = [&](size_t i) { return Scalar(*node.arguments[i], time); };
  switch (node.function->function) {
    case Function::kAbs:
      return std::fabs(v);
    case Function::kCeil:
      return std::ceil(v);
    case Function::kFloor:
      return std::floor(v);
    case Function::kRound: {
      const double to = node.arguments.size() > 1 ? number(1) : 1;
      return std::floor(v * (1 / to) + 0.5) / (1 / to);
    }
    case Function::kClamp:
      if (number(1) > number(2)) return std::nullopt;
      return v < number(1) ? number(1) : v > number(2) ? number(2) : v;
    case Function::kClampMin:
      return v < number(1) ? number(1) : v;
    case Function::kClampMax:
      return v > number(1) ? number(1) : v;
    case Function::kExp:
      return std::exp(v);
    case Function::kLn:
      return std::log(v);
    case Function::kLog2:
      return std::log2(v);
    case Function::kLog10:
      return std::log10(v);
    case Function::kSqrt:
      return std::sqrt(v);
    case Function::kSgn:
      return std::isnan(v) ? v : static_cast<double>((v > 0) - (v < 0));
    case Function::kTimestamp:
      return static_cast<double>(time) / kSecond;
    default:
      throw std::logic_error("no such function");
  }
}

ReferenceLabels ReferenceEvaluator::Relabelled(const CallNode& node, ReferenceLabels labels) const {
  const auto text = [&node](size_t i) { return std::get<StringNode>(node.arguments[i]->what).value; };
  if (node.function->function == Function::kLabelJoin) {
    std::string joined;
    for (size_t i = 3; i < node.arguments.size(); ++i) joined += (i > 3 ? text(2) : "") + Get(labels, text(i));
    Set(text(1), joined, &labels);
    return labels;
  }
  std::smatch match;
  const std::string source = Get(labels, text(3));
  // Test expressions only use $1.
  if (std::regex_match(source, match, std::regex(text(4)))) {
    std::string replacement = text(2);
    if (const size_t at = replacement.find("$1"); at != std::string::npos) {
      replacement.replace(at, 2, match.size() > 1 ? match[1].str() : "");
    }
    Set(text(1), replacement, &labels);
  }
  return labels;
}

ReferenceVector ReferenceEvaluator::Call(const CallNode& node, int64_t time) const {
  const Function function = node.function->function;
  ReferenceVector out;
  if (!node.arguments.empty() && node.arguments.back()->type == ValueType::kRange) {
    const std::vector<Window> windows = Range(*node.arguments.back(), time);
    if (function == Function::kAbsentOverTime) {
      if (windows.empty()) out.push_back({{}, 1});
      return out;  // only used with regular expressions here: no label is fixed
    }
    for (const Window& window : windows) {
      const std::optional<double> value = OfWindow(node, window, time);
      if (!value) continue;
      out.push_back({function == Function::kLastOverTime ? window.labels : WithoutName(window.labels), *value});
    }
    return out;
  }
  if (function == Function::kVector) return {{{}, Scalar(*node.arguments[0], time)}};
  if (function == Function::kHistogramQuantile || function == Function::kHistogramQuantileLow ||
      function == Function::kHistogramQuantileHigh) {
    return HistogramQuantile(node, time);
  }
  if (function == Function::kTimestamp && Reserved(*node.arguments[0])) {
    return Select(std::get<SelectorNode>(node.arguments[0]->what), time, true);
  }
  const ReferenceVector in = Vector(*node.arguments[0], time);
  if (function == Function::kAbsent) return in.empty() ? ReferenceVector{{{}, 1}} : ReferenceVector{};
  if (function == Function::kSort || function == Function::kSortDesc) return in;  // order is tested elsewhere
  for (const ReferenceElement& e : in) {
    if (function == Function::kLabelReplace || function == Function::kLabelJoin) {
      out.push_back({Relabelled(node, e.labels), e.value});
    } else if (const std::optional<double> value = OfNumber(node, e.value, time)) {
      out.push_back({WithoutName(e.labels), *value});
    }
  }
  return out;
}

}  // namespace pulseboard::expression
