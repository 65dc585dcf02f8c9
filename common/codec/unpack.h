// Bit-packed runs of 64-bit integers, `width` bits each, lowest bit of each byte first: the densest loop of every
// block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pulseboard {

// Values unpacked by one call of the code that is specialised for a width.
inline constexpr size_t kUnpackGroup = 64;

constexpr size_t PackedBytes(size_t count, int width) { return (count * static_cast<size_t>(width) + 7) / 8; }

// out[i] = low + value i, modulo 2^64. REQUIRES: 0 <= width <= 64, packed.size() == PackedBytes(count, width).
void UnpackBits(std::string_view packed, size_t count, int width, int64_t low, int64_t* out);

}  // namespace pulseboard
