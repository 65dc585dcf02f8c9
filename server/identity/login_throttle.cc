#include "server/identity/login_throttle.h"

#include <algorithm>

#include "common/base/errors.h"

namespace pulseboard {

absl::Status LoginThrottle::Check(std::string_view key) {
  MutexLock lock(&mu_);
  const auto it = by_key_.find(std::string(key));
  if (it == by_key_.end()) return absl::OkStatus();
  const int64_t now = clock_.MonotonicNanos();
  if (now >= it->second->wait_until_ns) return absl::OkStatus();
  const int64_t wait_ms = (it->second->wait_until_ns - now + kNanosPerMilli - 1) / kNanosPerMilli;
  return WithRetryAfterMs(MakeError(ErrorReason::kLoginBusy,
                                    "too many failed logins for this account; wait " + std::to_string(wait_ms) + " ms",
                                    {{"waitMs", std::to_string(wait_ms)}}),
                          wait_ms);
}

void LoginThrottle::RecordFailure(std::string_view key) {
  MutexLock lock(&mu_);
  const int64_t now = clock_.MonotonicNanos();
  const auto [it, added] = by_key_.try_emplace(std::string(key));
  if (added) {
    entries_.push_front({std::string(key)});
    it->second = entries_.begin();
  } else {
    entries_.splice(entries_.begin(), entries_, it->second);
  }
  Entry& entry = entries_.front();
  if (now - entry.last_failure_ns > options_.forget_after_ns) entry.failures = 0;
  entry.last_failure_ns = now;
  ++entry.failures;
  if (const int32_t over = entry.failures - options_.free_failures; over > 0) {
    const int64_t doublings = std::min(over - 1, 20);
    entry.wait_until_ns = now + std::min(options_.max_wait_ns, options_.first_wait_ns << doublings);
  }
  if (static_cast<int64_t>(entries_.size()) > options_.max_accounts) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void LoginThrottle::RecordSuccess(std::string_view key) {
  MutexLock lock(&mu_);
  const auto it = by_key_.find(std::string(key));
  if (it == by_key_.end()) return;
  entries_.erase(it->second);
  by_key_.erase(it);
}

int64_t LoginThrottle::size() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(entries_.size());
}

}  // namespace pulseboard
