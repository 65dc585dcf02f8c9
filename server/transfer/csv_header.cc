// What the columns of a CSV table are.
#include <algorithm>
#include <array>

#include "common/base/errors.h"
#include "server/transfer/csv_parser.h"
#include "server/transfer/series_text.h"

namespace pulseboard {
namespace {

constexpr std::array<char, 3> kSeparators = {',', ';', '\t'};

// The separator that stands most often outside of quotes.
char GuessSeparator(std::string_view header) {
  std::array<size_t, kSeparators.size()> counts{};
  bool in_quotes = false;
  for (const char c : header) {
    if (c == '"') in_quotes = !in_quotes;
    const auto* found = std::find(kSeparators.begin(), kSeparators.end(), c);
    if (!in_quotes && found != kSeparators.end()) ++counts[static_cast<size_t>(found - kSeparators.begin())];
  }
  const auto* most = std::max_element(counts.begin(), counts.end());
  return kSeparators[static_cast<size_t>(most - counts.begin())];
}

absl::Status NoColumn(std::string_view field, std::string_view wanted, std::string_view header) {
  return BadField(field, header, "a header with a column '" + Printable(wanted) + "'");
}

std::string_view Trimmed(std::string_view name) {
  while (name.starts_with(' ')) name.remove_prefix(1);
  while (name.ends_with(' ')) name.remove_suffix(1);
  return name;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CsvParser>> CsvParser::Make(CsvReadOptions options, ParserLimits limits) {
  if (options.separator != 0 &&
      std::find(kSeparators.begin(), kSeparators.end(), options.separator) == kSeparators.end()) {
    return BadField("csv.separator", std::string_view(&options.separator, 1), "a comma, a semicolon or a tab");
  }
  if (options.columns.size() > kMaxCsvColumns) {
    return BadField("csv.columns", std::to_string(options.columns.size()) + " columns",
                    "at most " + std::to_string(kMaxCsvColumns));
  }
  PB_ASSIGN_OR_RETURN(CsvTimeReader time, CsvTimeReader::Make(options.time, options.time_pattern, options.time_zone));
  const std::string header = options.header;
  std::unique_ptr<CsvParser> parser(new CsvParser(std::move(options), limits, std::move(time)));
  if (!header.empty()) {
    TextRecord record;
    record.text = header;
    record.has_quotes = header.find('"') != std::string::npos;
    parser->Skip(record);
    PB_RETURN_IF_ERROR(parser->status_);
  }
  return parser;
}

CsvParser::CsvParser(CsvReadOptions options, ParserLimits limits, CsvTimeReader time)
    : options_(std::move(options)),
      limits_(limits),
      time_(std::move(time)),
      separator_(options_.separator),
      cache_(limits.max_series, limits.max_series_bytes) {}

int64_t CsvParser::series_count() const {
  return wide_ && series_names_ != nullptr ? static_cast<int64_t>(series_names_->size()) : cache_.size();
}

void CsvParser::ReadHeader(const TextRecord& record, ImportBatch* batch) {
  has_header_ = true;
  if (separator_ == 0) separator_ = GuessSeparator(record.text);
  ImportBatch trouble;
  trouble.refusals.set_room(1);
  columns_.clear();
  if (record.fault != TextRecord::Fault::kNone || !SplitFields(record, &trouble)) {
    status_ = BadField("csv.header", record.text,
                       "a header record with its quotes closed, not longer than transfer.max_line,");
    return;
  }
  const std::vector<Field> names = fields_;  // views into the record and into unquoted_, both left alone meanwhile
  status_ = AssignColumns(record, names, batch);
}

absl::Status CsvParser::AssignColumns(const TextRecord& record, const std::vector<Field>& names, ImportBatch* batch) {
  if (names.size() > kMaxCsvColumns) {
    return BadField("csv.header", std::to_string(names.size()) + " columns",
                    "at most " + std::to_string(kMaxCsvColumns));
  }
  columns_.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) columns_[i].name = Trimmed(names[i].text);
  for (const auto& [name, meaning] : options_.columns) {
    const bool known = std::any_of(columns_.begin(), columns_.end(), [&](const Column& c) { return c.name == name; });
    if (!known) return NoColumn("csv.columns", name, record.text);
  }
  PB_RETURN_IF_ERROR(AssignRoles(names));
  if (!wide_) return AssignLong(names);
  AssignWide(record, names, batch);
  return absl::OkStatus();
}

// Finds the time column and the layout.
absl::Status CsvParser::AssignRoles(const std::vector<Field>& names) {
  const auto find = [this](std::string_view name) {
    const auto it = std::find_if(columns_.begin(), columns_.end(), [&](const Column& c) { return c.name == name; });
    return static_cast<size_t>(it - columns_.begin());
  };
  const std::string value = options_.value_column.empty() ? "value" : options_.value_column;
  const std::string metric = options_.metric_column.empty() ? "metric" : options_.metric_column;
  value_at_ = find(value);
  metric_at_ = find(metric);
  has_metric_ = options_.metric.empty();
  wide_ = options_.layout == CsvLayout::kWide;
  if (options_.layout == CsvLayout::kUnspecified) {
    wide_ = value_at_ == names.size() || (has_metric_ && metric_at_ == names.size());
    const bool said_long =
        !options_.value_column.empty() || !options_.metric_column.empty() || !options_.metric.empty();
    if (said_long) wide_ = false;
  }
  if (!options_.time_column.empty()) {
    time_at_ = find(options_.time_column);
    if (time_at_ == names.size()) return NoColumn("csv.time_column", options_.time_column, names[0].text);
  } else {
    time_at_ = find("time");
    if (time_at_ == names.size()) time_at_ = find("timestamp");
    if (time_at_ == names.size() && wide_) time_at_ = 0;
    if (time_at_ == names.size()) return NoColumn("csv.time_column", "time", names[0].text);
  }
  columns_[time_at_].role = Role::kTime;
  if (wide_) return absl::OkStatus();
  if (value_at_ == names.size()) return NoColumn("csv.value_column", value, names[0].text);
  if (has_metric_ && metric_at_ == names.size()) return NoColumn("csv.metric_column", metric, names[0].text);
  return absl::OkStatus();
}

absl::Status CsvParser::AssignLong(const std::vector<Field>& names) {
  columns_[value_at_].role = Role::kValue;
  if (has_metric_) columns_[metric_at_].role = Role::kMetric;
  for (size_t i = 0; i < names.size(); ++i) {
    Column& column = columns_[i];
    if (column.role != Role::kIgnored) {
      if (column.role == Role::kMetric) key_at_.push_back(i);
      continue;
    }
    if (const auto it = options_.columns.find(column.name); it != options_.columns.end()) {
      if (it->second.what == CsvColumnMeaning::What::kIgnored) continue;
      if (it->second.what == CsvColumnMeaning::What::kSeries) {
        return BadField("csv.columns", column.name, "a label for a column of the long form");
      }
      column.name = it->second.text;
    }
    column.role = Role::kLabel;
    key_at_.push_back(i);
  }
  return absl::OkStatus();
}

void CsvParser::AssignWide(const TextRecord& record, const std::vector<Field>& names, ImportBatch* batch) {
  auto series = std::make_shared<std::vector<std::string>>();
  for (size_t i = 0; i < names.size(); ++i) {
    Column& column = columns_[i];
    if (column.role == Role::kTime) continue;
    const auto it = options_.columns.find(column.name);
    if (it != options_.columns.end()) {
      if (it->second.what == CsvColumnMeaning::What::kIgnored) continue;
      column.name = it->second.text;
    }
    column.ref = static_cast<uint32_t>(series->size() + 1);
    DefineWideColumn(record, names[i], &column, batch);
    if (column.role == Role::kSeries) series->push_back(column.name);
  }
  series_names_ = std::move(series);
}

void CsvParser::DefineWideColumn(const TextRecord& record, const Field& field, Column* column, ImportBatch* batch) {
  SeriesSpelling spelling;
  TextError error;
  size_t at = 0;
  bool good = ParseSeriesText(column->name, {.spaces = true, .trailing_comma = true}, &at, &spelling, &error);
  if (good && at != column->name.size()) {
    good = false;
    error = {at + 1, LineReason::kBadMetric, "something stands after the series"};
  }
  good = good && CheckSpelling(spelling, limits_.max_labels, field.column, &error);
  column->role = good ? Role::kSeries : Role::kRefused;
  if (good) {
    batch->series.push_back({column->ref, std::move(spelling.metric), std::move(spelling.labels), {}, {}, {}});
    return;
  }
  column->reason = error.reason == LineReason::kBadSyntax ? LineReason::kBadMetric : error.reason;
  batch->Refuse(record, field.column, column->reason, [&] {
    return "column '" + Printable(column->name) + "' names no series and is left out: " + error.message +
           "; metric{label=\"value\"}, or a meaning in csv.columns, would be accepted";
  });
}

}  // namespace pulseboard
