// The value column of a block from version 2 on: what forms there are and which is taken. Byte layout: FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

// Persisted: never renumber.
enum class ValueEncoding : uint8_t {
  kConstant = 1,
  kDecimal = 2,  // integers over a power of ten, with exceptions
  kXor = 3,      // version 1 only
  kRaw = 4,
  kBits = 5,         // bit patterns as integers that order like the doubles
  kDictionary = 6,   // distinct values once, then places in that list
  kRuns = 7,         // run lengths, then a column of one value per run
  kZstd = 8,         // raw doubles in a zstd frame
  kNearDecimal = 9,  // decimals and how many steps the double is off. From version 3 on
};

// Appends the smallest form, as far as sampling can tell. REQUIRES: values is not empty. Never kConstant, kXor.
ValueEncoding EncodeValues(std::span<const double> values, std::string* out);

// Reads `count` (>= 1) values and takes `in` to its end. False when the bytes are not such a column; `out` is
// unspecified then. Allocates at most 40 bytes per value and a few times what `in` has. Not for kConstant, kXor.
bool DecodeValues(ValueEncoding encoding, ByteReader* in, size_t count, double* out);

}  // namespace pulseboard
