#include "server/transfer/csv_parser.h"

#include <cstring>

#include "common/base/errors.h"
#include "server/transfer/series_text.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

// Between the fields that make up a series: cannot stand in a name, and where it stands in a value the series is
// merely kept twice.
constexpr char kKeySeparator = '\x1f';

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

void CsvParser::Skip(const TextRecord& record) {
  if (has_header_ || record.text.empty()) return;
  ReadHeader(record, &header_batch_);
}

void CsvParser::Parse(const TextRecord& record, ImportBatch* batch) {
  if (!status_.ok()) return;
  if (!has_header_) {
    if (record.text.empty()) return;
    header_batch_.refusals.set_room(batch->refusals.room());
    ReadHeader(record, &header_batch_);
    header_told_ = true;
    batch->series = std::move(header_batch_.series);
    batch->refusals = std::move(header_batch_.refusals);
    batch->series_names = series_names_;
    return;
  }
  batch->series_names = series_names_;
  if (!std::exchange(header_told_, true)) {
    for (ImportSeries& series : header_batch_.series) batch->series.push_back(std::move(series));
  }
  if (record.fault == TextRecord::Fault::kTooLong) {
    batch->Refuse(record, 0, LineReason::kLineTooLong,
                  [] { return std::string("the record is longer than transfer.max_line allows"); });
  } else if (record.fault == TextRecord::Fault::kUnclosedQuote) {
    batch->Refuse(record, 0, LineReason::kBadQuoting, [] {
      return std::string(
          "a quote is not closed before the end of the text or within transfer.max_line; its line is left out");
    });
  } else if (record.text.empty()) {
    return;
  } else if (wide_) {
    ParseWide(record, batch);
  } else {
    ParseLong(record, batch);
  }
}

void CsvParser::End(int64_t /*line*/, ImportBatch* /*batch*/) {
  if (!has_header_) status_ = BadField("csv.header", "", "a text with a header record");
}

bool CsvParser::SplitFields(const TextRecord& record, ImportBatch* batch) {
  fields_.clear();
  if (record.has_quotes) return SplitQuoted(record, batch);
  const char* const begin = record.text.data();
  const char* const end = begin + record.text.size();
  // One more than the header has is enough to see that it is wrong.
  const size_t most = columns_.empty() ? kMaxCsvColumns + 1 : columns_.size() + 1;
  for (const char* at = begin; fields_.size() < most;) {
    const void* found = at == end ? nullptr : std::memchr(at, separator_, static_cast<size_t>(end - at));
    const char* stop = found == nullptr ? end : static_cast<const char*>(found);
    fields_.push_back({{at, static_cast<size_t>(stop - at)}, static_cast<size_t>(at - begin) + 1});
    if (stop == end) break;
    at = stop + 1;
  }
  return true;
}

bool CsvParser::SplitQuoted(const TextRecord& record, ImportBatch* batch) {
  const std::string_view text = record.text;
  unquoted_used_ = 0;
  size_t at = 0;
  while (true) {
    const size_t start = at;
    if (at < text.size() && text[at] == '"') {
      if (unquoted_used_ == unquoted_.size()) unquoted_.emplace_back();
      std::string& field = unquoted_[unquoted_used_++];
      field.clear();
      while (true) {
        const size_t quote = text.find('"', at + 1);
        if (quote == std::string_view::npos) break;
        field.append(text.substr(at + 1, quote - at - 1));
        at = quote + 1;
        if (at >= text.size() || text[at] != '"') break;
        field.push_back('"');
      }
      if (at < text.size() && text[at] != separator_) {
        batch->Refuse(record, at + 1, LineReason::kBadQuoting, [] {
          return std::string("something follows a closing quote; a separator or the end of the line would be accepted");
        });
        return false;
      }
      fields_.push_back({field, start + 1});
    } else {
      at = std::min(text.find(separator_, at), text.size());
      fields_.push_back({text.substr(start, at - start), start + 1});
    }
    if (at >= text.size()) return true;
    ++at;
  }
}

void CsvParser::RefuseTime(const TextRecord& record, const Field& field, ImportBatch* batch) const {
  batch->Refuse(record, field.column, LineReason::kBadTime,
                [&] { return StatusMessage(BadField("time", field.text, time_.Accepted())); });
}

void CsvParser::RefuseFieldCount(const TextRecord& record, size_t count, ImportBatch* batch) const {
  batch->Refuse(record, 0, LineReason::kBadFieldCount, [&] {
    const std::string got =
        count > columns_.size() ? "more than " + std::to_string(columns_.size()) : std::to_string(count);
    return "the record has " + got + " fields; " + std::to_string(columns_.size()) +
           ", as the header, would be accepted";
  });
}

void CsvParser::ParseLong(const TextRecord& record, ImportBatch* batch) {
  if (!SplitFields(record, batch)) return;
  if (fields_.size() != columns_.size()) return RefuseFieldCount(record, fields_.size(), batch);
  const Field& value_field = fields_[value_at_];
  const std::string_view value_text = TrimBlanks(value_field.text);
  if (value_text.empty()) return;
  const std::optional<int64_t> time = time_.Read(TrimBlanks(fields_[time_at_].text));
  if (!time) return RefuseTime(record, fields_[time_at_], batch);
  const std::optional<double> value = ParseValue(value_text);
  if (!value) {
    return batch->Refuse(record, value_field.column, LineReason::kBadValue, [&] {
      return StatusMessage(BadField("value", value_field.text, "a decimal number, NaN, +Inf or -Inf"));
    });
  }
  const SeriesCache::Entry* series = FindLongSeries(record, batch);
  if (series == nullptr) return;
  batch->BeginRecord(record);
  batch->Add(series->ref, *time, *value);
}

const SeriesCache::Entry* CsvParser::FindLongSeries(const TextRecord& record, ImportBatch* batch) {
  key_.clear();
  for (const size_t at : key_at_) {
    key_.append(fields_[at].text);
    key_.push_back(kKeySeparator);
  }
  if (const auto* guessed = cache_.Guess(key_, [](std::string_view rest) { return rest.empty(); })) return guessed;
  if (const auto* known = cache_.Find(key_)) return known;
  return DefineLongSeries(record, batch);
}

const SeriesCache::Entry* CsvParser::DefineLongSeries(const TextRecord& record, ImportBatch* batch) {
  SeriesSpelling spelling;
  spelling.metric = has_metric_ ? fields_[metric_at_].text : std::string_view(options_.metric);
  for (const size_t at : key_at_) {
    if (columns_[at].role == Role::kLabel && !fields_[at].text.empty()) {
      spelling.labels.emplace_back(columns_[at].name, fields_[at].text);
    }
  }
  TextError error;
  if (!CheckSpelling(spelling, limits_.max_labels, has_metric_ ? fields_[metric_at_].column : 0, &error)) {
    batch->Refuse(record, error.column, error.reason, [&] { return error.message; });
    return nullptr;
  }
  const SeriesCache::Entry* entry = cache_.Insert(key_, 0);
  if (entry == nullptr) {
    batch->Refuse(record, 0, LineReason::kSeriesLimit, [&] {
      return "the text has more than " + std::to_string(cache_.size()) +
             " series; no more would be accepted (ingest.max_refs_per_stream, transfer.max_series_text)";
    });
    return nullptr;
  }
  batch->series.push_back({entry->ref, std::move(spelling.metric), std::move(spelling.labels), {}, {}, {}});
  return entry;
}

void CsvParser::ParseWide(const TextRecord& record, ImportBatch* batch) {
  const size_t samples = batch->size();
  if (!record.has_quotes && time_at_ == 0 && ParseWideQuickly(record, batch)) return;
  batch->Truncate(samples);
  ParseWideFields(record, batch);
}

// The way of nearly all tables: the time first, then plain numbers or nothing, each in one go.
bool CsvParser::ParseWideQuickly(const TextRecord& record, ImportBatch* batch) {
  const char* at = record.text.data();
  const char* const end = at + record.text.size();
  const void* found = std::memchr(at, separator_, record.text.size());
  if (found == nullptr) return false;
  const char* stop = static_cast<const char*>(found);
  const std::optional<int64_t> time = time_.Read({at, static_cast<size_t>(stop - at)});
  if (!time) return false;
  const size_t first = batch->size();
  for (size_t i = 1; i < columns_.size(); ++i) {
    if (stop == end) return false;  // too few
    at = stop + 1;
    if (at == end || *at == separator_) {
      stop = at;
      continue;
    }
    double value = 0;
    if (columns_[i].role != Role::kSeries || !ParseValueAt(&at, end, &value)) return false;
    if (at != end && *at != separator_) return false;
    batch->Add(columns_[i].ref, *time, value);
    stop = at;
  }
  if (stop != end) return false;  // too many
  if (batch->size() > first) batch->records.push_back({record.line, record.offset, static_cast<uint32_t>(first)});
  return true;
}

void CsvParser::ParseWideFields(const TextRecord& record, ImportBatch* batch) {
  if (!SplitFields(record, batch)) return;
  if (fields_.size() != columns_.size()) return RefuseFieldCount(record, fields_.size(), batch);
  const std::optional<int64_t> time = time_.Read(TrimBlanks(fields_[time_at_].text));
  if (!time) return RefuseTime(record, fields_[time_at_], batch);
  const size_t first = batch->size();
  for (size_t i = 0; i < columns_.size(); ++i) AddWideValue(record, i, fields_[i], *time, batch);
  if (batch->size() > first) batch->records.push_back({record.line, record.offset, static_cast<uint32_t>(first)});
}

void CsvParser::AddWideValue(const TextRecord& record, size_t column, const Field& field, int64_t time,
                             ImportBatch* batch) {
  const Column& meaning = columns_[column];
  const std::string_view text = TrimBlanks(field.text);
  if (text.empty() || (meaning.role != Role::kSeries && meaning.role != Role::kRefused)) return;
  if (meaning.role == Role::kRefused) return batch->refusals.Count(meaning.reason, 1);
  if (const std::optional<double> value = ParseValue(text)) return batch->Add(meaning.ref, time, *value);
  batch->refusals.Add(LineReason::kBadValue, [&] {
    const absl::Status bad = BadField("value", field.text, "a decimal number, NaN, +Inf, -Inf or nothing");
    return LineRefusal{record.line,
                       static_cast<int64_t>(field.column),
                       LineReason::kBadValue,
                       StatusMessage(bad),
                       std::string(record.text.substr(0, kReceiptTextBytes)),
                       meaning.name};
  });
}

}  // namespace pulseboard
