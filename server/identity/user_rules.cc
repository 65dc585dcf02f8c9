#include "server/identity/user_rules.h"

#include <algorithm>

#include "common/model/names.h"

namespace pulseboard {
namespace {

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsUserName(std::string_view name) {
  if (name.empty() || name.size() > kMaxUserNameBytes || !IsAlphanumeric(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool HasControlByte(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// One `@` with something on both sides: whether mail arrives there, only mail can tell.
bool IsEmail(std::string_view text) {
  const size_t at = text.find('@');
  return text.size() <= kMaxEmailBytes && at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos && text.find(' ') == std::string_view::npos &&
         !HasControlByte(text) && IsValidUtf8(text);
}

std::string Bytes(size_t n) { return std::to_string(n) + " bytes"; }

}  // namespace

void FieldCheck::UserName(std::string_view field, std::string_view value) {
  if (!IsUserName(value)) Add(field, "'" + Printable(value) + "'", "1 to 64 bytes of [a-zA-Z0-9][a-zA-Z0-9._-]*");
}

void FieldCheck::Email(std::string_view field, std::string_view value) {
  if (!value.empty() && !IsEmail(value)) {
    Add(field, "'" + Printable(value) + "'", "an address name@host of at most 254 bytes, or nothing,");
  }
}

void FieldCheck::DisplayName(std::string_view field, std::string_view value) {
  if (value.size() > kMaxDisplayNameBytes || HasControlByte(value) || !IsValidUtf8(value)) {
    Add(field, "'" + Printable(value) + "'", "at most 128 bytes of text without control characters");
  }
}

void FieldCheck::NewPassword(std::string_view field, std::string_view value) {
  if (value.size() < kMinPasswordBytes || value.size() > kMaxPasswordBytes) {
    Add(field, Bytes(value.size()), "10 to 1024 bytes");
  }
}

void FieldCheck::AnyRole(std::string_view field, Role role) {
  if (role < Role::kAdmin || role > Role::kIngest) {
    Add(field, std::to_string(static_cast<int>(role)), "ROLE_ADMIN, ROLE_EDITOR, ROLE_VIEWER or ROLE_INGEST");
  }
}

void FieldCheck::Required(std::string_view field, std::string_view value, size_t max_bytes) {
  if (value.empty() || value.size() > max_bytes) Add(field, "'" + Printable(value) + "'", "1 to " + Bytes(max_bytes));
}

void FieldCheck::RequiredSecret(std::string_view field, std::string_view value, size_t max_bytes) {
  if (value.empty() || value.size() > max_bytes) Add(field, Bytes(value.size()), "1 to " + Bytes(max_bytes));
}

void FieldCheck::AtMost(std::string_view field, std::string_view value, size_t max_bytes) {
  if (value.size() > max_bytes) Add(field, "'" + Printable(value) + "'", "at most " + Bytes(max_bytes));
}

void FieldCheck::Add(std::string_view field, std::string_view got, std::string_view expected) {
  violations_.push_back(
      {std::string(field), "got " + std::string(got) + "; " + std::string(expected) + " would be accepted"});
}

absl::Status FieldCheck::Result() const { return violations_.empty() ? absl::OkStatus() : BadFields(violations_); }

std::string FoldCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace pulseboard
