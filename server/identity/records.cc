#include "server/identity/records.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/identity/tokens.h"

namespace pulseboard {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

std::string Dump(json record) {
  record["v"] = kVersion;
  return record.dump(-1, ' ', false, json::error_handler_t::replace);  // texts were checked to be UTF-8 before
}

// nlohmann throws on missing and mistyped members; here that ends.
absl::Status Parse(std::string_view bytes, const std::function<void(const json&)>& read) {
  try {
    const json record = json::parse(bytes);
    if (const int version = record.at("v").get<int>(); version != kVersion) {
      return absl::FailedPreconditionError("record version " + std::to_string(version) + "; this program reads " +
                                           std::to_string(kVersion));
    }
    read(record);
    return absl::OkStatus();
  } catch (const json::exception& e) {
    return MakeError(ErrorReason::kBlockCorrupt, std::string("damaged record: ") + e.what());
  }
}

std::string Key(std::string_view prefix, TenantId tenant, std::string_view user_id) {
  std::string key(prefix);
  PutBigEndian(&key, tenant);
  key += user_id;
  return key;
}

// A hash member; empty when it is not base64url, so that it never matches.
std::string Hash(const json& record, const char* member) {
  return DecodeBase64Url(record.at(member).get<std::string>()).value_or("");
}

}  // namespace

std::string EncodeTenant(TenantId id) { return Dump({{"id", id}}); }

absl::StatusOr<TenantId> DecodeTenant(std::string_view bytes) {
  TenantId id = 0;
  PB_RETURN_IF_ERROR(Parse(bytes, [&](const json& r) { id = r.at("id").get<TenantId>(); }));
  return id;
}

std::string UserRecordKey(const User& user) { return Key(kUserKeyPrefix, user.tenant, user.user_id); }

std::string EncodeUser(const User& user) {
  return Dump({{"id", user.user_id},
               {"tenant", user.tenant},
               {"name", user.user_name},
               {"email", user.email},
               {"display", user.display_name},
               {"role", static_cast<int>(user.role)},
               {"active", user.active},
               {"created", user.create_unix_nanos},
               {"updated", user.update_unix_nanos},
               {"lastLogin", user.last_login_unix_nanos},
               {"passwordHash", user.password_hash},
               {"credentialVersion", user.credential_version}});
}

absl::StatusOr<User> DecodeUser(std::string_view bytes) {
  User user;
  PB_RETURN_IF_ERROR(Parse(bytes, [&](const json& r) {
    user.user_id = r.at("id").get<std::string>();
    user.tenant = r.at("tenant").get<TenantId>();
    user.user_name = r.at("name").get<std::string>();
    user.email = r.at("email").get<std::string>();
    user.display_name = r.at("display").get<std::string>();
    user.role = static_cast<Role>(r.at("role").get<int>());
    user.active = r.at("active").get<bool>();
    user.create_unix_nanos = r.at("created").get<int64_t>();
    user.update_unix_nanos = r.at("updated").get<int64_t>();
    user.last_login_unix_nanos = r.at("lastLogin").get<int64_t>();
    user.password_hash = r.at("passwordHash").get<std::string>();
    user.credential_version = r.at("credentialVersion").get<int64_t>();
  }));
  return user;
}

std::string PreferencesKey(TenantId tenant, std::string_view user_id) { return Key("p", tenant, user_id); }

std::string EncodePreferences(const Preferences& preferences) {
  return Dump({{"revision", preferences.revision}, {"json", preferences.json}});
}

absl::StatusOr<Preferences> DecodePreferences(std::string_view bytes) {
  Preferences preferences;
  PB_RETURN_IF_ERROR(Parse(bytes, [&](const json& r) {
    preferences.revision = r.at("revision").get<int64_t>();
    preferences.json = r.at("json").get<std::string>();
  }));
  return preferences;
}

std::string EncodeSession(const SessionRecord& session) {
  json access = json::array();
  for (const auto& token : session.access) {
    access.push_back({{"hash", EncodeBase64Url(token.hash)}, {"expire", token.expire_unix_nanos}});
  }
  return Dump({{"id", session.session_id},
               {"user", session.user_id},
               {"credentialVersion", session.credential_version},
               {"created", session.create_unix_nanos},
               {"refreshed", session.refresh_unix_nanos},
               {"familyHash", EncodeBase64Url(session.family_hash)},
               {"refreshHash", EncodeBase64Url(session.refresh_hash)},
               {"refreshExpire", session.refresh_expire_unix_nanos},
               {"access", std::move(access)}});
}

absl::StatusOr<SessionRecord> DecodeSession(std::string_view bytes) {
  SessionRecord session;
  PB_RETURN_IF_ERROR(Parse(bytes, [&](const json& r) {
    session.session_id = r.at("id").get<std::string>();
    session.user_id = r.at("user").get<std::string>();
    session.credential_version = r.at("credentialVersion").get<int64_t>();
    session.create_unix_nanos = r.at("created").get<int64_t>();
    session.refresh_unix_nanos = r.at("refreshed").get<int64_t>();
    session.family_hash = Hash(r, "familyHash");
    session.refresh_hash = Hash(r, "refreshHash");
    session.refresh_expire_unix_nanos = r.at("refreshExpire").get<int64_t>();
    for (const json& token : r.at("access")) {
      session.access.push_back({Hash(token, "hash"), token.at("expire").get<int64_t>()});
    }
  }));
  return session;
}

}  // namespace pulseboard
