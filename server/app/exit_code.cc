#include "server/app/exit_code.h"

#include <cstdio>

#include "common/base/errors.h"

namespace pulseboard {

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "pulseboardd: %s\n", StatusMessage(status).c_str());
  return 1;
}

}  // namespace pulseboard
