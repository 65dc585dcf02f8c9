// Columns of 64-bit integers in few bytes: a learnt unit, then plain offsets, deltas or deltas of deltas; their
// residuals bit-packed in groups of 64, split into raw low bits and prefix-coded high bits, coded by magnitude class,
// or left to zstd. Used for times, for decimal-scaled values, for the bit patterns of doubles, for dictionaries. Byte
// layout: FORMAT.md, "Integer column".
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

// Persisted: never renumber. Version 1 blocks have the first four only.
enum class IntegerEncoding : uint8_t {
  kLinear = 1,        // constant step
  kOffset = 2,        // difference from the first value
  kDelta = 3,         // difference from the value before
  kDeltaOfDelta = 4,  // difference between neighbouring deltas
  // The same three, residuals split into low bits and symbols.
  kOffsetSplit = 5,
  kDeltaSplit = 6,
  kDeltaOfDeltaSplit = 7,
  // The same, residuals as bytes in a zstd frame.
  kOffsetZstd = 8,
  kDeltaZstd = 9,
  kDeltaOfDeltaZstd = 10,
  // The same, residuals as magnitude classes. From block version 3 on.
  kOffsetClasses = 11,
  kDeltaClasses = 12,
  kDeltaOfDeltaClasses = 13,
};

// Appends the smallest encoding of `values` to `out`, as far as sampling can tell. Any values round-trip: arithmetic is
// modulo 2^64. REQUIRES: values is not empty.
void EncodeIntegers(std::span<const int64_t> values, std::string* out);

// Reads `count` (>= 1) values into `out`. False, with `in` failed and `out` unspecified, when the bytes are not an
// integer column. Residuals that are not packed take `in` to its end. Allocates at most 9 bytes per value and three
// times what `in` has.
bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out);

}  // namespace pulseboard
