// All of identity over tables in memory, with a clock that the test moves and calls that wait for their answer.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "server/identity/accounts.h"
#include "tests/support/memory_table.h"

namespace pulseboard::testing {

inline constexpr int64_t kTestStart = 1'700'000'000 * kNanosPerSecond;

struct IdentityWorld {
  explicit IdentityWorld(SessionOptions session_options = {}, AccountsOptions accounts_options = {},
                         UserDirectoryOptions user_options = {})
      : session_options_(session_options), accounts_options_(accounts_options), user_options_(user_options) {
    Start();
  }

  // As after a restart of the process: only the tables remain.
  void Restart() {
    accounts.reset();
    sessions.reset();
    users.reset();
    tenants.reset();
    Start();
  }

  absl::StatusOr<LoggedIn> Login(const std::string& login, const std::string& password,
                                 const std::string& tenant = "") {
    return Wait<LoggedIn>([&](auto done) { accounts->Login({tenant, login, Secret(password)}, done); });
  }
  absl::StatusOr<LoggedIn> Renew(const std::string& refresh_token) {
    return Wait<LoggedIn>([&](auto done) { accounts->Renew(Secret(refresh_token), done); });
  }
  absl::StatusOr<UserPtr> Create(const std::string& name, const std::string& password, Role role,
                                 const std::string& email = "") {
    NewUser account;
    account.tenant = kDefaultTenant;
    account.user_name = name;
    account.email = email;
    account.role = role;
    return Wait<UserPtr>([&](auto done) { accounts->Create(account, Secret(password), done); });
  }
  absl::Status ChangePassword(const Principal& principal, const std::string& user_id, const std::string& current,
                              const std::string& next) {
    return WaitStatus(
        [&](auto done) { accounts->ChangePassword(principal, user_id, Secret(current), Secret(next), done); });
  }

  template <typename T, typename Call>
  static absl::StatusOr<T> Wait(const Call& call) {
    auto answer = std::make_shared<std::promise<absl::StatusOr<T>>>();
    call([answer](absl::StatusOr<T> result) { answer->set_value(std::move(result)); });
    return answer->get_future().get();
  }
  template <typename Call>
  static absl::Status WaitStatus(const Call& call) {
    auto answer = std::make_shared<std::promise<absl::Status>>();
    call([answer](absl::Status status) { answer->set_value(std::move(status)); });
    return answer->get_future().get();
  }

  ManualClock clock{kTestStart};
  MemoryTable tenant_table;
  MemoryTable user_table;
  MemoryTable session_table;
  std::unique_ptr<TenantRegistry> tenants;
  std::unique_ptr<UserDirectory> users;
  std::unique_ptr<SessionRegistry> sessions;
  std::unique_ptr<Accounts> accounts;

 private:
  void Start() {
    tenants = TenantRegistry::Open(tenant_table).value();
    users = UserDirectory::Open(user_table, clock, user_options_).value();
    sessions = SessionRegistry::Open(session_table, *users, *tenants, clock, session_options_).value();
    accounts = std::make_unique<Accounts>(*tenants, *users, *sessions, clock, accounts_options_);
  }

  const SessionOptions session_options_;
  const AccountsOptions accounts_options_;
  const UserDirectoryOptions user_options_;
};

}  // namespace pulseboard::testing
