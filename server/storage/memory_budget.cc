#include "server/storage/memory_budget.h"

#include <unistd.h>

#include <fstream>
#include <string>

namespace pulseboard {

int64_t DefaultMemoryBytes() {
  int64_t machine = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  std::ifstream limit("/sys/fs/cgroup/memory.max");  // a number, or "max"
  if (int64_t container = 0; limit >> container && container > 0) machine = std::min(machine, container);
  return std::clamp(machine / 4, kMinMemoryBytes, kMaxDefaultMemoryBytes);
}

}  // namespace pulseboard
