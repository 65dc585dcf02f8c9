// PasswordHasher: Argon2id on a few threads of its own, so that logins neither block RPC threads nor starve the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/worker_pool.h"
#include "server/identity/secret.h"

namespace pulseboard {

struct PasswordHasherOptions {
  int32_t threads = 2;       // hashes that run at the same time, 19 MiB and about 30 ms each
  int64_t max_queued = 128;  // logins that may wait for a thread; beyond it LOGIN_BUSY
};

// Thread-safe.
class PasswordHasher {
 public:
  explicit PasswordHasher(const PasswordHasherOptions& options);

  // Runs `task` on a hashing thread; Hash and Verify belong there. RESOURCE_EXHAUSTED/LOGIN_BUSY with RetryInfo,
  // without running it, when too many wait.
  [[nodiscard]] absl::Status Submit(std::function<void()> task);

  // An encoded Argon2id hash (t=2, 19 MiB) with a salt of its own. RESOURCE_EXHAUSTED when memory is short. Slow.
  static absl::StatusOr<std::string> Hash(const Secret& password);
  // Whether `password`, bytes as given, has this hash. Takes as long for a wrong password as for the right one. Slow.
  bool Verify(const std::string& hash, const Secret& password) const;
  // Passwords verified against a hash of full cost so far.
  int64_t verifications() const { return verifications_; }
  // The hash of a password that nobody has: verified for unknown users, so that they take as long as known ones.
  const std::string& nobodys_hash() const { return nobodys_hash_; }

 private:
  const PasswordHasherOptions options_;
  const std::string nobodys_hash_;
  mutable std::atomic<int64_t> verifications_{0};
  WorkerPool pool_;  // last: its tasks use what is above
};

}  // namespace pulseboard
