// The residuals of an integer column as magnitude classes: heavy-tailed ones (counts, rates with spikes) in few bits.
// Byte layout: FORMAT.md, "Integer column", form classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

// Offsets are counted from the least residual, others lie around zero on both sides.
enum class ResidualSign : uint8_t { kOffset = 0, kSigned = 1 };

// Bytes that the classes of some of the residuals suggest for all: within a few per cent for more than a hundred.
size_t EstimateClasses(std::span<const int64_t> residuals, ResidualSign sign);
// Appends at most `limit` bytes; false, with `out` as before, when that does not do. Decoding takes `in` to its end.
bool EncodeClasses(std::span<const int64_t> residuals, ResidualSign sign, size_t limit, std::string* out);
// False when the bytes are not of this form. REQUIRES: count >= 1.
bool DecodeClasses(ByteReader* in, size_t count, int64_t* out);

}  // namespace pulseboard
