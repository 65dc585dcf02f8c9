// Logging front: `PB_LOG(Info, "storage", "sealed block series={} samples={}", id, n)`.
// One line per event: `[room] verb object key=value`. Never put secrets (passwords, tokens, preferences) into a line.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace pulseboard {

// Sends log lines to stderr in the given level: trace, debug, info, warn, error. Call once, early in main.
// An unknown level is taken as info.
void InitLogging(std::string_view level);

}  // namespace pulseboard

#define PB_LOG(severity, room, ...) ::spdlog::log(::pulseboard::log_severity::k##severity, "[" room "] " __VA_ARGS__)

namespace pulseboard::log_severity {
inline constexpr auto kDebug = spdlog::level::debug;
inline constexpr auto kInfo = spdlog::level::info;
inline constexpr auto kWarning = spdlog::level::warn;
inline constexpr auto kError = spdlog::level::err;
}  // namespace pulseboard::log_severity
