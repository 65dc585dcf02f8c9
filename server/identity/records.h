// How identity's records lie in their tables: JSON with a version. Byte layout of keys and records: FORMAT.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "server/identity/user.h"

namespace pulseboard {

// A session as stored. Hashes are HashToken's bytes.
struct SessionRecord {
  struct Access {
    std::string hash;
    int64_t expire_unix_nanos = 0;
  };
  std::string session_id;
  std::string user_id;
  int64_t credential_version = 0;  // of the user when the session was made, or when its own password change kept it
  int64_t create_unix_nanos = 0;
  int64_t refresh_unix_nanos = 0;  // last time its tokens were renewed
  std::string family_hash;         // of the part that all refresh tokens of the session share
  std::string refresh_hash;        // of the one refresh token that is still good
  int64_t refresh_expire_unix_nanos = 0;
  std::vector<Access> access;  // newest first
};

// Decoders fail with DATA_LOSS/BLOCK_CORRUPT, or FAILED_PRECONDITION for a record that a newer version wrote.
std::string EncodeTenant(TenantId id);
absl::StatusOr<TenantId> DecodeTenant(std::string_view bytes);

inline constexpr std::string_view kUserKeyPrefix = "u";
std::string UserRecordKey(const User& user);
std::string EncodeUser(const User& user);
absl::StatusOr<User> DecodeUser(std::string_view bytes);

std::string PreferencesKey(TenantId tenant, std::string_view user_id);
std::string EncodePreferences(const Preferences& preferences);
absl::StatusOr<Preferences> DecodePreferences(std::string_view bytes);

std::string EncodeSession(const SessionRecord& session);
absl::StatusOr<SessionRecord> DecodeSession(std::string_view bytes);

}  // namespace pulseboard
