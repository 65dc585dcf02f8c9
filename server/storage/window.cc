#include "server/storage/window.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace pulseboard {
namespace {

constexpr int64_t kMostWindows = 30;
constexpr int64_t kMaxWindowDays = 4096;

std::chrono::year_month_day ToDate(int64_t day) { return std::chrono::sys_days(std::chrono::days(day)); }

template <typename T>
bool ParseNumber(std::string_view digits, T* out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out);
  return error == std::errc() && !digits.empty() && end == digits.data() + digits.size();
}

std::optional<int64_t> ParseDay(std::string_view digits) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  if (digits.size() != 8 || !ParseNumber(digits.substr(0, 4), &year) || !ParseNumber(digits.substr(4, 2), &month) ||
      !ParseNumber(digits.substr(6, 2), &day)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

std::optional<int64_t> ParseTierName(std::string_view name) {
  if (name == "raw") return kRawBucket;
  int64_t number = 0;
  if (name.size() < 2 || !ParseNumber(name.substr(0, name.size() - 1), &number)) return std::nullopt;
  constexpr std::array<std::pair<char, int64_t>, 4> kUnits = {
      {{'s', kNanosPerSecond}, {'m', kNanosPerMinute}, {'h', kNanosPerHour}, {'d', kNanosPerDay}}};
  for (const auto& [unit, nanos] : kUnits) {
    if (name.back() == unit && number > 0 && number <= kNanosPerDay / nanos) return number * nanos;
  }
  return std::nullopt;
}

}  // namespace

int64_t WindowDays(int64_t retention_ns) {
  int64_t days = 1;
  while (days < kMaxWindowDays && retention_ns / kNanosPerDay > days * kMostWindows) days *= 2;
  return days;
}

Window WindowAt(int64_t bucket_ns, int64_t time, int64_t days) { return {bucket_ns, FloorTo(DayOf(time), days), days}; }

std::string FamilyName(const Window& window) {
  const auto date = ToDate(window.start_day);
  std::string name = fmt::format("{}.{:04}{:02}{:02}", TierName(window.bucket_ns), static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  if (window.bucket_ns != kRawBucket || window.days != 1) name += fmt::format(".{}", window.days);
  return name;
}

std::optional<Window> ParseFamilyName(std::string_view name) {
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::optional<int64_t> bucket = ParseTierName(name.substr(0, dot));
  const std::optional<int64_t> day = ParseDay(name.substr(dot + 1, 8));
  if (!bucket || !day) return std::nullopt;
  Window window = {*bucket, *day, 1};
  const std::string_view rest = name.substr(dot + 1 + 8);
  if (!rest.empty()) {
    if (rest.front() != '.' || !ParseNumber(rest.substr(1), &window.days)) return std::nullopt;
    if (window.days < 1 || window.days > kMaxWindowDays) return std::nullopt;
  }
  // One window, one name.
  return FamilyName(window) == name ? std::optional<Window>(window) : std::nullopt;
}

std::string FormatDay(int64_t day) {
  const auto date = ToDate(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace pulseboard
