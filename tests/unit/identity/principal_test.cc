#include "server/identity/principal.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

Principal WithRole(Role role) {
  Principal principal;
  principal.user_id = "usr_me";
  principal.role = role;
  return principal;
}

TEST(Authorize, GivesEachRoleItsOwnSetOfRights) {
  const std::map<Role, std::set<Right>> expected = {
      {Role::kAdmin,
       {Right::kPush, Right::kRead, Right::kManageUsers, Right::kReadSelfMetrics, Right::kManageStorage,
        Right::kManageAlerts}},
      {Role::kEditor, {Right::kPush, Right::kRead, Right::kManageAlerts}},
      {Role::kViewer, {Right::kRead}},
      {Role::kIngest, {Right::kPush}},
      {Role::kUnspecified, {}},
      {static_cast<Role>(99), {}},
  };
  for (const auto& [role, rights] : expected) {
    for (const Right right : {Right::kPush, Right::kRead, Right::kManageUsers, Right::kReadSelfMetrics,
                              Right::kManageStorage, Right::kManageAlerts}) {
      const absl::Status status = Authorize(WithRole(role), right);
      EXPECT_EQ(status.ok(), rights.contains(right)) << RoleName(role) << " " << static_cast<int>(right);
      EXPECT_TRUE(status.ok() || HasReason(status, ErrorReason::kRoleTooLow));
    }
  }
}

TEST(Authorize, NamesRoleAndRightInTheError) {
  const auto detail = GetErrorDetail(Authorize(WithRole(Role::kViewer), Right::kPush));
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->metadata.at("role"), "VIEWER");
  EXPECT_EQ(detail->metadata.at("right"), "push metrics");
}

TEST(AuthorizeAccount, LetsOwnersAndAdminsOnly) {
  EXPECT_TRUE(AuthorizeAccount(WithRole(Role::kIngest), "usr_me").ok());
  EXPECT_TRUE(AuthorizeAccount(WithRole(Role::kAdmin), "usr_other").ok());
  EXPECT_TRUE(HasReason(AuthorizeAccount(WithRole(Role::kEditor), "usr_other"), ErrorReason::kRoleTooLow));
}

}  // namespace
}  // namespace pulseboard
