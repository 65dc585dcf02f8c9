// Random identities and opaque tokens, and the hashes under which the server knows them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pulseboard {

// Readies libsodium; aborts when the system gives no randomness. Thread-safe, cheap when done before.
void InitCrypto();

// `prefix` and 128 random bits, base64url.
std::string NewId(std::string_view prefix);
// `bytes` random bytes.
std::string RandomBytes(size_t bytes);
// 120 random bits in letters and digits that people can tell apart, in groups: for a password shown once.
std::string NewReadablePassword();

std::string EncodeBase64Url(std::string_view bytes);
// Nothing for text that is not unpadded base64url.
std::optional<std::string> DecodeBase64Url(std::string_view text);

// BLAKE2b-256. Tokens carry 256 random bits, so neither key nor salt would add anything.
std::string HashToken(std::string_view bytes);
// Equal bytes, compared in constant time.
bool EqualSecrets(std::string_view a, std::string_view b);

}  // namespace pulseboard
