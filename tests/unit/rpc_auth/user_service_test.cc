#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/rpc_auth/rpc_world.h"

namespace pulseboard {
namespace {

using testing::RpcWorld;
using Users = v1::UserService::Stub;
constexpr char kPassword[] = "correct horse battery";

class UserServiceTest : public ::testing::Test {
 protected:
  template <typename Request, typename Response>
  absl::Status Call(const std::string& token,
                    grpc::Status (Users::*method)(grpc::ClientContext*, const Request&, Response*),
                    const std::type_identity_t<Request>& request, Response* response) {
    return world_.Call(world_.users.get(), method, token.empty() ? RpcWorld::Metadata{} : RpcWorld::Bearer(token),
                       request, response);
  }
  v1::User Create(const std::string& name, v1::Role role) {
    v1::CreateUserRequest request;
    request.set_user_name(name);
    request.set_password(kPassword);
    request.set_role(role);
    v1::CreateUserResponse response;
    const absl::Status status = Call(admin_, &Users::CreateUser, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response.user();
  }
  // Fields named by a BAD_FIELD answer.
  static std::vector<std::string> BadFieldNames(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    std::vector<std::string> fields;
    for (const auto& violation : GetErrorDetail(status).value_or(ErrorDetail{}).field_violations) {
      fields.push_back(violation.field);
    }
    return fields;
  }
  std::string AdminId() { return world_.identity.users->FindByLogin(kDefaultTenant, "admin")->user_id; }

  RpcWorld world_;
  const std::string admin_ = world_.LogInAsAdmin();
};

TEST_F(UserServiceTest, CreatesAndReturnsAccounts) {
  v1::CreateUserRequest request;
  request.set_user_name("Ada");
  request.set_email("ada@x.org");
  request.set_display_name("Ada Lovelace");
  request.set_password(kPassword);
  request.set_role(v1::ROLE_EDITOR);
  v1::CreateUserResponse created;
  ASSERT_TRUE(Call(admin_, &Users::CreateUser, request, &created).ok());
  EXPECT_EQ(created.user().user_name(), "Ada");
  EXPECT_EQ(created.user().role(), v1::ROLE_EDITOR);
  EXPECT_TRUE(created.user().active());
  EXPECT_FALSE(created.user().has_last_login_time());
  v1::GetUserRequest get;
  get.set_user_id(created.user().user_id());
  v1::GetUserResponse got;
  ASSERT_TRUE(Call(admin_, &Users::GetUser, get, &got).ok());
  EXPECT_EQ(got.user().SerializeAsString(), created.user().SerializeAsString());
  v1::CreateUserResponse again;
  EXPECT_TRUE(HasReason(Call(admin_, &Users::CreateUser, request, &again), ErrorReason::kUserExists));
}

TEST_F(UserServiceTest, NamesEveryWrongFieldOfANewAccount) {
  v1::CreateUserRequest request;
  v1::CreateUserResponse response;
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::CreateUser, request, &response)),
              ::testing::ElementsAre("user_name", "password", "role"));
  request.set_user_name("bad name");
  request.set_email("nowhere");
  request.set_display_name(std::string(129, 'x'));
  request.set_password("short");
  request.set_role(static_cast<v1::Role>(77));
  const absl::Status status = Call(admin_, &Users::CreateUser, request, &response);
  EXPECT_THAT(BadFieldNames(status), ::testing::ElementsAre("user_name", "email", "display_name", "password", "role"));
  EXPECT_EQ(StatusMessage(status).find("short"), std::string::npos);
  request.set_role(static_cast<v1::Role>(256 + 1));  // would be ADMIN in eight bits
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::CreateUser, request, &response)), ::testing::Contains("role"));
  request.set_role(static_cast<v1::Role>(-1));
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::CreateUser, request, &response)), ::testing::Contains("role"));
}

TEST_F(UserServiceTest, AsksForTheRightBeforeItLooksAtFields) {
  Create("viewer", v1::ROLE_VIEWER);
  const std::string viewer = world_.LogIn("viewer", kPassword);
  v1::CreateUserResponse created;
  v1::ListUsersResponse listed;
  v1::SetRoleResponse role;
  v1::SetActiveResponse active;
  for (const auto& [token, reason] :
       {std::pair{viewer, ErrorReason::kRoleTooLow}, std::pair{std::string(), ErrorReason::kTokenInvalid}}) {
    EXPECT_TRUE(HasReason(Call(token, &Users::CreateUser, {}, &created), reason));
    EXPECT_TRUE(HasReason(Call(token, &Users::ListUsers, {}, &listed), reason));
    EXPECT_TRUE(HasReason(Call(token, &Users::SetRole, {}, &role), reason));
    EXPECT_TRUE(HasReason(Call(token, &Users::SetActive, {}, &active), reason));
  }
}

TEST_F(UserServiceTest, LetsPeopleSeeAndChangeThemselvesOnly) {
  const v1::User ada = Create("ada", v1::ROLE_INGEST);
  const std::string token = world_.LogIn("ada", kPassword);
  v1::GetUserRequest get;
  v1::GetUserResponse got;
  get.set_user_id(ada.user_id());
  EXPECT_TRUE(Call(token, &Users::GetUser, get, &got).ok());
  v1::UpdateProfileRequest update;
  v1::UpdateProfileResponse updated;
  update.set_user_id(ada.user_id());
  update.set_display_name("Countess");
  ASSERT_TRUE(Call(token, &Users::UpdateProfile, update, &updated).ok());
  EXPECT_EQ(updated.user().display_name(), "Countess");
  EXPECT_EQ(updated.user().email(), "");

  get.set_user_id(AdminId());
  update.set_user_id(AdminId());
  EXPECT_TRUE(HasReason(Call(token, &Users::GetUser, get, &got), ErrorReason::kRoleTooLow));
  EXPECT_TRUE(HasReason(Call(token, &Users::UpdateProfile, update, &updated), ErrorReason::kRoleTooLow));
  v1::ChangePasswordRequest password;
  v1::ChangePasswordResponse changed;
  password.set_user_id(AdminId());
  password.set_new_password("a new password");
  EXPECT_TRUE(HasReason(Call(token, &Users::ChangePassword, password, &changed), ErrorReason::kRoleTooLow));
}

TEST_F(UserServiceTest, SaysWhichAccountIsNotThere) {
  v1::GetUserRequest get;
  v1::GetUserResponse got;
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::GetUser, get, &got)), ::testing::ElementsAre("user_id"));
  get.set_user_id(std::string(65, 'x'));
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::GetUser, get, &got)), ::testing::ElementsAre("user_id"));
  get.set_user_id("usr_nobody");
  const absl::Status status = Call(admin_, &Users::GetUser, get, &got);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(HasReason(status, ErrorReason::kUserNotFound));
}

TEST_F(UserServiceTest, ListsPagedAndFiltered) {
  for (const char* name : {"carl", "bob", "dora"}) Create(name, v1::ROLE_VIEWER);
  v1::ListUsersRequest request;
  request.set_role(v1::ROLE_VIEWER);
  request.set_page_size(2);
  v1::ListUsersResponse page;
  ASSERT_TRUE(Call(admin_, &Users::ListUsers, request, &page).ok());
  ASSERT_EQ(page.users_size(), 2);
  EXPECT_EQ(page.users(0).user_name(), "bob");
  request.set_page_token(page.next_page_token());
  v1::ListUsersResponse second;
  ASSERT_TRUE(Call(admin_, &Users::ListUsers, request, &second).ok());
  ASSERT_EQ(second.users_size(), 1);
  EXPECT_EQ(second.users(0).user_name(), "dora");
  EXPECT_EQ(second.next_page_token(), "");

  v1::ListUsersResponse none;
  request.set_page_token("nonsense");
  EXPECT_TRUE(HasReason(Call(admin_, &Users::ListUsers, request, &none), ErrorReason::kBadPageToken));
  v1::ListUsersRequest bad;
  bad.set_page_size(-1);
  bad.set_search(std::string(257, 'x'));
  bad.set_role(static_cast<v1::Role>(9));
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::ListUsers, bad, &none)),
              ::testing::ElementsAre("search", "page_size", "role"));
}

TEST_F(UserServiceTest, GuardsTheLastAdmin) {
  v1::SetRoleRequest role;
  role.set_user_id(AdminId());
  role.set_role(v1::ROLE_VIEWER);
  v1::SetRoleResponse role_response;
  EXPECT_TRUE(HasReason(Call(admin_, &Users::SetRole, role, &role_response), ErrorReason::kLastAdmin));
  v1::SetActiveRequest active;
  active.set_user_id(AdminId());
  v1::SetActiveResponse active_response;
  EXPECT_TRUE(HasReason(Call(admin_, &Users::SetActive, active, &active_response), ErrorReason::kLastAdmin));
}

TEST_F(UserServiceTest, AppliesANewRoleToRunningSessions) {
  const v1::User ada = Create("ada", v1::ROLE_VIEWER);
  const std::string token = world_.LogIn("ada", kPassword);
  v1::ListUsersResponse listed;
  EXPECT_FALSE(Call(token, &Users::ListUsers, {}, &listed).ok());
  v1::SetRoleRequest role;
  role.set_user_id(ada.user_id());
  role.set_role(v1::ROLE_ADMIN);
  v1::SetRoleResponse response;
  ASSERT_TRUE(Call(admin_, &Users::SetRole, role, &response).ok());
  EXPECT_EQ(response.user().role(), v1::ROLE_ADMIN);
  EXPECT_TRUE(Call(token, &Users::ListUsers, {}, &listed).ok());
}

TEST_F(UserServiceTest, EndsSessionsOnDeactivation) {
  const v1::User ada = Create("ada", v1::ROLE_VIEWER);
  const std::string token = world_.LogIn("ada", kPassword);
  v1::SetActiveRequest request;
  request.set_user_id(ada.user_id());
  v1::SetActiveResponse response;
  ASSERT_TRUE(Call(admin_, &Users::SetActive, request, &response).ok());
  EXPECT_FALSE(response.user().active());
  v1::GetPreferencesResponse preferences;
  EXPECT_TRUE(HasReason(Call(token, &Users::GetPreferences, {}, &preferences), ErrorReason::kTokenInvalid));
}

TEST_F(UserServiceTest, ChangesPasswords) {
  const v1::User ada = Create("ada", v1::ROLE_VIEWER);
  const std::string token = world_.LogIn("ada", kPassword);
  v1::ChangePasswordRequest request;
  v1::ChangePasswordResponse response;
  request.set_user_id(ada.user_id());
  EXPECT_THAT(BadFieldNames(Call(token, &Users::ChangePassword, request, &response)),
              ::testing::ElementsAre("current_password", "new_password"));
  request.set_current_password("not the current one");
  request.set_new_password("pässwörter 🦋");
  EXPECT_TRUE(HasReason(Call(token, &Users::ChangePassword, request, &response), ErrorReason::kBadCredentials));
  request.set_current_password(kPassword);
  ASSERT_TRUE(Call(token, &Users::ChangePassword, request, &response).ok());
  world_.LogIn("ada", "pässwörter 🦋");
  request.clear_current_password();  // an admin needs none
  request.set_new_password("set by the admin");
  ASSERT_TRUE(Call(admin_, &Users::ChangePassword, request, &response).ok());
  world_.LogIn("ada", "set by the admin");
}

TEST_F(UserServiceTest, RegistersWhenAllowed) {
  v1::RegisterUserRequest request;
  request.set_user_name("eve");
  request.set_password(kPassword);
  v1::RegisterUserResponse response;
  const absl::Status off = Call("", &Users::RegisterUser, request, &response);
  EXPECT_EQ(off.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(HasReason(off, ErrorReason::kRegistrationDisabled));
  world_.identity.accounts->SetSelfRegistration(true);
  ASSERT_TRUE(Call("", &Users::RegisterUser, request, &response).ok());
  EXPECT_EQ(response.user().role(), v1::ROLE_VIEWER);
  EXPECT_THAT(BadFieldNames(Call("", &Users::RegisterUser, {}, &response)),
              ::testing::ElementsAre("user_name", "password"));
}

TEST_F(UserServiceTest, KeepsPreferencesOfAnyShape) {
  v1::GetPreferencesResponse empty;
  ASSERT_TRUE(Call(admin_, &Users::GetPreferences, {}, &empty).ok());
  EXPECT_EQ(empty.revision(), 0);
  EXPECT_EQ(empty.preferences().fields_size(), 0);

  v1::UpdatePreferencesRequest update;
  auto& fields = *update.mutable_preferences()->mutable_fields();
  fields["theme"].set_string_value("dark \"x\" \\ ü \n");
  fields["zoom"].set_number_value(0.1);
  fields["big"].set_number_value(-1.7976931348623157e308);
  fields["on"].set_bool_value(true);
  fields["nothing"].set_null_value(google::protobuf::NULL_VALUE);
  (*fields["nested"].mutable_struct_value()->mutable_fields())[""].mutable_list_value()->add_values()->set_number_value(
      3);
  v1::UpdatePreferencesResponse updated;
  ASSERT_TRUE(Call(admin_, &Users::UpdatePreferences, update, &updated).ok());
  EXPECT_EQ(updated.revision(), 1);
  v1::GetPreferencesResponse got;
  ASSERT_TRUE(Call(admin_, &Users::GetPreferences, {}, &got).ok());
  EXPECT_EQ(got.revision(), 1);
  EXPECT_EQ(got.preferences().ShortDebugString(), update.preferences().ShortDebugString());
  const absl::Status stale = Call(admin_, &Users::UpdatePreferences, update, &updated);
  EXPECT_EQ(stale.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(HasReason(stale, ErrorReason::kRevisionMismatch));
}

TEST_F(UserServiceTest, RefusesPreferencesBeyondTheirLimits) {
  v1::UpdatePreferencesResponse response;
  v1::UpdatePreferencesRequest update;
  (*update.mutable_preferences()->mutable_fields())["zoom"].set_number_value(std::numeric_limits<double>::infinity());
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::UpdatePreferences, update, &response)),
              ::testing::ElementsAre("preferences.zoom"));
  (*update.mutable_preferences()->mutable_fields())["zoom"].set_string_value(std::string(64 << 10, 'x'));
  EXPECT_THAT(BadFieldNames(Call(admin_, &Users::UpdatePreferences, update, &response)),
              ::testing::ElementsAre("preferences"));
  EXPECT_TRUE(world_.LogInAsAdmin().size() > 0) << "the server lives on";
}

}  // namespace
}  // namespace pulseboard
