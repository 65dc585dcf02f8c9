// Rollup block: the rollups of one series over an aligned span of buckets, compressed without loss, with a list of the
// buckets for which it does not speak. Columns are decoded one by one, as asked for. Byte layout: FORMAT.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/rollups.h"

namespace pulseboard {

inline constexpr uint8_t kRollupBlockVersion = 1;
// Bounds what hostile bytes can make a reader allocate (7 MiB).
inline constexpr uint32_t kMaxRollupSlots = 65'536;

// Buckets [first, end) of a span, by number.
struct SlotRange {
  uint32_t first = 0;
  uint32_t end = 0;
  bool operator==(const SlotRange&) const = default;
};

// What a block speaks for, known without decoding.
struct RollupSpan {
  int64_t bucket_ns = 0;         // whole seconds
  int64_t source_bucket_ns = 0;  // what the buckets were folded from: a finer bucket, or 0 for samples
  int64_t start = 0;             // of the first bucket, a whole multiple of the bucket length
  uint32_t slots = 0;            // buckets from there on
  // Ascending, apart. Of these buckets nothing is said: they have to be derived. A bucket that is neither here nor
  // among the stored ones holds no sample.
  std::vector<SlotRange> derive;
  uint32_t count = 0;    // buckets in the columns (some may have come into `derive` since)
  double min_value = 0;  // of those buckets; NaN when they hold no number
  double max_value = 0;

  int64_t end() const { return start + static_cast<int64_t>(slots) * bucket_ns; }
  int64_t SlotStart(uint32_t slot) const { return start + static_cast<int64_t>(slot) * bucket_ns; }
};

// `span` without count, min_value and max_value, which follow from the columns. REQUIRES: all columns, 1 to slots
// buckets, ascending, within the span; 1 to kMaxRollupSlots slots.
std::string EncodeRollupBlock(const RollupSpan& span, const RollupColumns& columns);

// Cheap, the checksum is not looked at. DATA_LOSS/BLOCK_CORRUPT.
absl::StatusOr<RollupSpan> ReadRollupSpan(std::string_view bytes);

// Sets `span` and appends the block's buckets, those to derive left out, to the columns of `fields` in `out` and to the
// starts; on an error `out` is as before. DATA_LOSS/BLOCK_CORRUPT.
absl::Status DecodeRollupBlock(std::string_view bytes, RollupFields fields, RollupSpan* span, RollupColumns* out);

// The same block with more buckets to derive, without decoding its columns. `slots` ascending; those beyond the block's
// are ignored. DATA_LOSS/BLOCK_CORRUPT.
absl::StatusOr<std::string> PunchRollupBlock(std::string_view bytes, std::span<const SlotRange> slots);

// The union of two ascending lists.
std::vector<SlotRange> UniteSlots(std::span<const SlotRange> a, std::span<const SlotRange> b);

}  // namespace pulseboard
