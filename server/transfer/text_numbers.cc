#include "server/transfer/text_numbers.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "common/base/clock.h"

namespace pulseboard {
namespace {

constexpr std::array<int64_t, 19> kPowersOfTen = [] {
  std::array<int64_t, 19> powers{};
  int64_t power = 1;
  for (int64_t& p : powers) {
    p = power;
    if (&p != &powers.back()) power *= 10;
  }
  return powers;
}();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Length of `inf`, `infinity` or `nan` at the start; 0 when it is none of them.
size_t WordLength(std::string_view text) {
  const auto starts = [text](std::string_view word) {
    if (text.size() < word.size()) return false;
    for (size_t i = 0; i < word.size(); ++i) {
      if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
  };
  if (starts("infinity")) return 8;
  return starts("inf") || starts("nan") ? 3 : 0;
}

// A number that from_chars called out of range: too small is zero, too large is none.
bool ParseExtreme(const char* begin, const char* end, double* value) {
  *value = std::strtod(std::string(begin, end).c_str(), nullptr);
  return std::isfinite(*value);
}

// A decimal as digits and the place of its point. Views into the text.
struct Decimal {
  std::string_view whole;
  std::string_view fraction;
  int64_t exponent = 0;
  bool negative = false;
};

std::optional<Decimal> ReadDecimal(std::string_view text) {
  Decimal out;
  size_t at = 0;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return text.substr(start, at - start);
  };
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) out.negative = text[at++] == '-';
  out.whole = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    out.fraction = digits();
  }
  if (out.whole.empty() && out.fraction.empty()) return std::nullopt;
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    bool minus = false;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) minus = text[at++] == '-';
    const std::string_view exponent = digits();
    if (exponent.empty()) return std::nullopt;
    for (const char c : exponent) out.exponent = std::min<int64_t>(out.exponent * 10 + (c - '0'), 1'000'000'000);
    if (minus) out.exponent = -out.exponent;
  }
  if (at != text.size()) return std::nullopt;
  return out;
}

// The way of nearly all times: up to 19 digits, perhaps with a point, none below a nanosecond.
std::optional<int64_t> ParsePlainTime(std::string_view text, int unit_digits) {
  if (text.size() > 20) return std::nullopt;
  uint64_t number = 0;
  size_t digits = 0;
  size_t point = text.size();
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsDigit(text[i])) {
      number = number * 10 + static_cast<uint64_t>(text[i] - '0');
      ++digits;
    } else if (text[i] == '.' && point == text.size()) {
      point = i;
    } else {
      return std::nullopt;
    }
  }
  const size_t fraction = point == text.size() ? 0 : text.size() - point - 1;
  if (digits == 0 || digits > 19 || fraction > static_cast<size_t>(unit_digits)) return std::nullopt;
  const int64_t scale = kPowersOfTen[static_cast<size_t>(unit_digits) - fraction];
  if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / scale)) return std::nullopt;
  return static_cast<int64_t>(number) * scale;
}

void AppendInteger(int64_t value, std::string* out) {
  std::array<char, 24> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out->append(buffer.data(), result.ptr);
}

// `value` with exactly `digits` digits.
void AppendPadded(int64_t value, int digits, std::string* out) {
  std::array<char, 20> buffer;
  for (int i = digits; i > 0; --i, value /= 10)
    buffer[static_cast<size_t>(i - 1)] = static_cast<char>('0' + value % 10);
  out->append(buffer.data(), static_cast<size_t>(digits));
}

// The fraction without the zeros at its end, with its point; nothing for 0.
void AppendFraction(int64_t fraction, int digits, std::string* out) {
  if (fraction == 0) return;
  for (; fraction % 10 == 0; fraction /= 10) --digits;
  out->push_back('.');
  AppendPadded(fraction, digits, out);
}

}  // namespace

bool ParseValueAt(const char** at, const char* end, double* value) {
  const char* begin = *at;
  if (begin != end && *begin == '+') {
    ++begin;
    if (begin != end && (*begin == '-' || *begin == '+')) return false;
  }
  const auto [ptr, error] = std::from_chars(begin, end, *value);
  if (error == std::errc::invalid_argument) return false;
  const char* first = begin != end && *begin == '-' ? begin + 1 : begin;
  if (!IsDigit(*first) && *first != '.') {
    const size_t word = WordLength({first, static_cast<size_t>(end - first)});
    if (word == 0) return false;
    if (std::isnan(*value)) *value = std::numeric_limits<double>::quiet_NaN();
    *at = first + word;
    return true;
  }
  *at = ptr;
  if (error == std::errc() && std::isfinite(*value)) return true;
  return ParseExtreme(begin, ptr, value);
}

std::optional<double> ParseValue(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  double value = 0;
  if (!ParseValueAt(&at, end, &value) || at != end) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseDecimalTime(std::string_view text, int unit_digits) {
  if (const auto plain = ParsePlainTime(text, unit_digits)) return plain;
  const std::optional<Decimal> decimal = ReadDecimal(text);
  if (!decimal) return std::nullopt;
  // All digits are one number; `point` of them stand before the point once the unit is nanoseconds.
  const int64_t point = static_cast<int64_t>(decimal->whole.size()) + decimal->exponent + unit_digits;
  const auto digit_at = [&](int64_t i) -> int {
    const auto index = static_cast<size_t>(i);
    if (index < decimal->whole.size()) return decimal->whole[index] - '0';
    const size_t in_fraction = index - decimal->whole.size();
    return in_fraction < decimal->fraction.size() ? decimal->fraction[in_fraction] - '0' : 0;
  };
  const auto digit_count = static_cast<int64_t>(decimal->whole.size() + decimal->fraction.size());
  int64_t nanos = 0;
  for (int64_t i = 0; i < point; ++i) {
    if (nanos == 0 && i >= digit_count) break;  // zeros, however many
    if (__builtin_mul_overflow(nanos, 10, &nanos) || __builtin_add_overflow(nanos, digit_at(i), &nanos)) {
      return std::nullopt;
    }
  }
  if (point >= 0 && point < digit_count && digit_at(point) >= 5 && __builtin_add_overflow(nanos, 1, &nanos)) {
    return std::nullopt;
  }
  if (decimal->negative && nanos != 0) return std::nullopt;
  return nanos;
}

void AppendValue(double value, std::string* out) {
  if (std::isnan(value)) {
    out->append("NaN");
  } else if (std::isinf(value)) {
    out->append(value < 0 ? "-Inf" : "+Inf");
  } else {
    std::array<char, 32> buffer;
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    out->append(buffer.data(), result.ptr);
  }
}

void AppendDecimalTime(int64_t time_unix_nanos, int unit_digits, std::string* out) {
  const int64_t unit = kPowersOfTen[static_cast<size_t>(unit_digits)];
  AppendInteger(time_unix_nanos / unit, out);
  AppendFraction(time_unix_nanos % unit, unit_digits, out);
}

void AppendRfc3339(int64_t time_unix_nanos, std::string* out) {
  const int64_t seconds = time_unix_nanos / kNanosPerSecond;
  const int64_t days = seconds / 86'400;
  const int64_t second_of_day = seconds % 86'400;
  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days.
  const int64_t shifted = days + 719'468;
  const int64_t era = shifted / 146'097;
  const int64_t day_of_era = shifted % 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  AppendPadded(year_of_era + era * 400 + (month <= 2 ? 1 : 0), 4, out);
  out->push_back('-');
  AppendPadded(month, 2, out);
  out->push_back('-');
  AppendPadded(day, 2, out);
  out->push_back('T');
  AppendPadded(second_of_day / 3'600, 2, out);
  out->push_back(':');
  AppendPadded(second_of_day / 60 % 60, 2, out);
  out->push_back(':');
  AppendPadded(second_of_day % 60, 2, out);
  AppendFraction(time_unix_nanos % kNanosPerSecond, 9, out);
  out->push_back('Z');
}

}  // namespace pulseboard
