#include "server/query/expression/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/units.h"
#include "common/model/names.h"

namespace pulseboard::expression {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordByte(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::optional<double> ParseNumberText(std::string_view text) {
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    uint64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), whole, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return static_cast<double>(whole);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::array<std::string_view, 12> kReserved = {
    "and", "or", "unless", "offset", "bool", "on", "ignoring", "by", "without", "group_left", "inf", "group_right"};

}  // namespace

absl::Status BadExpression(std::string_view text, size_t at, std::string_view found, std::string_view expected) {
  const std::string column = std::to_string(at + 1);
  return MakeError(ErrorReason::kBadExpression,
                   "expression, column " + column + ": found " + std::string(found) + "; " + std::string(expected) +
                       " would be accepted",
                   {{"column", column}, {"expression", Printable(text, 256)}, {"expected", std::string(expected)}});
}

void Lexer::SkipSpace() {
  while (at_ < text_.size()) {
    if (text_[at_] == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
      ++at_;
    } else {
      return;
    }
  }
}

absl::StatusOr<Token> Lexer::Next() {
  SkipSpace();
  if (at_ >= text_.size()) return Token{Token::Kind::kEnd, {}, text_.size(), 0, 0, {}};
  const char c = Peek();
  if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return Number();
  if (c == '"' || c == '\'' || c == '`') return QuotedText();
  if (IsNameByte(c, true) && !(c == ':' && brackets_ > 0)) return Name();
  return Symbol();
}

absl::StatusOr<Token> Lexer::Number() {
  Token token;
  token.at = at_;
  const bool hexadecimal = Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X');
  while (IsWordByte(Peek()) || Peek() == '.') {
    const bool exponent = !hexadecimal && (Peek() == 'e' || Peek() == 'E');
    ++at_;
    if (exponent && (Peek() == '+' || Peek() == '-') && IsDigit(Peek(1))) ++at_;
  }
  token.text = text_.substr(token.at, at_ - token.at);
  if (const auto number = ParseNumberText(token.text)) {
    token.kind = Token::Kind::kNumber;
    token.number = *number;
    return token;
  }
  const auto duration = ParseDuration(token.text, kNanosPerMilli);
  if (!duration) {
    return BadExpression(
        text_, token.at, "'" + Printable(token.text, 40) + "'",
        "a number such as 1.5e3 or a duration such as 1h30m (y w d h m s ms, in this order, below 292y)");
  }
  token.kind = Token::Kind::kDuration;
  token.duration_ns = *duration;
  return token;
}

absl::Status Lexer::Escape(std::string* out) {
  constexpr std::string_view kNames = "nrt\\\"'";
  constexpr std::string_view kMeanings = "\n\r\t\\\"'";
  const size_t which = at_ < text_.size() ? kNames.find(Peek()) : std::string_view::npos;
  if (which == std::string_view::npos) {
    const std::string found = at_ < text_.size() ? "'\\" + Printable(text_.substr(at_, 1)) + "'" : "the end";
    return BadExpression(text_, at_ - 1, found, R"(one of \n \r \t \\ \" \')");
  }
  out->push_back(kMeanings[which]);
  ++at_;
  return absl::OkStatus();
}

absl::StatusOr<Token> Lexer::QuotedText() {
  Token token;
  token.kind = Token::Kind::kString;
  token.at = at_;
  const char quote = text_[at_++];
  while (at_ < text_.size() && Peek() != quote) {
    const char c = text_[at_++];
    if (c == '\\' && quote != '`') {
      PB_RETURN_IF_ERROR(Escape(&token.string));
    } else {
      token.string.push_back(c);
    }
  }
  if (at_ >= text_.size()) return BadExpression(text_, at_, "the end", "a closing quote");
  ++at_;
  token.text = text_.substr(token.at, at_ - token.at);
  return token;
}

Token Lexer::Name() {
  Token token;
  token.kind = Token::Kind::kName;
  token.at = at_;
  while (at_ < text_.size()) {
    const char c = Peek();
    const bool joins = (c == '.' || c == '-' || c == '/') && IsWordByte(Peek(1));
    if (!joins && !IsWordByte(c) && !(c == ':' && brackets_ == 0)) break;
    ++at_;
  }
  token.text = text_.substr(token.at, at_ - token.at);
  return token;
}

absl::StatusOr<Token> Lexer::Symbol() {
  constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", ">=", "<=", "=~", "!~"};
  Token token;
  token.kind = Token::Kind::kSymbol;
  token.at = at_;
  const std::string_view pair = text_.substr(at_, 2);
  const bool is_pair = std::find(kPairs.begin(), kPairs.end(), pair) != kPairs.end();
  if (!is_pair && std::strchr("+-*/%^=<>(){}[],:@", Peek()) == nullptr) {
    return BadExpression(text_, at_, "'" + Printable(text_.substr(at_, 1)) + "'",
                         "a name, a number, a quoted text or an operator");
  }
  token.text = text_.substr(at_, is_pair ? 2 : 1);
  at_ += token.text.size();
  if (token.text == "[") ++brackets_;
  if (token.text == "]" && brackets_ > 0) --brackets_;
  return token;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool IsBareName(std::string_view name) {
  const std::string lower = LowerCase(name);
  if (lower == "nan" || std::find(kReserved.begin(), kReserved.end(), lower) != kReserved.end()) return false;
  // A leading ':' would join the "[" "…:" before it; it is quoted for certainty.
  if (name.empty() || !IsNameByte(name[0], true) || name[0] == ':') return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (IsWordByte(name[i])) continue;
    if (name[i] == ':') continue;
    const bool joins = name[i] == '.' || name[i] == '-' || name[i] == '/';
    if (!joins || i + 1 == name.size() || !IsWordByte(name[i + 1])) return false;
  }
  return true;
}

std::string QuoteText(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
  }
  return out + "\"";
}

}  // namespace pulseboard::expression
