#include "server/identity/session_registry.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/identity/tenant_registry.h"
#include "server/identity/tokens.h"
#include "server/identity/user_directory.h"
#include "server/storage/table.h"

namespace pulseboard {
namespace {

// The prefixes tell people and secret scanners what they have found.
constexpr std::string_view kAccessPrefix = "pba_";
constexpr std::string_view kRefreshPrefix = "pbr_";
constexpr size_t kSecretBytes = 32;
constexpr size_t kFamilyBytes = 16;
constexpr size_t kAccessTokensKept = 2;
constexpr size_t kSweepBatch = 1'000;

absl::Status Invalid() { return MakeError(ErrorReason::kTokenInvalid, "the token is not, or no longer, good"); }
absl::Status Expired() { return MakeError(ErrorReason::kTokenExpired, "the token has expired"); }

// The secret bytes of a token with this prefix; nothing when it cannot be one.
std::optional<std::string> Secrets(std::string_view prefix, size_t bytes, std::string_view token) {
  if (!token.starts_with(prefix)) return std::nullopt;
  auto secrets = DecodeBase64Url(token.substr(prefix.size()));
  if (!secrets || secrets->size() != bytes) return std::nullopt;
  return secrets;
}

}  // namespace

SessionRegistry::SessionRegistry(Table& table, const UserDirectory& users, const TenantRegistry& tenants,
                                 const Clock& clock, const SessionOptions& options)
    : table_(table),
      users_(users),
      tenants_(tenants),
      clock_(clock),
      options_(options),
      access_life_ns_(options.access_token_life_ns),
      refresh_life_ns_(options.refresh_token_life_ns) {}

absl::StatusOr<std::unique_ptr<SessionRegistry>> SessionRegistry::Open(Table& table, const UserDirectory& users,
                                                                       const TenantRegistry& tenants,
                                                                       const Clock& clock,
                                                                       const SessionOptions& options) {
  std::unique_ptr<SessionRegistry> registry(new SessionRegistry(table, users, tenants, clock, options));
  std::vector<Table::Change> dead;
  PB_RETURN_IF_ERROR(table.Scan("", "", [&](std::string_view key, std::string_view value) {
    auto session = DecodeSession(value);
    if (session.ok() && registry->LivingUser(*session) != nullptr) {
      WriterLock lock(&registry->mu_);
      registry->Index(std::make_shared<const SessionRecord>(*std::move(session)));
    } else {
      // A damaged session costs one login; it must not keep the server from starting.
      if (!session.ok()) PB_LOG(Warning, "identity", "dropped session reason={}", StatusMessage(session.status()));
      dead.push_back({std::string(key), std::nullopt});
    }
    return true;
  }));
  if (!dead.empty()) PB_RETURN_IF_ERROR(table.Write(std::move(dead)));
  return registry;
}

absl::StatusOr<SessionTokens> SessionRegistry::Create(const User& user) {
  auto session = std::make_shared<SessionRecord>();
  session->session_id = NewId("ses_");
  session->user_id = user.user_id;
  session->credential_version = user.credential_version;
  session->create_unix_nanos = clock_.NowUnixNanos();
  const std::string family = RandomBytes(kFamilyBytes);
  session->family_hash = HashToken(family);
  SessionTokens tokens = NewTokens(family, session.get());

  MutexLock lock(&write_mu_);
  std::vector<SessionPtr> others = SessionsOf(user.user_id);
  const auto limit = static_cast<size_t>(options_.max_sessions_per_user);
  if (others.size() >= limit) {
    std::sort(others.begin(), others.end(),
              [](const SessionPtr& a, const SessionPtr& b) { return a->refresh_unix_nanos < b->refresh_unix_nanos; });
    others.resize(others.size() - limit + 1);
    PB_RETURN_IF_ERROR(Remove(others));
  }
  PB_RETURN_IF_ERROR(Replace(nullptr, session));
  return tokens;
}

absl::StatusOr<Principal> SessionRegistry::Authenticate(std::string_view access_token) const {
  const auto secret = Secrets(kAccessPrefix, kSecretBytes, access_token);
  if (!secret) return Invalid();
  const std::string hash = HashToken(*secret);
  SessionPtr session;
  {
    ReaderLock lock(&mu_);
    const auto it = by_access_.find(hash);
    if (it == by_access_.end()) return Invalid();
    session = it->second;
  }
  const auto access = std::find_if(session->access.begin(), session->access.end(),
                                   [&](const SessionRecord::Access& a) { return EqualSecrets(a.hash, hash); });
  if (access == session->access.end()) return Invalid();
  if (access->expire_unix_nanos <= clock_.NowUnixNanos()) return Expired();
  const UserPtr user = LivingUser(*session);
  if (user == nullptr) return Invalid();
  Principal principal;
  principal.user_id = user->user_id;
  principal.user_name = user->user_name;
  principal.session_id = session->session_id;
  principal.tenant = user->tenant;
  principal.tenant_name = std::string(tenants_.Name(user->tenant));
  principal.role = user->role;
  principal.expire_unix_nanos = access->expire_unix_nanos;
  return principal;
}

absl::StatusOr<SessionRegistry::Renewal> SessionRegistry::Refresh(std::string_view refresh_token) {
  const auto secrets = Secrets(kRefreshPrefix, kFamilyBytes + kSecretBytes, refresh_token);
  if (!secrets) return Invalid();
  const std::string family = secrets->substr(0, kFamilyBytes);

  MutexLock lock(&write_mu_);
  const SessionPtr session = FindFamily(HashToken(family));
  if (session == nullptr) return Invalid();
  if (!EqualSecrets(session->refresh_hash, HashToken(*secrets))) {
    PB_LOG(Warning, "identity", "ended session session_id={} user_id={} reason=refresh token used twice",
           session->session_id, session->user_id);
    PB_RETURN_IF_ERROR(Remove({session}));
    return Invalid();
  }
  const UserPtr user = LivingUser(*session);
  const bool expired = session->refresh_expire_unix_nanos <= clock_.NowUnixNanos();
  if (user == nullptr || expired) {
    PB_RETURN_IF_ERROR(Remove({session}));
    return expired ? Expired() : Invalid();
  }
  auto renewed = std::make_shared<SessionRecord>(*session);
  Renewal renewal{NewTokens(family, renewed.get()), user};
  PB_RETURN_IF_ERROR(Replace(session, renewed));
  return renewal;
}

absl::Status SessionRegistry::End(std::string_view session_id) {
  MutexLock lock(&write_mu_);
  SessionPtr session;
  {
    ReaderLock read(&mu_);
    if (const auto it = by_id_.find(std::string(session_id)); it != by_id_.end()) session = it->second;
  }
  return session == nullptr ? absl::OkStatus() : Remove({session});
}

absl::Status SessionRegistry::EndOthers(const User& user, std::string_view kept_session_id) {
  MutexLock lock(&write_mu_);
  std::vector<SessionPtr> ended;
  for (const SessionPtr& session : SessionsOf(user.user_id)) {
    if (session->session_id != kept_session_id) {
      ended.push_back(session);
      continue;
    }
    auto kept = std::make_shared<SessionRecord>(*session);
    kept->credential_version = user.credential_version;
    PB_RETURN_IF_ERROR(Replace(session, kept));
  }
  return Remove(ended);
}

absl::StatusOr<int64_t> SessionRegistry::Sweep() {
  MutexLock lock(&write_mu_);
  const int64_t now = clock_.NowUnixNanos();
  std::vector<SessionPtr> dead;
  {
    ReaderLock read(&mu_);
    for (const auto& [id, session] : by_id_) {
      if (session->refresh_expire_unix_nanos <= now) dead.push_back(session);
      if (dead.size() == kSweepBatch) break;
    }
  }
  PB_RETURN_IF_ERROR(Remove(dead));
  return static_cast<int64_t>(dead.size());
}

void SessionRegistry::SetLives(int64_t access_token_life_ns, int64_t refresh_token_life_ns) {
  access_life_ns_ = access_token_life_ns;
  refresh_life_ns_ = refresh_token_life_ns;
}

int64_t SessionRegistry::size() const {
  ReaderLock lock(&mu_);
  return static_cast<int64_t>(by_id_.size());
}

SessionTokens SessionRegistry::NewTokens(const std::string& family, SessionRecord* session) const {
  const int64_t now = clock_.NowUnixNanos();
  const std::string access = RandomBytes(kSecretBytes);
  const std::string refresh = family + RandomBytes(kSecretBytes);
  SessionTokens tokens;
  tokens.access_token = std::string(kAccessPrefix) + EncodeBase64Url(access);
  tokens.access_expire_unix_nanos = now + access_life_ns_;
  tokens.refresh_token = std::string(kRefreshPrefix) + EncodeBase64Url(refresh);
  tokens.refresh_expire_unix_nanos = now + refresh_life_ns_;

  session->refresh_unix_nanos = now;
  session->refresh_hash = HashToken(refresh);
  session->refresh_expire_unix_nanos = tokens.refresh_expire_unix_nanos;
  session->access.insert(session->access.begin(), {HashToken(access), tokens.access_expire_unix_nanos});
  if (session->access.size() > kAccessTokensKept) session->access.resize(kAccessTokensKept);
  return tokens;
}

UserPtr SessionRegistry::LivingUser(const SessionRecord& session) const {
  UserPtr user = users_.Find(session.user_id);
  if (user == nullptr || !user->active || user->credential_version != session.credential_version) return nullptr;
  return user;
}

SessionRegistry::SessionPtr SessionRegistry::FindFamily(const std::string& family_hash) const {
  ReaderLock lock(&mu_);
  const auto it = by_family_.find(family_hash);
  return it == by_family_.end() ? nullptr : it->second;
}

std::vector<SessionRegistry::SessionPtr> SessionRegistry::SessionsOf(std::string_view user_id) const {
  ReaderLock lock(&mu_);
  const auto it = by_user_.find(std::string(user_id));
  return it == by_user_.end() ? std::vector<SessionPtr>() : it->second;
}

absl::Status SessionRegistry::Replace(const SessionPtr& before, const SessionPtr& after) {
  PB_RETURN_IF_ERROR(table_.Put(after->session_id, EncodeSession(*after)));
  WriterLock lock(&mu_);
  if (before != nullptr) Unindex(*before);
  Index(after);
  return absl::OkStatus();
}

absl::Status SessionRegistry::Remove(const std::vector<SessionPtr>& sessions) {
  if (sessions.empty()) return absl::OkStatus();
  std::vector<Table::Change> changes;
  changes.reserve(sessions.size());
  for (const SessionPtr& session : sessions) changes.push_back({session->session_id, std::nullopt});
  PB_RETURN_IF_ERROR(table_.Write(std::move(changes)));
  WriterLock lock(&mu_);
  for (const SessionPtr& session : sessions) Unindex(*session);
  return absl::OkStatus();
}

void SessionRegistry::Index(const SessionPtr& session) {
  by_id_[session->session_id] = session;
  by_family_[session->family_hash] = session;
  for (const auto& access : session->access) by_access_[access.hash] = session;
  by_user_[session->user_id].push_back(session);
}

void SessionRegistry::Unindex(const SessionRecord& session) {
  by_id_.erase(session.session_id);
  by_family_.erase(session.family_hash);
  for (const auto& access : session.access) by_access_.erase(access.hash);
  const auto it = by_user_.find(session.user_id);
  if (it == by_user_.end()) return;
  std::erase_if(it->second, [&](const SessionPtr& other) { return other->session_id == session.session_id; });
  if (it->second.empty()) by_user_.erase(it);
}

}  // namespace pulseboard
