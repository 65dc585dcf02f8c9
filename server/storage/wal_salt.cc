// Finding the salt of a log segment without its header.
#include <array>
#include <map>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/storage/wal_segment.h"

namespace pulseboard {
namespace {

constexpr uint32_t kPolynomial = 0xedb88320;  // of CRC-32, reflected
constexpr size_t kCandidates = 256;           // frames looked at
constexpr size_t kWindowBytes = 1 << 20;

// The table of the usual bytewise CRC-32, and for each topmost byte of an entry which entry it is: all differ, which is
// what makes a step reversible.
struct CrcTables {
  std::array<uint32_t, 256> entry{};
  std::array<uint8_t, 256> of_top{};
  constexpr CrcTables() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
      entry[i] = crc;
      of_top[crc >> 24] = static_cast<uint8_t>(i);
    }
  }
};
constexpr CrcTables kTables;

// What Crc32 must have been started with to give `checksum` over `bytes`.
uint32_t SolveStart(uint32_t checksum, std::string_view bytes) {
  uint32_t state = ~checksum;
  for (size_t i = bytes.size(); i > 0; --i) {
    const uint8_t index = kTables.of_top[state >> 24];
    state = ((state ^ kTables.entry[index]) << 8) | (index ^ static_cast<uint8_t>(bytes[i - 1]));
  }
  return ~state;
}

}  // namespace

absl::StatusOr<std::optional<uint32_t>> FindSalt(const LogFile& file, int64_t file_bytes) {
  std::map<uint32_t, int> votes;
  std::string window, frame;
  size_t candidates = 0;
  for (int64_t at = 0; at < file_bytes && candidates < kCandidates; at += static_cast<int64_t>(kWindowBytes)) {
    // A little of the next window as well, for a frame's beginning that lies across.
    PB_RETURN_IF_ERROR(file.ReadAt(at, kWindowBytes + kFrameHeaderBytes, &window));
    for (size_t found = window.find(kFrameMagicBytes); found < kWindowBytes && candidates < kCandidates;
         found = window.find(kFrameMagicBytes, found + 1)) {
      if (window.size() - found < kFrameHeaderBytes) break;
      const auto payload_bytes = GetLittleEndian<uint32_t>(std::string_view(window).substr(found + 4));
      const int64_t offset = at + static_cast<int64_t>(found);
      const int64_t size = static_cast<int64_t>(kFrameHeaderBytes) + payload_bytes;
      if (payload_bytes > kMaxRecordBytes || size > file_bytes - offset) continue;
      ++candidates;
      PB_RETURN_IF_ERROR(file.ReadAt(offset, static_cast<size_t>(size), &frame));
      const auto checksum = GetLittleEndian<uint32_t>(std::string_view(frame).substr(kFrameChecksumAt));
      const uint32_t salt = SolveStart(checksum, std::string_view(frame).substr(kFrameCheckedFrom));
      if (++votes[salt] == 3) return salt;
    }
  }
  for (const auto& [salt, count] : votes) {
    if (count >= 2) return salt;
  }
  return std::optional<uint32_t>();
}

}  // namespace pulseboard
