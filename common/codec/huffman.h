// Prefix codes over small alphabets, written as four interleavable bit streams so that decoding is not bound by one
// chain of table look-ups. Byte layout: FORMAT.md, "Symbols".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

inline constexpr size_t kMaxSymbols = 64;
inline constexpr int kMaxCodeBits = 11;

// Bits per symbol; 0 for symbols that do not occur. One symbol alone has length 0 too: it costs nothing.
using CodeLengths = std::array<uint8_t, kMaxSymbols>;

// Of a prefix code close to the best one for these counts.
CodeLengths BuildCodeLengths(const std::array<uint32_t, kMaxSymbols>& counts);

// Appends the table and the streams. REQUIRES: every symbol < kMaxSymbols, symbols not empty.
void EncodeSymbols(std::span<const uint8_t> symbols, const CodeLengths& lengths, std::string* out);

// Reads `count` (>= 1) symbols. False, with `in` failed and `out` unspecified, when the bytes are not what
// EncodeSymbols writes. Takes `in` to its end: symbols are the last field of whatever holds them. Allocates twice what
// `in` has.
bool DecodeSymbols(ByteReader* in, size_t count, uint8_t* out);

}  // namespace pulseboard
