#include "server/transfer/openmetrics_parser.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/model/names.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxExemplarCharacters = 128;

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// HELP texts may be longer than we keep: cut where a character begins.
std::string CutText(std::string text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  text.resize(end);
  return text;
}

std::string Unescaped(std::string_view text, bool quotes) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    const bool escapes = text[i] == '\\' && (next == 'n' || next == '\\' || (quotes && next == '"'));
    if (escapes) ++i;
    out.push_back(escapes && next == 'n' ? '\n' : text[i]);
  }
  return out;
}

}  // namespace

// A cursor behind the series of a line.
struct OpenMetricsParser::Reading {
  std::string_view text;
  size_t at = 0;
  bool blanks = false;  // any number of blanks where one space would do

  bool AtEnd() const { return at == text.size(); }
  // The separator before the next token; false when there is none.
  bool Space() {
    const size_t start = at;
    if (blanks) {
      while (at < text.size() && IsBlank(text[at])) ++at;
    } else if (at < text.size() && text[at] == ' ') {
      ++at;
    }
    return at > start;
  }
  std::string_view Token() {
    const size_t start = at;
    while (at < text.size() && !(text[at] == ' ' || (blanks && text[at] == '\t'))) ++at;
    return text.substr(start, at - start);
  }
  bool Fail(LineReason reason, size_t column, std::string_view got, std::string_view expected, TextError* error) const {
    const std::string found = got.empty() ? "nothing" : "'" + Printable(got, 40) + "'";
    *error = {column + 1, reason, "found " + found + "; " + std::string(expected) + " would be accepted"};
    return false;
  }
};

OpenMetricsParser::OpenMetricsParser(Dialect dialect, ParserLimits limits)
    : prometheus_(dialect == Dialect::kPrometheus),
      rules_{.spaces = prometheus_, .trailing_comma = prometheus_},
      limits_(limits),
      cache_(limits.max_series, limits.max_series_bytes) {}

void OpenMetricsParser::Skip(const TextRecord& record) {
  if (record.fault != TextRecord::Fault::kNone || record.text.empty()) return;
  if (record.text.front() != '#') {
    family_has_samples_ = true;
    return;
  }
  ImportBatch unused;  // refused by the call that imported the line
  ParseMetadata(record, &unused);
}

void OpenMetricsParser::Parse(const TextRecord& record, ImportBatch* batch) {
  if (eof_) {
    batch->Refuse(record, 1, LineReason::kAfterEof, [] { return std::string("the text ended with '# EOF' before"); });
    return;
  }
  if (record.fault != TextRecord::Fault::kNone) {
    batch->Refuse(record, 0, LineReason::kLineTooLong,
                  [] { return std::string("the line is longer than transfer.max_line allows"); });
    return;
  }
  std::string_view text = record.text;
  if (prometheus_) {
    while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
    if (text.empty()) return;
  }
  if (!text.empty() && text.front() == '#') {
    ParseMetadata(record, batch);
  } else {
    ParseSample(record, batch);
  }
}

void OpenMetricsParser::End(int64_t line, ImportBatch* batch) {
  if (eof_ || prometheus_) return;
  TextRecord last;
  last.line = line;
  batch->Refuse(last, 0, LineReason::kMissingEof,
                [] { return std::string("the text ends without '# EOF': perhaps it was cut; what came is kept"); });
}

void OpenMetricsParser::ParseMetadata(const TextRecord& record, ImportBatch* batch) {
  Reading line{record.text, 0, prometheus_};
  line.Space();
  if (prometheus_) {
    ++line.at;
    line.Space();
    const std::string_view keyword = line.Token();
    const bool comment = keyword != "TYPE" && keyword != "HELP";
    if (!comment && line.Space()) TakeMetadata(record, keyword, line.at, batch);
    return;
  }
  if (record.text == "# EOF") {
    eof_ = true;
    return;
  }
  for (const std::string_view keyword : {"TYPE", "HELP", "UNIT"}) {
    const std::string_view rest = record.text.substr(std::min<size_t>(2, record.text.size()));
    if (record.text.starts_with("# ") && rest.starts_with(keyword) && rest.substr(keyword.size()).starts_with(' ')) {
      TakeMetadata(record, keyword, 2 + keyword.size() + 1, batch);
      return;
    }
  }
  batch->Refuse(record, 1, LineReason::kBadSyntax, [] {
    return std::string("no such line; '# TYPE', '# HELP', '# UNIT', '# EOF' or a sample would be accepted");
  });
}

void OpenMetricsParser::TakeMetadata(const TextRecord& record, std::string_view keyword, size_t at,
                                     ImportBatch* batch) {
  const auto refuse = [&](const TextError& error) {
    batch->Refuse(record, error.column, error.reason, [&] { return error.message; });
  };
  // A name alone, or a quoted one, reads like a series without labels.
  SeriesSpelling name;
  TextError error;
  const bool quoted = at < record.text.size() && record.text[at] == '"';
  const size_t name_at = at;
  if (quoted) {
    const size_t close = record.text.find('"', at + 1);
    if (close == std::string_view::npos)
      return refuse({at + 1, LineReason::kBadSyntax, "the name's quote is not closed"});
    name.metric = record.text.substr(at + 1, close - at - 1);
    at = close + 1;
  } else if (!ParseSeriesText(record.text, {}, &at, &name, &error) || !name.labels.empty()) {
    return refuse({name_at + 1, LineReason::kBadSyntax, "a metric name is expected here"});
  }
  if (!CheckSpelling(name, limits_.max_labels, name_at + 1, &error)) return refuse(error);
  Reading line{record.text, at, prometheus_};
  const bool has_text = line.Space();
  if (!has_text && !line.AtEnd()) return refuse({at + 1, LineReason::kBadSyntax, "a space is expected after the name"});
  if (name.metric != family_.name || (prometheus_ && family_has_samples_)) {
    family_ = {};
    family_.name = name.metric;
    family_has_samples_ = false;
  } else if (family_has_samples_) {
    return refuse({1, LineReason::kBadMetadata, "this must stand before the samples of its metric"});
  }
  error.column = line.at + 1;
  if (!SetMetadata(keyword, record.text.substr(line.at), &error)) refuse(error);
}

bool OpenMetricsParser::SetMetadata(std::string_view keyword, std::string_view text, TextError* error) {
  const auto fail = [error](LineReason reason, std::string message) {
    error->reason = reason;
    error->message = std::move(message);
    return false;
  };
  bool& given = keyword == "TYPE" ? family_.has_type : keyword == "HELP" ? family_.has_help : family_.has_unit;
  if (given) return fail(LineReason::kBadMetadata, "the metric has this line already");
  if (keyword == "TYPE") {
    while (prometheus_ && !text.empty() && IsBlank(text.back())) text.remove_suffix(1);
    const std::optional<FamilyType> type = ParseFamilyType(text);
    if (!type) {
      return fail(LineReason::kBadSyntax, "'" + Printable(text, 40) +
                                              "' is no type; unknown, gauge, counter, histogram, gaugehistogram, "
                                              "summary, info or stateset would be accepted");
    }
    family_.type = *type;
  } else if (keyword == "HELP") {
    if (!IsValidUtf8(text) || text.find('\0') != std::string_view::npos) {
      return fail(LineReason::kBadSyntax, "the text is not UTF-8 without NUL");
    }
    family_.help = CutText(Unescaped(text, !prometheus_), kMaxDescriptionBytes);
  } else {
    const bool suffix = text.empty() || (family_.name.size() > text.size() && family_.name.ends_with(text) &&
                                         family_.name[family_.name.size() - text.size() - 1] == '_');
    if (!suffix || text.size() > kMaxUnitBytes) {
      return fail(LineReason::kBadMetadata, "the metric's name does not end in '_" + Printable(text, 40) + "'");
    }
    family_.unit = text;
  }
  given = true;
  return true;
}

const SeriesCache::Entry* OpenMetricsParser::FindSeries(std::string_view text, size_t column, const TextRecord& record,
                                                        ImportBatch* batch) {
  const auto ends = [this](std::string_view rest) {
    if (rest.empty() || !(rest.front() == ' ' || (prometheus_ && rest.front() == '\t'))) return false;
    if (!prometheus_) return true;
    const size_t next = rest.find_first_not_of(" \t");
    return next == std::string_view::npos || rest[next] != '{';
  };
  if (const auto* guessed = cache_.Guess(text, ends)) return guessed;
  const std::string_view spelled = text.substr(0, SeriesTextLength(text, rules_));
  if (const auto* known = cache_.Find(spelled)) return known;
  return Define(text, spelled, column, record, batch);
}

const SeriesCache::Entry* OpenMetricsParser::Define(std::string_view text, std::string_view spelled, size_t column,
                                                    const TextRecord& record, ImportBatch* batch) {
  SeriesSpelling series;
  TextError error;
  size_t at = 0;
  FamilyMember member;
  bool good =
      ParseSeriesText(text, rules_, &at, &series, &error) && CheckSpelling(series, limits_.max_labels, 1, &error);
  if (good) {
    std::optional<FamilyMember> found = FindMember(family_, series, prometheus_, &error);
    if (!found) {  // a family without metadata
      family_ = {};
      family_.name = series.metric;
      found = FamilyMember{};
    }
    member = *found;
    good = error.reason == LineReason::kUnspecified;
  }
  if (!good) {
    batch->Refuse(record, error.column + column, error.reason, [&] { return error.message; });
    return nullptr;
  }
  const SeriesCache::Entry* entry = cache_.Insert(spelled, member.rules);
  if (entry == nullptr) {
    batch->Refuse(record, column + 1, LineReason::kSeriesLimit, [&] {
      return "the text has more than " + std::to_string(cache_.size()) +
             " series; no more would be accepted (ingest.max_refs_per_stream, transfer.max_series_text)";
    });
    return nullptr;
  }
  batch->series.push_back(
      {entry->ref, std::move(series.metric), std::move(series.labels), member.kind, family_.unit, family_.help});
  return entry;
}

void OpenMetricsParser::ParseSample(const TextRecord& record, ImportBatch* batch) {
  std::string_view text = record.text;
  if (prometheus_) text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const size_t column = record.text.size() - text.size();
  const SeriesCache::Entry* series = FindSeries(text, column, record, batch);
  family_has_samples_ = true;
  if (series == nullptr) return;
  Reading line{text, series->text.size(), prometheus_};
  TextError error;
  double value = 0;
  int64_t time = default_time_;
  bool exemplar = false;
  const bool spaced =
      line.Space() || line.Fail(LineReason::kBadSyntax, line.at, text.substr(line.at, 1), "a space", &error);
  const char* at = text.data() + line.at;
  const char* const end = text.data() + text.size();
  bool good = spaced;
  if (good) {
    good = ParseValueAt(&at, end, &value) && (at == end || *at == ' ' || (prometheus_ && *at == '\t'));
    const bool fits =
        (series->flags & kOne) != 0 ? value == 1 : (series->flags & kZeroOrOne) == 0 || value == 0 || value == 1;
    if (!good) {
      const size_t start = line.at;
      line.Fail(LineReason::kBadValue, start, line.Token(), "a decimal number, NaN, +Inf or -Inf", &error);
    } else if (!fits) {
      good = line.Fail(LineReason::kBadMetadata, line.at, line.Token(),
                       (series->flags & kOne) != 0 ? "1, as for every info" : "0 or 1, as for every stateset", &error);
    }
  }
  if (good && at != end) {
    line.at = static_cast<size_t>(at - text.data());
    good = ReadRest(&line, series->flags, &time, &exemplar, &error);
  }
  if (!good) {
    batch->Refuse(record, error.column + column, error.reason, [&] { return error.message; });
    return;
  }
  if (exemplar) ++batch->dropped_exemplars;
  batch->BeginRecord(record);
  batch->Add(series->ref, time, value);
}

bool OpenMetricsParser::ReadRest(Reading* line, uint32_t rules, int64_t* time, bool* exemplar, TextError* error) const {
  line->Space();
  if (line->AtEnd() && prometheus_) return true;
  if (!line->AtEnd() && line->text[line->at] != '#') {
    if (!ReadTime(line, time, error)) return false;
    if (line->AtEnd()) return true;
    line->Space();
    if (line->AtEnd() && prometheus_) return true;
  }
  *exemplar = true;
  return ReadExemplar(line, rules, error);
}

bool OpenMetricsParser::ReadTime(Reading* line, int64_t* time, TextError* error) const {
  const size_t start = line->at;
  const std::string_view token = line->Token();
  const bool whole = token.find_first_not_of("0123456789") == std::string_view::npos;
  const std::optional<int64_t> parsed =
      prometheus_ && !whole ? std::nullopt : ParseDecimalTime(token, prometheus_ ? 6 : 9);
  if (!parsed) {
    return line->Fail(LineReason::kBadTime, start, token,
                      prometheus_ ? "whole Unix milliseconds, 1970 to 2262," : "decimal Unix seconds, 1970 to 2262,",
                      error);
  }
  *time = *parsed;
  return true;
}

// ` # {labels} number [timestamp]`: read to see that it is right, then dropped.
bool OpenMetricsParser::ReadExemplar(Reading* line, uint32_t rules, TextError* error) const {
  const size_t start = line->at;
  const std::string_view rest = line->text.substr(start);
  if (prometheus_ || !rest.starts_with("# ")) {
    return line->Fail(LineReason::kBadSyntax, start, rest.substr(0, 1), "a time, an exemplar or the end of the line",
                      error);
  }
  if ((rules & kMayHaveExemplar) == 0) {
    return line->Fail(LineReason::kBadMetadata, start, "#", "exemplars only for counters and buckets", error);
  }
  line->at += 2;
  SeriesSpelling labels;
  if (!ParseSeriesText(line->text, {.labels_only = true}, &line->at, &labels, error)) return false;
  size_t characters = 0;
  for (const auto& [name, value] : labels.labels) characters += Characters(name) + Characters(value);
  if (characters > kMaxExemplarCharacters) {
    return line->Fail(LineReason::kBadLabels, start, "#", "at most 128 characters in the labels of an exemplar", error);
  }
  if (!line->Space()) return line->Fail(LineReason::kBadSyntax, line->at, "", "a space and a number", error);
  const size_t number_at = line->at;
  const std::string_view number = line->Token();
  if (!ParseValue(number)) return line->Fail(LineReason::kBadValue, number_at, number, "a decimal number", error);
  if (line->AtEnd()) return true;
  line->Space();
  int64_t unused = 0;
  if (!ReadTime(line, &unused, error)) return false;
  return line->AtEnd() ||
         line->Fail(LineReason::kBadSyntax, line->at, line->text.substr(line->at, 1), "the end of the line", error);
}

}  // namespace pulseboard
