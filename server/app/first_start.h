// What happens once in the life of a data directory.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/identity/user_directory.h"

namespace pulseboard {

// When tenant `default` has no account yet, creates ADMIN `admin` in it:
// - `password_file` empty: a random password, printed once on stdout as `admin password: <password>`;
// - it exists: its first line is the password;
// - it does not: a random password is written there with mode 0600 and only the path is printed.
absl::Status EnsureAdmin(UserDirectory& users, const std::string& password_file);

}  // namespace pulseboard
