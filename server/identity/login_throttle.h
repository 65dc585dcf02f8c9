// LoginThrottle: makes guessing one account's password slow, without telling whether the account exists.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace pulseboard {

struct LoginThrottleOptions {
  int32_t free_failures = 5;                        // wrong passwords in a row that cost no wait
  int64_t first_wait_ns = 1 * kNanosPerSecond;      // after one more; doubles with each further one
  int64_t max_wait_ns = 60 * kNanosPerSecond;       // never longer: an attacker must not lock the owner out for good
  int64_t forget_after_ns = 900 * kNanosPerSecond;  // without a failure for this long the count starts anew
  int64_t max_accounts = 10'000;                    // names remembered; the one longest without failure goes first
};

// Thread-safe. Keys are what the caller counts by: the login as typed, known or not.
class LoginThrottle {
 public:
  LoginThrottle(const LoginThrottleOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

  // OK, or RESOURCE_EXHAUSTED/LOGIN_BUSY with RetryInfo while `key` has to wait.
  absl::Status Check(std::string_view key);
  void RecordFailure(std::string_view key);
  void RecordSuccess(std::string_view key);
  int64_t size() const;

 private:
  struct Entry {
    std::string key;
    int32_t failures = 0;
    int64_t last_failure_ns = 0;  // monotonic
    int64_t wait_until_ns = 0;    // monotonic
  };
  using Entries = std::list<Entry>;  // the latest failure in front

  const LoginThrottleOptions options_;
  const Clock& clock_;
  mutable Mutex mu_;
  Entries entries_ PB_GUARDED_BY(mu_);
  std::unordered_map<std::string, Entries::iterator> by_key_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
