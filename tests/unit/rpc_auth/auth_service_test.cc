#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/rpc_auth/rpc_world.h"

namespace pulseboard {
namespace {

using testing::kAdminPassword;
using testing::kTestStart;
using testing::RpcWorld;
using Auth = v1::AuthService::Stub;

absl::Status Login(RpcWorld& world, const std::string& login, const std::string& password, const std::string& tenant,
                   v1::LoginResponse* response) {
  v1::LoginRequest request;
  request.set_login(login);
  request.set_password(password);
  request.set_tenant(tenant);
  return world.Call(world.auth.get(), &Auth::Login, {}, request, response);
}

absl::Status WhoAmI(RpcWorld& world, const RpcWorld::Metadata& metadata) {
  v1::WhoAmIResponse response;
  return world.Call(world.auth.get(), &Auth::WhoAmI, metadata, {}, &response);
}

TEST(AuthService, LogsInAndSaysWhoOneIs) {
  RpcWorld world;
  v1::LoginResponse login;
  ASSERT_TRUE(Login(world, "ADMIN", kAdminPassword, "default", &login).ok());
  EXPECT_EQ(login.user().user_name(), "admin");
  EXPECT_EQ(login.user().role(), v1::ROLE_ADMIN);
  EXPECT_EQ(login.user().tenant(), "default");
  EXPECT_TRUE(login.user().has_last_login_time());
  EXPECT_EQ(login.tokens().access_expire_time().seconds(), kTestStart / kNanosPerSecond + 900);

  v1::WhoAmIResponse who;
  ASSERT_TRUE(
      world.Call(world.auth.get(), &Auth::WhoAmI, RpcWorld::Bearer(login.tokens().access_token()), {}, &who).ok());
  EXPECT_EQ(who.user().user_id(), login.user().user_id());
  EXPECT_EQ(who.access_expire_time().seconds(), login.tokens().access_expire_time().seconds());
}

TEST(AuthService, NamesTheFieldsThatAreWrong) {
  RpcWorld world;
  v1::LoginResponse response;
  const struct {
    std::string login, password, tenant;
    std::vector<std::string> fields;
  } cases[] = {
      {"", "", "", {"login", "password"}},
      {std::string(255, 'x'), "secret", "", {"login"}},
      {"admin", std::string(1025, 'x'), "", {"password"}},
      {"admin", "secret", std::string(65, 'x'), {"tenant"}},
  };
  for (const auto& c : cases) {
    const auto detail = GetErrorDetail(Login(world, c.login, c.password, c.tenant, &response));
    ASSERT_TRUE(detail);
    EXPECT_EQ(detail->reason, ErrorReason::kBadField);
    std::vector<std::string> fields;
    for (const auto& violation : detail->field_violations) {
      fields.push_back(violation.field);
      EXPECT_EQ(violation.description.find("secret"), std::string::npos);
    }
    EXPECT_EQ(fields, c.fields);
  }
}

TEST(AuthService, RefusesWrongCredentials) {
  RpcWorld world;
  v1::LoginResponse response;
  const absl::Status status = Login(world, "admin", "not the password", "", &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(HasReason(status, ErrorReason::kBadCredentials));
  EXPECT_EQ(Login(world, "nobody", "not the password", "", &response), status);
}

TEST(AuthService, SaysWhenToTryAgain) {
  RpcWorld world;
  v1::LoginResponse response;
  for (int i = 0; i < 6; ++i) Login(world, "admin", "not the password", "", &response).IgnoreError();
  const absl::Status status = Login(world, "admin", kAdminPassword, "", &response);
  ASSERT_TRUE(HasReason(status, ErrorReason::kLoginBusy)) << status;
  EXPECT_EQ(GetErrorDetail(status)->retry_after_ms, 1000);
}

TEST(AuthService, RefreshesOnceAndEndsTheSessionOnTheSecondUse) {
  RpcWorld world;
  v1::LoginResponse login;
  ASSERT_TRUE(Login(world, "admin", kAdminPassword, "", &login).ok());
  v1::RefreshSessionRequest request;
  request.set_refresh_token(login.tokens().refresh_token());
  v1::RefreshSessionResponse renewed;
  ASSERT_TRUE(world.Call(world.auth.get(), &Auth::RefreshSession, {}, request, &renewed).ok());
  EXPECT_EQ(renewed.user().user_name(), "admin");
  EXPECT_TRUE(WhoAmI(world, RpcWorld::Bearer(renewed.tokens().access_token())).ok());
  v1::RefreshSessionResponse again;
  EXPECT_TRUE(
      HasReason(world.Call(world.auth.get(), &Auth::RefreshSession, {}, request, &again), ErrorReason::kTokenInvalid));
  EXPECT_TRUE(HasReason(WhoAmI(world, RpcWorld::Bearer(renewed.tokens().access_token())), ErrorReason::kTokenInvalid));
  EXPECT_TRUE(HasReason(world.Call(world.auth.get(), &Auth::RefreshSession, {}, {}, &again), ErrorReason::kBadField));
}

TEST(AuthService, LogsOutIdempotentlyForTheCaller) {
  RpcWorld world;
  const std::string token = world.LogInAsAdmin();
  v1::LogoutResponse response;
  EXPECT_TRUE(world.Call(world.auth.get(), &Auth::Logout, RpcWorld::Bearer(token), {}, &response).ok());
  EXPECT_TRUE(HasReason(world.Call(world.auth.get(), &Auth::Logout, RpcWorld::Bearer(token), {}, &response),
                        ErrorReason::kTokenInvalid));
}

TEST(Authenticator, RefusesMissingForgedAndExpiredTokens) {
  RpcWorld world;
  const std::string token = world.LogInAsAdmin();
  EXPECT_TRUE(WhoAmI(world, {{"authorization", "bearer " + token}}).ok()) << "the scheme's case does not matter";
  for (const RpcWorld::Metadata& metadata : std::vector<RpcWorld::Metadata>{
           {},
           {{"authorization", token}},
           {{"authorization", ""}},
           {{"authorization", "Basic " + token}},
           {{"authorization", "Bearer"}},
           {{"authorization", "Bearer "}},
           {{"authorization", "Bearer " + token + "x"}},
           {{"authorization", "Bearer " + token}, {"authorization", "Bearer " + token}},
           {{"authorization", "Bearer " + std::string(4000, 'A')}},
       }) {
    EXPECT_TRUE(HasReason(WhoAmI(world, metadata), ErrorReason::kTokenInvalid));
  }
  world.identity.clock.Advance(900 * kNanosPerSecond);
  EXPECT_TRUE(HasReason(WhoAmI(world, RpcWorld::Bearer(token)), ErrorReason::kTokenExpired));
}

TEST(Authenticator, LetsOnlyReadsNameAnotherTenant) {
  RpcWorld world;
  const std::string token = world.LogInAsAdmin();
  const auto with_tenant = [&](const std::string& tenant) {
    RpcWorld::Metadata metadata = RpcWorld::Bearer(token);
    metadata.emplace("x-pulseboard-tenant", tenant);
    return metadata;
  };
  EXPECT_TRUE(WhoAmI(world, with_tenant("default")).ok());
  v1::ListUsersResponse response;
  for (const char* tenant : {"_system", "elsewhere"}) {
    EXPECT_TRUE(HasReason(WhoAmI(world, with_tenant(tenant)), ErrorReason::kTenantUnknown));
    EXPECT_TRUE(
        HasReason(world.Call(world.users.get(), &v1::UserService::Stub::ListUsers, with_tenant(tenant), {}, &response),
                  ErrorReason::kTenantUnknown));
  }
}

}  // namespace
}  // namespace pulseboard
