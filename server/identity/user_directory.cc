#include "server/identity/user_directory.h"

#include <algorithm>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/identity/records.h"
#include "server/identity/tokens.h"
#include "server/identity/user_rules.h"
#include "server/storage/table.h"

namespace pulseboard {
namespace {

absl::Status NotFound(std::string_view user_id) {
  return MakeError(ErrorReason::kUserNotFound, "no account has the user_id '" + Printable(user_id) + "'",
                   {{"userId", Printable(user_id)}});
}

absl::Status Exists(const char* field, std::string_view value) {
  return MakeError(ErrorReason::kUserExists, std::string(field) + " '" + Printable(value) + "' is taken",
                   {{"field", field}, {"value", Printable(value)}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<UserDirectory>> UserDirectory::Open(Table& table, const Clock& clock,
                                                                   const UserDirectoryOptions& options) {
  std::unique_ptr<UserDirectory> directory(new UserDirectory(table, clock, options));
  std::vector<UserPtr> users;
  absl::Status broken;
  PB_RETURN_IF_ERROR(table.Scan(kUserKeyPrefix, "", [&](std::string_view key, std::string_view value) {
    auto user = DecodeUser(value);
    if (!user.ok()) {
      broken = WithContext(user.status(), "account at key '" + Printable(key) + "'");
      return false;
    }
    users.push_back(std::make_shared<const User>(*std::move(user)));
    return true;
  }));
  PB_RETURN_IF_ERROR(broken);
  MutexLock lock(&directory->write_mu_);
  for (const UserPtr& user : users) directory->Install(nullptr, user);
  return directory;
}

UserPtr UserDirectory::Find(std::string_view user_id) const {
  ReaderLock lock(&mu_);
  const auto it = by_id_.find(std::string(user_id));
  return it == by_id_.end() ? nullptr : it->second;
}

UserPtr UserDirectory::FindByLogin(TenantId tenant, std::string_view login) const {
  const std::pair key(tenant, FoldCase(login));
  ReaderLock lock(&mu_);
  // User names hold no `@` and e-mails do, so that a login means one thing.
  const auto& index = login.find('@') == std::string_view::npos ? by_name_ : by_email_;
  const auto it = index.find(key);
  return it == index.end() ? nullptr : it->second;
}

absl::StatusOr<UserPtr> UserDirectory::Get(TenantId tenant, std::string_view user_id) const {
  UserPtr user = Find(user_id);
  if (user == nullptr || user->tenant != tenant) return NotFound(user_id);
  return user;
}

int64_t UserDirectory::Count(TenantId tenant) const {
  ReaderLock lock(&mu_);
  const auto it = counts_.find(tenant);
  return it == counts_.end() ? 0 : it->second;
}

absl::StatusOr<UserPtr> UserDirectory::Create(const NewUser& given) {
  auto user = std::make_shared<User>();
  user->user_id = NewId("usr_");
  user->tenant = given.tenant;
  user->user_name = given.user_name;
  user->email = given.email;
  user->display_name = given.display_name;
  user->role = given.role;
  user->password_hash = given.password_hash;
  user->create_unix_nanos = user->update_unix_nanos = clock_.NowUnixNanos();

  MutexLock lock(&write_mu_);
  if (FindByLogin(given.tenant, given.user_name) != nullptr) return Exists("user_name", given.user_name);
  PB_RETURN_IF_ERROR(CheckEmailFree(*user));
  if (Count(given.tenant) >= options_.max_users_per_tenant) {
    const std::string limit = std::to_string(options_.max_users_per_tenant);
    return MakeError(ErrorReason::kTooManyUsers, "the tenant holds " + limit + " accounts already", {{"limit", limit}});
  }
  PB_RETURN_IF_ERROR(table_.Put(UserRecordKey(*user), EncodeUser(*user)));
  Install(nullptr, user);
  PB_LOG(Info, "identity", "created user user_id={} tenant={} role={}", user->user_id, user->tenant,
         RoleName(user->role));
  return user;
}

absl::StatusOr<UserPtr> UserDirectory::UpdateProfile(TenantId tenant, std::string_view user_id,
                                                     const ProfileChange& change) {
  return Change(tenant, user_id, [&](User* user) {
    if (change.email) user->email = *change.email;
    if (change.display_name) user->display_name = *change.display_name;
    return absl::OkStatus();
  });
}

absl::StatusOr<UserPtr> UserDirectory::SetRole(TenantId tenant, std::string_view user_id, Role role) {
  return Change(tenant, user_id, [&](User* user) {
    user->role = role;
    return absl::OkStatus();
  });
}

absl::StatusOr<UserPtr> UserDirectory::SetActive(TenantId tenant, std::string_view user_id, bool active) {
  return Change(tenant, user_id, [&](User* user) {
    if (user->active && !active) ++user->credential_version;
    user->active = active;
    return absl::OkStatus();
  });
}

absl::StatusOr<UserPtr> UserDirectory::SetPasswordHash(TenantId tenant, std::string_view user_id,
                                                       std::string password_hash) {
  return Change(tenant, user_id, [&](User* user) {
    user->password_hash = std::move(password_hash);
    ++user->credential_version;
    return absl::OkStatus();
  });
}

absl::StatusOr<UserPtr> UserDirectory::RecordLogin(TenantId tenant, std::string_view user_id) {
  return Change(tenant, user_id, [&](User* user) {
    user->last_login_unix_nanos = clock_.NowUnixNanos();
    return absl::OkStatus();
  });
}

absl::StatusOr<Preferences> UserDirectory::GetPreferences(TenantId tenant, std::string_view user_id) const {
  PB_RETURN_IF_ERROR(Get(tenant, user_id).status());
  PB_ASSIGN_OR_RETURN(const auto record, table_.Get(PreferencesKey(tenant, user_id)));
  if (!record) return Preferences{};
  auto preferences = DecodePreferences(*record);
  if (!preferences.ok()) return WithContext(preferences.status(), "preferences of " + Printable(user_id));
  return preferences;
}

absl::StatusOr<int64_t> UserDirectory::UpdatePreferences(TenantId tenant, std::string_view user_id,
                                                         const Preferences& read) {
  MutexLock lock(&write_mu_);
  PB_ASSIGN_OR_RETURN(Preferences stored, GetPreferences(tenant, user_id));
  if (stored.revision != read.revision) {
    return MakeError(
        ErrorReason::kRevisionMismatch,
        "the stored revision is " + std::to_string(stored.revision) + ", not " + std::to_string(read.revision),
        {{"storedRevision", std::to_string(stored.revision)}, {"revision", std::to_string(read.revision)}});
  }
  stored.json = read.json;
  ++stored.revision;
  PB_RETURN_IF_ERROR(table_.Put(PreferencesKey(tenant, user_id), EncodePreferences(stored)));
  return stored.revision;
}

absl::StatusOr<UserPtr> UserDirectory::Change(TenantId tenant, std::string_view user_id, const Edit& edit) {
  MutexLock lock(&write_mu_);
  PB_ASSIGN_OR_RETURN(const UserPtr before, Get(tenant, user_id));
  auto after = std::make_shared<User>(*before);
  PB_RETURN_IF_ERROR(edit(after.get()));
  after->update_unix_nanos = clock_.NowUnixNanos();
  PB_RETURN_IF_ERROR(CheckEmailFree(*after));
  PB_RETURN_IF_ERROR(CheckAdminRemains(*before, *after));
  PB_RETURN_IF_ERROR(table_.Put(UserRecordKey(*after), EncodeUser(*after)));
  Install(before, after);
  return after;
}

absl::Status UserDirectory::CheckEmailFree(const User& owner) const {
  if (owner.email.empty()) return absl::OkStatus();
  const UserPtr other = FindByLogin(owner.tenant, owner.email);
  if (other == nullptr || other->user_id == owner.user_id) return absl::OkStatus();
  return Exists("email", owner.email);
}

absl::Status UserDirectory::CheckAdminRemains(const User& before, const User& after) const {
  const auto governs = [](const User& user) { return user.active && user.role == Role::kAdmin; };
  if (!governs(before) || governs(after)) return absl::OkStatus();
  ReaderLock lock(&mu_);
  const bool another = std::any_of(by_id_.begin(), by_id_.end(), [&](const auto& entry) {
    return entry.second->tenant == before.tenant && entry.second->user_id != before.user_id && governs(*entry.second);
  });
  if (another) return absl::OkStatus();
  return MakeError(ErrorReason::kLastAdmin, "the tenant would be left without an active ADMIN",
                   {{"userId", before.user_id}});
}

void UserDirectory::Install(const UserPtr& before, const UserPtr& after) {
  WriterLock lock(&mu_);
  if (before == nullptr) {
    ++counts_[after->tenant];
  } else if (!before->email.empty()) {
    by_email_.erase({before->tenant, FoldCase(before->email)});
  }
  by_id_[after->user_id] = after;
  by_name_[{after->tenant, FoldCase(after->user_name)}] = after;  // names never change
  if (!after->email.empty()) by_email_[{after->tenant, FoldCase(after->email)}] = after;
}

}  // namespace pulseboard
