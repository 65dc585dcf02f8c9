// User: one account, and what is asked about or changed in it. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "server/identity/principal.h"

namespace pulseboard {

// Texts keep the case they were given in. Times are unix nanoseconds, 0 is never.
struct User {
  std::string user_id;
  TenantId tenant = 0;
  std::string user_name;
  std::string email;
  std::string display_name;
  Role role = Role::kUnspecified;
  bool active = true;
  int64_t create_unix_nanos = 0;
  int64_t update_unix_nanos = 0;
  int64_t last_login_unix_nanos = 0;
  std::string password_hash;  // Argon2id, encoded; never leaves the server
  int64_t credential_version =
      1;  // counts up with each new password and deactivation: older sessions are worth nothing
};
// As stored at one moment; immutable.
using UserPtr = std::shared_ptr<const User>;

struct NewUser {
  TenantId tenant = 0;
  std::string user_name;
  std::string email;
  std::string display_name;
  Role role = Role::kUnspecified;
  std::string password_hash;
};

// What is not set keeps its value.
struct ProfileChange {
  std::optional<std::string> email;
  std::optional<std::string> display_name;
};

struct UserQuery {
  std::string search = {};         // in user name, e-mail or display name, without regard to (ASCII) case
  Role role = Role::kUnspecified;  // unspecified: any
  bool include_inactive = false;
  int32_t page_size = 0;  // 0: default
  std::string page_token = {};
};

struct UserPage {
  std::vector<UserPtr> users;
  std::string next_page_token;
};

// `json` is the text of one JSON object.
struct Preferences {
  std::string json = "{}";
  int64_t revision = 0;
};

}  // namespace pulseboard
