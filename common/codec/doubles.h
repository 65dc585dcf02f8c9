// Doubles as decimal fractions of one exponent; and the XOR column of version 1 blocks, which is only read.
// Byte layout: FORMAT.md.
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

// value[i] == integers[i] / 10^exponent, bit for bit, but for the exceptions, whose integer repeats the one before.
struct Decimals {
  std::vector<int64_t> integers;  // below 2^53
  int exponent = 0;
  std::vector<size_t> exceptions;  // places, ascending
};

// False when no exponent fits at least seven values of eight. NaN, infinities and -0.0 are always exceptions.
bool ToDecimals(std::span<const double> values, Decimals* out);

// All values at the smallest exponent that fits them all, without exceptions; false when there is none.
bool ToDecimalsExactly(std::span<const double> values, Decimals* out);

// A bit pattern as an integer that orders like the double; its own inverse.
constexpr int64_t OrderedBits(int64_t bits) {
  return bits ^ static_cast<int64_t>(static_cast<uint64_t>(bits >> 63) & 0x7fffffffffffffff);
}

// value[i] is the double `corrections[i]` steps away from integers[i] / 10^exponent: decimals that went through
// arithmetic (0.1 + 0.2) are a step or two off. Where a value is no such decimal the integer repeats the one before.
struct NearDecimals {
  std::vector<int64_t> integers;  // below 2^46
  std::vector<int64_t> corrections;
  int exponent = 0;
};

// False when no exponent brings at least seven values of eight within a few steps.
bool ToNearDecimals(std::span<const double> values, NearDecimals* out);
void FromNearDecimals(std::span<const int64_t> integers, std::span<const int64_t> corrections, int exponent,
                      double* out);

// out[i] = integers[i] / 10^exponent, correctly rounded. REQUIRES: 0 <= exponent <= kMaxDecimalExponent.
void FromDecimals(std::span<const int64_t> integers, int exponent, double* out);

// The smallest exponent that fits both, and their integers; false when there is none.
bool ToDecimalBounds(double low, double high, int* exponent, int64_t* low_integer, int64_t* high_integer);

// Reads `count` (>= 1) values. False when `bytes` is not an XOR column of that many values and nothing else.
bool DecodeXor(std::string_view bytes, size_t count, double* out);

}  // namespace pulseboard
