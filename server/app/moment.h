// Moments on the command line: one spelling for every --from, --to and --default-time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pulseboard {

// For the help of a flag.
inline constexpr std::string_view kMomentSpellings = "now, -1h (or: 1h ago, 1h), Unix seconds or RFC 3339";

// Nanoseconds since the Unix epoch of `now`; of a duration before it, spelled `-1h30m`, `1h30m ago` or `1h30m`; of
// decimal Unix seconds; of RFC 3339 (`2026-11-24T10:00:00Z`; a date alone is its midnight, and without an offset it is
// UTC). BAD_FIELD about `flag` for anything else and for what is not within 1970 to 2262.
absl::StatusOr<int64_t> ParseMoment(std::string_view flag, const std::string& text, int64_t now_unix_nanos);

}  // namespace pulseboard
