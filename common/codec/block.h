// Block: the sealed samples of one series, compressed without loss. The unit of storage, cache and pruning.
// Byte layout: FORMAT.md. Every bit of every double survives: NaN payloads, -0.0, infinities, denormals.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/codec/values.h"
#include "common/model/samples.h"

namespace pulseboard {

// Written; every earlier version is read.
inline constexpr uint8_t kBlockVersion = 3;
// Bounds what hostile bytes can make a reader allocate (1 MiB).
inline constexpr size_t kMaxBlockSamples = 65'536;

// What can be known without decoding.
struct BlockHeader {
  ValueEncoding value_encoding = ValueEncoding::kRaw;
  uint32_t count = 0;
  int64_t min_time = 0;  // of the first sample
  int64_t max_time = 0;  // of the last one
  double min_value = 0;  // NaNs left out; NaN when there is nothing else
  double max_value = 0;
};

// REQUIRES: 1 to kMaxBlockSamples samples, times strictly ascending.
std::string EncodeBlock(std::span<const int64_t> times, std::span<const double> values);

// Reads the header alone: cheap, the checksum is not looked at. DATA_LOSS/BLOCK_CORRUPT.
absl::StatusOr<BlockHeader> ReadBlockHeader(std::string_view bytes);

// Appends the block's samples to `out`; on an error `out` is as before. DATA_LOSS/BLOCK_CORRUPT for bytes that are not
// a whole block: wrong checksum, newer version, or contents that no encoder of ours writes.
absl::Status DecodeBlock(std::string_view bytes, SampleColumns* out);

}  // namespace pulseboard
