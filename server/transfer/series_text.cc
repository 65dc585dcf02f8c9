#include "server/transfer/series_text.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/model/names.h"

namespace pulseboard {
namespace {

// A cursor over a line that says where it failed.
class SeriesReaderState {
 public:
  SeriesReaderState(std::string_view text, const SeriesTextRules& rules, size_t at, TextError* error)
      : text_(text), rules_(rules), at_(at), error_(error) {}

  bool Read(SeriesSpelling* out) {
    if (!Name(&out->metric)) return false;
    const bool braces = Peek() == '{' || (rules_.spaces && PeekPastBlanks() == '{');
    if (rules_.labels_only && (!braces || !out->metric.empty())) return Fail("'{'");
    if (!braces) return !out->metric.empty() || Fail("a metric name");
    SkipBlanks();
    ++at_;
    return Labels(out);
  }
  size_t at() const { return at_; }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char PeekPastBlanks() const {
    const size_t next = text_.find_first_not_of(" \t", at_);
    return next == std::string_view::npos ? '\0' : text_[next];
  }
  void SkipBlanks() {
    while (rules_.spaces && (Peek() == ' ' || Peek() == '\t')) ++at_;
  }
  bool Fail(std::string_view expected) {
    const std::string found = at_ < text_.size() ? "'" + Printable(text_.substr(at_, 1)) + "'" : "the end of the line";
    *error_ = {at_ + 1, LineReason::kBadSyntax, "found " + found + "; " + std::string(expected) + " would be accepted"};
    return false;
  }
  // Empty when there is none.
  bool Name(std::string* out) {
    const size_t start = at_;
    while (at_ < text_.size() && IsNameByte(text_[at_], at_ == start)) ++at_;
    out->assign(text_.substr(start, at_ - start));
    return true;
  }
  bool Quoted(std::string* out) {
    if (Peek() != '"') return Fail("a quoted text");
    ++at_;
    out->clear();
    while (at_ < text_.size() && text_[at_] != '"') {
      const size_t plain = std::min(text_.find_first_of("\"\\", at_), text_.size());
      out->append(text_.substr(at_, plain - at_));
      at_ = plain;
      if (Peek() != '\\') continue;
      if (++at_ >= text_.size()) break;
      const char escaped = text_[at_++];
      // Any other escaped character stands for itself, its backslash included (OpenMetrics 1.0, "escaped-char").
      if (escaped == 'n') {
        out->push_back('\n');
      } else {
        if (escaped != '\\' && escaped != '"') out->push_back('\\');
        out->push_back(escaped);
      }
    }
    if (Peek() != '"') return Fail("a closing quote");
    ++at_;
    return true;
  }
  // `name="value"` or, once, a quoted metric name.
  bool Label(SeriesSpelling* out) {
    std::string name;
    if (Peek() == '"') {
      if (!Quoted(&name)) return false;
      SkipBlanks();
      if (Peek() != '=') {
        if (!out->metric.empty()) return Fail("one metric name");
        out->metric = std::move(name);
        return true;
      }
    } else {
      if (!Name(&name)) return false;
      if (name.empty()) return Fail("a label name");
      SkipBlanks();
      if (Peek() != '=') return Fail("'='");
    }
    ++at_;
    SkipBlanks();
    std::string value;
    if (!Quoted(&value)) return false;
    out->labels.emplace_back(std::move(name), std::move(value));
    return true;
  }
  bool Labels(SeriesSpelling* out) {
    SkipBlanks();
    while (Peek() != '}') {
      if (!Label(out)) return false;
      SkipBlanks();
      if (Peek() == '}') break;
      if (Peek() != ',') return Fail("',' or '}'");
      ++at_;
      SkipBlanks();
      if (Peek() == '}' && !rules_.trailing_comma) return Fail("a label");
    }
    ++at_;
    return rules_.labels_only || !out->metric.empty() || Fail("a metric name");
  }

  const std::string_view text_;
  const SeriesTextRules rules_;
  size_t at_;
  TextError* const error_;
};

bool Refuse(const absl::Status& why, LineReason reason, size_t column, TextError* error) {
  *error = {column, reason, StatusMessage(why)};
  return false;
}

bool IsPlainName(std::string_view name, bool colon) {
  const auto allowed = [colon](char c) { return c != '.' && c != '-' && c != '/' && (colon || c != ':'); };
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsNameByte(name[i], i == 0) || !allowed(name[i])) return false;
  }
  return true;
}

void AppendName(std::string_view name, bool plain, std::string* out) {
  if (plain) {
    out->append(name);
    return;
  }
  out->push_back('"');
  AppendEscaped(name, out);
  out->push_back('"');
}

}  // namespace

size_t SeriesTextLength(std::string_view text, const SeriesTextRules& rules) {
  size_t at = 0;
  while (at < text.size() && IsNameByte(text[at], at == 0)) ++at;
  size_t brace = at;
  while (rules.spaces && brace < text.size() && (text[brace] == ' ' || text[brace] == '\t')) ++brace;
  if (brace >= text.size() || text[brace] != '{') return at;
  at = brace + 1;
  while (at < text.size() && text[at] != '}') {
    if (text[at++] != '"') continue;
    while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    ++at;
  }
  return std::min(at + 1, text.size());
}

bool ParseSeriesText(std::string_view text, const SeriesTextRules& rules, size_t* at, SeriesSpelling* out,
                     TextError* error) {
  out->metric.clear();
  out->labels.clear();
  SeriesReaderState state(text, rules, *at, error);
  if (!state.Read(out)) return false;
  *at = state.at();
  return true;
}

bool CheckSpelling(const SeriesSpelling& spelling, int32_t max_labels, size_t column, TextError* error) {
  if (const absl::Status bad = ValidateMetricName("metric", spelling.metric); !bad.ok()) {
    return Refuse(bad, LineReason::kBadMetric, column, error);
  }
  if (spelling.labels.size() > static_cast<size_t>(max_labels)) {
    const std::string got = std::to_string(spelling.labels.size()) + " labels";
    const std::string most = "at most " + std::to_string(max_labels) + " (ingest.max_labels)";
    return Refuse(BadField("labels", got, most), LineReason::kBadLabels, column, error);
  }
  std::vector<std::string_view> names;
  for (const auto& [name, value] : spelling.labels) {
    absl::Status bad = ValidateLabelName("label name", name);
    if (bad.ok()) bad = ValidateLabelValue("value of label " + name, value);
    if (!bad.ok()) return Refuse(bad, LineReason::kBadLabels, column, error);
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    return Refuse(BadField("labels", *twice, "every label name once"), LineReason::kBadLabels, column, error);
  }
  return true;
}

bool IsOpenMetricsName(std::string_view name) { return IsPlainName(name, /*colon=*/true); }

void AppendEscaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    if (c == '\\' || c == '"') out->push_back('\\');
    if (c == '\n') {
      out->append("\\n");
    } else {
      out->push_back(c);
    }
  }
}

void AppendOpenMetricsName(std::string_view name, std::string* out) { AppendName(name, IsOpenMetricsName(name), out); }

void AppendSeriesText(const SeriesKey& key, bool quote_names, std::string* out) {
  const bool plain = !quote_names || IsOpenMetricsName(key.metric);
  if (plain) out->append(key.metric);
  if (plain && key.labels.empty()) return;
  out->push_back('{');
  if (!plain) AppendName(key.metric, false, out);
  bool first = plain;
  for (const Label& label : key.labels) {
    if (!std::exchange(first, false)) out->push_back(',');
    AppendName(label.name, !quote_names || IsPlainName(label.name, /*colon=*/false), out);
    out->append("=\"");
    AppendEscaped(label.value, out);
    out->push_back('"');
  }
  out->push_back('}');
}

}  // namespace pulseboard
