// Numbers and times as text, exact both ways. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pulseboard {

// A double by its decimal spelling, rounded once; `inf`, `infinity` and `nan` in any case, with or without sign. Every
// nan is the same quiet one. Nothing for other text, for hexadecimal, and for numbers above the largest double.
std::optional<double> ParseValue(std::string_view text);
// As above for the number at the start of [*at, end); moves *at behind it. The caller looks at what follows.
bool ParseValueAt(const char** at, const char* end, double* value);

// A decimal number of units since the Unix epoch as nanoseconds; a unit is 10^`unit_digits` ns (9: seconds). Exact:
// decimals below a nanosecond are rounded once, half up. Nothing for other text, and outside of 1970 to 2262.
std::optional<int64_t> ParseDecimalTime(std::string_view text, int unit_digits);

// The shortest decimal that ParseValue reads back to the same bits; `NaN`, `+Inf`, `-Inf`.
void AppendValue(double value, std::string* out);
// The reverse of ParseDecimalTime. REQUIRES: time >= 0.
void AppendDecimalTime(int64_t time_unix_nanos, int unit_digits, std::string* out);
// `2026-11-24T08:55:15.5Z`: as many digits of fraction as there are.
void AppendRfc3339(int64_t time_unix_nanos, std::string* out);

}  // namespace pulseboard
