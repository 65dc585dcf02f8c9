// Selector: which series are meant, in PromQL's spelling, with dots, dashes and slashes allowed in names:
//   system.cpu.utilization{host="web-1",mode!="idle",device=~"sd.*"}
// Regular expressions are RE2 and anchored at both ends. A missing label is the empty string.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "common/model/regex_literals.h"

namespace re2 {
class RE2;
}

namespace pulseboard {

inline constexpr size_t kMaxSelectorBytes = 4096;
inline constexpr size_t kMaxMatchers = 32;

// One condition on one label. Immutable, thread-safe, cheap to copy.
class Matcher {
 public:
  enum class Op { kEqual, kNotEqual, kRegex, kNotRegex };

  // Fails on a wrong regular expression (message says why, without position).
  static absl::StatusOr<Matcher> Make(std::string label, Op op, std::string value);

  const std::string& label() const { return label_; }
  Op op() const { return op_; }
  const std::string& value() const { return value_; }
  bool Matches(std::string_view label_value) const;
  // What is known of the expression without running it. REQUIRES: op kRegex or kNotRegex.
  const RegexLiterals& literals() const { return *literals_; }

 private:
  Matcher() = default;
  bool MatchesRegex(std::string_view label_value) const;
  std::string label_;
  Op op_ = Op::kEqual;
  std::string value_;
  std::shared_ptr<const re2::RE2> regex_;  // null: the literals are all of it
  std::shared_ptr<const RegexLiterals> literals_;
};

// All matchers must hold. Immutable after Parse, thread-safe.
class Selector {
 public:
  // Matches everything.
  Selector() = default;
  explicit Selector(std::vector<Matcher> matchers) : matchers_(std::move(matchers)) {}
  // INVALID_ARGUMENT/BAD_SELECTOR naming the column (1-based), or when every matcher would match an empty label
  // (such a selector picks everything by accident). An empty text is refused; use Selector() for "all".
  static absl::StatusOr<Selector> Parse(std::string_view text);

  const std::vector<Matcher>& matchers() const { return matchers_; }
  bool Matches(const SeriesKey& key) const;
  // The metric name when one `=` matcher fixes it, else empty.
  std::string_view MetricName() const;
  // Canonical text; equal texts select equally.
  std::string Format() const;

 private:
  std::vector<Matcher> matchers_;
};

}  // namespace pulseboard
