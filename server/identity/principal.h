// Principal: who a call acts for, and the one rule that says what that allows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/model/labels.h"

namespace pulseboard {

// Persisted: never renumber.
enum class Role : uint8_t { kUnspecified = 0, kAdmin = 1, kEditor = 2, kViewer = 3, kIngest = 4 };

// What a use case needs.
enum class Right { kPush, kRead, kManageUsers, kReadSelfMetrics, kManageStorage, kManageAlerts };

// Result of authentication, compiled once per call. Immutable value.
struct Principal {
  std::string user_id;
  std::string user_name;
  std::string session_id;
  TenantId tenant = 0;  // whose data the call sees; every key in the store starts with it
  std::string tenant_name;
  Role role = Role::kUnspecified;
  int64_t expire_unix_nanos = 0;  // end of the access token: streams end then too
};

// OK, or PERMISSION_DENIED/ROLE_TOO_LOW naming role and right. The single place where rights are decided.
absl::Status Authorize(const Principal& principal, Right right);

// What concerns one account: its owner may, and everybody with kManageUsers.
absl::Status AuthorizeAccount(const Principal& principal, std::string_view user_id);

std::string_view RoleName(Role role);

}  // namespace pulseboard
