#include "server/identity/tokens.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>

namespace pulseboard {
namespace {

constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr size_t kIdBytes = 16;

}  // namespace

void InitCrypto() {
  if (sodium_init() < 0) {
    std::fputs("BUG: libsodium found no source of randomness\n", stderr);
    std::abort();
  }
}

std::string NewId(std::string_view prefix) { return std::string(prefix) + EncodeBase64Url(RandomBytes(kIdBytes)); }

std::string RandomBytes(size_t bytes) {
  InitCrypto();
  std::string out(bytes, '\0');
  randombytes_buf(out.data(), out.size());
  return out;
}

std::string NewReadablePassword() {
  static constexpr std::string_view kAlphabet = "abcdefghijkmnopqrstuvwxyz2345679";  // 32: five bits each
  static_assert(kAlphabet.size() == 32);
  constexpr int kCharacters = 24;
  constexpr int kGroup = 6;
  InitCrypto();
  std::string out;
  for (int i = 0; i < kCharacters; ++i) {
    if (i > 0 && i % kGroup == 0) out.push_back('-');
    out.push_back(kAlphabet[randombytes_uniform(kAlphabet.size())]);
  }
  return out;
}

std::string EncodeBase64Url(std::string_view bytes) {
  std::string out(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    kVariant);
  out.pop_back();  // the terminating NUL
  return out;
}

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  std::string out(text.size(), '\0');
  size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(), nullptr,
                        &size, &end, kVariant) != 0 ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  out.resize(size);
  return out;
}

std::string HashToken(std::string_view bytes) {
  std::string out(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), nullptr, 0);
  return out;
}

bool EqualSecrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace pulseboard
