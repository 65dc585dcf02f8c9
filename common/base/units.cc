#include "common/base/units.h"

#include <charconv>
#include <span>

namespace pulseboard {
namespace {

// Takes the digits in front of `text`.
std::optional<int64_t> TakeDigits(std::string_view* text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || text->front() == '-') return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

// The units behind the one of that name, and its factor.
std::optional<int64_t> TakeUnit(std::string_view name, std::span<const Unit>* units) {
  for (size_t i = 0; i < units->size(); ++i) {
    if ((*units)[i].name != name) continue;
    const int64_t factor = (*units)[i].factor;
    *units = units->subspan(i + 1);
    return factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ParseDuration(std::string_view text, int64_t smallest) {
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  std::span<const Unit> units = kTimeUnits;
  while (!text.empty()) {
    const auto number = TakeDigits(&text);
    if (!number) return std::nullopt;
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789"));
    text.remove_prefix(unit.size());
    const std::optional<int64_t> factor = TakeUnit(unit, &units);
    int64_t part = 0;
    if (!factor || *factor < smallest || __builtin_mul_overflow(*number, *factor, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return std::nullopt;
    }
  }
  return total;
}

std::optional<int64_t> ParseBytes(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto number = TakeDigits(&text);
  if (!number) return std::nullopt;
  std::span<const Unit> units = kByteUnits;
  const std::optional<int64_t> factor = text.empty() ? 1 : TakeUnit(text, &units);
  int64_t bytes = 0;
  if (!factor || __builtin_mul_overflow(*number, *factor, &bytes)) return std::nullopt;
  return bytes;
}

std::string FormatDuration(int64_t nanos) {
  if (nanos == 0) return "0";
  std::string text = nanos < 0 ? "-" : "";
  for (const Unit& unit : kTimeUnits) {
    // Years and weeks are read more easily as days.
    if (unit.factor > kNanosPerDay || nanos / unit.factor == 0) continue;
    const int64_t count = nanos / unit.factor;
    text += std::to_string(count < 0 ? -count : count);
    text += unit.name;
    nanos %= unit.factor;
  }
  return text;
}

std::string FormatBytes(int64_t bytes) {
  for (const auto& [unit, factor] : kByteUnits) {
    if (bytes != 0 && bytes % factor == 0) return std::to_string(bytes / factor) + std::string(unit);
  }
  return std::to_string(bytes);
}

std::string ShortestDecimal(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace pulseboard
