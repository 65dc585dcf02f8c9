#include "server/query/page_token.h"

#include <cstdint>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr char kVersion = 1;
constexpr size_t kHeaderBytes = 1 + sizeof(uint32_t);  // version, check sum
constexpr std::string_view kHex = "0123456789abcdef";

// Covers request and position: a token of another request does not check.
uint32_t CheckSum(std::initializer_list<std::string_view> request, std::string_view position) {
  std::string bytes;
  for (const std::string_view part : request) {
    PutLittleEndian(&bytes, static_cast<uint64_t>(part.size()));
    bytes += part;
  }
  bytes += position;
  return Crc32(bytes);
}

bool FromHex(std::string_view hex, std::string* bytes) {
  if (hex.size() % 2 != 0) return false;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const size_t high = kHex.find(hex[i]);
    const size_t low = kHex.find(hex[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes->push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

}  // namespace

std::string MakePageToken(std::initializer_list<std::string_view> request, std::string_view position) {
  std::string bytes(1, kVersion);
  PutLittleEndian(&bytes, CheckSum(request, position));
  bytes += position;
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex.push_back(kHex[byte >> 4]);
    hex.push_back(kHex[byte & 15]);
  }
  return hex;
}

absl::StatusOr<std::string> ParsePageToken(std::string_view token, std::initializer_list<std::string_view> request) {
  std::string bytes;
  if (FromHex(token, &bytes) && bytes.size() > kHeaderBytes && bytes[0] == kVersion) {
    std::string position = bytes.substr(kHeaderBytes);
    if (GetLittleEndian<uint32_t>(std::string_view(bytes).substr(1)) == CheckSum(request, position)) return position;
  }
  return MakeError(
      ErrorReason::kBadPageToken,
      "page_token: got '" + Printable(token) +
          "'; the next_page_token of the previous page, with all other fields unchanged, would be accepted",
      {{"pageToken", Printable(token)}});
}

}  // namespace pulseboard
