#include "server/transfer/export_cursor.h"

#include <algorithm>
#include <set>
#include <string>

#include "common/base/errors.h"
#include "common/model/selector.h"
#include "server/transfer/export_forms.h"
#include "server/transfer/result_export.h"
#include "server/transfer/text_numbers.h"
#include "server/transfer/xlsx_writer.h"

namespace pulseboard {
namespace {

absl::Status CheckQueries(const ExportSpec& spec) {
  const size_t most = spec.format == TextFormat::kCsv ? 1 : kMaxExportQueries;
  if (spec.queries.size() > most) {
    return BadField("queries", std::to_string(spec.queries.size()) + " queries", "at most " + std::to_string(most));
  }
  if (!spec.selector.empty()) return BadField("selector", spec.selector, "none beside queries");
  if (spec.layout == CsvLayout::kWide) return BadField("csv.layout", "CSV_LAYOUT_WIDE", "the long form for queries");
  std::set<std::string> families;
  for (size_t i = 0; spec.format == TextFormat::kOpenMetrics && i < spec.queries.size(); ++i) {
    if (families.insert(OpenMetricsFamilyOf(spec.queries[i])).second) continue;
    return BadField("queries[" + std::to_string(i) + "].title", spec.queries[i].title,
                    "titles that make different names of families");
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const ExportSpec& spec) {
  if (spec.format == TextFormat::kUnspecified || spec.format == TextFormat::kPrometheus) {
    return BadField("format", std::to_string(static_cast<int>(spec.format)), "CSV, OPENMETRICS, JSON_LINES or XLSX");
  }
  if (!spec.queries.empty()) PB_RETURN_IF_ERROR(CheckQueries(spec));
  if (spec.separator != ',' && spec.separator != ';' && spec.separator != '\t') {
    return BadField("csv.separator", std::string_view(&spec.separator, 1), "a comma, a semicolon or a tab");
  }
  if (spec.time == CsvTime::kPattern) {
    return BadField("csv.time", "CSV_TIME_PATTERN", "a time without pattern");
  }
  if (spec.range.end < spec.range.start) {
    return BadField("end_time", std::to_string(spec.range.end),
                    "a time not before start_time (" + std::to_string(spec.range.start) + ")");
  }
  return absl::OkStatus();
}

absl::Status CheckExportAlive(const Clock& clock, const QueryContext& context, const TransferOptions& options) {
  if (context.cancellation != nullptr && context.cancellation->cancelled()) {
    return absl::CancelledError("the caller cancelled the export");
  }
  if (clock.MonotonicNanos() < context.deadline_monotonic_nanos) return absl::OkStatus();
  const std::string limit = std::to_string(options.max_export_duration_ns / kNanosPerMilli);
  return MakeError(
      ErrorReason::kQueryTooBroad,
      "the export was not done within its deadline (at most " + limit + " ms, transfer.max_export_duration)",
      {{"limitMs", limit}, {"setting", "transfer.max_export_duration"}});
}

absl::Status CheckSeriesCount(std::string_view selector, size_t count, int64_t limit, std::string_view setting) {
  if (count <= static_cast<size_t>(limit)) return absl::OkStatus();
  return MakeError(ErrorReason::kQueryTooBroad,
                   "selector '" + Printable(selector) + "' picks " + std::to_string(count) + " series; at most " +
                       std::to_string(limit) + " (" + std::string(setting) + ") would be accepted",
                   {{"selector", Printable(selector, 256)},
                    {"seriesCount", std::to_string(count)},
                    {"limit", std::to_string(limit)},
                    {"setting", std::string(setting)}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExportCursor>> ExportCursor::Open(Store& store, QueryEngine& engine,
                                                                 const QueryContext& context, const ExportSpec& spec,
                                                                 const TransferOptions& options) {
  PB_RETURN_IF_ERROR(CheckSpec(spec));
  if (!spec.queries.empty() || spec.format == TextFormat::kXlsx)
    return OpenResults(store, engine, context, spec, options);
  PB_ASSIGN_OR_RETURN(const Selector selector, Selector::Parse(spec.selector));
  const std::vector<SeriesId> ids = store.SelectSeries(context.tenant, selector);
  const bool wide = spec.format == TextFormat::kCsv && spec.layout == CsvLayout::kWide;
  PB_RETURN_IF_ERROR(
      CheckSeriesCount(spec.selector, ids.size(), options.max_export_series, "transfer.max_export_series"));
  if (wide)
    PB_RETURN_IF_ERROR(
        CheckSeriesCount(spec.selector, ids.size(), options.max_wide_series, "transfer.max_wide_series"));
  TimeRange readable = spec.range;
  const int64_t oldest = engine.clock().NowUnixNanos() - store.RawRetention(context.tenant) - kExportSlackNanos;
  readable.start = std::max(readable.start, oldest);
  readable.end = std::max(readable.start, readable.end);
  Source source{store, engine.clock(), context, spec, options, readable, {}};
  source.series.reserve(ids.size());
  for (const SeriesId id : ids) {
    if (auto info = store.GetSeries(id); info != nullptr) source.series.push_back(std::move(info));
  }
  std::unique_ptr<ExportCursor> cursor;
  if (wide) {
    cursor = std::make_unique<CsvWideExport>(std::move(source));
  } else if (spec.format == TextFormat::kCsv) {
    cursor = std::make_unique<CsvLongExport>(std::move(source));
  } else if (spec.format == TextFormat::kJsonLines) {
    cursor = std::make_unique<JsonLinesExport>(std::move(source));
  } else {
    cursor = std::make_unique<OpenMetricsExport>(std::move(source));
  }
  PB_RETURN_IF_ERROR(cursor->CheckAlive());
  store.Cut([&cursor](int64_t commit_sequence) { cursor->summary_.commit_sequence = commit_sequence; });
  return cursor;
}

absl::StatusOr<std::unique_ptr<ExportCursor>> ExportCursor::OpenResults(Store& store, QueryEngine& engine,
                                                                        const QueryContext& context,
                                                                        const ExportSpec& spec,
                                                                        const TransferOptions& options) {
  Source source{store, engine.clock(), context, spec, options, spec.range, {}};
  // A workbook of samples is one of a query for them.
  if (spec.queries.empty()) source.spec.queries.push_back({"Samples", RangeRequest{spec.selector, spec.range, 0}});
  std::unique_ptr<ResultWriter> writer;
  if (spec.format == TextFormat::kXlsx) {
    const XlsxOptions book{engine.clock().NowUnixNanos(), spec.time_zone,
                           std::min(options.max_xlsx_rows, kExcelRows - 1)};
    PB_ASSIGN_OR_RETURN(writer, MakeXlsxWriter(book));
  } else if (spec.format == TextFormat::kOpenMetrics) {
    writer = MakeOpenMetricsResultWriter();
  } else {
    writer = spec.format == TextFormat::kCsv ? MakeCsvResultWriter(spec) : MakeJsonResultWriter();
  }
  return std::make_unique<ResultExport>(std::move(source), engine, std::move(writer));
}

int64_t Exporter::Deadline(std::optional<int64_t> remaining_ns) const {
  const int64_t allowed = std::max<int64_t>(0, remaining_ns.value_or(options_.max_export_duration_ns));
  return engine_.clock().MonotonicNanos() + std::min(options_.max_export_duration_ns, allowed);
}

absl::Status Exporter::CheckAlive(const QueryContext& context) const {
  return CheckExportAlive(engine_.clock(), context, options_);
}

absl::Status ExportCursor::CheckAlive() const {
  return CheckExportAlive(source_.clock, source_.context, source_.options);
}

absl::StatusOr<std::unique_ptr<ReadView>> ExportCursor::OpenView(size_t first, size_t count) {
  std::vector<SeriesId> ids;
  ids.reserve(count);
  for (size_t i = first; i < first + count; ++i) ids.push_back(source_.series[i]->id);
  std::sort(ids.begin(), ids.end());
  return source_.store.OpenView(ids, source_.readable, nullptr);
}

void ExportCursor::AppendCsvTime(int64_t time_unix_nanos, std::string* out) const {
  AppendCsvTimeAs(source_.spec.time, time_unix_nanos, out);
}

void AppendCsvTimeAs(CsvTime form, int64_t time_unix_nanos, std::string* out) {
  switch (form) {
    case CsvTime::kUnspecified:
    case CsvTime::kRfc3339:
    case CsvTime::kPattern:
      return AppendRfc3339(time_unix_nanos, out);
    case CsvTime::kUnixSeconds:
      return AppendDecimalTime(time_unix_nanos, 9, out);
    case CsvTime::kUnixMillis:
      return AppendDecimalTime(time_unix_nanos, 6, out);
    case CsvTime::kUnixMicros:
      return AppendDecimalTime(time_unix_nanos, 3, out);
    case CsvTime::kUnixNanos:
      return AppendDecimalTime(time_unix_nanos, 0, out);
  }
}

void AppendCsvField(std::string_view text, char separator, std::string* out) {
  const bool plain =
      text.find(separator) == std::string_view::npos && text.find_first_of("\"\r\n") == std::string_view::npos;
  if (plain) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

}  // namespace pulseboard
