// Thousands of random expressions over random series: the streaming evaluator against the plain one.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/evaluator.h"
#include "server/query/expression/parser.h"
#include "server/query/expression/printer.h"
#include "tests/unit/query/expression_memory_source.h"

namespace pulseboard::expression {
namespace {

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kBegin = 1'600'000'000 * kSecond;
constexpr int64_t kLookback = 300 * kSecond;

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  std::vector<StoredSeries> Series() {
    std::vector<StoredSeries> out;
    for (const char* metric : {"gauge", "counter", "plain-gauge"}) {
      for (const char* host : {"h1", "h2", "h3"}) {
        for (const char* cpu : {"0", "1"}) {
          if (Pick(8) == 0) continue;
          Add({metric, {{"host", host}, {"cpu", cpu}}}, metric == std::string("counter"), &out);
        }
        if (metric == std::string("gauge"))
          Add({"per_host", {{"host", host}, {"rack", Pick(2) ? "r1" : "r2"}}}, false, &out);
      }
    }
    for (const char* bound : {"0.1", "0.5", "2", "+Inf"}) Add({"buckets", {{"le", bound}}}, true, &out);
    return out;
  }

  std::string Vector(int depth) {
    if (depth <= 0) return Selector() + Shift();
    const std::string v = Pick(3) == 0 ? Vector(depth - 1) : Vector(0);
    switch (Pick(16)) {
      case 0:
      case 1:
        return OneOf({"rate", "increase", "delta", "irate", "idelta", "deriv", "resets", "changes"}) + "(" +
               Range(depth) + ")";
      case 2:
      case 3:
        return OneOf({"avg", "min", "max", "sum", "count", "last", "stddev", "stdvar", "present"}) + "_over_time(" +
               Range(depth) + ")";
      case 4:
        return "quantile_over_time(" +
               OneOf({"0", "0.5", "0.9", "1", "-1", "2", "scalar(per_host{host=\"h1\"}) / 10"}) + ", " + Range(depth) +
               ")";
      case 5:
        return OneOf({"abs", "ceil", "floor", "round", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sort",
                      "timestamp"}) +
               "(" + Vector(depth - 1) + ")";
      case 6:
        return OneOf({"clamp_min(" + v + ", 3)", "clamp_max(" + v + ", 3)", "clamp(" + v + ", 2, 6)",
                      "clamp(" + v + ", 6, 2)", "round(" + v + ", 2)", "timestamp(" + v + ")", "vector(time())",
                      "absent(" + v + " > 8)", "absent_over_time({__name__=~\"gauge|x\",cpu=~\"0\"}[10s])"});
      case 7:
        return "label_replace(" + v + ", \"" + OneOf({"host", "new"}) + "\", \"x$1\", \"" +
               OneOf({"host", "cpu", "none"}) + "\", \"" + OneOf({"h(.*)", "(.*)", "0"}) + "\")";
      case 8:
        return "label_join(" + v + ", \"new\", \"-\", \"host\", \"cpu\")";
      case 9:
        return OneOf({"histogram_quantile(", "histogram_quantile_low(", "histogram_quantile_high("}) +
               OneOf({"0", "0.5", "0.99", "1"}) + ", " +
               OneOf({"buckets", "increase(buckets[1m])", "sum by (le) (buckets)"}) + ")";
      case 10:
      case 11:
        return Aggregation(depth);
      case 12:
        return "(" + v +
               OneOf({" + ", " - ", " * ", " / ", " % ", " ^ ", " > ", " < ", " == bool ", " != ", " >= bool "}) +
               OneOf({"2", "5", "scalar(gauge{host=\"h1\",cpu=\"0\"})"}) + ")";
      case 13:
        return "(" + OneOf({"2", "time()"}) + OneOf({" + ", " - ", " / ", " > ", " <= bool "}) + v + ")";
      default:
        return Match(depth);
    }
  }

  size_t Pick(size_t n) { return random_() % n; }

 private:
  std::string OneOf(const std::vector<std::string>& choices) { return choices[Pick(choices.size())]; }

  void Add(SeriesKey key, bool counter, std::vector<StoredSeries>* out) {
    auto info = std::make_shared<SeriesInfo>();
    info->id = out->size() + 1;
    info->key = std::move(key);
    StoredSeries series{info, {}};
    int64_t time = kBegin + static_cast<int64_t>(Pick(120'000)) * kNanosPerMilli;
    double value = static_cast<double>(Pick(10));
    // Whole seconds often, so that samples lie on the edges of windows.
    const bool regular = Pick(2) == 0;
    if (regular) time = time / kSecond * kSecond;
    for (size_t n = 20 + Pick(150); n > 0; --n) {
      value = counter ? value + static_cast<double>(Pick(5)) : static_cast<double>(Pick(10));
      if (counter && Pick(20) == 0) value = static_cast<double>(Pick(3));
      series.samples.push_back(time, Pick(25) == 0 ? std::numeric_limits<double>::quiet_NaN() : value);
      time += regular ? 5 * kSecond : static_cast<int64_t>(1 + Pick(9'000)) * kNanosPerMilli;
      if (Pick(40) == 0) time += static_cast<int64_t>(Pick(400)) * kSecond;
    }
    out->push_back(std::move(series));
  }

  std::string Selector() {
    return OneOf({"gauge", "counter", "plain-gauge", "gauge{host=\"h1\"}", "gauge{host=~\"h1|h2\"}",
                  "counter{cpu!=\"0\"}", "{\"plain-gauge\", host!~\"h3\"}", "per_host", "missing"});
  }
  std::string Shift() {
    if (Pick(4) != 0) return "";
    return OneOf({" offset 30s", " offset -20s", " offset 5m", " @ start()", " @ end()", " @ end() offset 1m",
                  " @ 1600000200.500"});
  }
  std::string Range(int depth) {
    const std::string length = OneOf({"1s", "7s", "10s", "30s", "1m", "5m"});
    if (Pick(5) == 0) {
      return "(" + Vector(std::min(depth - 1, 1)) + ")[" + length + ":" + OneOf({"", "5s", "7s", "20s"}) + "]" +
             Shift();
    }
    return OneOf({"gauge", "counter", "counter{host=\"h2\"}", "plain-gauge{cpu=\"0\"}"}) + "[" + length + "]" + Shift();
  }
  std::string Grouping() {
    return OneOf({"", " by (host)", " by (host, cpu)", " by (__name__)", " without (cpu)", " without ()"});
  }
  std::string Aggregation(int depth) {
    const std::string v = Vector(depth - 1);
    switch (Pick(6)) {
      case 0:
        return OneOf({"topk", "bottomk"}) + Grouping() + " (" + OneOf({"1", "2", "0", "1.5", "100"}) + ", " + v + ")";
      case 1:
        return "quantile" + Grouping() + " (" + OneOf({"0", "0.3", "1", "7"}) + ", " + v + ")";
      case 2:
        return "count_values" + Grouping() + " (\"v\", round(abs(" + v + ")) % 7)";
      default:
        return OneOf({"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"}) + Grouping() + " (" + v + ")";
    }
  }
  std::string Match(int depth) {
    const std::string op = OneOf({" + ", " - ", " * ", " / ", " > ", " < ", " == bool "});
    switch (Pick(6)) {
      case 0:
        return "(" + Vector(depth - 1) + OneOf({" and ", " or ", " unless "}) +
               OneOf({"", "on (host) ", "ignoring (cpu) "}) + Vector(depth - 1) + ")";
      case 1:
        return "(gauge" + op + "on (host) group_left " + OneOf({"", "(rack) "}) + "per_host)";
      case 2:
        return "(per_host" + op + "on (host) group_right (rack) " + OneOf({"gauge", "counter"}) + ")";
      case 3:
        return "(" + Vector(depth - 1) + op + OneOf({"on (host) ", "ignoring (cpu) "}) + Vector(depth - 1) + ")";
      default:
        return "(" + Vector(depth - 1) + op + OneOf({"", "on (host, cpu) "}) + Vector(depth - 1) + ")";
    }
  }

  std::mt19937 random_;
};

using Results = std::map<ReferenceLabels, std::vector<double>>;

struct Outcome {
  Results results;
  bool failed = false;      // ambiguous
  bool duplicates = false;  // several series of the same labels
};

ReferenceLabels Named(const SeriesKey& key) {
  ReferenceLabels out;
  if (!key.metric.empty()) out["__name__"] = key.metric;
  for (const Label& label : key.labels) out[label.name] = label.value;
  return out;
}

Outcome Stream(const std::vector<StoredSeries>& series, const Node& node, const Grid& grid, const std::string& text) {
  Outcome out;
  MemorySource source(series);
  const EvaluationContext context{&source, text, grid, kLookback};
  auto stream = EvaluateVector(context, node, grid);
  EXPECT_TRUE(stream.ok()) << text << ": " << StatusMessage(stream.status());
  EvaluatedSeries next;
  while (true) {
    const auto more = (*stream)->Next(&next);
    if (!more.ok()) {
      EXPECT_TRUE(HasReason(more.status(), ErrorReason::kBadExpression)) << StatusMessage(more.status());
      out.failed = true;
      return out;
    }
    if (!*more) return out;
    EXPECT_EQ(next.values.size(), grid.size);
    if (!out.results.try_emplace(Named(next.key), next.values).second) out.duplicates = true;
  }
}

Outcome Plain(const std::vector<StoredSeries>& series, const Node& node, const Grid& grid) {
  Outcome out;
  const ReferenceEvaluator reference(series, kLookback, grid.start, grid.last());
  for (size_t i = 0; i < grid.size; ++i) {
    try {
      for (const ReferenceElement& e : reference.Vector(node, grid.At(i))) {
        auto& values = out.results.try_emplace(e.labels, grid.size, kNoValue).first->second;
        if (!IsAbsent(values[i])) out.duplicates = true;
        values[i] = e.value;
      }
    } catch (const AmbiguousMatch&) {
      out.failed = true;
      return out;
    }
  }
  return out;
}

// Whole numbers in, so that nearly all is exact; what divides and takes roots may differ in the last places.
bool Near(double a, double b) {
  if (IsAbsent(a) || IsAbsent(b)) return IsAbsent(a) && IsAbsent(b);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= 1e-9 * std::max({1.0, std::abs(a), std::abs(b)});
}

std::string Text(const ReferenceLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) out += name + "=" + value + " ";
  return out;
}

void ExpectSame(const Outcome& got, const Outcome& expected, const std::string& text) {
  for (const auto& [labels, values] : expected.results) {
    ASSERT_TRUE(got.results.contains(labels)) << text << "\nmissing " << Text(labels);
    const std::vector<double>& others = got.results.at(labels);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(Near(values[i], others[i]))
          << text << "\n"
          << Text(labels) << "[" << i << "]: got " << (IsAbsent(others[i]) ? "nothing" : std::to_string(others[i]))
          << ", expected " << (IsAbsent(values[i]) ? "nothing" : std::to_string(values[i]));
    }
  }
  for (const auto& [labels, values] : got.results) {
    ASSERT_TRUE(expected.results.contains(labels)) << text << "\ntoo many: " << Text(labels);
  }
}

// Values that depend on the last bit of others (a comparison, rounding, count_values of a root) may turn over.
bool TurnsOver(const std::string& text) {
  int inexact = 0;
  for (const char* name :
       {"rate", "deriv", "avg", "std", "exp", "ln", "log", "sqrt", "quantile", " / ", " ^ ", "sum"}) {
    inexact += text.find(name) != std::string::npos ? 1 : 0;
  }
  bool steps = false;
  for (const char* name : {"==", "!=", " > ", " < ", "<=", ">=", "round", "ceil", "floor", "topk", "bottomk", "%",
                           "sgn", "clamp", "changes", "resets", "rate", "increase"}) {
    steps = steps || text.find(name) != std::string::npos;
  }
  return inexact > 0 && steps;
}

TEST(ExpressionRandom, AgreesWithThePlainEvaluator) {
  int compared = 0;
  int with_values = 0;
  int failures = 0;
  for (uint32_t seed = 1; seed <= 80; ++seed) {
    Generator generator(seed);
    const std::vector<StoredSeries> series = generator.Series();
    Grid grid;
    grid.start = kBegin + static_cast<int64_t>(generator.Pick(200)) * kSecond;
    grid.step = std::vector<int64_t>{kSecond, 5 * kSecond, 7'123 * kNanosPerMilli, 60 * kSecond}[generator.Pick(4)];
    grid.size = 1 + generator.Pick(25);
    for (int i = 0; i < 50; ++i) {
      const std::string text = generator.Vector(1 + static_cast<int>(generator.Pick(3)));
      const auto node = Parse(text);
      ASSERT_TRUE(node.ok()) << text << ": " << StatusMessage(node.status());
      const auto again = Parse(Print(**node));
      ASSERT_TRUE(again.ok()) << text << " printed " << Print(**node);
      ASSERT_EQ(Print(**again), Print(**node)) << text;
      const Outcome got = Stream(series, **node, grid, text);
      const Outcome expected = Plain(series, **again, grid);
      if (expected.failed || got.failed || got.duplicates || expected.duplicates) {
        // The plain one looks at one instant at a time: it may miss what differs in time only.
        EXPECT_TRUE(got.failed || got.duplicates) << text;
        ++failures;
        continue;
      }
      if (TurnsOver(text)) continue;
      ++compared;
      with_values += expected.results.empty() ? 0 : 1;
      ExpectSame(got, expected, text);
      if (HasFatalFailure()) {
        ADD_FAILURE() << "seed " << seed << " expression " << i;
        return;
      }
    }
  }
  EXPECT_GT(compared, 1'500);
  EXPECT_GT(with_values, compared * 2 / 3);
  EXPECT_LT(failures, 1'200);
}

}  // namespace
}  // namespace pulseboard::expression
