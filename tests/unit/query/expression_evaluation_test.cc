// What the language says of counters, gaps, staleness and matching, by example.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/evaluator.h"
#include "server/query/expression/parser.h"
#include "server/query/expression/series_keys.h"
#include "tests/unit/query/expression_memory_source.h"

namespace pulseboard::expression {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kSecond = kNanosPerSecond;

class ExpressionEvaluation : public ::testing::Test {
 protected:
  void Add(const std::string& metric, Labels labels,
           const std::vector<std::pair<int64_t, double>>& seconds_and_values) {
    auto info = std::make_shared<SeriesInfo>();
    info->id = series_.size() + 1;
    info->key = {metric, std::move(labels)};
    StoredSeries series{info, {}};
    for (const auto& [seconds, value] : seconds_and_values) series.samples.push_back(seconds * kSecond, value);
    series_.push_back(std::move(series));
  }

  // "{labels}: value value …" per series in the order of the answer, `-` for none; or the error.
  std::string Evaluate(const std::string& text, int64_t start, int64_t step = 1, size_t size = 1) {
    const auto node = Parse(text);
    if (!node.ok()) return StatusMessage(node.status());
    MemorySource source(series_);
    source.alive = alive_;
    const Grid grid{start * kSecond, step * kSecond, size};
    const EvaluationContext context{&source, text, grid, 300 * kSecond};
    auto stream = EvaluateVector(context, **node, grid);
    if (!stream.ok()) return StatusMessage(stream.status());
    std::string out;
    EvaluatedSeries series;
    while (true) {
      const auto more = (*stream)->Next(&series);
      if (!more.ok()) return StatusMessage(more.status());
      if (!*more) break;
      out += (out.empty() ? "" : "; ") + Described(series.key) + ":";
      for (const double value : series.values) {
        char number[32] = " -";
        if (!IsAbsent(value)) std::snprintf(number, sizeof(number), " %g", value);
        out += number;
      }
    }
    checks_ = source.checks;
    held_ = source.held;
    read_ = source.read;
    return out;
  }

  std::vector<StoredSeries> series_;
  absl::Status alive_;
  size_t checks_ = 0;
  size_t held_ = 0;
  size_t read_ = 0;
};

TEST_F(ExpressionEvaluation, AnInstantSeesTheNewestSampleWithinTheLookback) {
  Add("a", {}, {{1'000, 1}, {1'010, 2}});
  EXPECT_EQ(Evaluate("a", 999), "");
  EXPECT_EQ(Evaluate("a", 1'000), "a: 1");
  EXPECT_EQ(Evaluate("a", 1'009), "a: 1");
  EXPECT_EQ(Evaluate("a", 1'309), "a: 2");
  EXPECT_EQ(Evaluate("a", 1'310), "") << "a sample as old as the lookback is none";
}

TEST_F(ExpressionEvaluation, NaNIsNoValue) {
  Add("a", {}, {{1'000, 1}, {1'010, kNaN}, {1'020, 3}});
  EXPECT_EQ(Evaluate("a", 1'000, 10, 3), "a: 1 - 3");
  EXPECT_EQ(Evaluate("count_over_time(a[1m])", 1'020), "{}: 2");
  EXPECT_EQ(Evaluate("sum_over_time(a[1m])", 1'020), "{}: 4");
  EXPECT_EQ(Evaluate("a / 0 - a / 0", 1'020), "{}: -nan") << "a NaN that was computed is a value";
}

TEST_F(ExpressionEvaluation, WindowsAreOpenAtTheirStartAndClosedAtTheirEnd) {
  Add("a", {}, {{1'000, 1}, {1'010, 1}, {1'020, 1}});
  EXPECT_EQ(Evaluate("count_over_time(a[10s])", 1'000, 10, 4), "{}: 1 1 1 -");
  EXPECT_EQ(Evaluate("count_over_time(a[11s])", 1'000, 10, 4), "{}: 1 2 2 1");
}

TEST_F(ExpressionEvaluation, IncreaseIsExactAndWindowsAddUp) {
  // 0 3 4 | reset to 2 | 7 9: 13 in all.
  Add("c", {}, {{1'000, 0}, {1'010, 3}, {1'020, 4}, {1'030, 2}, {1'040, 7}, {1'050, 9}});
  EXPECT_EQ(Evaluate("increase(c[1m])", 1'050), "{}: 13");
  // Windows of 10 s each hold one sample; each step counts once, in the window of its later sample.
  EXPECT_EQ(Evaluate("increase(c[10s])", 1'000, 10, 6), "{}: - 3 1 2 5 2");
  EXPECT_EQ(Evaluate("increase(c[20s])", 1'010, 20, 3), "{}: 3 3 7");
  // Rate is the increase over the time from the sample before the window to its last one.
  EXPECT_EQ(Evaluate("rate(c[20s])", 1'030), "{}: 0.15");
  EXPECT_EQ(Evaluate("rate(c[1m])", 1'055), "{}: 0.26") << "what is not covered does not dilute the rate";
  EXPECT_EQ(Evaluate("delta(c[20s])", 1'030), "{}: -1");
  EXPECT_EQ(Evaluate("irate(c[20s])", 1'030), "{}: 0.2");
  EXPECT_EQ(Evaluate("resets(c[1m])", 1'050), "{}: 1");
}

TEST_F(ExpressionEvaluation, ASampleLongBeforeTheWindowDoesNotCount) {
  Add("c", {}, {{1'000, 5}, {1'300, 8}, {1'601, 20}});
  EXPECT_EQ(Evaluate("increase(c[10s])", 1'300), "{}: 3") << "just within the lookback";
  EXPECT_EQ(Evaluate("increase(c[10s])", 1'601), "") << "301 s of silence: nothing is covered";
  EXPECT_EQ(Evaluate("increase(c[20m])", 1'601), "{}: 15") << "inside one window silence does not matter";
}

TEST_F(ExpressionEvaluation, TheFirstSampleOfASeriesAddsNothing) {
  Add("c", {}, {{1'000, 1'000'000}, {1'010, 1'000'001}});
  EXPECT_EQ(Evaluate("increase(c[1m])", 1'000, 10, 2), "{}: - 1");
}

TEST_F(ExpressionEvaluation, OffsetsAndAtMoveTheWindow) {
  Add("a", {}, {{1'000, 1}, {1'100, 2}, {1'200, 3}});
  EXPECT_EQ(Evaluate("a offset 100s", 1'200), "a: 2");
  EXPECT_EQ(Evaluate("a offset -100s", 1'000, 100, 2), "a: 2 3");
  EXPECT_EQ(Evaluate("a @ 1100", 1'000, 100, 3), "a: 2 2 2");
  EXPECT_EQ(Evaluate("a @ end() offset 100s", 1'000, 100, 3), "a: 2 2 2");
  EXPECT_EQ(Evaluate("a - a @ start()", 1'000, 100, 3), "{}: 0 1 2");
}

TEST_F(ExpressionEvaluation, SubqueriesLookAtWholeMultiplesOfTheirStep) {
  Add("a", {}, {{1'000, 1}, {1'007, 2}, {1'014, 3}, {1'021, 4}});
  EXPECT_EQ(Evaluate("count_over_time(a[20s:10s])", 1'025), "{}: 2");
  EXPECT_EQ(Evaluate("sum_over_time(a[20s:10s])", 1'025), "{}: 5") << "2 at 1010, 3 at 1020";
  EXPECT_EQ(Evaluate("max_over_time(rate(a[10s])[1m:5s])", 1'025), "{}: 0.142857");
  EXPECT_NE(Evaluate("max_over_time(a[10y:1s])", 1'025).find("column 15: found a subquery of"), std::string::npos);
}

TEST_F(ExpressionEvaluation, SeriesFindEachOtherByLabels) {
  Add("a", {{"x", "1"}, {"y", "1"}}, {{1'000, 6}});
  Add("a", {{"x", "1"}, {"y", "2"}}, {{1'000, 8}});
  Add("b", {{"x", "1"}, {"z", "zz"}}, {{1'000, 2}});
  EXPECT_EQ(Evaluate("a / b", 1'000), "");
  EXPECT_EQ(Evaluate("a / on (x) group_left b", 1'000), "{x=\"1\",y=\"1\"}: 3; {x=\"1\",y=\"2\"}: 4");
  EXPECT_EQ(Evaluate("a / on (x) group_left (z) b", 1'000),
            "{x=\"1\",y=\"1\",z=\"zz\"}: 3; {x=\"1\",y=\"2\",z=\"zz\"}: 4");
  EXPECT_EQ(Evaluate("b / on (x) group_right a", 1'000), "{x=\"1\",y=\"1\"}: 0.333333; {x=\"1\",y=\"2\"}: 0.25");
  EXPECT_EQ(Evaluate("a > on (x) group_left b + 5", 1'000), "a{x=\"1\",y=\"2\"}: 8");
  EXPECT_EQ(Evaluate("a{y=\"1\"} + on (x) b", 1'000), "{x=\"1\"}: 8");
  EXPECT_EQ(Evaluate("a{y=\"1\"} > on (x) b", 1'000), "{x=\"1\"}: 6");
  EXPECT_EQ(Evaluate("a and on (x) b", 1'000), "a{x=\"1\",y=\"1\"}: 6; a{x=\"1\",y=\"2\"}: 8");
  EXPECT_EQ(Evaluate("a unless on (x) b", 1'000), "");
  EXPECT_NE(Evaluate("b * on (x) a", 1'000).find("column 3: found several series of {x=\"1\"} on the right"),
            std::string::npos)
      << Evaluate("b * on (x) a", 1'000);
  EXPECT_NE(Evaluate("a * on (x) b", 1'000).find("column 3: found several matches"), std::string::npos);
}

TEST_F(ExpressionEvaluation, MatchesAreMadeAtEachInstant) {
  // A pod that is replaced by another: never two at once.
  Add("used", {{"host", "h"}, {"pod", "1"}}, {{1'000, 1}, {1'010, kNaN}});
  Add("used", {{"host", "h"}, {"pod", "2"}}, {{1'010, 3}});
  Add("size", {{"host", "h"}}, {{1'000, 10}});
  EXPECT_EQ(Evaluate("used / on (host) size", 1'000, 10, 2), "{host=\"h\"}: 0.1 0.3");
  EXPECT_EQ(Evaluate("size / on (host) used", 1'000, 10, 2), "{host=\"h\"}: 10 3.33333");
}

TEST_F(ExpressionEvaluation, OrFillsWhatTheLeftSideLacks) {
  Add("a", {{"x", "1"}}, {{1'000, 1}, {1'010, kNaN}});
  Add("b", {{"x", "1"}}, {{1'000, 5}});
  EXPECT_EQ(Evaluate("abs(a) or abs(b)", 1'000, 10, 2), "{x=\"1\"}: 1 5");
  EXPECT_EQ(Evaluate("a or vector(0)", 1'000, 10, 2), "{}: 0 0; a{x=\"1\"}: 1 -");
}

TEST_F(ExpressionEvaluation, AggregatesWithoutMindingNames) {
  Add("a", {{"x", "1"}}, {{1'000, 1}});
  Add("b", {{"x", "1"}}, {{1'000, 5}});
  EXPECT_EQ(Evaluate("max(max_over_time({x=\"1\"}[1m]))", 1'000), "{}: 5");
  EXPECT_EQ(Evaluate("sum by (__name__) ({x=\"1\"})", 1'000), "a: 1; b: 5");
  EXPECT_EQ(Evaluate("count_values(\"v\", {x=\"1\"} / 8)", 1'000), "{v=\"0.125\"}: 1; {v=\"0.625\"}: 1");
}

TEST_F(ExpressionEvaluation, OrdersByValueAtASingleInstant) {
  for (int i = 0; i < 5; ++i) Add("a", {{"x", std::to_string(i)}}, {{1'000, i == 4 ? 0 : (i * 7) % 5}});
  EXPECT_EQ(Evaluate("sort(a)", 1'000), "a{x=\"0\"}: 0; a{x=\"4\"}: 0; a{x=\"3\"}: 1; a{x=\"1\"}: 2; a{x=\"2\"}: 4");
  EXPECT_EQ(Evaluate("sort_desc(a)", 1'000),
            "a{x=\"2\"}: 4; a{x=\"1\"}: 2; a{x=\"3\"}: 1; a{x=\"0\"}: 0; a{x=\"4\"}: 0");
  EXPECT_EQ(Evaluate("topk(2, a)", 1'000), "a{x=\"2\"}: 4; a{x=\"1\"}: 2");
  EXPECT_EQ(Evaluate("bottomk(2, a)", 1'000), "a{x=\"0\"}: 0; a{x=\"4\"}: 0");
}

TEST_F(ExpressionEvaluation, AbsentNamesWhatIsMissing) {
  EXPECT_EQ(Evaluate("absent(a{x=\"1\",y=~\"2\",z=\"3\",z=\"4\"})", 1'000), "{x=\"1\"}: 1");
  EXPECT_EQ(Evaluate("absent_over_time(a{x=\"1\"}[1m])", 1'000), "{x=\"1\"}: 1");
  EXPECT_EQ(Evaluate("absent(sum(a{x=\"1\"}))", 1'000), "{}: 1");
  Add("a", {{"x", "1"}}, {{1'000, 1}});
  EXPECT_EQ(Evaluate("absent(a)", 900, 100, 5), "{}: 1 - - - 1");
}

TEST_F(ExpressionEvaluation, ReplacesLabelsAsGoDoes) {
  Add("a", {{"host", "web-12.example"}}, {{1'000, 1}});
  const auto replaced = [this](const std::string& replacement) {
    return Evaluate("label_replace(a, \"n\", \"" + replacement + "\", \"host\", \"(?P<role>[a-z]+)-([0-9]+).*\")",
                    1'000);
  };
  EXPECT_EQ(replaced("$2"), "a{host=\"web-12.example\",n=\"12\"}: 1");
  EXPECT_EQ(replaced("${role}_$2!"), "a{host=\"web-12.example\",n=\"web_12!\"}: 1");
  EXPECT_EQ(replaced("$role_$2"), "a{host=\"web-12.example\",n=\"12\"}: 1") << "role_ is no group";
  EXPECT_EQ(replaced("$$2$"), "a{host=\"web-12.example\",n=\"$2$\"}: 1");
  EXPECT_EQ(replaced("$9"), "a{host=\"web-12.example\"}: 1") << "an empty label is none";
  EXPECT_EQ(Evaluate("label_replace(a, \"host\", \"\", \"none\", \"\")", 1'000), "a: 1");
  EXPECT_EQ(Evaluate("label_replace(a, \"__name__\", \"b\", \"host\", \".*\")", 1'000),
            "b{host=\"web-12.example\"}: 1");
}

TEST_F(ExpressionEvaluation, SumsOfDecimalsAreTheDecimal) {
  std::vector<std::pair<int64_t, double>> tenths;
  for (int i = 0; i < 1'000; ++i) tenths.emplace_back(1'000 + i, i == 500 ? 1e15 : 0.1);
  Add("a", {}, tenths);
  // Windows that the great value has left are not the worse for it.
  EXPECT_EQ(Evaluate("sum_over_time(a[100s]) == bool 10", 1'450, 200, 2), "{}: 1 1");
}

TEST_F(ExpressionEvaluation, ReadsEachSampleOnceHoweverManyWindows) {
  std::vector<std::pair<int64_t, double>> many;
  for (int i = 0; i < 20'000; ++i) many.emplace_back(100'000 + i, i % 97);
  Add("a", {}, many);
  for (const char* function : {"sum", "min", "max", "avg", "stddev", "count"}) {
    // 20,000 windows of 10,000 samples each: 10^8 looks at a sample if each window were looked at by itself.
    const std::string text = std::string(function) + "_over_time(a[10000s])";
    const int64_t before = SystemClock().MonotonicNanos();
    EXPECT_NE(Evaluate(text, 100'000, 1, 20'000), "");
    EXPECT_LT(SystemClock().MonotonicNanos() - before, 5 * kSecond) << text;
    EXPECT_EQ(read_, 20'000u);
    EXPECT_GE(checks_, 5u) << "looks at the clock every few thousand samples";
    EXPECT_EQ(held_, 0u) << "nothing is held beside the series at hand";
  }
}

TEST_F(ExpressionEvaluation, StopsWhenItIsCancelled) {
  Add("a", {}, {{1'000, 1}});
  alive_ = absl::CancelledError("the caller cancelled");
  for (const char* text : {"a", "sum(a)", "topk(1, a)", "a + a", "sort(a)", "absent(a)", "quantile(0.5, a)",
                           "max_over_time(a[1m:10s])", "scalar(a) + a"}) {
    EXPECT_EQ(Evaluate(text, 1'000), "the caller cancelled") << text;
  }
}

TEST_F(ExpressionEvaluation, BucketsWithALowerBoundCountForThemselves) {
  Add("took_bucket", {{"gt", "-2"}, {"le", "-1"}}, {{10, 2}});
  Add("took_bucket", {{"gt", "0"}, {"le", "0"}}, {{10, 2}});
  Add("took_bucket", {{"gt", "4"}, {"le", "16"}}, {{10, 4}});  // nothing between: no series
  Add("took_bucket", {{"gt", "100"}, {"le", "200"}}, {{10, 2}});
  EXPECT_EQ(Evaluate("histogram_quantile(0.6, took_bucket)", 10), "{}: 8") << "half of the bucket, by its logarithm";
  EXPECT_EQ(Evaluate("histogram_quantile_low(0.6, took_bucket)", 10), "{}: 4");
  EXPECT_EQ(Evaluate("histogram_quantile_high(0.6, took_bucket)", 10), "{}: 16");
  EXPECT_EQ(Evaluate("histogram_quantile_high(0.1, took_bucket)", 10), "{}: -1");
  EXPECT_EQ(Evaluate("histogram_quantile(0.3, took_bucket)", 10), "{}: 0");
  EXPECT_EQ(Evaluate("histogram_quantile_low(1, took_bucket)", 10), "{}: 100");
  EXPECT_EQ(Evaluate("histogram_quantile(0.6, sum by (gt, le) (took_bucket))", 10), "{}: 8");
  EXPECT_EQ(Evaluate("histogram_quantile(0.6, sum by (le) (took_bucket))", 10), "{}: nan") << "not a wrong answer";
}

}  // namespace
}  // namespace pulseboard::expression
