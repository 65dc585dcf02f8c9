#include "server/app/transfer_spec.h"

#include <google/protobuf/util/time_util.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/app/moment.h"

namespace pulseboard {
namespace {

v1::TextFormat Format(const std::string& name) {
  if (name == "csv") return v1::TEXT_FORMAT_CSV;
  if (name == "openmetrics") return v1::TEXT_FORMAT_OPENMETRICS;
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
  request.set_selector(options.selector);
  PB_RETURN_IF_ERROR(SetMoment("--from", options.from, request.mutable_start_time()));
  if (!options.to.empty()) PB_RETURN_IF_ERROR(SetMoment("--to", options.to, request.mutable_end_time()));
  PB_RETURN_IF_ERROR(FillCsv(options.csv, request.mutable_csv()));
  return request;
}

}  // namespace pulseboard
