// What can be said about a regular expression without running it, so that an index need not try every value: which
// plain strings it is an alternation of, or what every match begins with. Never wrong, at worst it says nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pulseboard {

struct RegexLiterals {
  // Set when the expression, anchored at both ends, matches exactly these strings (ascending, distinct): `a|b`,
  // `(?:a|b)`, `web\.1`.
  std::optional<std::vector<std::string>> alternatives;
  // Every string it matches begins with this.
  std::string prefix;
};

// `pattern` in RE2 syntax, case-sensitive unless it says otherwise itself.
RegexLiterals FindRegexLiterals(std::string_view pattern);

}  // namespace pulseboard
