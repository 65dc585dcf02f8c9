// Accounts: the use cases of identity, joining directory, sessions, password hashing and throttling.
//
// Everything that hashes or writes is asynchronous: `done` runs exactly once, on one of identity's worker threads, or
// on the caller's thread when the answer is known at once (a refusal). When a worker queue is full the answer is
// RESOURCE_EXHAUSTED/LOGIN_BUSY. Callers have checked the fields (user_rules.h) and, but for Login, Renew and Register,
// the right of the principal (principal.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/worker_pool.h"
#include "server/identity/login_throttle.h"
#include "server/identity/password_hasher.h"
#include "server/identity/session_registry.h"
#include "server/identity/tenant_registry.h"
#include "server/identity/user.h"
#include "server/identity/user_directory.h"

namespace pulseboard {

struct AccountsOptions {
  bool self_registration = false;  // whether anybody may create a VIEWER account for themselves
  int64_t max_queued_calls =
      1'000;  // changes of accounts and sessions that may wait for the table; beyond it LOGIN_BUSY
  PasswordHasherOptions hashing;
  LoginThrottleOptions throttle;
};

struct LoginAttempt {
  std::string tenant;  // empty: `default`
  std::string login;   // user name or e-mail
  Secret password;
};

// A new session, or a renewed one.
struct LoggedIn {
  SessionTokens tokens;
  UserPtr user;
};

// Thread-safe. The destructor runs what is queued to its end.
class Accounts {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  using DoneStatus = std::function<void(absl::Status)>;

  // All but `options` must outlive this.
  Accounts(const TenantRegistry& tenants, UserDirectory& users, SessionRegistry& sessions, const Clock& clock,
           const AccountsOptions& options);

  const TenantRegistry& tenants() const { return tenants_; }
  const UserDirectory& users() const { return users_; }
  // For accounts created from now on.
  void SetSelfRegistration(bool on) { self_registration_ = on; }
  // Passwords verified so far, each at full cost.
  int64_t password_verifications() const { return hasher_.verifications(); }

  // UNAUTHENTICATED/BAD_CREDENTIALS, in the same time and words whether tenant, user or password is wrong or the
  // account is deactivated. Repeated failures: LOGIN_BUSY, known account or not.
  void Login(LoginAttempt attempt, Done<LoggedIn> done);
  void Renew(Secret refresh_token, Done<LoggedIn> done);
  void Logout(const Principal& principal, DoneStatus done);

  // `account.role` and `.password_hash` are set here. FAILED_PRECONDITION/REGISTRATION_DISABLED; a tenant that is not
  // there is answered like one where registration is off.
  void Register(const std::string& tenant, NewUser account, Secret password, Done<UserPtr> done);
  void Create(NewUser account, Secret password, Done<UserPtr> done);
  void UpdateProfile(TenantId tenant, std::string user_id, ProfileChange change, Done<UserPtr> done);
  void SetRole(TenantId tenant, std::string user_id, Role role, Done<UserPtr> done);
  void SetActive(TenantId tenant, std::string user_id, bool active, Done<UserPtr> done);
  // One's own account needs `current` (BAD_CREDENTIALS, throttled as Login is). Ends the account's other sessions.
  void ChangePassword(const Principal& principal, std::string user_id, Secret current, Secret next, DoneStatus done);
  void GetPreferences(const Principal& principal, Done<Preferences> done);
  void UpdatePreferences(const Principal& principal, Preferences preferences, Done<int64_t> done);

 private:
  absl::StatusOr<LoggedIn> FinishLogin(const std::string& throttle_key, const UserPtr& user, bool password_fits);
  absl::Status SetNewPassword(const Principal& principal, const UserPtr& user, const Secret& current,
                              const Secret& next);
  absl::Status Submit(std::function<void()> task);

  const TenantRegistry& tenants_;
  UserDirectory& users_;
  SessionRegistry& sessions_;
  const AccountsOptions options_;
  std::atomic<bool> self_registration_;
  LoginThrottle throttle_;
  WorkerPool table_worker_;  // last two: their tasks use all of the above
  PasswordHasher hasher_;
};

// What a first start does: creates ADMIN `admin` in tenant `default`. Blocks for a password hash.
// INVALID_ARGUMENT/BAD_FIELD for a password outside the rules.
absl::Status CreateFirstAdmin(UserDirectory& users, const Secret& password);

}  // namespace pulseboard
