#include "server/storage/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/log_file.h"

namespace pulseboard {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

// OpenSSL fails here only without memory.
void Require(bool ok) {
  if (ok) return;
  PB_LOG(Error, "storage", "failed SHA-256");
  std::abort();
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::Update(std::string_view bytes) { Require(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1); }

std::string Sha256::FinishHex() {
  static constexpr char kDigits[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(context_, digest, &size) == 1);
  std::string hex;
  hex.reserve(size_t{size} * 2);
  for (unsigned int i = 0; i < size; ++i) {
    hex.push_back(kDigits[digest[i] >> 4]);
    hex.push_back(kDigits[digest[i] & 15]);
  }
  return hex;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.FinishHex();
}

absl::StatusOr<int64_t> VisitFile(const std::string& path, int64_t limit,
                                  const std::function<absl::Status(std::string_view)>& visit) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("open " + path, errno);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd, [](const int* open_fd) { close(*open_fd); });
  std::vector<char> piece(kPieceBytes);
  int64_t done = 0;
  while (limit < 0 || done < limit) {
    const size_t wanted = limit < 0 ? kPieceBytes : static_cast<size_t>(std::min<int64_t>(kPieceBytes, limit - done));
    const ssize_t got = read(fd, piece.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read " + path, errno);
    if (got == 0) break;
    done += got;
    PB_RETURN_IF_ERROR(visit({piece.data(), static_cast<size_t>(got)}));
  }
  return done;
}

}  // namespace pulseboard
