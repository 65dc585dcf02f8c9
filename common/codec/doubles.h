// Two views of a column of doubles: as decimal fractions of one exponent, and as XORs of neighbours.
// Byte layout of the XOR column: FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pulseboard {

inline constexpr int kMaxDecimalExponent = 15;

// 10^exponent, exact. REQUIRES: 0 <= exponent <= kMaxDecimalExponent.
double PowerOfTen(int exponent);

// True when one exponent exists such that every value is exactly integer / 10^exponent with |integer| < 2^53;
// `integers` and `exponent` are set then, the exponent being the smallest. NaN, infinities and -0.0 never are.
bool ToDecimals(std::span<const double> values, std::vector<int64_t>* integers, int* exponent);

// Exact size of what EncodeXor would append.
size_t XorSize(std::span<const double> values);
// REQUIRES: values is not empty.
void EncodeXor(std::span<const double> values, std::string* out);
// Reads `count` (>= 1) values. False when `bytes` is not an XOR column of that many values and nothing else.
bool DecodeXor(std::string_view bytes, size_t count, double* out);

}  // namespace pulseboard
