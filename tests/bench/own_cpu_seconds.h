// What this process has cost so far, user and system time of all its threads.
#pragma once

#include <time.h>

namespace pulseboard {

inline double OwnCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace pulseboard
