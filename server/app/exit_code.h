// How every subcommand of pulseboardd ends.
#pragma once

#include "absl/status/status.h"

namespace pulseboard {

// 0 for OK; else 1, and the message stands on stderr behind the program's name.
int ExitCodeOf(const absl::Status& status);

}  // namespace pulseboard
