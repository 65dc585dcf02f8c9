// Include in every test that uses gRPC: Debian's abseil aborts on what it takes for a deadlock unless told not to.
#pragma once

#include <absl/synchronization/mutex.h>

namespace pulseboard::testing {

inline const bool kDeadlockDetectionIsOff = [] {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return true;
}();

}  // namespace pulseboard::testing
