// SHA-256 of files, by OpenSSL.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct evp_md_ctx_st;

namespace pulseboard {

inline constexpr size_t kSha256HexBytes = 64;

// Over bytes as they come. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes);
  // Lower-case hex; ends the object's use.
  std::string FinishHex();

 private:
  evp_md_ctx_st* const context_;
};

std::string Sha256Hex(std::string_view bytes);

// Visits the first `limit` bytes of a file (all of it when `limit` is negative) in pieces, in order. FileError's
// reasons when reading fails; the visitor's errors end it. Returns the bytes visited.
absl::StatusOr<int64_t> VisitFile(const std::string& path, int64_t limit,
                                  const std::function<absl::Status(std::string_view)>& visit);

}  // namespace pulseboard
