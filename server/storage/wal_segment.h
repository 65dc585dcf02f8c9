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

inline constexpr uint32_t kWalVersion = 2;  // 1 had no late samples in its records; it is still read
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kStoreIdBytes = 16;
inline constexpr size_t kFrameHeaderBytes = 24;
// Bounds what a damaged length can make a reader allocate.
inline constexpr uint32_t kMaxRecordBytes = 1u << 30;

// Where a frame's header has what, for those who look at frames they can't trust.
inline constexpr std::string_view kFrameMagicBytes = "PBWR";
inline constexpr size_t kFrameChecksumAt = 8;
inline constexpr size_t kFrameCheckedFrom = 12;  // the checksum is over all from here on, payload included

// Persisted: never renumber.
enum class FrameType : uint8_t {
  kCommit = 1,
  kGap = 2,  // commits that a repair could not save
};

struct SegmentHeader {
  uint32_t salt = 0;  // goes into every checksum: bytes of another segment never pass for this one's
  int64_t first_commit = 0;
  std::string store_id;  // kStoreIdBytes
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
// Nothing for bytes that are no segment header of this version.
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

// First and last, both within.
struct CommitRange {
  int64_t first = 0;
  int64_t last = 0;
  bool operator==(const CommitRange&) const = default;
};
// Payload of a frame of type kGap.
std::string EncodeGap(const CommitRange& gap);
std::optional<CommitRange> DecodeGap(std::string_view payload);

// `00000000000000000042.wal`
std::string SegmentName(int64_t first_commit);
std::optional<int64_t> ParseSegmentName(std::string_view name);

// Appends room for a frame header; FinishFrame fills it once the payload stands behind it.
void ReserveFrame(std::string* out);
// `synced_before`: how far the segment was on the disk for certain when this frame was written. It is what tells a torn
// tail (nothing behind it was ever acknowledged) from a damaged middle.
void FinishFrame(char* frame, FrameType type, uint32_t payload_bytes, uint32_t salt, int64_t synced_before);

struct Frame {
  FrameType type = FrameType::kCommit;
  int64_t offset = 0;
  int64_t synced_before = 0;
  std::string_view payload;  // lives until the next call
  int64_t end() const { return offset + static_cast<int64_t>(kFrameHeaderBytes + payload.size()); }
};

// Offset behind the last byte of [from, to) that is not zero; `from` when all are.
absl::StatusOr<int64_t> EndOfContent(const LogFile& file, int64_t from, int64_t to);

// For a segment whose header is unreadable: the salt with which most of its frames are correct, found from the frames
// themselves (a checksum can be solved for what it was started with). Nothing when no two agree.
absl::StatusOr<std::optional<uint32_t>> FindSalt(const LogFile& file, int64_t file_bytes);

// Reads frames one after the other through a window. Not thread-safe.
class FrameReader {
 public:
  // Reads [offset, limit) of `file`, which must outlive it.
  FrameReader(const LogFile& file, uint32_t salt, int64_t offset, int64_t limit);

  // Nothing when the bytes at offset() are no whole, correct frame, or at the limit. An error only when reading fails.
  absl::StatusOr<std::optional<Frame>> Next();
  int64_t offset() const { return offset_; }
  // The first correct frame behind offset(), at any byte; used to judge damage. offset() stays.
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
