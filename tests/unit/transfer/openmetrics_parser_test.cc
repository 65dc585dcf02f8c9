#include "server/transfer/openmetrics_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/transfer/parsing.h"

namespace pulseboard {
namespace {

using testing::Parsed;
using testing::ParseText;
using Dialect = OpenMetricsParser::Dialect;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kNow = " 1700000000000000000";

Parsed ParseOpenMetrics(std::string_view text, size_t piece = 0) {
  OpenMetricsParser parser(Dialect::kOpenMetrics, {});
  return ParseText(parser, text, {}, piece);
}
Parsed ParsePrometheus(std::string_view text) {
  OpenMetricsParser parser(Dialect::kPrometheus, {});
  return ParseText(parser, text, {.strip_return = true});
}

// A line by itself, before its `# EOF`.
LineRefusal RefusalOf(std::string_view line, std::string_view before = "") {
  const Parsed parsed = ParseOpenMetrics(std::string(before) + std::string(line) + "\n# EOF\n");
  EXPECT_EQ(parsed.refused.size(), 1U) << line;
  return parsed.refused.empty() ? LineRefusal{} : parsed.refused[0];
}

TEST(OpenMetrics, ReadsEveryTypeAsItsComponentSeries) {
  const Parsed parsed = ParseOpenMetrics(
      "# TYPE acme_http_router_request_seconds summary\n"
      "# UNIT acme_http_router_request_seconds seconds\n"
      "# HELP acme_http_router_request_seconds Latency though all of ACME's HTTP request router.\n"
      "acme_http_router_request_seconds{path=\"/api/v1\",quantile=\"0.5\"} 0.25\n"
      "acme_http_router_request_seconds_sum{path=\"/api/v1\"} 9036.32\n"
      "acme_http_router_request_seconds_count{path=\"/api/v1\"} 807283.0\n"
      "acme_http_router_request_seconds_created{path=\"/api/v1\"} 1605281325.0\n"
      "# TYPE go_goroutines gauge\n"
      "go_goroutines 69\n"
      "# TYPE process_cpu_seconds counter\n"
      "# UNIT process_cpu_seconds seconds\n"
      "# HELP process_cpu_seconds Total user and system CPU time spent in seconds.\n"
      "process_cpu_seconds_total 4.20072246e+06\n"
      "# TYPE foo histogram\n"
      "foo_bucket{le=\"0.0\"} 0\n"
      "foo_bucket{le=\"+Inf\"} 17 1520879607.789\n"
      "foo_count 17\n"
      "foo_sum 324789.3\n"
      "# TYPE gh gaugehistogram\n"
      "gh_bucket{le=\"+Inf\"} 1\n"
      "gh_gcount 1\n"
      "gh_gsum -2\n"
      "# TYPE st stateset\n"
      "st{st=\"a\"} 1\n"
      "st{st=\"bb\"} 0\n"
      "# TYPE build info\n"
      "build_info{version=\"8.2.7\"} 1\n"
      "# TYPE u unknown\n"
      "u 1.5e9\n"
      "# EOF\n");
  EXPECT_THAT(parsed.refused, IsEmpty());
  ASSERT_EQ(parsed.samples.size(), 17U);
  EXPECT_EQ(parsed.samples[0],
            "acme_http_router_request_seconds{path=\"/api/v1\",quantile=\"0.5\"} 0.25" + std::string(kNow));
  EXPECT_EQ(parsed.samples[7], "foo_bucket{le=\"+Inf\"} 17 1520879607789000000");
  EXPECT_EQ(parsed.series.at("process_cpu_seconds_total").kind, MetricKind::kCounter);
  EXPECT_EQ(parsed.series.at("process_cpu_seconds_total").unit, "seconds");
  EXPECT_EQ(parsed.series.at("process_cpu_seconds_total").description,
            "Total user and system CPU time spent in seconds.");
  EXPECT_EQ(parsed.series.at("foo_count").kind, MetricKind::kCounter);
  EXPECT_EQ(parsed.series.at("gh_gcount").kind, MetricKind::kGauge);
  EXPECT_EQ(parsed.series.at("acme_http_router_request_seconds_created{path=\"/api/v1\"}").kind, MetricKind::kGauge);
  EXPECT_EQ(parsed.series.at("go_goroutines").kind, MetricKind::kGauge);
}

TEST(OpenMetrics, ReadsTheSameWhateverThePieces) {
  const std::string text =
      "# TYPE a counter\na_total{x=\"1\"} 1 1\na_total{x=\"2\"} 2 1\na_total{x=\"1\"} 3 2\nbad line\n# EOF\n";
  const Parsed whole = ParseOpenMetrics(text);
  EXPECT_EQ(whole.refused.size(), 1U);
  for (const size_t piece : {1, 2, 3, 5, 11}) {
    const Parsed parts = ParseOpenMetrics(text, piece);
    EXPECT_EQ(parts.samples, whole.samples);
    EXPECT_EQ(parts.counts, whole.counts);
  }
}

TEST(OpenMetrics, ReadsEscapesUtf8AndQuotedNames) {
  const Parsed parsed = ParseOpenMetrics(
      "a{x=\"q\\\"b\\\\n\\nz\\d\",y=\"größe }{ ,\"} 1 0.000000001\n"
      "{\"b.c/d\",\"l.m\"=\"v\"} NaN 1.5\n"
      "dotted.name -Inf 2e0\n"
      "a{} 5 3\n"
      "# EOF\n");
  EXPECT_THAT(parsed.refused, IsEmpty());
  EXPECT_THAT(parsed.samples, ElementsAre("a{x=\"q\\\"b\\\\n\\nz\\\\d\",y=\"größe }{ ,\"} 1 1",
                                          "{\"b.c/d\",\"l.m\"=\"v\"} NaN 1500000000",
                                          "{\"dotted.name\"} -Inf 2000000000", "a 5 3000000000"));
}

TEST(OpenMetrics, DropsExemplarsAndCountsThem) {
  const Parsed parsed = ParseOpenMetrics(
      "# TYPE foo histogram\n"
      "foo_bucket{le=\"1\"} 11 # {trace_id=\"KOO5S4vxi0o\"} 0.67\n"
      "foo_bucket{le=\"10\"} 17 5 # {trace_id=\"oHg5SJYRHA0\"} 9.8 1520879607.789\n"
      "# TYPE c counter\n"
      "c_total 1 # {} 1\n"
      "# TYPE g gauge\n"
      "g 1 # {} 1\n"
      "# EOF\n");
  EXPECT_EQ(parsed.exemplars, 3);
  EXPECT_EQ(parsed.samples.size(), 3U);
  ASSERT_EQ(parsed.refused.size(), 1U);
  EXPECT_EQ(parsed.refused[0].line, 7);
  EXPECT_EQ(parsed.refused[0].column, 5);
  EXPECT_EQ(parsed.refused[0].reason, LineReason::kBadMetadata);
}

TEST(OpenMetrics, RefusesWrongLinesByReasonAndColumn) {
  const std::string trace(129, 'x');
  const struct {
    std::string line;
    LineReason reason;
    int64_t column;
  } rows[] = {
      {"", LineReason::kBadSyntax, 1},
      {" a 1", LineReason::kBadSyntax, 1},
      {"a", LineReason::kBadSyntax, 2},
      {"a  1", LineReason::kBadValue, 3},
      {"a\t1", LineReason::kBadSyntax, 2},
      {"a 1 ", LineReason::kBadSyntax, 5},
      {"a x", LineReason::kBadValue, 3},
      {"a 0x1", LineReason::kBadValue, 3},
      {"a 1 x", LineReason::kBadTime, 5},
      {"a 1 -5", LineReason::kBadTime, 5},
      {"a 1 nan", LineReason::kBadTime, 5},
      {"a 1 2 3", LineReason::kBadSyntax, 7},
      {"a 1\r", LineReason::kBadValue, 3},
      {"1a 1", LineReason::kBadSyntax, 1},
      {"a{x=\"1\" 1", LineReason::kBadSyntax, 8},
      {"a{x=\"1\",} 1", LineReason::kBadSyntax, 9},
      {"a{,x=\"1\"} 1", LineReason::kBadSyntax, 3},
      {"a{x=1} 1", LineReason::kBadSyntax, 5},
      {"a{x} 1", LineReason::kBadSyntax, 4},
      {"a{x=\"1} 1", LineReason::kBadSyntax, 10},
      {"a{x=\"1\"y=\"2\"} 1", LineReason::kBadSyntax, 8},
      {"a{x=\"1\",x=\"2\"} 1", LineReason::kBadLabels, 1},
      {"a{__name__=\"b\"} 1", LineReason::kBadLabels, 1},
      {"a{x=\"\xff\"} 1", LineReason::kBadLabels, 1},
      {"{x=\"1\"} 1", LineReason::kBadSyntax, 8},
      {"# a comment", LineReason::kBadSyntax, 1},
      {"#", LineReason::kBadSyntax, 1},
      {"#TYPE a gauge", LineReason::kBadSyntax, 1},
      {"# TYPE a", LineReason::kBadSyntax, 9},
      {"# TYPE a gauges", LineReason::kBadSyntax, 10},
      {"# TYPE 1a gauge", LineReason::kBadSyntax, 8},
      {"# HELP a \xff", LineReason::kBadSyntax, 10},
      {"# UNIT a seconds", LineReason::kBadMetadata, 10},
      {"c 1", LineReason::kBadMetadata, 1},
      {"c_total 1 # {x=\"" + trace + "\"} 1", LineReason::kBadLabels, 11},
      {"c_total 1 # {} x", LineReason::kBadValue, 16},
      {"c_total 1 # {}", LineReason::kBadSyntax, 15},
      {"c_total 1 # {} 1 x", LineReason::kBadTime, 18},
      {"c_total 1 # {} 1 1 1", LineReason::kBadSyntax, 19},
      {"c_total 1 #{} 1", LineReason::kBadSyntax, 11},
  };
  for (const auto& row : rows) {
    const LineRefusal refusal = RefusalOf(row.line, "# TYPE c counter\n");
    EXPECT_EQ(refusal.reason, row.reason) << row.line << ": " << refusal.message;
    EXPECT_EQ(refusal.column, row.column) << row.line << ": " << refusal.message;
    EXPECT_EQ(refusal.line, 2) << row.line;
    EXPECT_EQ(refusal.text, row.line.substr(0, 200));
  }
}

TEST(OpenMetrics, HoldsSamplesToTheirType) {
  EXPECT_EQ(RefusalOf("s{s=\"a\"} 2", "# TYPE s stateset\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("s 1", "# TYPE s stateset\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("i_info 2", "# TYPE i info\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("h_bucket 2", "# TYPE h histogram\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("h_bucket{le=\"x\"} 2", "# TYPE h histogram\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("q{quantile=\"1.5\"} 2", "# TYPE q summary\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("# TYPE a gauge", "# TYPE a gauge\n").reason, LineReason::kBadMetadata);
  EXPECT_EQ(RefusalOf("# HELP a late", "# TYPE a gauge\na 1\n").reason, LineReason::kBadMetadata);
}

TEST(OpenMetrics, NoticesThatTheEndIsMissingOrNotTheEnd) {
  Parsed parsed = ParseOpenMetrics("a 1\nb 2\n");
  ASSERT_EQ(parsed.refused.size(), 1U);
  EXPECT_EQ(parsed.refused[0].reason, LineReason::kMissingEof);
  EXPECT_EQ(parsed.refused[0].line, 2);
  EXPECT_EQ(parsed.samples.size(), 2U) << "what came is kept";
  parsed = ParseOpenMetrics("a 1\n# EOF\nb 2\n\n");
  EXPECT_EQ(parsed.counts, (std::map<LineReason, int64_t>{{LineReason::kAfterEof, 2}}));
  EXPECT_THAT(ParseOpenMetrics("# EOF").refused, IsEmpty());
}

TEST(OpenMetrics, BoundsSeriesAndLabels) {
  OpenMetricsParser parser(Dialect::kOpenMetrics, {.max_labels = 2, .max_series = 2});
  const Parsed parsed = ParseText(parser, "a 1\nb 2\nc 3\na 4\na{x=\"1\",y=\"2\",z=\"3\"} 5\n# EOF\n", {});
  EXPECT_EQ(parsed.samples.size(), 3U);
  EXPECT_EQ(parsed.counts, (std::map<LineReason, int64_t>{{LineReason::kSeriesLimit, 1}, {LineReason::kBadLabels, 1}}));
}

TEST(Prometheus, IsTakenWithItsLiberties) {
  const Parsed parsed = ParsePrometheus(
      "# HELP http_requests_total The total \\\"number\\\" of\\nrequests.\n"
      "# TYPE http_requests_total counter\n"
      "http_requests_total{method=\"post\",code=\"200\",} 1027 1395066363000\n"
      "http_requests_total { method = \"post\" , code = \"400\" }   3\t1395066363000  \r\n"
      "\n"
      "   # a comment\n"
      "#comment\n"
      "\tmetric_without_timestamp_and_labels 12.47\n"
      "something_weird{problem=\"division by zero\"} +Inf 3982045\n"
      "# TYPE rpc summary\n"
      "rpc{quantile=\"0.99\"} 76656\n"
      "rpc_sum 1.7560473e+07\n");
  EXPECT_THAT(parsed.refused, IsEmpty()) << parsed.refused[0].message;
  EXPECT_THAT(parsed.samples,
              ElementsAre("http_requests_total{code=\"200\",method=\"post\"} 1027 1395066363000000000",
                          "http_requests_total{code=\"400\",method=\"post\"} 3 1395066363000000000",
                          "metric_without_timestamp_and_labels 12.47" + std::string(kNow),
                          "something_weird{problem=\"division by zero\"} +Inf 3982045000000",
                          "rpc{quantile=\"0.99\"} 76656" + std::string(kNow), "rpc_sum 17560473" + std::string(kNow)));
  EXPECT_EQ(parsed.series.at("http_requests_total{code=\"200\",method=\"post\"}").kind, MetricKind::kCounter);
  EXPECT_EQ(parsed.series.at("http_requests_total{code=\"200\",method=\"post\"}").description,
            "The total \\\"number\\\" of\nrequests.");
}

TEST(Prometheus, RefusesSecondsAndRubbish) {
  const Parsed parsed = ParsePrometheus("a 1 1.5\na 1 2 3\na b\na\n# TYPE a b\n");
  EXPECT_EQ(parsed.counts, (std::map<LineReason, int64_t>{
                               {LineReason::kBadTime, 1}, {LineReason::kBadValue, 1}, {LineReason::kBadSyntax, 3}}));
  EXPECT_THAT(parsed.samples, IsEmpty());
}

}  // namespace
}  // namespace pulseboard
