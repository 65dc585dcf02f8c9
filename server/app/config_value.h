// How settings that are no durations or sizes (common/base/units.h) are written: true, 42. Text to value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pulseboard {

// Decimal digits, perhaps with a sign. Nothing for other text or a number that does not fit.
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<bool> ParseBool(std::string_view text);

}  // namespace pulseboard
