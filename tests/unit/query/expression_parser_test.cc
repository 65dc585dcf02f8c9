#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/expression/functions.h"
#include "server/query/expression/parser.h"
#include "server/query/expression/printer.h"

namespace pulseboard::expression {
namespace {

std::string Canonical(const std::string& text) {
  const auto tree = Parse(text);
  return tree.ok() ? Print(**tree) : StatusMessage(tree.status());
}

TEST(ExpressionParser, ReadsAndPrints) {
  struct Case {
    const char* text;
    const char* canonical;
  };
  const Case cases[] = {
      // Numbers.
      {"1", "1"},
      {"1.50", "1.5"},
      {"0x1F", "31"},
      {".5e-1", "0.05"},
      {"1e+3", "1000"},
      {"inf", "Inf"},
      {"-NaN", "-NaN"},
      // Selectors.
      {"up", "up"},
      {"system.cpu.utilization", "system.cpu.utilization"},
      {"job:rate:5m", "job:rate:5m"},
      {"a{}", "a"},
      {"a{b=\"c\",}", "a{b=\"c\"}"},
      {"a { b != 'c' , d =~ `e\\.f` , g !~ \"h\" }", "a{b!=\"c\",d=~\"e\\\\.f\",g!~\"h\"}"},
      {"{__name__=\"a\"}", "a"},
      {"{\"a\"}", "a"},
      {"{b=\"c\", \"a-\"}", "{\"a-\",b=\"c\"}"},
      {"{\"and\"}", "{\"and\"}"},
      {"{\"bool\"} > bool 1", "{\"bool\"} > bool 1"},
      {"{__name__=~\"a|b\"}", "{__name__=~\"a|b\"}"},
      {"a{k8s.io/name=\"x\"}", "a{k8s.io/name=\"x\"}"},
      {"sum", "sum"},
      {"rate + by", "rate + {\"by\"}"},
      // Names with dashes and slashes, and the operators.
      {"a-b", "a-b"},
      {"a - b", "a - b"},
      {"a -b", "a - b"},
      {"a- b", "a - b"},
      {"a{}-b", "a - b"},
      {"a/b", "a/b"},
      {"a / b", "a / b"},
      {"sum(a)/count(a)", "sum(a) / count(a)"},
      {"2-a", "2 - a"},
      {"a-1", "a-1"},
      {"a.b-c/d - e", "a.b-c/d - e"},
      // Precedence.
      {"1 + 2 * 3 ^ 2 ^ 2", "1 + 2 * 3 ^ 2 ^ 2"},
      {"(1 + 2) * 3", "(1 + 2) * 3"},
      {"(2 ^ 3) ^ 2", "(2 ^ 3) ^ 2"},
      {"2 ^ (3 ^ 2)", "2 ^ 3 ^ 2"},
      {"1 - (2 - 3)", "1 - (2 - 3)"},
      {"(1 - 2) - 3", "1 - 2 - 3"},
      {"-1 ^ 2", "-1 ^ 2"},
      {"(-1) ^ 2", "(-1) ^ 2"},
      {"-a * b", "-a * b"},
      {"-(a * b)", "-(a * b)"},
      {"2 ^ -a", "2 ^ -a"},
      {"+a", "a"},
      {"- -a", "-(-a)"},
      {"a or b and c unless d", "a or b and c unless d"},
      {"(a or b) and c", "(a or b) and c"},
      {"a + b > c", "a + b > c"},
      {"a > (b == c)", "a > (b == c)"},
      {"1 == bool 2", "1 == bool 2"},
      {"a OR b", "a or b"},
      // Matching.
      {"a / on(x) b", "a / on (x) b"},
      {"a / ignoring (x, y) b", "a / ignoring (x, y) b"},
      {"a / ignoring() b", "a / b"},
      {"a / on () b", "a / on () b"},
      {"a * on (x) group_left b", "a * on (x) group_left () b"},
      {"a * on (x) group_right (y) b", "a * on (x) group_right (y) b"},
      {"a == bool on (x) b", "a == bool on (x) b"},
      {"a and on (host.name) b", "a and on (host.name) b"},
      // Ranges, offsets, subqueries.
      {"rate(a[5m])", "rate(a[5m])"},
      {"rate(a{b=\"c\"}[1h30m] offset 1d)", "rate(a{b=\"c\"}[1h30m] offset 1d)"},
      {"a offset 90s", "a offset 1m30s"},
      {"a offset -1w", "a offset -7d"},
      {"a @ 1600000000", "a @ 1600000000.000"},
      {"a @ -1.5 offset 5m", "a @ -1.500 offset 5m"},
      {"a offset 5m @ start()", "a @ start() offset 5m"},
      {"sum_over_time(a[250ms] @ end())", "sum_over_time(a[250ms] @ end())"},
      {"max_over_time(rate(a[1m])[1h:30s])", "max_over_time(rate(a[1m])[1h:30s])"},
      {"max_over_time((a + b)[1h:] offset 5m)", "max_over_time((a + b)[1h:] offset 5m)"},
      {"max_over_time(a[1h:])", "max_over_time(a[1h:])"},
      // Aggregations and functions.
      {"sum(a)", "sum(a)"},
      {"SUM BY (x) (a)", "sum by (x) (a)"},
      {"sum(a) by (x, y)", "sum by (x, y) (a)"},
      {"sum by () (a)", "sum(a)"},
      {"sum without () (a)", "sum without () (a)"},
      {"topk(3, a)", "topk(3, a)"},
      {"quantile by (x) (0.9, a)", "quantile by (x) (0.9, a)"},
      {"count_values(\"v\", a)", "count_values(\"v\", a)"},
      {"round(a)", "round(a)"},
      {"round(a, 5)", "round(a, 5)"},
      {"time()", "time()"},
      {"vector(scalar(a) + 1)", "vector(scalar(a) + 1)"},
      {"label_join(a, \"b\", \"-\")", "label_join(a, \"b\", \"-\")"},
      {"label_join(a, \"b\", \"-\", \"c\", \"d\")", "label_join(a, \"b\", \"-\", \"c\", \"d\")"},
      {"label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")", "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")"},
      {"histogram_quantile(0.9, a)", "histogram_quantile(0.9, a)"},
      {"a # the end\n + # more\n b", "a + b"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Canonical(c.text), c.canonical) << c.text;
    EXPECT_EQ(Canonical(c.canonical), c.canonical);
  }
}

TEST(ExpressionParser, PointsAtTheColumn) {
  struct Case {
    const char* text;
    int column;
    const char* found;
    const char* expected;
  };
  const Case cases[] = {
      {"", 1, "the end", "a number, a selector"},
      {"   ", 4, "the end", "a number, a selector"},
      {"a +", 4, "the end", "a number, a selector"},
      {"a b", 3, "'b'", "an operator or the end"},
      {"a ++ ;", 6, "';'", "an operator"},
      {"(a", 3, "the end", "an operator or ')'"},
      {"sum(a", 6, "the end", "an operator or ')'"},
      {"summ(a)", 1, "'summ'", "a function or aggregation"},
      {"rate(a)", 6, "an instant vector", "a range vector"},
      {"rate(5)", 6, "a number", "a range vector"},
      {"rate(a[5m], 1)", 13, "'1'", "rate with 1 argument"},
      {"rate()", 6, "')'", "rate with 1 argument"},
      {"clamp(a, 1)", 11, "')'", "clamp with 3 arguments"},
      {"round(a, 1, 2)", 13, "'2'", "round with 1 or 2 arguments"},
      {"label_join(a, \"b\")", 18, "')'", "label_join with at least 3 arguments"},
      {"abs(a,)", 7, "')'", "an argument"},
      {"a[5m]", 1, "a range vector", "rate(x[5m])"},
      {"\"text\"", 1, "a quoted text", "a number or an instant vector"},
      {"a[5]", 3, "'5'", "a duration"},
      {"a[5q]", 3, "'5q'", "a duration"},
      {"a[0s]", 3, "'0s'", "not zero"},
      {"a[1m1h]", 3, "'1m1h'", "in this order"},
      {"a[400y]", 3, "'400y'", "below 292y"},
      {"a[5m", 5, "the end", "']'"},
      {"(a)[5m]", 4, "'['", "a range directly behind a selector"},
      {"a offset 5m [5m]", 13, "'['", "offset and @ after the range"},
      {"1[5m:]", 1, "a number", "an instant vector"},
      {"(a) offset 5m", 5, "'offset'", "offset and @ follow a selector"},
      {"a offset 5", 10, "'5'", "a duration"},
      {"a offset 5m offset 5m", 13, "'offset'", "one offset"},
      {"a @ foo", 5, "'foo'", "start() or end()"},
      {"a @ 1e300", 5, "'1e300'", "below 9.2e9"},
      {"1 == 2", 3, "'=='", "bool"},
      {"1 and 2", 1, "a number", "an instant vector"},
      {"a and 2", 7, "a number", "an instant vector"},
      {"a + bool b", 5, "'bool'", "bool goes with"},
      {"a + on (x) 1", 5, "'on'", "instant vectors on both sides"},
      {"a and on (x) group_left b", 14, "'group_left'", "take no group_left"},
      {"a + on (x) group_left (x) b", 23, "'('", "x is in both lists"},
      {"a + on x b", 8, "'x'", "'('"},
      {"sum by (1) (a)", 9, "'1'", "a label name"},
      {"topk(a, b)", 6, "an instant vector", "a number"},
      {"topk(1)", 7, "')'", "','"},
      {"sum(1)", 5, "a number", "an instant vector"},
      {"count_values(1, a)", 14, "a number", "a quoted text"},
      {"count_values(\"1a\", a)", 14, "'1a'", "a label name"},
      {"a{b}", 4, "'}'", "one of = != =~ !~"},
      {"a{b=c}", 5, "'c'", "a quoted value"},
      {"a{b=\"c}", 8, "the end", "a closing quote"},
      {"a{b=\"\\q\"}", 6, "'\\q'", "one of \\n"},
      {"a{b=~\"(\"}", 6, "'\"(\"'", "a regular expression"},
      {"a{b=\"c\" d=\"e\"}", 9, "'d'", "',' or '}'"},
      {"{}", 1, "a selector that picks everything", "a metric name or a matcher"},
      {"1 + {b=~\".*\"}", 5, "a selector that picks everything", "a metric name or a matcher"},
      {"a{\"b\"}", 3, "'\"b\"'", "one metric name"},
      {"{\"a b\"}", 2, "'\"a b\"'", "a metric name"},
      {"label_replace(a, \"b\", \"\", \"c\", \"(\")", 32, "'('", "a regular expression"},
      {"1e", 1, "'1e'", "a number"},
      {"a ! b", 3, "'!'", "an operator"},
      {"-\"x\"", 2, "a quoted text", "a number or an instant vector"},
  };
  for (const Case& c : cases) {
    const absl::Status status = Parse(c.text).status();
    ASSERT_TRUE(HasReason(status, ErrorReason::kBadExpression)) << c.text << ": " << StatusMessage(status);
    const auto detail = GetErrorDetail(status);
    EXPECT_EQ(detail->metadata.at("column"), std::to_string(c.column)) << c.text << ": " << StatusMessage(status);
    EXPECT_NE(StatusMessage(status).find(std::string("found ") + c.found), std::string::npos)
        << c.text << ": " << StatusMessage(status);
    EXPECT_NE(detail->metadata.at("expected").find(c.expected), std::string::npos)
        << c.text << ": " << StatusMessage(status);
  }
}

TEST(ExpressionParser, HasLimits) {
  const auto refused = [](const std::string& text) {
    return HasReason(Parse(text).status(), ErrorReason::kBadExpression);
  };
  EXPECT_FALSE(refused(std::string(kMaxDepth - 1, '(') + "a" + std::string(kMaxDepth - 1, ')')));
  EXPECT_TRUE(refused(std::string(kMaxDepth, '(') + "a" + std::string(kMaxDepth, ')')));
  EXPECT_TRUE(refused(std::string(kMaxExpressionBytes - 1, '-') + "a"));
  EXPECT_TRUE(refused(std::string(kMaxExpressionBytes + 1, ' ')));
  std::string sum = "a";
  for (size_t nodes = 1; nodes + 2 <= kMaxNodes; nodes += 2) sum += "+a{}";
  EXPECT_FALSE(refused(sum));
  EXPECT_TRUE(refused(sum + "+a{}+a"));
}

TEST(ExpressionParser, KnowsEachFunctionByName) {
  for (const FunctionInfo& info : AllFunctions()) {
    EXPECT_EQ(FindFunction(info.name), &info);
    // Without '(' it is a metric like any other.
    EXPECT_EQ(Canonical(std::string(info.name)), info.name);
  }
  EXPECT_EQ(FindFunction("predict_linear"), nullptr);
}

}  // namespace
}  // namespace pulseboard::expression
