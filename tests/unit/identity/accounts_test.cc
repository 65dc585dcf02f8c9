#include "server/identity/accounts.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <vector>

#include "common/base/errors.h"
#include "tests/support/identity_world.h"

namespace pulseboard {
namespace {

using testing::IdentityWorld;
using testing::kTestStart;

constexpr char kPassword[] = "correct horse battery";

Principal Who(IdentityWorld& world, const LoggedIn& session) {
  return world.sessions->Authenticate(session.tokens.access_token).value();
}

TEST(Accounts, LogInByNameOrEmail) {
  IdentityWorld world;
  const UserPtr ada = world.Create("Ada", kPassword, Role::kEditor, "ada@x.org").value();
  EXPECT_EQ(ada->last_login_unix_nanos, 0);
  world.clock.Advance(kNanosPerSecond);
  for (const char* login : {"ada", "ADA@x.ORG"}) {
    const auto session = world.Login(login, kPassword);
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_EQ(session->user->user_id, ada->user_id);
    EXPECT_EQ(session->user->last_login_unix_nanos, kTestStart + kNanosPerSecond);
    EXPECT_EQ(Who(world, *session).user_id, ada->user_id);
  }
  EXPECT_TRUE(world.Login("ada", kPassword, "default").ok());
}

TEST(Accounts, TakePasswordsAsBytes) {
  IdentityWorld world;
  const std::string composed = "p\xc3\xa4ssw\xc3\xb6rter";      // precomposed
  const std::string decomposed = "pa\xcc\x88sswo\xcc\x88rter";  // looks the same, other bytes
  const std::string with_nul("0123456789\0tail", 15);
  ASSERT_TRUE(world.Create("a", composed, Role::kViewer).ok());
  ASSERT_TRUE(world.Create("b", with_nul, Role::kViewer).ok());
  EXPECT_TRUE(world.Login("a", composed).ok());
  EXPECT_FALSE(world.Login("a", decomposed).ok());
  EXPECT_TRUE(world.Login("b", with_nul).ok());
  EXPECT_FALSE(world.Login("b", with_nul.substr(0, 10)).ok());
}

TEST(Accounts, AnswerEveryWrongCredentialAlike) {
  IdentityWorld world;
  ASSERT_TRUE(world.Create("admin", kPassword, Role::kAdmin).ok());
  const UserPtr gone = world.Create("gone", kPassword, Role::kViewer).value();
  ASSERT_TRUE(world.users->SetActive(kDefaultTenant, gone->user_id, false).ok());
  const absl::Status wrong_password = world.Login("admin", "wrong password").status();
  EXPECT_TRUE(HasReason(wrong_password, ErrorReason::kBadCredentials));
  for (const auto& [login, password, tenant] :
       std::vector<std::array<std::string, 3>>{{"nobody", kPassword, ""},
                                               {"nobody@x", kPassword, ""},
                                               {"gone", kPassword, ""},
                                               {"admin", kPassword, "elsewhere"},
                                               {"admin", kPassword, "_system"}}) {
    const absl::Status status = world.Login(login, password, tenant).status();
    EXPECT_EQ(status, wrong_password) << login << " " << tenant;
    EXPECT_EQ(GetErrorDetail(status)->metadata, GetErrorDetail(wrong_password)->metadata);
  }
}

// Time itself depends on the machine; what takes it is one Argon2id verification of full cost, for everybody.
TEST(Accounts, VerifyOnePasswordOfEqualCostWhoeverLogsIn) {
  AccountsOptions options;
  options.throttle.free_failures = 1000;
  IdentityWorld world({}, options);
  ASSERT_TRUE(world.Create("ada", kPassword, Role::kViewer).ok());
  const auto verifications = [&](const char* login, const char* password, const char* tenant = "") {
    const int64_t before = world.accounts->password_verifications();
    EXPECT_EQ(world.Login(login, password, tenant).ok(), password == kPassword);
    return world.accounts->password_verifications() - before;
  };
  EXPECT_EQ(verifications("ada", kPassword), 1);
  EXPECT_EQ(verifications("ada", "wrong password"), 1);
  EXPECT_EQ(verifications("nobody", "wrong password"), 1);
  EXPECT_EQ(verifications("", "wrong password"), 1);
  EXPECT_EQ(verifications("ada", "wrong password", "no such tenant"), 1);
}

TEST(Accounts, SlowDownGuessingForKnownAndUnknownAlike) {
  IdentityWorld world;
  ASSERT_TRUE(world.Create("ada", kPassword, Role::kViewer).ok());
  for (const char* login : {"ada", "nobody"}) {
    for (int i = 0; i < 6; ++i) {
      EXPECT_TRUE(HasReason(world.Login(login, "wrong password").status(), ErrorReason::kBadCredentials));
    }
    const absl::Status busy = world.Login(login, kPassword).status();
    ASSERT_TRUE(HasReason(busy, ErrorReason::kLoginBusy)) << login;
    EXPECT_EQ(GetErrorDetail(busy)->retry_after_ms, 1000);
  }
  EXPECT_TRUE(HasReason(world.Login("ADA", kPassword).status(), ErrorReason::kLoginBusy))
      << "case makes no new account";
  world.clock.Advance(kNanosPerSecond);
  EXPECT_TRUE(world.Login("ada", kPassword).ok());
}

TEST(Accounts, SayBusyWhenTooManyLoginsWait) {
  AccountsOptions options;
  options.hashing.threads = 1;
  options.hashing.max_queued = 2;
  options.throttle.free_failures = 1000;
  IdentityWorld world({}, options);
  struct {
    std::mutex mu;
    std::condition_variable all;
    int answered = 0;
    int busy = 0;
  } seen;
  constexpr int kCalls = 20;
  for (int i = 0; i < kCalls; ++i) {
    world.accounts->Login({"", "nobody", Secret("wrong password")}, [&](const absl::StatusOr<LoggedIn>& result) {
      const std::lock_guard lock(seen.mu);
      if (HasReason(result.status(), ErrorReason::kLoginBusy)) {
        EXPECT_GT(GetErrorDetail(result.status())->retry_after_ms.value_or(0), 0);
        ++seen.busy;
      }
      ++seen.answered;
      seen.all.notify_one();
    });
  }
  std::unique_lock lock(seen.mu);
  ASSERT_TRUE(seen.all.wait_for(lock, std::chrono::seconds(30), [&] { return seen.answered == kCalls; }));
  EXPECT_GE(seen.busy, kCalls - 6);
  EXPECT_LT(seen.busy, kCalls);
}

TEST(Accounts, RenewAndLogOut) {
  IdentityWorld world;
  ASSERT_TRUE(world.Create("ada", kPassword, Role::kViewer).ok());
  const LoggedIn first = world.Login("ada", kPassword).value();
  const auto second = world.Renew(first.tokens.refresh_token);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->user->user_name, "ada");
  const Principal who = Who(world, *second);
  EXPECT_TRUE(IdentityWorld::WaitStatus([&](auto done) { world.accounts->Logout(who, done); }).ok());
  EXPECT_FALSE(world.sessions->Authenticate(second->tokens.access_token).ok());
  EXPECT_TRUE(HasReason(world.Renew(second->tokens.refresh_token).status(), ErrorReason::kTokenInvalid));
}

TEST(Accounts, RegisterViewersOnlyWhenAllowed) {
  IdentityWorld world;
  const auto register_as = [&](const std::string& name, const std::string& tenant) {
    NewUser account;
    account.user_name = name;
    account.role = Role::kAdmin;  // wishing does not help
    return IdentityWorld::Wait<UserPtr>(
        [&](auto done) { world.accounts->Register(tenant, account, Secret(kPassword), done); });
  };
  EXPECT_TRUE(HasReason(register_as("ada", "").status(), ErrorReason::kRegistrationDisabled));
  world.accounts->SetSelfRegistration(true);
  const auto ada = register_as("ada", "");
  ASSERT_TRUE(ada.ok());
  EXPECT_EQ((*ada)->role, Role::kViewer);
  EXPECT_EQ((*ada)->tenant, kDefaultTenant);
  EXPECT_TRUE(world.Login("ada", kPassword).ok());
  EXPECT_TRUE(HasReason(register_as("ADA", "default").status(), ErrorReason::kUserExists));
  for (const char* tenant : {"elsewhere", "_system"}) {
    EXPECT_TRUE(HasReason(register_as("bob", tenant).status(), ErrorReason::kRegistrationDisabled)) << tenant;
  }
}

TEST(Accounts, ChangeOnesOwnPasswordWithTheCurrentOneOnly) {
  IdentityWorld world;
  const UserPtr ada = world.Create("ada", kPassword, Role::kViewer).value();
  const LoggedIn mine = world.Login("ada", kPassword).value();
  const LoggedIn other = world.Login("ada", kPassword).value();
  const Principal me = Who(world, mine);
  EXPECT_TRUE(HasReason(world.ChangePassword(me, ada->user_id, "not the current one", "a new password"),
                        ErrorReason::kBadCredentials));
  EXPECT_TRUE(world.sessions->Authenticate(other.tokens.access_token).ok());
  ASSERT_TRUE(world.ChangePassword(me, ada->user_id, kPassword, "a new password").ok());
  EXPECT_TRUE(world.sessions->Authenticate(mine.tokens.access_token).ok());
  EXPECT_FALSE(world.sessions->Authenticate(other.tokens.access_token).ok());
  EXPECT_FALSE(world.Login("ada", kPassword).ok());
  EXPECT_TRUE(world.Login("ada", "a new password").ok());
}

TEST(Accounts, SlowDownGuessingTheCurrentPassword) {
  IdentityWorld world;
  const UserPtr ada = world.Create("ada", kPassword, Role::kViewer).value();
  const Principal me = Who(world, world.Login("ada", kPassword).value());
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(world.ChangePassword(me, ada->user_id, "not the current one", "a new password").ok());
  }
  EXPECT_TRUE(HasReason(world.ChangePassword(me, ada->user_id, kPassword, "a new password"), ErrorReason::kLoginBusy));
}

TEST(Accounts, LetAdminsSetAnothersPassword) {
  IdentityWorld world;
  ASSERT_TRUE(world.Create("admin", kPassword, Role::kAdmin).ok());
  const UserPtr ada = world.Create("ada", kPassword, Role::kViewer).value();
  const LoggedIn adas = world.Login("ada", kPassword).value();
  const LoggedIn admins = world.Login("admin", kPassword).value();
  ASSERT_TRUE(world.ChangePassword(Who(world, admins), ada->user_id, "", "a new password").ok());
  EXPECT_FALSE(world.sessions->Authenticate(adas.tokens.access_token).ok());
  EXPECT_TRUE(world.sessions->Authenticate(admins.tokens.access_token).ok());
  EXPECT_TRUE(HasReason(world.ChangePassword(Who(world, admins), "usr_nobody", "", "a new password"),
                        ErrorReason::kUserNotFound));
}

TEST(Accounts, EndSessionsOnDeactivation) {
  IdentityWorld world;
  ASSERT_TRUE(world.Create("admin", kPassword, Role::kAdmin).ok());
  const UserPtr ada = world.Create("ada", kPassword, Role::kViewer).value();
  const LoggedIn session = world.Login("ada", kPassword).value();
  const auto set_active = [&](bool active) {
    return IdentityWorld::Wait<UserPtr>(
        [&](auto done) { world.accounts->SetActive(kDefaultTenant, ada->user_id, active, done); });
  };
  ASSERT_TRUE(set_active(false).ok());
  EXPECT_EQ(world.sessions->size(), 0);
  EXPECT_FALSE(world.sessions->Authenticate(session.tokens.access_token).ok());
  EXPECT_FALSE(world.Login("ada", kPassword).ok());
  ASSERT_TRUE(set_active(true).ok());
  EXPECT_TRUE(world.Login("ada", kPassword).ok());
}

TEST(CreateFirstAdmin, MakesAnAdminWhoCanLogIn) {
  IdentityWorld world;
  EXPECT_TRUE(HasReason(CreateFirstAdmin(*world.users, Secret("short")), ErrorReason::kBadField));
  ASSERT_TRUE(CreateFirstAdmin(*world.users, Secret(kPassword)).ok());
  const auto session = world.Login("admin", kPassword);
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->user->role, Role::kAdmin);
  EXPECT_EQ(world.user_table.Dump().find(kPassword), std::string::npos);
}

TEST(TenantRegistry, KnowsTheTwoOfTheFirstDay) {
  IdentityWorld world;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(world.tenants->Find("default"), kDefaultTenant);
    EXPECT_EQ(world.tenants->Find(""), kDefaultTenant);
    EXPECT_EQ(world.tenants->Find("_system"), kSystemTenant);
    EXPECT_EQ(world.tenants->Find("Default"), std::nullopt);
    EXPECT_EQ(world.tenants->Name(kSystemTenant), "_system");
    EXPECT_EQ(world.tenants->Name(99), "");
    world.Restart();
  }
}

TEST(PasswordHasher, SaltsAndVerifies) {
  const std::string a = PasswordHasher::Hash(Secret(kPassword)).value();
  const std::string b = PasswordHasher::Hash(Secret(kPassword)).value();
  EXPECT_NE(a, b);
  EXPECT_TRUE(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << a;
  const PasswordHasher hasher({});
  EXPECT_TRUE(hasher.Verify(a, Secret(kPassword)));
  EXPECT_FALSE(hasher.Verify(a, Secret("correct horse batterY")));
  EXPECT_FALSE(hasher.Verify("", Secret("")));
  EXPECT_FALSE(hasher.Verify("not a hash", Secret(kPassword)));
}

TEST(Secret, IsGoneAfterMoving) {
  Secret a("short");
  Secret b(std::move(a));
  EXPECT_EQ(b.view(), "short");
  EXPECT_TRUE(a.empty());
  Secret c("something else that is long enough for the heap");
  c = std::move(b);
  EXPECT_EQ(c.view(), "short");
}

}  // namespace
}  // namespace pulseboard
