// What the fields of an account may hold. One place for API, command line and first start.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/errors.h"
#include "server/identity/principal.h"

namespace pulseboard {

inline constexpr size_t kMaxUserNameBytes = 64;
inline constexpr size_t kMaxEmailBytes = 254;
inline constexpr size_t kMaxDisplayNameBytes = 128;
inline constexpr size_t kMinPasswordBytes = 10;
inline constexpr size_t kMaxPasswordBytes = 1024;
inline constexpr size_t kMaxLoginBytes = 254;
inline constexpr size_t kMaxUserIdBytes = 64;
inline constexpr size_t kMaxSearchBytes = 256;
inline constexpr size_t kMaxTenantNameBytes = 64;
inline constexpr size_t kMaxTokenBytes = 512;
inline constexpr size_t kMaxPreferencesBytes = 64 << 10;
inline constexpr int kMaxPreferencesDepth = 32;

// Collects what is wrong with a request, so that one answer names every field. Not thread-safe.
// `field` is the path in the request. Values of secrets are never repeated.
class FieldCheck {
 public:
  void UserName(std::string_view field, std::string_view value);
  // Empty is fine.
  void Email(std::string_view field, std::string_view value);
  void DisplayName(std::string_view field, std::string_view value);
  void NewPassword(std::string_view field, std::string_view value);
  void AnyRole(std::string_view field, Role role);
  // Not empty, at most `max_bytes`.
  void Required(std::string_view field, std::string_view value, size_t max_bytes);
  void RequiredSecret(std::string_view field, std::string_view value, size_t max_bytes);
  void AtMost(std::string_view field, std::string_view value, size_t max_bytes);
  void Add(std::string_view field, std::string_view got, std::string_view expected);

  // OK, or INVALID_ARGUMENT/BAD_FIELD with all violations.
  absl::Status Result() const;

 private:
  std::vector<FieldViolation> violations_;
};

// ASCII letters in lower case, all else as given: how user names and e-mails are compared.
std::string FoldCase(std::string_view text);

}  // namespace pulseboard
