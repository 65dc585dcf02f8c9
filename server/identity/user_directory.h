// UserDirectory: the accounts of all tenants and the rules that keep them consistent.
//
// All accounts are held in memory (a few hundred bytes each, bounded per tenant), because every call looks at its
// account's present role and state; the `users` table is written first and is the truth after a restart. Names and
// e-mails are indexed in memory only: one record per account leaves no second place that a crash could leave behind.
// Preferences stay in the table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/identity/user.h"

namespace pulseboard {

class Table;

struct UserDirectoryOptions {
  int64_t max_users_per_tenant = 10'000;  // more are refused with TOO_MANY_USERS
};

// Thread-safe. Methods that change something block for an fsync: call them on a worker. Reads do not block, except for
// preferences. Fields must have been checked with FieldCheck. An account of another tenant does not exist for the
// caller: NOT_FOUND/USER_NOT_FOUND.
class UserDirectory {
 public:
  // `table` and `clock` must outlive the directory.
  static absl::StatusOr<std::unique_ptr<UserDirectory>> Open(Table& table, const Clock& clock,
                                                             const UserDirectoryOptions& options);

  // Null when unknown. Ids are unique across tenants.
  UserPtr Find(std::string_view user_id) const;
  // By user name or e-mail, without regard to case. Null when unknown.
  UserPtr FindByLogin(TenantId tenant, std::string_view login) const;
  absl::StatusOr<UserPtr> Get(TenantId tenant, std::string_view user_id) const;
  // Ascending by user name. INVALID_ARGUMENT/BAD_PAGE_TOKEN, or BAD_FIELD for a negative page size.
  absl::StatusOr<UserPage> List(TenantId tenant, const UserQuery& query) const;
  int64_t Count(TenantId tenant) const;

  // ALREADY_EXISTS/USER_EXISTS naming the field, RESOURCE_EXHAUSTED/TOO_MANY_USERS.
  absl::StatusOr<UserPtr> Create(const NewUser& user);
  absl::StatusOr<UserPtr> UpdateProfile(TenantId tenant, std::string_view user_id, const ProfileChange& change);
  // FAILED_PRECONDITION/LAST_ADMIN when no active ADMIN would be left; so does SetActive.
  absl::StatusOr<UserPtr> SetRole(TenantId tenant, std::string_view user_id, Role role);
  // Deactivating makes all sessions of the account worthless, for good.
  absl::StatusOr<UserPtr> SetActive(TenantId tenant, std::string_view user_id, bool active);
  // Makes all sessions of the account worthless (see SessionRegistry::EndOthers).
  absl::StatusOr<UserPtr> SetPasswordHash(TenantId tenant, std::string_view user_id, std::string password_hash);
  absl::StatusOr<UserPtr> RecordLogin(TenantId tenant, std::string_view user_id);

  absl::StatusOr<Preferences> GetPreferences(TenantId tenant, std::string_view user_id) const;
  // Returns the new revision. ABORTED/REVISION_MISMATCH when `read.revision` is not the stored one.
  absl::StatusOr<int64_t> UpdatePreferences(TenantId tenant, std::string_view user_id, const Preferences& read);

 private:
  using Edit = std::function<absl::Status(User* user)>;

  UserDirectory(Table& table, const Clock& clock, const UserDirectoryOptions& options)
      : table_(table), clock_(clock), options_(options) {}
  // Stores what `edit` makes of the account.
  absl::StatusOr<UserPtr> Change(TenantId tenant, std::string_view user_id, const Edit& edit);
  absl::Status CheckEmailFree(const User& owner) const PB_REQUIRES(write_mu_);
  absl::Status CheckAdminRemains(const User& before, const User& after) const PB_REQUIRES(write_mu_);
  // Replaces what memory holds of the account; `before` may be null.
  void Install(const UserPtr& before, const UserPtr& after) PB_REQUIRES(write_mu_);

  Table& table_;
  const Clock& clock_;
  const UserDirectoryOptions options_;

  Mutex write_mu_;  // one change at a time, held across the write; before mu_
  mutable SharedMutex mu_;
  std::unordered_map<std::string, UserPtr> by_id_ PB_GUARDED_BY(mu_);
  std::map<std::pair<TenantId, std::string>, UserPtr> by_name_ PB_GUARDED_BY(mu_);   // folded case
  std::map<std::pair<TenantId, std::string>, UserPtr> by_email_ PB_GUARDED_BY(mu_);  // folded case, not empty
  std::unordered_map<TenantId, int64_t> counts_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
