// Exported text, and that it comes back bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <future>
#include <limits>
#include <random>

#include "common/base/errors.h"
#include "server/transfer/export_cursor.h"
#include "server/transfer/export_forms.h"
#include "server/transfer/importer.h"
#include "tests/support/test_store.h"
#include "tests/unit/transfer/parsing.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;
using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;

// A store with what exports and imports it.
struct Place {
  explicit Place(TransferOptions options = {}) : transfer(options) {}

  absl::StatusOr<std::string> Export(ExportSpec spec) {
    if (spec.selector.empty() && spec.queries.empty()) spec.selector = R"({__name__=~".+"})";
    const QueryContext context{kDefaultTenant, exporter.Deadline(std::nullopt), nullptr};
    PB_ASSIGN_OR_RETURN(const auto cursor, exporter.Open(context, spec));
    std::string text;
    bool more = true;
    while (more) {
      const size_t before = text.size();
      PB_ASSIGN_OR_RETURN(more, cursor->Next(&text));
      EXPECT_LT(text.size() - before, kExportPieceBytes + 100'000) << "pieces are bounded";
      ++pieces;
    }
    summary = cursor->summary();
    EXPECT_EQ(summary.byte_count, static_cast<int64_t>(text.size()));
    return text;
  }

  int64_t Import(const std::string& text, TextFormat format) {
    ImportSpec spec;
    spec.producer_id = "p" + std::to_string(++imports);
    spec.format = format;
    Importer importer(intake, clock, {});
    const auto session = importer.Open(kDefaultTenant, spec);
    EXPECT_TRUE(session.ok());
    ImportTally tally(10);
    EXPECT_TRUE((*session)->Feed(0, text, 1).ok());
    EXPECT_TRUE((*session)->Finish().ok());
    while (true) {
      auto batch = (*session)->NextBatch(true);
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || *batch == nullptr) break;
      std::promise<PushReceipt> done;
      EXPECT_TRUE((*session)->Submit(*batch, [&](const auto& receipt) { done.set_value(*receipt); }).ok());
      tally.Add(done.get_future().get(), batch->get());
    }
    for (const LineRefusal& line : tally.TakeRefusedLines(10)) ADD_FAILURE() << line.line << ": " << line.message;
    return tally.accepted_count;
  }

  ManualClock clock{kNow};
  TestStore store{nullptr, clock};
  Intake intake{*store, clock, {}};
  QueryEngine engine{*store, clock, {}};
  TransferOptions transfer;
  Exporter exporter{*store, engine, transfer};
  ExportSummary summary;
  int pieces = 0;
  int imports = 0;
};

ExportSpec Spec(TextFormat format, CsvLayout layout = CsvLayout::kLong) {
  ExportSpec spec;
  spec.format = format;
  spec.layout = layout;
  spec.range = {kNow - kNanosPerDay, kNow + 1};
  return spec;
}

TEST(Export, WritesJsonLines) {
  Place place;
  const SeriesId a = place.store.Series("cpu", {{"host", "a"}, {"note", "say \"x\",\n\x01 \\"}});
  place.store.Append({{a, kNow - 2, 0.1}, {a, kNow - 1, INFINITY}, {a, kNow, std::nan("")}});
  const std::string series = R"("metric":"cpu","labels":{"host":"a","note":"say \"x\",\n\u0001 \\"})";
  EXPECT_EQ(*place.Export(Spec(TextFormat::kJsonLines)),
            "{\"time\":\"2027-01-15T07:59:59.999999998Z\"," + series + ",\"value\":0.1}\n" +
                "{\"time\":\"2027-01-15T07:59:59.999999999Z\"," + series + ",\"value\":\"+Inf\"}\n" +
                "{\"time\":\"2027-01-15T08:00:00Z\"," + series + ",\"value\":\"NaN\"}\n");
  EXPECT_EQ(place.summary.sample_count, 3);
}

ColumnsRequest HourlyMax(Place& place) {
  const SeriesId a = place.store.Series("cpu", {{"host", "a"}});
  place.store.Append({{a, kNow - 3'600 * kNanosPerSecond, 1}, {a, kNow - 1, 2}, {a, kNow - 2, 7}});
  ColumnsRequest request;
  request.selector = "cpu";
  request.range = {kNow - kNanosPerDay, kNow};
  request.step.step_ns = 3'600 * kNanosPerSecond;
  request.aggregates = {{AggregateKind::kMax, 0}, {AggregateKind::kQuantile, 0.5}};
  return request;
}

TEST(Export, WritesAnswersOfQueries) {
  Place place;
  ExportSpec spec = Spec(TextFormat::kCsv);
  spec.selector = "";
  spec.queries = {{"peaks", HourlyMax(place)}};
  const auto export_queries = [&]() -> absl::StatusOr<std::string> {
    const QueryContext context{kDefaultTenant, place.exporter.Deadline(std::nullopt), nullptr};
    PB_ASSIGN_OR_RETURN(const auto cursor, place.exporter.Open(context, spec));
    std::string text;
    for (bool more = true; more;) {
      PB_ASSIGN_OR_RETURN(more, cursor->Next(&text));
    }
    EXPECT_EQ(cursor->summary().byte_count, static_cast<int64_t>(text.size()));
    return text;
  };
  EXPECT_EQ(*export_queries(),
            "time,series,aggregate,value\n"
            "2027-01-15T07:00:00Z,\"cpu{host=\"\"a\"\"}\",max,7\n"
            "2027-01-15T07:00:00Z,\"cpu{host=\"\"a\"\"}\",quantile(0.5),2\n");
  spec.queries.push_back({"sum", ExpressionRequest{"sum(cpu)", kNow, kNow, kNanosPerSecond, 0}});
  EXPECT_TRUE(HasReason(export_queries().status(), ErrorReason::kBadField)) << "CSV holds one";
  spec.format = TextFormat::kJsonLines;
  const std::string peak =
      "{\"query\":\"peaks\",\"time\":\"2027-01-15T07:00:00Z\",\"metric\":\"cpu\",\"labels\":{\"host\":\"a\"},";
  EXPECT_EQ(*export_queries(),
            peak + "\"aggregate\":\"max\",\"value\":7}\n" + peak + "\"aggregate\":\"quantile(0.5)\",\"value\":2}\n" +
                "{\"query\":\"sum\",\"time\":\"2027-01-15T08:00:00Z\",\"metric\":\"\",\"labels\":{},\"value\":2}\n");
  spec.format = TextFormat::kOpenMetrics;
  EXPECT_EQ(*export_queries(),
            "# TYPE peaks unknown\n# HELP peaks cpu\n"
            "peaks{aggregate=\"max\",host=\"a\",metric=\"cpu\"} 7 1799996400\n"
            "peaks{aggregate=\"quantile(0.5)\",host=\"a\",metric=\"cpu\"} 2 1799996400\n"
            "# TYPE sum unknown\n# HELP sum sum(cpu)\nsum 2 1800000000\n# EOF\n");
  spec.queries[0].title = "sum";
  EXPECT_TRUE(HasReason(export_queries().status(), ErrorReason::kBadField)) << "two families of one name";
}

TEST(Export, OpenMetricsAnswersKeepAllThatTellsLinesApart) {
  Place place;
  place.store.Append(
      {{place.store.Series("m", {{"aggregate", "x"}, {"exported_metric", "y"}, {"metric", "z"}}), kNow, 1}});
  ExportSpec spec = Spec(TextFormat::kOpenMetrics);
  spec.selector = "";
  spec.queries = {{"5 things, now", ExpressionRequest{"m", kNow, kNow, kNanosPerSecond, 0}}};
  EXPECT_EQ(
      *place.Export(spec),
      "# TYPE _5_things__now unknown\n# HELP _5_things__now m\n"
      "_5_things__now{exported_aggregate=\"x\",exported_exported_metric=\"z\",exported_metric=\"y\",metric=\"m\"} "
      "1 1800000000\n# EOF\n");
}

// What is in it: tests/integration/clients/services_test.py reads a workbook.
TEST(Export, WorkbooksAreBoundedInRows) {
  for (const int64_t most : {2, 1}) {
    TransferOptions options;
    options.max_xlsx_rows = most;
    Place place(options);
    ExportSpec spec = Spec(TextFormat::kXlsx);
    const SeriesId a = place.store.Series("cpu");
    place.store.Append({{a, kNow - 2, 0.1}, {a, kNow - 1, 3}});
    const auto book = place.Export(spec);
    if (most == 1) {
      EXPECT_TRUE(HasReason(book.status(), ErrorReason::kQueryTooBroad));
      continue;
    }
    ASSERT_TRUE(book.ok()) << StatusMessage(book.status());
    EXPECT_TRUE(book->starts_with("PK"));
    EXPECT_EQ(place.summary.sample_count, 2);
    spec.time_zone = "/etc/passwd";
    EXPECT_TRUE(HasReason(place.Export(spec).status(), ErrorReason::kBadField));
  }
}

TEST(Export, WritesLongCsv) {
  Place place;
  const SeriesId a = place.store.Series("cpu", {{"host", "a"}, {"note", "say \"x\", y"}});
  const SeriesId b = place.store.Series("mem.free", {{"value", "v"}});
  place.store.Append({{a, kNow - 2, 0.1}, {a, kNow - kNanosPerSecond, -0.0}, {b, kNow, INFINITY}});
  EXPECT_EQ(*place.Export(Spec(TextFormat::kCsv)),
            "time,metric,value,host,note,value\n"
            "2027-01-15T07:59:59Z,cpu,-0,a,\"say \"\"x\"\", y\",\n"
            "2027-01-15T07:59:59.999999998Z,cpu,0.1,a,\"say \"\"x\"\", y\",\n"
            "2027-01-15T08:00:00Z,mem.free,+Inf,,,v\n");
  EXPECT_EQ(place.summary.sample_count, 3);
  EXPECT_EQ(place.summary.series_count, 2);
  ExportSpec spec = Spec(TextFormat::kCsv);
  spec.separator = ';';
  spec.time = CsvTime::kUnixMillis;
  spec.selector = "mem.free";
  EXPECT_EQ(*place.Export(spec), "time;metric;value;value\n1800000000000;mem.free;+Inf;v\n");
}

TEST(Export, WritesWideCsvMergedOnTime) {
  Place place;
  const SeriesId a = place.store.Series("cpu", {{"host", "a"}});
  const SeriesId b = place.store.Series("mem");
  place.store.Append({{a, kNow - 5 * kNanosPerSecond, 1},
                      {b, kNow - 5 * kNanosPerSecond, 2},
                      {b, kNow - 4 * kNanosPerSecond, 3},
                      {a, kNow - 20'000 * kNanosPerSecond, 4}});
  ExportSpec spec = Spec(TextFormat::kCsv, CsvLayout::kWide);
  spec.time = CsvTime::kUnixSeconds;
  EXPECT_EQ(*place.Export(spec),
            "time,\"cpu{host=\"\"a\"\"}\",mem\n"
            "1799980000,4,\n"
            "1799999995,1,2\n"
            "1799999996,,3\n");
}

TEST(Export, WritesOpenMetricsByFamily) {
  Place place;
  const auto series = [&](const char* metric, Labels labels, SeriesMetadata metadata) {
    return *place.store->FindOrCreateSeries(kDefaultTenant, {metric, std::move(labels)}, metadata, nullptr);
  };
  const SeriesId bytes =
      series("net_bytes_total", {{"dev", "a\nb"}}, {MetricKind::kCounter, "bytes", "Bytes \\ \"sent\""});
  const SeriesId load = series("system.load", {{"window", "1m"}}, {MetricKind::kGauge, "", ""});
  const SeriesId count = series("odd_count", {}, {MetricKind::kCounter, "1", ""});
  place.store.Append({{load, kNow, 1}, {bytes, kNow - 1, 1e300}, {bytes, kNow, 3}, {count, kNow, NAN}});
  EXPECT_EQ(*place.Export(Spec(TextFormat::kOpenMetrics)),
            "# TYPE net_bytes counter\n"
            "# UNIT net_bytes bytes\n"
            "# HELP net_bytes Bytes \\\\ \\\"sent\\\"\n"
            "net_bytes_total{dev=\"a\\nb\"} 1e+300 1799999999.999999999\n"
            "net_bytes_total{dev=\"a\\nb\"} 3 1800000000\n"
            "# TYPE odd_count unknown\n"
            "odd_count NaN 1800000000\n"
            "# TYPE \"system.load\" gauge\n"
            "{\"system.load\",window=\"1m\"} 1 1800000000\n"
            "# EOF\n");
}

TEST(Export, OfNothingIsAnEmptyText) {
  Place place;
  EXPECT_EQ(*place.Export(Spec(TextFormat::kCsv)), "time,metric,value\n");
  EXPECT_EQ(*place.Export(Spec(TextFormat::kCsv, CsvLayout::kWide)), "time\n");
  EXPECT_EQ(*place.Export(Spec(TextFormat::kOpenMetrics)), "# EOF\n");
}

TEST(Export, SaysWhatItCannotDo) {
  Place place({.max_export_series = 2, .max_wide_series = 1, .max_export_duration_ns = kNanosPerSecond});
  place.store.Series("a");
  place.store.Series("b");
  EXPECT_TRUE(place.Export(Spec(TextFormat::kCsv)).ok());
  EXPECT_TRUE(HasReason(place.Export(Spec(TextFormat::kCsv, CsvLayout::kWide)).status(), ErrorReason::kQueryTooBroad));
  place.store.Series("c");
  EXPECT_TRUE(HasReason(place.Export(Spec(TextFormat::kCsv)).status(), ErrorReason::kQueryTooBroad));
  EXPECT_TRUE(HasReason(place.Export(Spec(TextFormat::kPrometheus)).status(), ErrorReason::kBadField));
  ExportSpec spec = Spec(TextFormat::kCsv);
  spec.selector = "a{";
  EXPECT_TRUE(HasReason(place.Export(spec).status(), ErrorReason::kBadSelector));

  spec.selector = "a";
  const auto cancellation = std::make_shared<Cancellation>();
  const QueryContext context{kDefaultTenant, place.exporter.Deadline(std::nullopt), cancellation};
  const auto cursor = place.exporter.Open(context, spec);
  ASSERT_TRUE(cursor.ok());
  std::string out;
  place.clock.Advance(2 * kNanosPerSecond);
  EXPECT_TRUE(HasReason((*cursor)->Next(&out).status(), ErrorReason::kQueryTooBroad));
  cancellation->Cancel();
  EXPECT_EQ((*cursor)->Next(&out).status().code(), absl::StatusCode::kCancelled);
}

double AnyDouble(std::mt19937_64* random) {
  switch ((*random)() % 6) {
    case 0:
      return std::bit_cast<double>((*random)());
    case 1:
      return static_cast<double>((*random)() % 100'000) / 100;
    case 2:
      return std::bit_cast<double>((*random)() & 0x800fffffffffffff);  // denormals, zeros
    case 3:
      return (*random)() % 2 == 0 ? INFINITY : -INFINITY;
    case 4:
      return std::numeric_limits<double>::quiet_NaN();
    default:
      return static_cast<double>(static_cast<int64_t>((*random)()));
  }
}

class RoundTrip : public ::testing::TestWithParam<std::pair<TextFormat, CsvLayout>> {};

TEST_P(RoundTrip, BringsBackEveryDoubleAtItsTime) {
  const auto [format, layout] = GetParam();
  Place from;
  std::mt19937_64 random(11);
  std::vector<SeriesKey> keys;
  for (int i = 0; i < 40; ++i) {
    const char* const metrics[] = {"plain", "with.dots/and-dashes", "a:b", "time", "value"};
    keys.push_back(
        {std::string(metrics[i % 5]) + (i % 2 == 0 ? "_total" : ""),
         {{"id", std::to_string(i)}, {"odd", "q\" \\ \n ,;{}='\r größe #"}, {"time", "t"}, {"la.bel", "x"}}});
  }
  std::vector<TestStore::Row> rows;
  for (size_t i = 0; i < keys.size(); ++i) {
    const SeriesId id = *from.store->FindOrCreateSeries(
        kDefaultTenant, keys[i], {i % 3 == 0 ? MetricKind::kCounter : MetricKind::kGauge, "", "line\nbreak"}, nullptr);
    int64_t time = kNow - kNanosPerDay / 2;
    for (int n = 0; n < 500; ++n) {
      time += 1 + static_cast<int64_t>(random() % (60 * kNanosPerSecond));
      rows.push_back({id, time, AnyDouble(&random)});
    }
  }
  from.store.Append(rows);
  ExportSpec spec = Spec(format, layout);
  const auto text = from.Export(spec);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_GT(from.pieces, 1);

  Place to;
  EXPECT_EQ(to.Import(*text, format), static_cast<int64_t>(rows.size()));
  for (const SeriesKey& key : keys) {
    const SampleColumns before = from.store.Read(*from.store->FindSeries(kDefaultTenant, key));
    const auto id = to.store->FindSeries(kDefaultTenant, key);
    ASSERT_TRUE(id.has_value()) << key.Format();
    const SampleColumns after = to.store.Read(*id);
    ASSERT_EQ(after.times, before.times);
    for (size_t i = 0; i < before.size(); ++i) {
      // All NaN are written alike; every other double keeps its bits.
      const uint64_t expected = std::bit_cast<uint64_t>(std::isnan(before.values[i]) ? NAN : before.values[i]);
      ASSERT_EQ(std::bit_cast<uint64_t>(after.values[i]), expected) << before.values[i];
    }
  }
  if (format != TextFormat::kOpenMetrics) return;
  const auto info = to.store->GetSeries(*to.store->FindSeries(kDefaultTenant, keys[0]));
  EXPECT_EQ(info->metadata.description, "line\nbreak");
}

INSTANTIATE_TEST_SUITE_P(Forms, RoundTrip,
                         ::testing::Values(std::pair(TextFormat::kCsv, CsvLayout::kLong),
                                           std::pair(TextFormat::kCsv, CsvLayout::kWide),
                                           std::pair(TextFormat::kOpenMetrics, CsvLayout::kUnspecified)));

}  // namespace
}  // namespace pulseboard
