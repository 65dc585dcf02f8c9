// Columns of 64-bit integers in few bytes: a learnt unit, then plain offsets, deltas or deltas of deltas, bit-packed in
// groups of 64. Used for times and for decimal-scaled values. Byte layout: FORMAT.md, "Integer column".
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

// Persisted: never renumber.
enum class IntegerEncoding : uint8_t {
  kLinear = 1,        // constant step
  kOffset = 2,        // difference from the first value
  kDelta = 3,         // difference from the value before
  kDeltaOfDelta = 4,  // difference between neighbouring deltas
};

// Appends the smallest encoding of `values` to `out`. Any values round-trip: arithmetic is modulo 2^64.
// REQUIRES: values is not empty.
void EncodeIntegers(std::span<const int64_t> values, std::string* out);

// Reads `count` (>= 1) values into `out`. False, with `in` failed and `out` unspecified, when the bytes are not an
// integer column. Allocates nothing.
bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out);

}  // namespace pulseboard
