#include "common/codec/rollup_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/codec/bytes.h"
#include "common/codec/rollup_columns.h"

namespace pulseboard {
namespace {

constexpr size_t kChecksumBytes = sizeof(uint32_t);
constexpr int64_t kMaxBucketSeconds = 86'400;

absl::Status Corrupt(std::string_view what) {
  return MakeError(ErrorReason::kBlockCorrupt, "rollup block: " + std::string(what));
}

void PutSlotRanges(std::span<const SlotRange> ranges, std::string* out) {
  PutVarint(out, ranges.size());
  uint32_t at = 0;
  for (const SlotRange& range : ranges) {
    PutVarint(out, range.first - at);
    PutVarint(out, range.end - range.first);
    at = range.end;
  }
}

std::vector<SlotRange> TakeSlotRanges(ByteReader* in, uint32_t slots) {
  std::vector<SlotRange> ranges;
  const uint64_t count = in->Varint();
  if (count > slots) in->Fail();
  uint64_t at = 0;
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    const uint64_t gap = in->Varint();
    const uint64_t length = in->Varint();
    if (gap > slots - at || length == 0 || length > slots - at - gap || (i > 0 && gap == 0)) {
      in->Fail();
      break;
    }
    ranges.push_back({static_cast<uint32_t>(at + gap), static_cast<uint32_t>(at + gap + length)});
    at += gap + length;
  }
  return ranges;
}

// The part of the header before the list of buckets to derive.
void PutPlace(const RollupSpan& span, std::string* out) {
  out->push_back(static_cast<char>(kRollupBlockVersion));
  PutVarint(out, static_cast<uint64_t>(span.bucket_ns / kNanosPerSecond));
  PutVarint(out, static_cast<uint64_t>(span.source_bucket_ns / kNanosPerSecond));
  PutZigZag(out, span.start / span.bucket_ns);
  PutVarint(out, span.slots);
}

void TakePlace(ByteReader* in, RollupSpan* span) {
  if (in->Fixed<uint8_t>() != kRollupBlockVersion) return in->Fail();
  const uint64_t bucket = in->Varint();
  const uint64_t source = in->Varint();
  const int64_t number = in->ZigZag();
  const uint64_t slots = in->Varint();
  if (bucket == 0 || bucket > kMaxBucketSeconds || source >= bucket || slots == 0 || slots > kMaxRollupSlots) {
    return in->Fail();
  }
  span->bucket_ns = static_cast<int64_t>(bucket) * kNanosPerSecond;
  span->source_bucket_ns = static_cast<int64_t>(source) * kNanosPerSecond;
  span->slots = static_cast<uint32_t>(slots);
  const int64_t most = std::numeric_limits<int64_t>::max() / span->bucket_ns - static_cast<int64_t>(slots);
  if (number > most || number < -most) return in->Fail();
  span->start = number * span->bucket_ns;
}

// The rest of the header, after the list.
void PutContents(const RollupSpan& span, const RollupColumns& columns, std::string* out) {
  PutVarint(out, columns.size());
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  bool any = false;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns.counts[i] == 0) continue;
    any = true;
    low = std::min(low, columns.mins[i]);
    high = std::max(high, columns.maxs[i]);
  }
  if (!any) low = high = std::numeric_limits<double>::quiet_NaN();
  PutLittleEndian(out, low);
  PutLittleEndian(out, high);
  std::string numbers;
  if (columns.size() != span.slots) {
    std::vector<int64_t> slots(columns.size());
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = (columns.starts[i] - span.start) / span.bucket_ns;
    EncodeIntegers(slots, &numbers);
  }
  PutLengthPrefixed(out, numbers);
}

void TakeContents(ByteReader* in, RollupSpan* span) {
  const uint64_t count = in->Varint();
  if (count == 0 || count > span->slots) return in->Fail();
  span->count = static_cast<uint32_t>(count);
  span->min_value = in->Fixed<double>();
  span->max_value = in->Fixed<double>();
}

bool TakeSpan(ByteReader* in, RollupSpan* span) {
  TakePlace(in, span);
  if (!in->ok()) return false;
  span->derive = TakeSlotRanges(in, span->slots);
  TakeContents(in, span);
  return in->ok();
}

// Starts of the stored buckets.
bool TakeStarts(ByteReader* in, const RollupSpan& span, int64_t* starts) {
  ByteReader numbers(in->LengthPrefixed());
  if (!in->ok()) return false;
  if (numbers.remaining() == 0) {
    if (span.count != span.slots) return false;
    for (uint32_t i = 0; i < span.count; ++i) starts[i] = span.SlotStart(i);
    return true;
  }
  if (!DecodeIntegers(&numbers, span.count, starts) || numbers.remaining() != 0) return false;
  int64_t before = -1;
  for (uint32_t i = 0; i < span.count; ++i) {
    if (starts[i] <= before || starts[i] >= static_cast<int64_t>(span.slots)) return false;
    before = starts[i];
    starts[i] = span.start + before * span.bucket_ns;
  }
  return true;
}

// Takes the buckets to derive out of what was appended from `first` on.
void DropDerived(const RollupSpan& span, RollupFields fields, size_t first, RollupColumns* out) {
  if (span.derive.empty()) return;
  std::vector<size_t> kept;
  kept.reserve(out->size() - first);
  auto range = span.derive.begin();
  for (size_t i = first; i < out->size(); ++i) {
    const auto slot = static_cast<uint32_t>((out->starts[i] - span.start) / span.bucket_ns);
    while (range != span.derive.end() && range->end <= slot) ++range;
    if (range == span.derive.end() || slot < range->first) kept.push_back(i);
  }
  const auto compact = [&](auto& column) {
    for (size_t i = 0; i < kept.size(); ++i) column[first + i] = column[kept[i]];
    column.resize(first + kept.size());
  };
  compact(out->starts);
  RollupColumns::VisitColumns(*out, [&](RollupField field, auto& column) {
    if (fields.Has(field)) compact(column);
  });
}

void Truncate(size_t size, RollupColumns* out) {
  out->starts.resize(size);
  RollupColumns::VisitColumns(*out, [&](RollupField, auto& column) { column.resize(std::min(column.size(), size)); });
}

}  // namespace

std::string EncodeRollupBlock(const RollupSpan& span, const RollupColumns& columns) {
  std::string out;
  out.reserve(64 + columns.size() * 16);
  PutPlace(span, &out);
  PutSlotRanges(span.derive, &out);
  PutContents(span, columns, &out);
  EncodeRollupColumns(columns, &out);
  PutLittleEndian(&out, Crc32(out));
  return out;
}

absl::StatusOr<RollupSpan> ReadRollupSpan(std::string_view bytes) {
  ByteReader in(bytes);
  RollupSpan span;
  if (!TakeSpan(&in, &span)) return Corrupt("header is not readable (version, span or count)");
  return span;
}

absl::Status DecodeRollupBlock(std::string_view bytes, RollupFields fields, RollupSpan* span, RollupColumns* out) {
  if (bytes.size() < kChecksumBytes) return Corrupt(std::to_string(bytes.size()) + " bytes are no block");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Crc32(body) != GetLittleEndian<uint32_t>(bytes.substr(body.size()))) return Corrupt("checksum mismatch");
  ByteReader in(body);
  *span = RollupSpan();
  if (!TakeSpan(&in, span)) return Corrupt("header is not readable (version, span or count)");
  const size_t first = out->size();
  out->starts.resize(first + span->count);
  if (!TakeStarts(&in, *span, out->starts.data() + first) || !DecodeRollupColumns(&in, fields, first, out)) {
    Truncate(first, out);
    return Corrupt("columns do not decode");
  }
  DropDerived(*span, fields, first, out);
  return absl::OkStatus();
}

absl::StatusOr<std::string> PunchRollupBlock(std::string_view bytes, std::span<const SlotRange> slots) {
  RollupSpan span;
  if (bytes.size() < kChecksumBytes) return Corrupt(std::to_string(bytes.size()) + " bytes are no block");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Crc32(body) != GetLittleEndian<uint32_t>(bytes.substr(body.size()))) return Corrupt("checksum mismatch");
  ByteReader in(body);
  TakePlace(&in, &span);
  if (!in.ok()) return Corrupt("header is not readable (version, span or count)");
  span.derive = TakeSlotRanges(&in, span.slots);
  if (!in.ok()) return Corrupt("header is not readable (version, span or count)");
  std::vector<SlotRange> within;
  for (SlotRange range : slots) {
    range.end = std::min(range.end, span.slots);
    if (range.first < range.end) within.push_back(range);
  }
  std::string out;
  out.reserve(bytes.size() + 8 * within.size() + 8);
  PutPlace(span, &out);
  PutSlotRanges(UniteSlots(span.derive, within), &out);
  out.append(in.rest());
  PutLittleEndian(&out, Crc32(out));
  return out;
}

std::vector<SlotRange> UniteSlots(std::span<const SlotRange> a, std::span<const SlotRange> b) {
  std::vector<SlotRange> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  std::sort(all.begin(), all.end(), [](const SlotRange& x, const SlotRange& y) { return x.first < y.first; });
  std::vector<SlotRange> out;
  for (const SlotRange& range : all) {
    if (!out.empty() && range.first <= out.back().end) {
      out.back().end = std::max(out.back().end, range.end);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

}  // namespace pulseboard
