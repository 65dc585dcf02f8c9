#include "server/storage/wal_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/base/checksum.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/codec/bytes.h"

namespace pulseboard {
namespace {

constexpr std::string_view kSegmentMagic("PBWAL\r\n\x1a", 8);
constexpr uint32_t kFrameMagic = 0x52574250;  // "PBWR"
constexpr size_t kWindowBytes = 1 << 20;
constexpr size_t kTailReadBytes = 1 << 20;
constexpr std::string_view kSegmentSuffix = ".wal";
constexpr size_t kNameDigits = 20;

// Frame header: magic u32 | payload bytes u32 | checksum u32 | type u8 | zero u8[3] | synced_before u64; the checksum
// is over everything behind it, payload included.
constexpr size_t kSyncedAt = 16;

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  PutLittleEndian(&out, kWalVersion);
  PutLittleEndian(&out, header.salt);
  PutLittleEndian(&out, header.first_commit);
  out += header.store_id;
  out.resize(kSegmentHeaderBytes - sizeof(uint32_t));
  PutLittleEndian(&out, Crc32(out));
  return out;
}

std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) return std::nullopt;
  const std::string_view checked = bytes.substr(0, kSegmentHeaderBytes - sizeof(uint32_t));
  if (Crc32(checked) != GetLittleEndian<uint32_t>(bytes.substr(checked.size()))) return std::nullopt;
  const auto version = GetLittleEndian<uint32_t>(bytes.substr(8));
  if (version == 0 || version > kWalVersion) return std::nullopt;
  SegmentHeader header;
  header.salt = GetLittleEndian<uint32_t>(bytes.substr(12));
  header.first_commit = GetLittleEndian<int64_t>(bytes.substr(16));
  header.store_id = bytes.substr(24, kStoreIdBytes);
  return header;
}

std::string SegmentName(int64_t first_commit) { return fmt::format("{:020}{}", first_commit, kSegmentSuffix); }

std::optional<int64_t> ParseSegmentName(std::string_view name) {
  if (name.size() != kNameDigits + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) return std::nullopt;
  int64_t first_commit = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, first_commit);
  if (error != std::errc() || end != name.data() + kNameDigits || first_commit <= 0) return std::nullopt;
  return first_commit;
}

void ReserveFrame(std::string* out) { out->append(kFrameHeaderBytes, '\0'); }

std::string EncodeGap(const CommitRange& gap) {
  std::string out;
  PutVarint(&out, static_cast<uint64_t>(gap.first));
  PutVarint(&out, static_cast<uint64_t>(gap.last));
  return out;
}

std::optional<CommitRange> DecodeGap(std::string_view payload) {
  ByteReader in(payload);
  CommitRange gap;
  gap.first = static_cast<int64_t>(in.Varint());
  gap.last = static_cast<int64_t>(in.Varint());
  if (!in.ok() || in.remaining() != 0 || gap.first <= 0 || gap.last < gap.first) return std::nullopt;
  return gap;
}

void FinishFrame(char* frame, FrameType type, uint32_t payload_bytes, uint32_t salt, int64_t synced_before) {
  std::memcpy(frame, &kFrameMagic, sizeof(kFrameMagic));
  std::memcpy(frame + 4, &payload_bytes, sizeof(payload_bytes));
  frame[kFrameCheckedFrom] = static_cast<char>(type);
  std::memcpy(frame + kSyncedAt, &synced_before, sizeof(synced_before));
  const uint32_t checksum =
      Crc32(salt, {frame + kFrameCheckedFrom, kFrameHeaderBytes - kFrameCheckedFrom + payload_bytes});
  std::memcpy(frame + kFrameChecksumAt, &checksum, sizeof(checksum));
}

absl::StatusOr<int64_t> EndOfContent(const LogFile& file, int64_t from, int64_t to) {
  int64_t end = from;
  std::string bytes;
  for (int64_t at = from; at < to; at += static_cast<int64_t>(bytes.size())) {
    PB_RETURN_IF_ERROR(file.ReadAt(at, static_cast<size_t>(std::min<int64_t>(kTailReadBytes, to - at)), &bytes));
    if (bytes.empty()) break;
    const size_t last = bytes.find_last_not_of('\0');
    if (last != std::string::npos) end = at + static_cast<int64_t>(last) + 1;
  }
  return end;
}

FrameReader::FrameReader(const LogFile& file, uint32_t salt, int64_t offset, int64_t limit)
    : file_(file), salt_(salt), offset_(offset), limit_(limit) {}

absl::StatusOr<std::string_view> FrameReader::Window(int64_t offset, size_t size) {
  size = static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(size), limit_ - offset));
  const bool inside = offset >= window_offset_ &&
                      offset + static_cast<int64_t>(size) <= window_offset_ + static_cast<int64_t>(window_.size());
  if (!inside) {
    const auto left = static_cast<size_t>(limit_ - offset);
    PB_RETURN_IF_ERROR(file_.ReadAt(offset, std::min(std::max(size, kWindowBytes), left), &window_));
    window_offset_ = offset;
  }
  return std::string_view(window_).substr(static_cast<size_t>(offset - window_offset_)).substr(0, size);
}

absl::StatusOr<std::optional<Frame>> FrameReader::FrameAt(int64_t offset) {
  if (limit_ - offset < static_cast<int64_t>(kFrameHeaderBytes)) return std::nullopt;
  PB_ASSIGN_OR_RETURN(std::string_view bytes, Window(offset, kFrameHeaderBytes));
  if (bytes.size() < kFrameHeaderBytes || GetLittleEndian<uint32_t>(bytes) != kFrameMagic) return std::nullopt;
  const auto payload_bytes = GetLittleEndian<uint32_t>(bytes.substr(4));
  const size_t size = kFrameHeaderBytes + payload_bytes;
  if (payload_bytes > kMaxRecordBytes || limit_ - offset < static_cast<int64_t>(size)) return std::nullopt;
  PB_ASSIGN_OR_RETURN(bytes, Window(offset, size));
  if (bytes.size() < size) return std::nullopt;
  if (Crc32(salt_, bytes.substr(kFrameCheckedFrom)) != GetLittleEndian<uint32_t>(bytes.substr(kFrameChecksumAt))) {
    return std::nullopt;
  }
  const auto type = static_cast<FrameType>(bytes[kFrameCheckedFrom]);
  if (type != FrameType::kCommit && type != FrameType::kGap) return std::nullopt;
  Frame frame;
  frame.type = type;
  frame.offset = offset;
  frame.synced_before = GetLittleEndian<int64_t>(bytes.substr(kSyncedAt));
  frame.payload = bytes.substr(kFrameHeaderBytes);
  return frame;
}

absl::StatusOr<std::optional<Frame>> FrameReader::Next() {
  PB_ASSIGN_OR_RETURN(std::optional<Frame> frame, FrameAt(offset_));
  if (frame) offset_ = frame->end();
  return frame;
}

absl::StatusOr<std::optional<Frame>> FrameReader::FindNext() {
  const char first = static_cast<char>(kFrameMagic & 0xff);
  for (int64_t at = offset_ + 1; at < limit_;) {
    PB_RETURN_IF_ERROR(Window(at, 1).status());
    // All that the window happens to hold from here on, so that candidates don't make it be read again.
    const std::string_view bytes = std::string_view(window_).substr(static_cast<size_t>(at - window_offset_));
    if (bytes.empty()) break;
    const size_t found = bytes.find(first);
    if (found == std::string_view::npos) {
      at += static_cast<int64_t>(bytes.size());
      continue;
    }
    at += static_cast<int64_t>(found);
    PB_ASSIGN_OR_RETURN(std::optional<Frame> frame, FrameAt(at));
    if (frame) return frame;
    ++at;
  }
  return std::nullopt;
}

}  // namespace pulseboard
