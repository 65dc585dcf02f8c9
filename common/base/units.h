// Durations, sizes and numbers as people write them, `1h30m` and `64MiB`: one spelling for settings, flags and
// expressions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace pulseboard {

struct Unit {
  std::string_view name;
  int64_t factor;
};

// Largest first. A year has 365 days, as in PromQL.
inline constexpr std::array<Unit, 9> kTimeUnits = {
    Unit{"y", 365 * kNanosPerDay}, Unit{"w", 7 * kNanosPerDay}, Unit{"d", kNanosPerDay},
    Unit{"h", kNanosPerHour},      Unit{"m", kNanosPerMinute},  Unit{"s", kNanosPerSecond},
    Unit{"ms", kNanosPerMilli},    Unit{"us", kNanosPerMicro},  Unit{"ns", 1}};
inline constexpr std::array<Unit, 4> kByteUnits = {Unit{"TiB", int64_t{1} << 40}, Unit{"GiB", int64_t{1} << 30},
                                                   Unit{"MiB", int64_t{1} << 20}, Unit{"KiB", int64_t{1} << 10}};

// Nanoseconds of `250ms`, `15m`, `1h30m`: whole numbers with units in descending order, each unit once at most; a bare
// `0` too. Nothing for other text, a unit below `smallest` or what does not fit. So for sizes.
std::optional<int64_t> ParseDuration(std::string_view text, int64_t smallest = 1);
// `42`, `64KiB`, `1MiB`, `2GiB`, `1TiB`.
std::optional<int64_t> ParseBytes(std::string_view text);

// What the parsers read back: `30d`, `1h30m`, `1s500ms`; days are the largest unit. Sizes with the largest unit that
// gives a whole number.
std::string FormatDuration(int64_t nanos);
std::string FormatBytes(int64_t bytes);

// The shortest decimal that reads back as the same double; `inf`, `-inf`, `nan`.
std::string ShortestDecimal(double value);

}  // namespace pulseboard
