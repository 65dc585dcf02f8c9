// `pulseboardd wal`: looks through the log of a store that no server has open, and repairs it.
#pragma once

#include <string>

namespace pulseboard {

struct WalCommandOptions {
  std::string directory;  // the store's
  bool repair = false;
  bool dry_run = false;  // repair: only says what it would do
};

// Prints a report. The exit code: 0 the log is whole (or is now), 2 it is damaged, 1 it could not be told.
int RunWalCommand(const WalCommandOptions& options);

}  // namespace pulseboard
