#include "server/identity/accounts.h"

#include <memory>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "server/identity/user_rules.h"

namespace pulseboard {
namespace {

absl::Status BadCredentials() {
  return MakeError(ErrorReason::kBadCredentials,
                   "user name, e-mail or password is wrong, or the account is deactivated");
}

}  // namespace

Accounts::Accounts(const TenantRegistry& tenants, UserDirectory& users, SessionRegistry& sessions, const Clock& clock,
                   const AccountsOptions& options)
    : tenants_(tenants),
      users_(users),
      sessions_(sessions),
      options_(options),
      self_registration_(options.self_registration),
      throttle_(options.throttle, clock),
      table_worker_(1, static_cast<size_t>(options.max_queued_calls)),
      hasher_(options.hashing) {}

void Accounts::Login(LoginAttempt attempt, Done<LoggedIn> done) {
  const std::optional<TenantId> tenant = tenants_.Find(attempt.tenant);
  const std::string key = attempt.tenant + '\0' + FoldCase(attempt.login);
  if (absl::Status wait = throttle_.Check(key); !wait.ok()) return done(std::move(wait));
  const UserPtr user = tenant ? users_.FindByLogin(*tenant, attempt.login) : nullptr;
  const std::string hash = user != nullptr ? user->password_hash : hasher_.nobodys_hash();
  auto password = std::make_shared<const Secret>(std::move(attempt.password));
  const absl::Status queued = hasher_.Submit(
      [this, key, user, hash, password, done] { done(FinishLogin(key, user, hasher_.Verify(hash, *password))); });
  if (!queued.ok()) done(queued);
}

absl::StatusOr<LoggedIn> Accounts::FinishLogin(const std::string& throttle_key, const UserPtr& user,
                                               bool password_fits) {
  if (user == nullptr || !password_fits || !user->active) {
    throttle_.RecordFailure(throttle_key);
    return BadCredentials();
  }
  throttle_.RecordSuccess(throttle_key);
  // If password or state changed while we hashed, the session made from `user` is worth nothing by its version.
  LoggedIn result;
  PB_ASSIGN_OR_RETURN(result.tokens, sessions_.Create(*user));
  PB_ASSIGN_OR_RETURN(result.user, users_.RecordLogin(user->tenant, user->user_id));
  return result;
}

void Accounts::Renew(Secret refresh_token, Done<LoggedIn> done) {
  auto token = std::make_shared<const Secret>(std::move(refresh_token));
  const absl::Status queued = Submit([this, token, done] {
    auto renewal = sessions_.Refresh(token->view());
    if (!renewal.ok()) return done(renewal.status());
    done(LoggedIn{std::move(renewal->tokens), std::move(renewal->user)});
  });
  if (!queued.ok()) done(queued);
}

void Accounts::Logout(const Principal& principal, DoneStatus done) {
  const absl::Status queued = Submit([this, id = principal.session_id, done] { done(sessions_.End(id)); });
  if (!queued.ok()) done(queued);
}

void Accounts::Register(const std::string& tenant, NewUser account, Secret password, Done<UserPtr> done) {
  const std::optional<TenantId> id = tenants_.Find(tenant);
  if (!self_registration_ || !id || *id == kSystemTenant) {
    return done(MakeError(ErrorReason::kRegistrationDisabled, "self-registration is off"));
  }
  account.tenant = *id;
  account.role = Role::kViewer;
  Create(std::move(account), std::move(password), std::move(done));
}

void Accounts::Create(NewUser account, Secret password, Done<UserPtr> done) {
  auto secret = std::make_shared<const Secret>(std::move(password));
  const absl::Status queued = hasher_.Submit([this, account = std::move(account), secret, done]() mutable {
    auto hash = PasswordHasher::Hash(*secret);
    if (!hash.ok()) return done(hash.status());
    account.password_hash = *std::move(hash);
    done(users_.Create(account));
  });
  if (!queued.ok()) done(queued);
}

void Accounts::UpdateProfile(TenantId tenant, std::string user_id, ProfileChange change, Done<UserPtr> done) {
  const absl::Status queued = Submit([this, tenant, user_id = std::move(user_id), change = std::move(change), done] {
    done(users_.UpdateProfile(tenant, user_id, change));
  });
  if (!queued.ok()) done(queued);
}

void Accounts::SetRole(TenantId tenant, std::string user_id, Role role, Done<UserPtr> done) {
  const absl::Status queued =
      Submit([this, tenant, user_id = std::move(user_id), role, done] { done(users_.SetRole(tenant, user_id, role)); });
  if (!queued.ok()) done(queued);
}

void Accounts::SetActive(TenantId tenant, std::string user_id, bool active, Done<UserPtr> done) {
  const absl::Status queued = Submit([this, tenant, user_id = std::move(user_id), active, done] {
    auto user = users_.SetActive(tenant, user_id, active);
    if (user.ok() && !active) {
      if (absl::Status ended = sessions_.EndOthers(**user, ""); !ended.ok()) return done(ended);
    }
    done(std::move(user));
  });
  if (!queued.ok()) done(queued);
}

void Accounts::ChangePassword(const Principal& principal, std::string user_id, Secret current, Secret next,
                              DoneStatus done) {
  auto user = users_.Get(principal.tenant, user_id);
  if (!user.ok()) return done(user.status());
  struct Passwords {
    Secret current;
    Secret next;
  };
  auto passwords = std::make_shared<const Passwords>(Passwords{std::move(current), std::move(next)});
  const absl::Status queued = hasher_.Submit([this, principal, user = *user, passwords, done] {
    done(SetNewPassword(principal, user, passwords->current, passwords->next));
  });
  if (!queued.ok()) done(queued);
}

absl::Status Accounts::SetNewPassword(const Principal& principal, const UserPtr& user, const Secret& current,
                                      const Secret& next) {
  const bool own = user->user_id == principal.user_id;
  if (own) {
    const std::string key = user->user_id;  // holds no NUL: no login's key is the same
    PB_RETURN_IF_ERROR(throttle_.Check(key));
    if (!hasher_.Verify(user->password_hash, current)) {
      throttle_.RecordFailure(key);
      return MakeError(ErrorReason::kBadCredentials, "current_password is wrong");
    }
    throttle_.RecordSuccess(key);
  }
  PB_ASSIGN_OR_RETURN(std::string hash, PasswordHasher::Hash(next));
  PB_ASSIGN_OR_RETURN(const UserPtr changed, users_.SetPasswordHash(user->tenant, user->user_id, std::move(hash)));
  return sessions_.EndOthers(*changed, own ? principal.session_id : "");
}

void Accounts::GetPreferences(const Principal& principal, Done<Preferences> done) {
  const absl::Status queued = Submit(
      [this, tenant = principal.tenant, id = principal.user_id, done] { done(users_.GetPreferences(tenant, id)); });
  if (!queued.ok()) done(queued);
}

void Accounts::UpdatePreferences(const Principal& principal, Preferences preferences, Done<int64_t> done) {
  const absl::Status queued =
      Submit([this, tenant = principal.tenant, id = principal.user_id, preferences = std::move(preferences), done] {
        done(users_.UpdatePreferences(tenant, id, preferences));
      });
  if (!queued.ok()) done(queued);
}

absl::Status Accounts::Submit(std::function<void()> task) {
  constexpr int64_t kRetryAfterMs = 500;
  if (table_worker_.TrySubmit(std::move(task))) return absl::OkStatus();
  const std::string limit = std::to_string(options_.max_queued_calls);
  return WithRetryAfterMs(
      MakeError(ErrorReason::kLoginBusy, "too many account changes wait (" + limit + ")", {{"limit", limit}}),
      kRetryAfterMs);
}

absl::Status CreateFirstAdmin(UserDirectory& users, const Secret& password) {
  FieldCheck check;
  check.NewPassword("password", password.view());
  PB_RETURN_IF_ERROR(check.Result());
  NewUser admin;
  admin.tenant = kDefaultTenant;
  admin.user_name = "admin";
  admin.display_name = "Administrator";
  admin.role = Role::kAdmin;
  PB_ASSIGN_OR_RETURN(admin.password_hash, PasswordHasher::Hash(password));
  return users.Create(admin).status();
}

}  // namespace pulseboard
