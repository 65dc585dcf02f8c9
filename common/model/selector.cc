#include "common/model/selector.h"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "common/base/errors.h"
#include "common/model/names.h"

namespace pulseboard {
namespace {

constexpr int64_t kMaxRegexMemoryBytes = 1 << 20;

std::string_view OpText(Matcher::Op op) {
  switch (op) {
    case Matcher::Op::kEqual:
      return "=";
    case Matcher::Op::kNotEqual:
      return "!=";
    case Matcher::Op::kRegex:
      return "=~";
    case Matcher::Op::kNotRegex:
      return "!~";
  }
  return "=";
}

// A cursor over the text; every error names the column it stands at.
class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<Matcher>> Parse() {
    SkipSpace();
    if (!AtEnd() && text_[at_] != '{') {
      PB_ASSIGN_OR_RETURN(std::string metric, Name("a metric name or '{'"));
      PB_ASSIGN_OR_RETURN(Matcher matcher,
                          Matcher::Make(std::string(kMetricNameLabel), Matcher::Op::kEqual, std::move(metric)));
      matchers_.push_back(std::move(matcher));
      SkipSpace();
    }
    if (!AtEnd()) PB_RETURN_IF_ERROR(Braces());
    SkipSpace();
    if (!AtEnd()) return Fail("the end of the selector");
    return std::move(matchers_);
  }

  absl::Status Fail(std::string_view expected) const {
    const std::string column = std::to_string(at_ + 1);
    const std::string found = AtEnd() ? "the end" : "'" + Printable(text_.substr(at_, 1)) + "'";
    return MakeError(
        ErrorReason::kBadSelector,
        "selector, column " + column + ": found " + found + "; " + std::string(expected) + " would be accepted",
        {{"column", column}, {"selector", Printable(text_, 256)}});
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  void SkipSpace() {
    while (!AtEnd() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool Accept(std::string_view token) {
    if (text_.substr(at_).substr(0, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  absl::StatusOr<std::string> Name(std::string_view expected) {
    const size_t start = at_;
    while (!AtEnd() && IsNameByte(text_[at_], at_ == start)) ++at_;
    if (at_ == start) return Fail(expected);
    return std::string(text_.substr(start, at_ - start));
  }

  absl::StatusOr<std::string> QuotedValue() {
    if (AtEnd() || (text_[at_] != '"' && text_[at_] != '\'')) return Fail("a quoted value");
    const char quote = text_[at_++];
    std::string value;
    while (!AtEnd() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\') {
        if (AtEnd()) break;
        const char escaped = text_[at_++];
        if (escaped == 'n') {
          c = '\n';
        } else if (escaped == 't') {
          c = '\t';
        } else if (escaped == '\\' || escaped == '"' || escaped == '\'') {
          c = escaped;
        } else {
          --at_;
          return Fail("one of \\n \\t \\\\ \\\" \\'");
        }
      }
      value.push_back(c);
    }
    if (AtEnd()) return Fail("a closing quote");
    ++at_;
    return value;
  }

  absl::Status Braces() {
    if (!Accept("{")) return Fail("'{'");
    SkipSpace();
    while (!Accept("}")) {
      PB_RETURN_IF_ERROR(OneMatcher());
      SkipSpace();
      if (Accept(",")) {
        SkipSpace();
      } else if (AtEnd() || text_[at_] != '}') {
        return Fail("',' or '}'");
      }
    }
    return absl::OkStatus();
  }

  absl::Status OneMatcher() {
    if (matchers_.size() >= kMaxMatchers) return Fail("at most " + std::to_string(kMaxMatchers) + " matchers");
    PB_ASSIGN_OR_RETURN(std::string label, Name("a label name or '}'"));
    SkipSpace();
    Matcher::Op op;
    if (Accept("=~")) {
      op = Matcher::Op::kRegex;
    } else if (Accept("!~")) {
      op = Matcher::Op::kNotRegex;
    } else if (Accept("!=")) {
      op = Matcher::Op::kNotEqual;
    } else if (Accept("=")) {
      op = Matcher::Op::kEqual;
    } else {
      return Fail("one of = != =~ !~");
    }
    SkipSpace();
    const size_t value_at = at_;
    PB_ASSIGN_OR_RETURN(std::string value, QuotedValue());
    absl::StatusOr<Matcher> matcher = Matcher::Make(std::move(label), op, std::move(value));
    if (!matcher.ok()) {
      at_ = value_at;
      return Fail("a regular expression in RE2 syntax (" + StatusMessage(matcher.status()) + ")");
    }
    matchers_.push_back(*std::move(matcher));
    return absl::OkStatus();
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Matcher> matchers_;
};

// Plain ASCII and `|`, of which `a|b` is made mostly: need not be compiled, which takes longer than a small query.
bool IsSurelyValid(std::string_view alternatives) {
  return std::all_of(alternatives.begin(), alternatives.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80 && c != '\\'; });
}

}  // namespace

absl::StatusOr<Matcher> Matcher::Make(std::string label, Op op, std::string value) {
  Matcher matcher;
  if (op == Op::kRegex || op == Op::kNotRegex) {
    matcher.literals_ = std::make_shared<const RegexLiterals>(FindRegexLiterals(value));
    if (!matcher.literals_->alternatives || !IsSurelyValid(value)) {
      re2::RE2::Options options;
      options.set_log_errors(false);
      options.set_max_mem(kMaxRegexMemoryBytes);
      auto regex = std::make_shared<re2::RE2>(value, options);
      if (!regex->ok()) return absl::InvalidArgumentError(regex->error());
      matcher.regex_ = std::move(regex);
    }
  }
  matcher.label_ = std::move(label);
  matcher.op_ = op;
  matcher.value_ = std::move(value);
  return matcher;
}

bool Matcher::MatchesRegex(std::string_view label_value) const {
  if (regex_ == nullptr) {
    return std::binary_search(literals_->alternatives->begin(), literals_->alternatives->end(), label_value);
  }
  return re2::RE2::FullMatch(re2::StringPiece(label_value.data(), label_value.size()), *regex_);
}

bool Matcher::Matches(std::string_view label_value) const {
  switch (op_) {
    case Op::kEqual:
      return label_value == value_;
    case Op::kNotEqual:
      return label_value != value_;
    case Op::kRegex:
    case Op::kNotRegex:
      return MatchesRegex(label_value) == (op_ == Op::kRegex);
  }
  return false;
}

absl::StatusOr<Selector> Selector::Parse(std::string_view text) {
  if (text.size() > kMaxSelectorBytes) {
    return MakeError(ErrorReason::kBadSelector,
                     "selector: got " + std::to_string(text.size()) + " bytes; at most " +
                         std::to_string(kMaxSelectorBytes) + " would be accepted",
                     {{"selectorBytes", std::to_string(text.size())}});
  }
  SelectorParser parser(text);
  Selector selector;
  PB_ASSIGN_OR_RETURN(selector.matchers_, parser.Parse());
  const bool selective = std::any_of(selector.matchers_.begin(), selector.matchers_.end(),
                                     [](const Matcher& m) { return !m.Matches(""); });
  if (!selective) {
    return MakeError(ErrorReason::kBadSelector,
                     "selector '" + Printable(text) +
                         "' has no matcher that excludes the empty string; a metric name or one such matcher "
                         "would be accepted",
                     {{"column", "1"}, {"selector", Printable(text, 256)}});
  }
  return selector;
}

bool Selector::Matches(const SeriesKey& key) const {
  return std::all_of(matchers_.begin(), matchers_.end(),
                     [&key](const Matcher& m) { return m.Matches(key.Get(m.label())); });
}

std::string_view Selector::MetricName() const {
  for (const Matcher& m : matchers_) {
    if (m.label() == kMetricNameLabel && m.op() == Matcher::Op::kEqual) return m.value();
  }
  return {};
}

std::string Selector::Format() const {
  std::string out = "{";
  for (const Matcher& m : matchers_) {
    if (out.size() > 1) out.push_back(',');
    out += m.label();
    out += OpText(m.op());
    out.push_back('"');
    for (const char c : m.value()) {
      if (c == '"' || c == '\\') out.push_back('\\');
      if (c == '\n') {
        out += "\\n";
      } else {
        out.push_back(c);
      }
    }
    out.push_back('"');
  }
  return out + "}";
}

}  // namespace pulseboard
