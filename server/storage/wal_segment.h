// Segment files of the write-ahead log: a checked header, then framed records. Byte layout: FORMAT.md, "Log segment".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/log_file.h"

namespace pulseboard {

inline constexpr uint32_t kWalVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kStoreIdBytes = 16;
inline constexpr size_t kFrameHeaderBytes = 24;
// Bounds what a damaged length can make a reader allocate.
inline constexpr uint32_t kMaxRecordBytes = 1u << 30;

// Persisted: never renumber.
enum class FrameType : uint8_t { kCommit = 1 };

struct SegmentHeader {
  uint32_t salt = 0;  // goes into every checksum: bytes of another segment never pass for this one's
  int64_t first_commit = 0;
  std::string store_id;  // kStoreIdBytes
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
// Nothing for bytes that are no segment header of this version.
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

// `00000000000000000042.wal`
std::string SegmentName(int64_t first_commit);
std::optional<int64_t> ParseSegmentName(std::string_view name);

// Appends room for a frame header; FinishFrame fills it once the payload stands behind it.
void ReserveFrame(std::string* out);
// `synced_before`: how far the segment was on the disk for certain when this frame was written. It is what tells a torn
// tail (nothing behind it was ever acknowledged) from a damaged middle.
void FinishFrame(char* frame, uint32_t payload_bytes, uint32_t salt, int64_t synced_before);

struct Frame {
  int64_t offset = 0;
  int64_t synced_before = 0;
  std::string_view payload;  // lives until the next call
  int64_t end() const { return offset + static_cast<int64_t>(kFrameHeaderBytes + payload.size()); }
};

// Reads frames one after the other through a window. Not thread-safe.
class FrameReader {
 public:
  // Reads [offset, limit) of `file`, which must outlive it.
  FrameReader(const LogFile& file, uint32_t salt, int64_t offset, int64_t limit);

  // Nothing when the bytes at offset() are no whole, correct frame, or at the limit. An error only when reading fails.
  absl::StatusOr<std::optional<Frame>> Next();
  int64_t offset() const { return offset_; }
  // The first correct frame behind offset(), at any byte; used to judge damage.
  absl::StatusOr<std::optional<Frame>> FindNext();

 private:
  absl::StatusOr<std::string_view> Window(int64_t offset, size_t size);
  absl::StatusOr<std::optional<Frame>> FrameAt(int64_t offset);

  const LogFile& file_;
  const uint32_t salt_;
  int64_t offset_;
  const int64_t limit_;
  std::string window_;
  int64_t window_offset_ = 0;
};

}  // namespace pulseboard
