#include "common/model/regex_literals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <random>

namespace pulseboard {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(RegexLiterals, FindsAlternativesOfPlainStrings) {
  EXPECT_THAT(FindRegexLiterals("web").alternatives, Optional(ElementsAre("web")));
  EXPECT_THAT(FindRegexLiterals("b|a|b").alternatives, Optional(ElementsAre("a", "b")));
  EXPECT_THAT(FindRegexLiterals("(?:web\\.1|web\\.2)").alternatives, Optional(ElementsAre("web.1", "web.2")));
  EXPECT_EQ(FindRegexLiterals("(web-1|web-2)").prefix, "web-");
  EXPECT_THAT(FindRegexLiterals("").alternatives, Optional(ElementsAre("")));
  EXPECT_THAT(FindRegexLiterals("idle|").alternatives, Optional(ElementsAre("", "idle")));
  for (const char* not_plain : {"a.b", "a*", "(?i:a)", "(a)|(b)", "\\d", "a|b+", "^a$", "(a)b(c)"}) {
    EXPECT_FALSE(FindRegexLiterals(not_plain).alternatives) << not_plain;
  }
}

TEST(RegexLiterals, FindsWhatEveryMatchBeginsWith) {
  EXPECT_EQ(FindRegexLiterals("web-.*").prefix, "web-");
  EXPECT_EQ(FindRegexLiterals("web-(1|2)x").prefix, "web-");
  EXPECT_EQ(FindRegexLiterals("webs?").prefix, "web");
  EXPECT_EQ(FindRegexLiterals("webs+").prefix, "webs");
  EXPECT_EQ(FindRegexLiterals("web.*|x").prefix, "");
  EXPECT_EQ(FindRegexLiterals("(?i)web.*").prefix, "");
  EXPECT_EQ(FindRegexLiterals("a\xc3\xa9*").prefix, "a") << "the whole character is optional";
}

// Every claim is checked with RE2 itself on all short strings over an alphabet of what may be confused.
TEST(RegexLiterals, AreNeverWrong) {
  const std::string pieces[] = {"a", "b",   "|",   "(",    ")",   "?:",  ".", "*",  "+",
                                "?", "\\.", "\\|", "[ab]", "[|]", "{2}", "^", "\\Q"};
  std::vector<std::string> strings = {""};
  for (size_t i = 0; i < strings.size() && strings[i].size() < 4; ++i) {
    for (const char c : {'a', 'b', '.', '|'}) strings.push_back(strings[i] + c);
  }
  std::mt19937 random(1);
  int alternations = 0, prefixes = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string pattern;
    for (size_t n = 1 + random() % 6; n > 0; --n) pattern += pieces[random() % std::size(pieces)];
    re2::RE2 regex(pattern, re2::RE2::Quiet);
    if (!regex.ok()) continue;
    const RegexLiterals found = FindRegexLiterals(pattern);
    if (!found.alternatives && found.prefix.empty()) continue;
    found.alternatives ? ++alternations : ++prefixes;
    for (const std::string& text : strings) {
      const bool matches = re2::RE2::FullMatch(text, regex);
      ASSERT_TRUE(!matches || text.starts_with(found.prefix)) << pattern << " on " << text;
      if (!found.alternatives) continue;
      const auto& all = *found.alternatives;
      ASSERT_EQ(matches, std::find(all.begin(), all.end(), text) != all.end()) << pattern << " on " << text;
    }
  }
  EXPECT_GT(alternations, 100);
  EXPECT_GT(prefixes, 100);
}

}  // namespace
}  // namespace pulseboard
