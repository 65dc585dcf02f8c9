#include "server/app/transfer_spec.h"

#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/units.h"
#include "server/app/moment.h"

namespace pulseboard {
namespace {

constexpr int32_t kInstants = 100;  // of an expression without --step

v1::TextFormat Format(const std::string& name) {
  if (name == "csv") return v1::TEXT_FORMAT_CSV;
  if (name == "openmetrics") return v1::TEXT_FORMAT_OPENMETRICS;
  if (name == "jsonl") return v1::TEXT_FORMAT_JSON_LINES;
  if (name == "xlsx") return v1::TEXT_FORMAT_XLSX;
  return name == "prometheus" ? v1::TEXT_FORMAT_PROMETHEUS : v1::TEXT_FORMAT_UNSPECIFIED;
}

v1::CsvLayout Layout(const std::string& name) {
  if (name == "long") return v1::CSV_LAYOUT_LONG;
  return name == "wide" ? v1::CSV_LAYOUT_WIDE : v1::CSV_LAYOUT_UNSPECIFIED;
}

v1::CsvTime Time(const std::string& name) {
  if (name == "rfc3339") return v1::CSV_TIME_RFC3339;
  if (name == "s") return v1::CSV_TIME_UNIX_SECONDS;
  if (name == "ms") return v1::CSV_TIME_UNIX_MILLIS;
  if (name == "us") return v1::CSV_TIME_UNIX_MICROS;
  if (name == "ns") return v1::CSV_TIME_UNIX_NANOS;
  return name == "pattern" ? v1::CSV_TIME_PATTERN : v1::CSV_TIME_UNSPECIFIED;
}

absl::Status SetMoment(std::string_view flag, const std::string& text, google::protobuf::Timestamp* out) {
  PB_ASSIGN_OR_RETURN(const int64_t moment, ParseMoment(flag, text, SystemClock().NowUnixNanos()));
  *out = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(moment);
  return absl::OkStatus();
}

// `COLUMN=MEANING`; the column may hold `=` when the meaning does not.
absl::Status SplitMeaning(std::string_view flag, const std::string& text, bool meaning_may_hold_equals,
                          std::string* column, std::string* meaning) {
  const size_t at = meaning_may_hold_equals ? text.find('=') : text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    return BadField(flag, text, "the column's header, =, and its meaning");
  }
  *column = text.substr(0, at);
  *meaning = text.substr(at + 1);
  return absl::OkStatus();
}

absl::Status FillCsv(const CsvFlags& flags, v1::CsvOptions* out) {
  out->set_layout(Layout(flags.layout));
  out->set_separator(flags.separator == "tab" ? "\t" : flags.separator);
  out->set_time(flags.time.empty() && !flags.time_pattern.empty() ? v1::CSV_TIME_PATTERN : Time(flags.time));
  out->set_time_pattern(flags.time_pattern);
  out->set_time_zone(flags.time_zone);
  out->set_time_column(flags.time_column);
  out->set_metric_column(flags.metric_column);
  out->set_value_column(flags.value_column);
  out->set_metric(flags.metric);
  out->set_header(flags.header);
  for (const std::string& text : flags.series) {
    v1::CsvColumn* column = out->add_columns();
    PB_RETURN_IF_ERROR(SplitMeaning("--series", text, true, column->mutable_name(), column->mutable_series()));
  }
  for (const std::string& text : flags.labels) {
    v1::CsvColumn* column = out->add_columns();
    PB_RETURN_IF_ERROR(SplitMeaning("--label", text, false, column->mutable_name(), column->mutable_label()));
  }
  for (const std::string& text : flags.ignored) {
    v1::CsvColumn* column = out->add_columns();
    column->set_name(text);
    column->set_ignored(true);
  }
  return absl::OkStatus();
}

absl::Status SetStep(const std::string& text, google::protobuf::Duration* out) {
  const std::optional<int64_t> step = ParseDuration(text);
  if (!step || *step <= 0) return BadField("--step", text, "a duration such as 30s");
  *out = google::protobuf::util::TimeUtil::NanosecondsToDuration(*step);
  return absl::OkStatus();
}

// A name as in the flag's help.
absl::Status SetAggregate(const std::string& name, v1::Aggregate* out) {
  static const auto* const names = new std::map<std::string, v1::AggregateFunction>{
      {"avg", v1::AGGREGATE_FUNCTION_AVG},     {"sum", v1::AGGREGATE_FUNCTION_SUM},
      {"min", v1::AGGREGATE_FUNCTION_MIN},     {"max", v1::AGGREGATE_FUNCTION_MAX},
      {"count", v1::AGGREGATE_FUNCTION_COUNT}, {"first", v1::AGGREGATE_FUNCTION_FIRST},
      {"last", v1::AGGREGATE_FUNCTION_LAST},   {"increase", v1::AGGREGATE_FUNCTION_INCREASE},
      {"rate", v1::AGGREGATE_FUNCTION_RATE}};
  if (const auto found = names->find(name); found != names->end()) {
    out->set_function(found->second);
    return absl::OkStatus();
  }
  double percent = -1;
  const char* const end = name.data() + name.size();
  if (name.size() > 1 && name[0] == 'p') {
    const auto [stop, error] = std::from_chars(name.data() + 1, end, percent);
    if (error != std::errc() || stop != end) percent = -1;
  }
  if (!(percent >= 0 && percent <= 100)) {
    return BadField("--aggregate", name, "avg, sum, min, max, count, first, last, increase, rate or p0 to p100");
  }
  out->set_function(v1::AGGREGATE_FUNCTION_QUANTILE);
  out->set_quantile(percent / 100);
  return absl::OkStatus();
}

absl::Status FillExpression(const ExportCommandOptions& options, v1::ExportQuery* out) {
  v1::QueryExpressionRequest* query = out->mutable_expression();
  query->set_expression(options.expression);
  PB_RETURN_IF_ERROR(SetMoment("--from", options.from, query->mutable_start_time()));
  if (!options.to.empty()) PB_RETURN_IF_ERROR(SetMoment("--to", options.to, query->mutable_end_time()));
  if (!options.step.empty()) return SetStep(options.step, query->mutable_step());
  query->set_max_points(kInstants);
  return absl::OkStatus();
}

absl::Status FillColumns(const ExportCommandOptions& options, v1::ExportQuery* out) {
  v1::QueryRangeRequest* query = out->mutable_range();
  query->set_selector(options.selector);
  PB_RETURN_IF_ERROR(SetMoment("--from", options.from, query->mutable_start_time()));
  if (!options.to.empty()) PB_RETURN_IF_ERROR(SetMoment("--to", options.to, query->mutable_end_time()));
  for (const std::string& name : options.aggregates) PB_RETURN_IF_ERROR(SetAggregate(name, query->add_aggregates()));
  return SetStep(options.step, query->mutable_step());
}

}  // namespace

absl::StatusOr<v1::ImportSpec> MakeImportSpec(const ImportCommandOptions& options) {
  v1::ImportSpec spec;
  spec.set_format(Format(options.format));
  if (spec.format() == v1::TEXT_FORMAT_CSV) PB_RETURN_IF_ERROR(FillCsv(options.csv, spec.mutable_csv()));
  if (!options.default_time.empty()) {
    PB_RETURN_IF_ERROR(SetMoment("--default-time", options.default_time, spec.mutable_default_time()));
  }
  spec.set_max_refused_lines(options.max_receipts);
  return spec;
}

absl::StatusOr<v1::ExportRequest> MakeExportRequest(const ExportCommandOptions& options) {
  v1::ExportRequest request;
  request.set_format(Format(options.format));
  request.set_time_zone(options.time_zone);
  PB_RETURN_IF_ERROR(FillCsv(options.csv, request.mutable_csv()));
  if (options.expression.empty() && options.selector.empty()) {
    return BadField("--selector", "", "a selector, or --expression");
  }
  if (!options.expression.empty()) {
    PB_RETURN_IF_ERROR(FillExpression(options, request.add_queries()));
    return request;
  }
  if (!options.step.empty()) {
    PB_RETURN_IF_ERROR(FillColumns(options, request.add_queries()));
    return request;
  }
  if (!options.aggregates.empty()) return BadField("--aggregate", options.aggregates[0], "a --step as well");
  request.set_selector(options.selector);
  PB_RETURN_IF_ERROR(SetMoment("--from", options.from, request.mutable_start_time()));
  if (!options.to.empty()) PB_RETURN_IF_ERROR(SetMoment("--to", options.to, request.mutable_end_time()));
  return request;
}

}  // namespace pulseboard
