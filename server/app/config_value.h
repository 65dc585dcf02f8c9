// How settings are written: true, 42, "64MiB", "15m". Text to value and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pulseboard {

// Decimal digits, perhaps with a sign. Nothing for other text or a number that does not fit; so for all below.
std::optional<int64_t> ParseInteger(std::string_view text);
// `42`, `64KiB`, `1MiB`, `2GiB`, `1TiB`.
std::optional<int64_t> ParseBytes(std::string_view text);
// Nanoseconds of `250ms`, `15m`, `1h30m`: numbers with ns, us, ms, s, m, h or d; a bare `0` too.
std::optional<int64_t> ParseDuration(std::string_view text);
std::optional<bool> ParseBool(std::string_view text);

// With the largest unit that gives a whole number; the parsers read it back.
std::string FormatBytes(int64_t bytes);
std::string FormatDuration(int64_t nanos);

}  // namespace pulseboard
