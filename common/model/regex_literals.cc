#include "common/model/regex_literals.h"

#include <algorithm>
#include <cctype>

namespace pulseboard {
namespace {

constexpr std::string_view kMeta = ".[](){}*+?^$|\\";

// Reads plain characters, also escaped ones, from the front of `pattern` up to the first that means something.
std::string TakePlain(std::string_view* pattern) {
  std::string plain;
  while (!pattern->empty()) {
    const char c = pattern->front();
    if (c == '\\' && pattern->size() > 1 && std::ispunct(static_cast<unsigned char>((*pattern)[1])) != 0) {
      plain.push_back((*pattern)[1]);
      pattern->remove_prefix(2);
    } else if (kMeta.find(c) == std::string_view::npos) {
      plain.push_back(c);
      pattern->remove_prefix(1);
    } else {
      break;
    }
  }
  return plain;
}

std::optional<std::vector<std::string>> Alternatives(std::string_view pattern) {
  if (pattern.size() >= 2 && pattern.front() == '(' && pattern.back() == ')') {
    pattern = pattern.substr(1, pattern.size() - 2);
    if (pattern.starts_with("?:")) pattern.remove_prefix(2);
  }
  std::vector<std::string> out;
  while (true) {
    out.push_back(TakePlain(&pattern));
    if (pattern.empty()) break;
    if (pattern.front() != '|') return std::nullopt;
    pattern.remove_prefix(1);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// Whether a `|` may stand outside of all groups.
bool MayAlternate(std::string_view rest) {
  int depth = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '\\')
      ++i;
    else if (rest[i] == '[')
      return rest.find('|', i) != std::string_view::npos;  // classes are not read here
    else if (rest[i] == '(')
      ++depth;
    else if (rest[i] == ')')
      --depth;
    else if (rest[i] == '|' && depth <= 0)
      return true;
  }
  return false;
}

void DropLastCodePoint(std::string* text) {
  while (!text->empty()) {
    const bool continuation = (static_cast<unsigned char>(text->back()) & 0xc0) == 0x80;
    text->pop_back();
    if (!continuation) return;
  }
}

}  // namespace

RegexLiterals FindRegexLiterals(std::string_view pattern) {
  RegexLiterals found;
  found.alternatives = Alternatives(pattern);
  if (found.alternatives) {
    const std::string& first = found.alternatives->front();
    const std::string& last = found.alternatives->back();
    const auto end = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
    found.prefix.assign(first.begin(), end);
    return found;
  }
  // \Q begins a quotation, whose end is not looked for.
  if (pattern.find("\\Q") != std::string_view::npos) return found;
  std::string plain = TakePlain(&pattern);
  if (!pattern.empty() && (pattern.front() == '*' || pattern.front() == '?' || pattern.front() == '{')) {
    DropLastCodePoint(&plain);
  }
  if (!MayAlternate(pattern)) found.prefix = std::move(plain);
  return found;
}

}  // namespace pulseboard
