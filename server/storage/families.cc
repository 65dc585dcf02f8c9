#include "server/storage/families.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace pulseboard {
namespace {

constexpr std::string_view kRawPrefix = "raw.";

std::chrono::year_month_day ToDate(int64_t day) { return std::chrono::sys_days(std::chrono::days(day)); }

bool ParseNumber(std::string_view digits, int* out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out);
  return error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace

std::string RawFamilyName(int64_t day) {
  const auto date = ToDate(day);
  return fmt::format("{}{:04}{:02}{:02}", kRawPrefix, static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::optional<int64_t> ParseRawFamilyName(std::string_view name) {
  if (!name.starts_with(kRawPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kRawPrefix.size());
  int year = 0;
  int month = 0;
  int day = 0;
  if (digits.size() != 8 || !ParseNumber(digits.substr(0, 4), &year) || !ParseNumber(digits.substr(4, 2), &month) ||
      !ParseNumber(digits.substr(6, 2), &day)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

std::string FormatDay(int64_t day) {
  const auto date = ToDate(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace pulseboard
