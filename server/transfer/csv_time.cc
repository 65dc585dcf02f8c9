#include "server/transfer/csv_time.h"

#include <absl/strings/string_view.h>
#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <limits>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxPatternBytes = 256;
constexpr size_t kMaxTimeBytes = 128;
constexpr int64_t kSecondsPerDay = 86'400;

// Reads `count` digits at the start of the text and takes them off.
std::optional<int> TakeDigits(std::string_view* text, size_t count) {
  if (text->size() < count) return std::nullopt;
  int number = 0;
  for (size_t i = 0; i < count; ++i) {
    const char c = (*text)[i];
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text->remove_prefix(count);
  return number;
}

bool TakeByte(std::string_view* text, char byte) {
  if (!text->starts_with(byte)) return false;
  text->remove_prefix(1);
  return true;
}

// Howard Hinnant's days_from_civil.
int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

int DaysInMonth(int year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Digits after the point as nanoseconds, rounded half up at the tenth; may be a whole second.
std::optional<int64_t> TakeFraction(std::string_view* text) {
  int64_t nanos = 0;
  size_t digits = 0;
  for (; digits < text->size() && (*text)[digits] >= '0' && (*text)[digits] <= '9'; ++digits) {
    if (digits < 9) nanos = nanos * 10 + ((*text)[digits] - '0');
    if (digits == 9 && (*text)[digits] >= '5') ++nanos;
  }
  if (digits == 0) return std::nullopt;
  for (size_t i = digits; i < 9; ++i) nanos *= 10;
  text->remove_prefix(digits);
  return nanos;
}

struct CivilTime {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int64_t nanos = 0;

  int64_t Seconds() const {
    return DaysFromCivil(year, month, day) * kSecondsPerDay + hour * 3'600 + minute * 60 + second;
  }
};

// Seconds and their fraction are optional, and so is the whole time of day.
bool TakeTimeOfDay(std::string_view* text, CivilTime* out) {
  const auto hour = TakeDigits(text, 2);
  if (!hour || !TakeByte(text, ':')) return false;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return false;
  out->hour = *hour;
  out->minute = *minute;
  if (!TakeByte(text, ':')) return true;
  const auto second = TakeDigits(text, 2);
  if (!second || *second > 60) return false;  // 60: a leap second, taken as the next one's start
  out->second = *second;
  if (!TakeByte(text, '.') && !TakeByte(text, ',')) return true;
  const auto nanos = TakeFraction(text);
  out->nanos = nanos.value_or(0);
  return nanos.has_value();
}

// `Z`, `+01:00`, `+0100` or `+01` in seconds.
bool TakeOffset(std::string_view* text, int64_t* seconds) {
  *seconds = 0;
  if (TakeByte(text, 'Z') || TakeByte(text, 'z')) return true;
  const bool minus = text->starts_with('-');
  if (!minus && !text->starts_with('+')) return false;
  text->remove_prefix(1);
  const auto hours = TakeDigits(text, 2);
  if (!hours || *hours > 23) return false;
  int minutes = 0;
  if (!text->empty()) {
    TakeByte(text, ':');
    const auto given = TakeDigits(text, 2);
    if (!given || *given > 59) return false;
    minutes = *given;
  }
  *seconds = (*hours * 3'600 + minutes * 60) * (minus ? -1 : 1);
  return true;
}

std::optional<int64_t> ToNanos(int64_t seconds, int64_t nanos) {
  int64_t time = 0;
  if (seconds < -1 || __builtin_mul_overflow(seconds, kNanosPerSecond, &time)) return std::nullopt;
  if (__builtin_add_overflow(time, nanos, &time) || time < 0) return std::nullopt;
  return time;
}

}  // namespace

struct CsvTimeReader::Zone {
  absl::TimeZone zone;
};

CsvTimeReader::CsvTimeReader() = default;
CsvTimeReader::~CsvTimeReader() = default;
CsvTimeReader::CsvTimeReader(CsvTimeReader&&) noexcept = default;
CsvTimeReader& CsvTimeReader::operator=(CsvTimeReader&&) noexcept = default;

absl::StatusOr<CsvTimeReader> CsvTimeReader::Make(CsvTime format, const std::string& pattern, const std::string& zone) {
  if ((format == CsvTime::kPattern) != !pattern.empty() || pattern.size() > kMaxPatternBytes) {
    return BadField("csv.time_pattern", pattern,
                    "with CSV_TIME_PATTERN a pattern as for strptime, at most 256 bytes; none with other times");
  }
  CsvTimeReader reader;
  reader.format_ = format;
  reader.pattern_ = pattern;
  if (zone.empty() || zone == "UTC") return reader;
  reader.zone_ = std::make_unique<Zone>();
  // A name with a path in it would be read as a file.
  const bool is_path = zone.find("..") != std::string::npos || zone.starts_with('/') || zone.starts_with("file:");
  if (zone.size() > 64 || is_path || !absl::LoadTimeZone(zone, &reader.zone_->zone)) {
    return BadField("csv.time_zone", zone, "the IANA name of a zone that this machine knows, e.g. Europe/Berlin,");
  }
  return reader;
}

std::optional<int64_t> CsvTimeReader::Read(std::string_view text) const {
  switch (format_) {
    case CsvTime::kUnspecified:
      if (text.size() > 4 && text[4] == '-') return ReadRfc3339(text);
      return ParseDecimalTime(text, 9);
    case CsvTime::kRfc3339:
      return ReadRfc3339(text);
    case CsvTime::kUnixSeconds:
      return ParseDecimalTime(text, 9);
    case CsvTime::kUnixMillis:
      return ParseDecimalTime(text, 6);
    case CsvTime::kUnixMicros:
      return ParseDecimalTime(text, 3);
    case CsvTime::kUnixNanos:
      return ParseDecimalTime(text, 0);
    case CsvTime::kPattern:
      return ReadPattern(text);
  }
  return std::nullopt;
}

std::optional<int64_t> CsvTimeReader::ReadRfc3339(std::string_view text) const {
  const auto year = TakeDigits(&text, 4);
  if (!year || !TakeByte(&text, '-')) return std::nullopt;
  const auto month = TakeDigits(&text, 2);
  if (!month || !TakeByte(&text, '-')) return std::nullopt;
  const auto day = TakeDigits(&text, 2);
  if (!day || *month < 1 || *month > 12 || *day < 1 || *day > DaysInMonth(*year, *month)) return std::nullopt;
  CivilTime civil{*year, *month, *day};
  if (!text.empty()) {
    if (!TakeByte(&text, 'T') && !TakeByte(&text, 't') && !TakeByte(&text, ' ')) return std::nullopt;
    if (!TakeTimeOfDay(&text, &civil)) return std::nullopt;
    if (!text.empty()) {
      int64_t offset = 0;
      if (!TakeOffset(&text, &offset) || !text.empty()) return std::nullopt;
      return ToNanos(civil.Seconds() - offset, civil.nanos);
    }
  }
  if (zone_ == nullptr) return ToNanos(civil.Seconds(), civil.nanos);
  const absl::CivilSecond local(civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second);
  return ToNanos(absl::ToUnixSeconds(zone_->zone.At(local).pre), civil.nanos);
}

std::optional<int64_t> CsvTimeReader::ReadPattern(std::string_view text) const {
  // ParseTime takes words for infinity, whatever the pattern.
  if (text.size() > kMaxTimeBytes || text.find("infinite") != std::string_view::npos) return std::nullopt;
  absl::Time time;
  const absl::TimeZone zone = zone_ == nullptr ? absl::UTCTimeZone() : zone_->zone;
  if (!absl::ParseTime(absl::string_view(pattern_.data(), pattern_.size()), absl::string_view(text.data(), text.size()),
                       zone, &time, nullptr)) {
    return std::nullopt;
  }
  const bool fits = time >= absl::UnixEpoch() && time < absl::FromUnixNanos(std::numeric_limits<int64_t>::max());
  return fits ? std::optional(absl::ToUnixNanos(time)) : std::nullopt;
}

std::string CsvTimeReader::Accepted() const {
  switch (format_) {
    case CsvTime::kUnspecified:
      return "RFC 3339 (2026-11-24T08:55:15.5Z) or decimal Unix seconds, 1970 to 2262,";
    case CsvTime::kRfc3339:
      return "RFC 3339 (2026-11-24T08:55:15.5Z), 1970 to 2262,";
    case CsvTime::kUnixSeconds:
      return "decimal Unix seconds, 1970 to 2262,";
    case CsvTime::kUnixMillis:
      return "decimal Unix milliseconds, 1970 to 2262,";
    case CsvTime::kUnixMicros:
      return "decimal Unix microseconds, 1970 to 2262,";
    case CsvTime::kUnixNanos:
      return "decimal Unix nanoseconds, 1970 to 2262,";
    case CsvTime::kPattern:
      return "a time by the pattern " + Printable(pattern_) + ", 1970 to 2262,";
  }
  return {};
}

}  // namespace pulseboard
