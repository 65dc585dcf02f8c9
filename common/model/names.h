// What metric names, label names and label values may be. One place, used by ingestion, selectors and the desktop.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace pulseboard {

inline constexpr size_t kMaxMetricNameBytes = 200;
inline constexpr size_t kMaxLabelNameBytes = 128;
inline constexpr size_t kMaxLabelValueBytes = 1024;
inline constexpr size_t kMaxUnitBytes = 63;
inline constexpr size_t kMaxDescriptionBytes = 1024;

// Bytes of metric and label names: letters, digits and `_ : . - /`; the first one is a letter, `_` or `:`.
bool IsNameByte(char c, bool first);

// OK or INVALID_ARGUMENT/BAD_FIELD about field `field` saying what would be accepted.
absl::Status ValidateMetricName(std::string_view field, std::string_view name);
// As above; `:` and a leading `__` are not allowed.
absl::Status ValidateLabelName(std::string_view field, std::string_view name);
// UTF-8 without NUL, at most kMaxLabelValueBytes.
absl::Status ValidateLabelValue(std::string_view field, std::string_view value);
bool IsValidUtf8(std::string_view bytes);

}  // namespace pulseboard
