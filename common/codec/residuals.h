// The residuals of an integer column and their three forms. Byte layout: FORMAT.md, "Integer column".
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/codec/bytes.h"

namespace pulseboard {

// Differences modulo 2^64: columns may hold any integers.
constexpr int64_t WrappingSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
constexpr int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
constexpr int64_t WrappingMultiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

// Groups of 64, each as wide as its own range needs.
size_t PackedSize(std::span<const int64_t> residuals);
void Pack(std::span<const int64_t> residuals, std::string* out);
bool Unpack(ByteReader* in, size_t count, int64_t* out);

// Low bits raw, high bits as prefix-coded symbols, the few that lie far off by themselves. Appends at most `limit`
// bytes; false, with `out` as before, when that does not do. Decoding takes `in` to its end.
bool EncodeSplit(std::span<const int64_t> residuals, size_t limit, std::string* out);
bool DecodeSplit(ByteReader* in, size_t count, int64_t* out);

// Whether runs of residuals come back often enough for zstd to be worth trying; looks at a part.
bool LooksRepetitive(std::span<const int64_t> residuals);
// A zstd frame of fixed-width zigzag rows. As EncodeSplit and DecodeSplit.
bool EncodeRows(std::span<const int64_t> residuals, size_t limit, std::string* out);
bool DecodeRows(ByteReader* in, size_t count, int64_t* out);

}  // namespace pulseboard
