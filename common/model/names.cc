#include "common/model/names.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsName(std::string_view name, size_t max_bytes) {
  if (name.empty() || name.size() > max_bytes) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsNameByte(name[i], i == 0)) return false;
  }
  return true;
}

// Length of the well-formed UTF-8 sequence at the start of `s` (Unicode 15, table 3-7), 0 when there is none.
size_t SequenceLength(std::string_view s) {
  const auto at = [s](size_t i) -> uint8_t { return i < s.size() ? static_cast<uint8_t>(s[i]) : 0; };
  const auto continuation = [&at](size_t i) { return (at(i) & 0xc0) == 0x80; };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continuation(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continuation(1) || !continuation(2)) return 0;
    const bool overlong = lead == 0xe0 && at(1) < 0xa0;
    const bool surrogate = lead == 0xed && at(1) > 0x9f;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continuation(1) || !continuation(2) || !continuation(3)) return 0;
    const bool overlong = lead == 0xf0 && at(1) < 0x90;
    const bool beyond = lead == 0xf4 && at(1) > 0x8f;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

}  // namespace

bool IsNameByte(char c, bool first) {
  if (IsLetter(c) || c == '_' || c == ':') return true;
  return !first && ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == '/');
}

absl::Status ValidateMetricName(std::string_view field, std::string_view name) {
  if (IsName(name, kMaxMetricNameBytes) && !name.starts_with("__")) return absl::OkStatus();
  return BadField(field, name,
                  "1 to " + std::to_string(kMaxMetricNameBytes) +
                      " bytes of [a-zA-Z_:][a-zA-Z0-9_:.-/]*, not starting with two underscores,");
}

absl::Status ValidateLabelName(std::string_view field, std::string_view name) {
  const bool has_colon = name.find(':') != std::string_view::npos;
  if (IsName(name, kMaxLabelNameBytes) && !has_colon && !name.starts_with("__")) return absl::OkStatus();
  return BadField(field, name,
                  "1 to " + std::to_string(kMaxLabelNameBytes) +
                      " bytes of [a-zA-Z_][a-zA-Z0-9_.-/]*, not starting with two underscores,");
}

absl::Status ValidateLabelValue(std::string_view field, std::string_view value) {
  const bool has_nul = value.find('\0') != std::string_view::npos;
  if (value.size() <= kMaxLabelValueBytes && !has_nul && IsValidUtf8(value)) return absl::OkStatus();
  return BadField(field, value, "at most " + std::to_string(kMaxLabelValueBytes) + " bytes of UTF-8 without NUL");
}

bool IsValidUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace pulseboard
