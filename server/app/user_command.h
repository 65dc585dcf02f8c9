// `pulseboardd user …`: accounts from the command line, over the API like everybody else.
#pragma once

#include <string>

#include "server/app/api_connection.h"

namespace pulseboard {

struct UserCommandOptions {
  enum class Action { kCreate, kList, kSetRole, kDeactivate, kActivate, kPassword };

  Action action = Action::kList;
  ConnectionFlags connection;  // `user`: an ADMIN, or for kPassword the account itself
  std::string name;            // the account to make or change; for kPassword empty means `user`
  std::string role;            // ADMIN, EDITOR, VIEWER or INGEST, any case
  std::string email;
  std::string display_name;
  std::string new_password_file;  // first line: the account's new password
};

// Logs in, does it, logs out. Returns the exit code; errors go to stderr, results to stdout. A certificate seen for the
// first time is pinned and said on stderr; one that changed is refused.
int RunUserCommand(const UserCommandOptions& options);

}  // namespace pulseboard
