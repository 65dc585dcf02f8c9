// Lexer: an expression as tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pulseboard::expression {

struct Token {
  enum class Kind : uint8_t { kEnd, kNumber, kDuration, kString, kName, kSymbol };

  Kind kind = Kind::kEnd;
  std::string_view text;    // as written; a view into the expression
  size_t at = 0;            // byte offset
  double number = 0;        // kNumber
  int64_t duration_ns = 0;  // kDuration
  std::string string;       // kString, escapes resolved
};

// INVALID_ARGUMENT/BAD_EXPRESSION at byte `at` of `text`: "expression, column N: found X; EXPECTED would be accepted".
// Metadata: column, expression, expected.
absl::Status BadExpression(std::string_view text, size_t at, std::string_view found, std::string_view expected);

// Not thread-safe. `text` must outlive it. White space and `# comments` are skipped.
//
// A name takes `-`, `/` and `.` along when a letter, digit or `_` follows at once, as selectors do elsewhere: `a-b` is
// a name, `a - b`, `a -b` and `a{} -b` are differences.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  absl::StatusOr<Token> Next();

 private:
  void SkipSpace();
  char Peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  absl::StatusOr<Token> Number();
  absl::StatusOr<Token> QuotedText();
  absl::Status Escape(std::string* out);
  Token Name();
  absl::StatusOr<Token> Symbol();

  std::string_view text_;
  size_t at_ = 0;
  int brackets_ = 0;  // inside `[…]` a `:` is never part of a name
};

// Keywords, functions and operators are read in any case.
std::string LowerCase(std::string_view text);
// The metric name as it can stand in an expression: bare, or `{"quoted"}` when it would be read as something else.
bool IsBareName(std::string_view name);
// Quotes and escapes.
std::string QuoteText(std::string_view text);

}  // namespace pulseboard::expression
