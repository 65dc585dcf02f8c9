#include "server/app/first_start.h"

#include <cstdio>

#include "common/base/errors.h"
#include "server/app/files.h"
#include "server/identity/accounts.h"
#include "server/identity/secret.h"
#include "server/identity/tokens.h"

namespace pulseboard {

absl::Status EnsureAdmin(UserDirectory& users, const std::string& password_file) {
  if (users.Count(kDefaultTenant) > 0) return absl::OkStatus();
  if (password_file.empty()) {
    const Secret password(NewReadablePassword());
    PB_RETURN_IF_ERROR(CreateFirstAdmin(users, password));
    std::printf("admin password: %.*s\n", static_cast<int>(password.size()), password.view().data());
    std::fflush(stdout);
    return absl::OkStatus();
  }
  auto line = ReadFirstLine(password_file);
  if (absl::IsNotFound(line.status())) {
    // Written before the account is made: a crash between leaves a file that the next start reads.
    line = NewReadablePassword();
    PB_RETURN_IF_ERROR(WriteFileAtomically(password_file, *line + "\n", 0600));
    std::printf("admin password file: %s\n", password_file.c_str());
    std::fflush(stdout);
  }
  if (!line.ok()) return line.status();
  return WithContext(CreateFirstAdmin(users, Secret(*line)), password_file);
}

}  // namespace pulseboard
