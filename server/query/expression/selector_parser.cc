#include "server/query/expression/selector_parser.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/model/names.h"

namespace pulseboard::expression {
namespace {

constexpr double kMaxAtSeconds = 9.2e9;  // 2261

}  // namespace

absl::StatusOr<NodePtr> SelectorParser::InstantSelector(const std::optional<Token>& name) {
  const size_t at = name ? name->at : token_.at;
  std::vector<Matcher> matchers;
  if (name) PB_RETURN_IF_ERROR(AddName(*name, std::string(name->text), &matchers));
  if (Is("{")) PB_RETURN_IF_ERROR(Braces(name.has_value(), &matchers));
  if (std::all_of(matchers.begin(), matchers.end(), [](const Matcher& m) { return m.Matches(""); })) {
    return BadExpression(text_, at, "a selector that picks everything",
                         "a metric name or a matcher that excludes the empty text");
  }
  return Made(SelectorNode{Selector(std::move(matchers)), 0, {}}, ValueType::kVector, at);
}

absl::Status SelectorParser::AddName(const Token& token, std::string name, std::vector<Matcher>* matchers) {
  if (const absl::Status valid = ValidateMetricName("name", name); !valid.ok()) {
    return Fail(token, "a metric name: letters, digits and _ : . - /, at most " + std::to_string(kMaxMetricNameBytes) +
                           " bytes,");
  }
  PB_ASSIGN_OR_RETURN(Matcher matcher,
                      Matcher::Make(std::string(kMetricNameLabel), Matcher::Op::kEqual, std::move(name)));
  matchers->push_back(std::move(matcher));
  return absl::OkStatus();
}

absl::Status SelectorParser::Braces(bool named, std::vector<Matcher>* matchers) {
  PB_RETURN_IF_ERROR(Take());
  while (!Is("}")) {
    if (matchers->size() >= kMaxMatchers) {
      return Unexpected("at most " + std::to_string(kMaxMatchers) + " matchers");
    }
    if (token_.kind == Token::Kind::kString) {
      if (std::exchange(named, true)) return Unexpected("one metric name");
      const Token token = token_;
      PB_RETURN_IF_ERROR(AddName(token, token.string, matchers));
      // The name goes first, wherever it stood, so that equal selectors print equally.
      std::rotate(matchers->begin(), matchers->end() - 1, matchers->end());
      PB_RETURN_IF_ERROR(Take());
    } else {
      PB_RETURN_IF_ERROR(OneMatcher(matchers));
    }
    if (!Is(",")) break;
    PB_RETURN_IF_ERROR(Take());
  }
  if (!Is("}")) return Unexpected("',' or '}'");
  return Take();
}

absl::Status SelectorParser::OneMatcher(std::vector<Matcher>* matchers) {
  if (token_.kind != Token::Kind::kName) return Unexpected("a label name, a quoted metric name or '}'");
  std::string label(token_.text);
  PB_RETURN_IF_ERROR(Take());
  Matcher::Op op = Matcher::Op::kEqual;
  if (Is("=~")) {
    op = Matcher::Op::kRegex;
  } else if (Is("!~")) {
    op = Matcher::Op::kNotRegex;
  } else if (Is("!=")) {
    op = Matcher::Op::kNotEqual;
  } else if (!Is("=")) {
    return Unexpected("one of = != =~ !~");
  }
  PB_RETURN_IF_ERROR(Take());
  if (token_.kind != Token::Kind::kString) return Unexpected("a quoted value");
  absl::StatusOr<Matcher> matcher = Matcher::Make(std::move(label), op, token_.string);
  if (!matcher.ok()) {
    return Unexpected("a regular expression in RE2 syntax (" + StatusMessage(matcher.status()) + ")");
  }
  matchers->push_back(*std::move(matcher));
  return Take();
}

absl::StatusOr<int64_t> SelectorParser::Duration() {
  if (token_.kind != Token::Kind::kDuration || token_.duration_ns <= 0) {
    return Unexpected("a duration such as 5m or 1h30m, not zero,");
  }
  const int64_t nanos = token_.duration_ns;
  PB_RETURN_IF_ERROR(Take());
  return nanos;
}

absl::Status SelectorParser::Offset(TimeShift* shift) {
  if (shift->offset_ns != 0) return Unexpected("one offset");
  PB_RETURN_IF_ERROR(Take());
  const bool negative = Is("-");
  if (negative) PB_RETURN_IF_ERROR(Take());
  PB_ASSIGN_OR_RETURN(const int64_t nanos, Duration());
  shift->offset_ns = negative ? -nanos : nanos;
  return absl::OkStatus();
}

absl::Status SelectorParser::At(TimeShift* shift) {
  if (shift->anchor != TimeShift::Anchor::kNone) return Unexpected("one @");
  PB_RETURN_IF_ERROR(Take());
  if (IsWord("start") || IsWord("end")) {
    shift->anchor = IsWord("start") ? TimeShift::Anchor::kStart : TimeShift::Anchor::kEnd;
    PB_RETURN_IF_ERROR(Take());
    PB_RETURN_IF_ERROR(Expect("("));
    return Expect(")");
  }
  const bool negative = Is("-");
  if (negative) PB_RETURN_IF_ERROR(Take());
  if (token_.kind != Token::Kind::kNumber || token_.number > kMaxAtSeconds) {
    return Unexpected("seconds since 1970 below 9.2e9, start() or end()");
  }
  const int64_t millis = std::llround(token_.number * 1e3);
  shift->anchor = TimeShift::Anchor::kTime;
  shift->time_unix_nanos = (negative ? -millis : millis) * kNanosPerMilli;
  return Take();
}

}  // namespace pulseboard::expression
