// SessionRegistry: who holds a good token. Tokens are opaque and random; memory and table know only their hashes.
//
// A session has one refresh token that is good, and the access tokens of its last two renewals (the older one lives on
// until its own end, so that calls under way are not refused by a renewal beside them). All refresh tokens of a session
// share a secret part; one that names a session but is not the good one was spent before: the session ends.
// Role and state of an account are looked up at each call, so that a change counts at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/identity/principal.h"
#include "server/identity/records.h"
#include "server/identity/secret.h"
#include "server/identity/user.h"

namespace pulseboard {

class Table;
class TenantRegistry;
class UserDirectory;

struct SessionOptions {
  int64_t access_token_life_ns = 900 * kNanosPerSecond;  // also how long a stream may run before it must renew
  int64_t refresh_token_life_ns = 30 * kNanosPerDay;     // without renewal for this long: log in anew
  int64_t max_sessions_per_user = 2'000;                 // one more ends the one longest without renewal
};

struct SessionTokens {
  std::string access_token;
  int64_t access_expire_unix_nanos = 0;
  std::string refresh_token;
  int64_t refresh_expire_unix_nanos = 0;
};

// Thread-safe. Methods that change something block for an fsync: call them on a worker. Authenticate does not block.
class SessionRegistry {
 public:
  // Loads the `sessions` table; sessions of accounts that are gone, deactivated or have a newer password are dropped.
  // All arguments but `options` must outlive the registry.
  static absl::StatusOr<std::unique_ptr<SessionRegistry>> Open(Table& table, const UserDirectory& users,
                                                               const TenantRegistry& tenants, const Clock& clock,
                                                               const SessionOptions& options);

  // Starts a session. `user` as it was when the password was checked: had it changed since, the session is worth
  // nothing.
  absl::StatusOr<SessionTokens> Create(const User& user);
  // UNAUTHENTICATED/TOKEN_INVALID or TOKEN_EXPIRED.
  absl::StatusOr<Principal> Authenticate(std::string_view access_token) const;
  struct Renewal {
    SessionTokens tokens;
    UserPtr user;
  };
  // Spends the refresh token. Errors as for Authenticate.
  absl::StatusOr<Renewal> Refresh(std::string_view refresh_token);
  // Idempotent.
  absl::Status End(std::string_view session_id);
  // After a new password: ends the sessions of `user` but `kept_session_id` (may be empty), which goes on with the
  // account's new credential version.
  absl::Status EndOthers(const User& user, std::string_view kept_session_id);
  // Removes sessions that have expired, a bounded number per call. Returns how many.
  absl::StatusOr<int64_t> Sweep();

  // For tokens made from now on.
  void SetLives(int64_t access_token_life_ns, int64_t refresh_token_life_ns);
  int64_t size() const;

 private:
  using SessionPtr = std::shared_ptr<const SessionRecord>;

  SessionRegistry(Table& table, const UserDirectory& users, const TenantRegistry& tenants, const Clock& clock,
                  const SessionOptions& options);
  // Gives `session` new tokens; `family` is the part that its refresh tokens share.
  SessionTokens NewTokens(const std::string& family, SessionRecord* session) const;
  // The account, when it is active and the session was made with its present password.
  UserPtr LivingUser(const SessionRecord& session) const;
  SessionPtr FindFamily(const std::string& family_hash) const;
  std::vector<SessionPtr> SessionsOf(std::string_view user_id) const;
  absl::Status Replace(const SessionPtr& before, const SessionPtr& after) PB_REQUIRES(write_mu_);
  absl::Status Remove(const std::vector<SessionPtr>& sessions) PB_REQUIRES(write_mu_);
  void Index(const SessionPtr& session) PB_REQUIRES(mu_);
  void Unindex(const SessionRecord& session) PB_REQUIRES(mu_);

  Table& table_;
  const UserDirectory& users_;
  const TenantRegistry& tenants_;
  const Clock& clock_;
  const SessionOptions options_;
  std::atomic<int64_t> access_life_ns_;
  std::atomic<int64_t> refresh_life_ns_;

  Mutex write_mu_;  // one change at a time, held across the write; before mu_
  mutable SharedMutex mu_;
  std::unordered_map<std::string, SessionPtr> by_id_ PB_GUARDED_BY(mu_);
  std::unordered_map<std::string, SessionPtr> by_access_ PB_GUARDED_BY(mu_);
  std::unordered_map<std::string, SessionPtr> by_family_ PB_GUARDED_BY(mu_);
  std::unordered_map<std::string, std::vector<SessionPtr>> by_user_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
