#include "server/app/config_value.h"

#include <array>
#include <charconv>
#include <utility>

#include "common/base/clock.h"

namespace pulseboard {
namespace {

using Unit = std::pair<std::string_view, int64_t>;

// Largest first.
constexpr std::array<Unit, 4> kByteUnits = {
    Unit{"TiB", int64_t{1} << 40}, {"GiB", int64_t{1} << 30}, {"MiB", int64_t{1} << 20}, {"KiB", int64_t{1} << 10}};
constexpr std::array<Unit, 7> kTimeUnits = {Unit{"d", kNanosPerDay},
                                            {"h", 3600 * kNanosPerSecond},
                                            {"m", 60 * kNanosPerSecond},
                                            {"s", kNanosPerSecond},
                                            {"ms", kNanosPerMilli},
                                            {"us", kNanosPerMicro},
                                            {"ns", 1}};

// Takes the digits in front of `text`.
std::optional<int64_t> TakeDigits(std::string_view* text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || text->front() == '-') return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

template <size_t N>
std::optional<int64_t> FindUnit(const std::array<Unit, N>& units, std::string_view name) {
  for (const auto& [unit, factor] : units) {
    if (unit == name) return factor;
  }
  return std::nullopt;
}

template <size_t N>
std::string Format(const std::array<Unit, N>& units, int64_t value) {
  for (const auto& [unit, factor] : units) {
    if (value != 0 && value % factor == 0) return std::to_string(value / factor) + std::string(unit);
  }
  return std::to_string(value);
}

}  // namespace

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseBytes(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto number = TakeDigits(&text);
  if (!number) return std::nullopt;
  const std::optional<int64_t> factor = text.empty() ? 1 : FindUnit(kByteUnits, text);
  int64_t bytes = 0;
  if (!factor || __builtin_mul_overflow(*number, *factor, &bytes)) return std::nullopt;
  return bytes;
}

std::optional<int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    const auto number = TakeDigits(&text);
    if (!number) return std::nullopt;
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789"));
    text.remove_prefix(unit.size());
    const std::optional<int64_t> factor = FindUnit(kTimeUnits, unit);
    int64_t part = 0;
    if (!factor || __builtin_mul_overflow(*number, *factor, &part) || __builtin_add_overflow(total, part, &total)) {
      return std::nullopt;
    }
  }
  return total;
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::string FormatBytes(int64_t bytes) { return Format(kByteUnits, bytes); }
std::string FormatDuration(int64_t nanos) { return Format(kTimeUnits, nanos); }

}  // namespace pulseboard
