#include "server/identity/principal.h"

#include <string>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

std::string_view RightName(Right right) {
  switch (right) {
    case Right::kPush:
      return "push metrics";
    case Right::kRead:
      return "read metrics";
    case Right::kManageUsers:
      return "manage accounts";
    case Right::kReadSelfMetrics:
      return "read self-metrics";
    case Right::kManageStorage:
      return "manage the store";
    case Right::kManageAlerts:
      return "change alert rules";
  }
  return "unknown right";
}

bool RoleHas(Role role, Right right) {
  switch (role) {
    case Role::kAdmin:
      return true;
    case Role::kEditor:
      return right == Right::kPush || right == Right::kRead || right == Right::kManageAlerts;
    case Role::kViewer:
      return right == Right::kRead;
    case Role::kIngest:
      return right == Right::kPush;
    case Role::kUnspecified:
      return false;
  }
  return false;
}

}  // namespace

absl::Status Authorize(const Principal& principal, Right right) {
  if (RoleHas(principal.role, right)) return absl::OkStatus();
  const std::string role(RoleName(principal.role));
  const std::string wanted(RightName(right));
  return MakeError(ErrorReason::kRoleTooLow, "role " + role + " may not " + wanted,
                   {{"role", role}, {"right", wanted}});
}

absl::Status AuthorizeAccount(const Principal& principal, std::string_view user_id) {
  if (principal.user_id == user_id) return absl::OkStatus();
  return Authorize(principal, Right::kManageUsers);
}

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kAdmin:
      return "ADMIN";
    case Role::kEditor:
      return "EDITOR";
    case Role::kViewer:
      return "VIEWER";
    case Role::kIngest:
      return "INGEST";
    case Role::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

}  // namespace pulseboard
