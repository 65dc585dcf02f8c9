#include "server/identity/password_hasher.h"

#include <sodium.h>

#include <utility>

#include "common/base/errors.h"
#include "server/identity/tokens.h"

namespace pulseboard {
namespace {

// OWASP's second choice for Argon2id. Measured here: 21 to 36 ms.
constexpr unsigned long long kPasses = 2;
constexpr size_t kMemoryBytes = 19 << 20;
constexpr int64_t kExpectedMillis = 30;

std::string HashOfNobody() {
  // Only its cost matters. On a machine without 19 MiB left nothing else would run either.
  auto hash = PasswordHasher::Hash(Secret(RandomBytes(32)));
  return hash.ok() ? *std::move(hash) : std::string();
}

}  // namespace

PasswordHasher::PasswordHasher(const PasswordHasherOptions& options)
    : options_(options),
      nobodys_hash_(HashOfNobody()),
      pool_(options.threads, static_cast<size_t>(options.max_queued)) {}

absl::Status PasswordHasher::Submit(std::function<void()> task) {
  if (pool_.TrySubmit(std::move(task))) return absl::OkStatus();
  const std::string limit = std::to_string(options_.max_queued);
  return WithRetryAfterMs(
      MakeError(ErrorReason::kLoginBusy, "too many logins wait (" + limit + "); try again shortly", {{"limit", limit}}),
      options_.max_queued * kExpectedMillis / options_.threads);
}

absl::StatusOr<std::string> PasswordHasher::Hash(const Secret& password) {
  InitCrypto();
  std::string out(crypto_pwhash_STRBYTES, '\0');
  if (crypto_pwhash_str(out.data(), password.view().data(), password.size(), kPasses, kMemoryBytes) != 0) {
    return WithRetryAfterMs(MakeError(ErrorReason::kLoginBusy, "no memory to hash a password"), kExpectedMillis);
  }
  out.resize(out.find('\0'));
  return out;
}

bool PasswordHasher::Verify(const std::string& hash, const Secret& password) const {
  if (crypto_pwhash_str_needs_rehash(hash.c_str(), kPasses, kMemoryBytes) == 0) ++verifications_;
  return crypto_pwhash_str_verify(hash.c_str(), password.view().data(), password.size()) == 0;
}

}  // namespace pulseboard
