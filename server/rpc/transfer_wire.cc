#include "server/rpc/transfer_wire.h"

#include <string>

#include "common/base/errors.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/query_wire.h"

namespace pulseboard {
namespace {

// Open enums: an unknown number arrives as it is.
template <typename Enum>
absl::StatusOr<Enum> KnownEnum(std::string_view field, int value, Enum last) {
  if (value >= 0 && value <= static_cast<int>(last)) return static_cast<Enum>(value);
  return BadField(field, std::to_string(value), "0 to " + std::to_string(static_cast<int>(last)));
}

absl::StatusOr<char> Separator(const std::string& text, char otherwise) {
  if (text.empty()) return otherwise;
  if (text.size() == 1) return text.front();
  return BadField("csv.separator", text, "a comma, a semicolon or a tab");
}

absl::StatusOr<CsvReadOptions> ReadOptions(const v1::CsvOptions& in) {
  CsvReadOptions out;
  PB_ASSIGN_OR_RETURN(out.layout, KnownEnum("csv.layout", in.layout(), CsvLayout::kWide));
  PB_ASSIGN_OR_RETURN(out.separator, Separator(in.separator(), 0));
  PB_ASSIGN_OR_RETURN(out.time, KnownEnum("csv.time", in.time(), CsvTime::kPattern));
  out.time_pattern = in.time_pattern();
  out.time_zone = in.time_zone();
  out.time_column = in.time_column();
  out.metric_column = in.metric_column();
  out.value_column = in.value_column();
  out.metric = in.metric();
  out.header = in.header();
  if (static_cast<size_t>(in.columns_size()) > kMaxCsvColumns) {
    return BadField("csv.columns", std::to_string(in.columns_size()) + " columns",
                    "at most " + std::to_string(kMaxCsvColumns));
  }
  for (const v1::CsvColumn& column : in.columns()) {
    const std::string field = "csv.columns[" + std::to_string(out.columns.size()) + "]";
    CsvColumnMeaning meaning;
    switch (column.meaning_case()) {
      case v1::CsvColumn::kSeries:
        meaning = {CsvColumnMeaning::What::kSeries, column.series()};
        break;
      case v1::CsvColumn::kLabel:
        meaning = {CsvColumnMeaning::What::kLabel, column.label()};
        break;
      case v1::CsvColumn::kIgnored:
        break;
      case v1::CsvColumn::MEANING_NOT_SET:
        return BadField(field + ".meaning", "nothing", "series, label or ignored");
    }
    if (!out.columns.emplace(column.name(), std::move(meaning)).second) {
      return BadField(field + ".name", column.name(), "every column once");
    }
  }
  return out;
}

absl::StatusOr<std::vector<ExportQuery>> Queries(const v1::ExportRequest& in, int64_t now_unix_nanos) {
  std::vector<ExportQuery> out;
  for (const v1::ExportQuery& query : in.queries()) {
    ExportQuery& to = out.emplace_back();
    to.title = query.title();
    const std::string path = "queries[" + std::to_string(out.size() - 1) + "]";
    if (query.has_expression()) {
      PB_ASSIGN_OR_RETURN(to.request, FromProto(query.expression(), now_unix_nanos));
    } else if (!query.has_range()) {
      return BadField(path + ".query", "nothing", "a range or an expression");
    } else if (HasTimeColumns(query.range())) {
      PB_ASSIGN_OR_RETURN(to.request, ColumnsFromProto(query.range(), now_unix_nanos));
    } else {
      PB_ASSIGN_OR_RETURN(to.request, FromProto(query.range(), now_unix_nanos));
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<ImportSpec> FromProto(const v1::ImportSpec& in) {
  ImportSpec out;
  out.producer_id = in.producer_id();
  PB_ASSIGN_OR_RETURN(out.format, KnownEnum("format", in.format(), TextFormat::kPrometheus));
  PB_ASSIGN_OR_RETURN(out.csv, ReadOptions(in.csv()));
  PB_ASSIGN_OR_RETURN(out.ack_mode, FromProto(in.ack_mode()));
  if (in.has_default_time()) {
    out.default_time_unix_nanos = ToUnixNanos(in.default_time());
    if (!out.default_time_unix_nanos) {
      return BadField("default_time", std::to_string(in.default_time().seconds()) + " s", "1970-01-01 to 2262-04-11");
    }
  }
  if (in.max_refused_lines() != 0) out.max_refused_lines = in.max_refused_lines();
  return out;
}

absl::StatusOr<ExportSpec> FromProto(const v1::ExportRequest& in, int64_t now_unix_nanos) {
  // Selector and range as of a range query.
  v1::QueryRangeRequest range;
  if (in.queries_size() > 0) range.mutable_start_time();  // theirs count
  range.set_selector(in.selector());
  if (in.has_start_time()) *range.mutable_start_time() = in.start_time();
  if (in.has_end_time()) *range.mutable_end_time() = in.end_time();
  PB_ASSIGN_OR_RETURN(const RangeRequest request, FromProto(range, now_unix_nanos));
  ExportSpec out;
  out.selector = request.selector;
  out.range = request.range;
  out.time_zone = in.time_zone();
  PB_ASSIGN_OR_RETURN(out.queries, Queries(in, now_unix_nanos));
  PB_ASSIGN_OR_RETURN(out.format, KnownEnum("format", in.format(), TextFormat::kXlsx));
  PB_ASSIGN_OR_RETURN(out.layout, KnownEnum("csv.layout", in.csv().layout(), CsvLayout::kWide));
  PB_ASSIGN_OR_RETURN(out.separator, Separator(in.csv().separator(), ','));
  PB_ASSIGN_OR_RETURN(out.time, KnownEnum("csv.time", in.csv().time(), CsvTime::kPattern));
  return out;
}

void ToProto(ImportTally* tally, size_t max_refused_lines, v1::ImportProgress* out) {
  out->set_committed_offset(tally->committed_offset);
  out->set_byte_count(tally->byte_count);
  out->set_line_count(tally->line_count);
  out->set_accepted_count(tally->accepted_count);
  out->set_refused_count(tally->refused_count);
  for (LineRefusal& line : tally->TakeRefusedLines(max_refused_lines)) {
    v1::LineRefusal* to = out->add_refused_lines();
    to->set_line(line.line);
    to->set_column(line.column);
    to->set_reason(static_cast<v1::LineRefusalReason>(line.reason));
    to->set_message(line.message);
    to->set_text(std::move(line.text));
    to->set_series(std::move(line.series));
  }
}

void ToProto(ImportTally* tally, v1::ImportSummary* out) {
  ToProto(tally, 0, out->mutable_totals());
  for (size_t i = 0; i < kLineReasonCount; ++i) {
    if (tally->refused_by_reason[i] == 0) continue;
    v1::LineRefusalCount* count = out->add_refusal_counts();
    count->set_reason(static_cast<v1::LineRefusalReason>(i));
    count->set_count(tally->refused_by_reason[i]);
  }
  out->set_skipped_byte_count(tally->skipped_byte_count);
  out->set_dropped_exemplar_count(tally->dropped_exemplar_count);
  out->set_series_count(tally->series_count);
  out->set_ack_mode(tally->fsynced ? v1::ACK_MODE_FSYNCED : v1::ACK_MODE_BUFFERED);
}

}  // namespace pulseboard
