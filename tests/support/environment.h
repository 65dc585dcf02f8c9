// How much a test does, from the environment: little in CI, as much as one likes by hand. README.md lists the
// variables.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace pulseboard::testing {

inline uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace pulseboard::testing
