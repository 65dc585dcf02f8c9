#include "common/codec/doubles.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

constexpr std::array<double, kMaxDecimalExponent + 1> kPowers = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
constexpr double kMaxInteger = 9007199254740992.0;  // 2^53: below, every integer is a double

// A correctly rounded quotient of two exact numbers is the same double whatever the common factor, so the check holds
// for the exponent it is made with and for every greater one that still fits.
bool ToDecimal(double value, int exponent, int64_t* integer) {
  const double scaled = value * kPowers[static_cast<size_t>(exponent)];
  if (!(std::fabs(scaled) < kMaxInteger)) return false;  // also NaN
  *integer = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  const double back = static_cast<double>(*integer) / kPowers[static_cast<size_t>(exponent)];
  return std::bit_cast<uint64_t>(back) == std::bit_cast<uint64_t>(value);
}

// Chimp (Liakos et al., VLDB 2022): two flag bits per value, leading zeros rounded down to one of eight counts.
constexpr std::array<int, 8> kLeading = {0, 8, 12, 16, 18, 20, 22, 24};
constexpr int kNoLeading = -1;

enum Flag : uint64_t { kSame = 0, kShort = 1, kOldLeading = 2, kNewLeading = 3 };

// The smallest exponent that fits one value, or kMaxDecimalExponent + 1.
int ExponentOf(double value) {
  int64_t integer = 0;
  int e = 0;
  while (e <= kMaxDecimalExponent && !ToDecimal(value, e, &integer)) ++e;
  return e;
}

constexpr size_t kExponentSample = 64;
constexpr size_t kMaxExceptionShare = 8;  // one in so many values

constexpr int64_t kNearSteps = 8;
// With longer integers some decimal would be near any double: it would say nothing.
constexpr double kMaxNearInteger = 0x1p46;

// How many doubles `value` lies above integer / 10^exponent, modulo 2^64.
int64_t StepsFrom(int64_t integer, int exponent, double value) {
  const double back = static_cast<double>(integer) / kPowers[static_cast<size_t>(exponent)];
  return static_cast<int64_t>(static_cast<uint64_t>(OrderedBits(std::bit_cast<int64_t>(value))) -
                              static_cast<uint64_t>(OrderedBits(std::bit_cast<int64_t>(back))));
}

// As ToDecimal, but the decimal may be a few steps from the value: how many, in `steps`.
bool ToNearDecimal(double value, int exponent, int64_t* integer, int64_t* steps) {
  const double scaled = value * kPowers[static_cast<size_t>(exponent)];
  if (!(std::fabs(scaled) < kMaxNearInteger)) return false;
  *integer = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  *steps = StepsFrom(*integer, exponent, value);
  return *steps >= -kNearSteps && *steps <= kNearSteps;
}

// The smallest exponent that brings a decimal near, or kMaxDecimalExponent + 1.
int NearExponentOf(double value) {
  int64_t integer = 0, steps = 0;
  int e = 0;
  while (e <= kMaxDecimalExponent && !ToNearDecimal(value, e, &integer, &steps)) ++e;
  return e;
}

// Fits all but few of a sample, by `exponent_of`; kMaxDecimalExponent + 1 when none does.
int GuessExponent(std::span<const double> values, int (*exponent_of)(double)) {
  const size_t n = std::min(kExponentSample, values.size());
  std::array<int, kMaxDecimalExponent + 2> counts = {};
  for (size_t i = 0; i < n; ++i) {
    ++counts[static_cast<size_t>(exponent_of(values[i * values.size() / n]))];
    if (static_cast<size_t>(counts.back()) > n / kMaxExceptionShare) return kMaxDecimalExponent + 1;
  }
  int e = 0;
  size_t covered = static_cast<size_t>(counts[0]);
  while (e <= kMaxDecimalExponent && covered < n - n / kMaxExceptionShare) {
    covered += static_cast<size_t>(counts[static_cast<size_t>(++e)]);
  }
  return e;
}

// False when more than few values are far from a decimal of this exponent.
bool TakeNearDecimals(std::span<const double> values, int exponent, NearDecimals* out) {
  const size_t n = values.size();
  out->exponent = exponent;
  out->integers.resize(n);
  out->corrections.resize(n);
  size_t far = 0;
  int64_t last = 0;
  for (size_t i = 0; i < n; ++i) {
    int64_t integer = 0;
    if (ToNearDecimal(values[i], exponent, &integer, &out->corrections[i])) {
      last = integer;
    } else {
      if (++far > n / kMaxExceptionShare) return false;
      out->corrections[i] = StepsFrom(last, exponent, values[i]);
    }
    out->integers[i] = last;
  }
  return true;
}

}  // namespace

namespace {

// Correctly rounded like static_cast<double>, in operations that every vector unit has.
[[gnu::always_inline]] inline double ToDouble(int64_t v) {
  const uint64_t bits = static_cast<uint64_t>(v);
  const double high = std::bit_cast<double>((bits >> 32) ^ 0x4530000080000000);        // 2^84 + 2^63 + high part
  const double low = std::bit_cast<double>((bits & 0xffffffff) | 0x4330000000000000);  // 2^52 + low part
  return (high - 0x1.00000801p84) + low;
}

[[gnu::always_inline]] inline void Divide(const int64_t* integers, size_t count, double power, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] = ToDouble(integers[i]) / power;
}

#if defined(__x86_64__)
// Division is what bounds it: four at a time cost as much as two.
[[gnu::target("avx2")]] void DivideAvx2(const int64_t* integers, size_t count, double power, double* out) {
  Divide(integers, count, power, out);
}
#endif

}  // namespace

void FromDecimals(std::span<const int64_t> integers, int exponent, double* out) {
  const double power = PowerOfTen(exponent);
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return DivideAvx2(integers.data(), integers.size(), power, out);
#endif
  Divide(integers.data(), integers.size(), power, out);
}

double PowerOfTen(int exponent) { return kPowers.at(static_cast<size_t>(exponent)); }

bool ToDecimals(std::span<const double> values, Decimals* out) {
  const size_t n = values.size();
  out->integers.resize(n);
  int exponent = GuessExponent(values, ExponentOf);
  // A second round when many exceptions are only longer fractions than the sample had.
  for (int round = 0; round < 2 && exponent <= kMaxDecimalExponent; ++round) {
    out->exponent = exponent;
    out->exceptions.clear();
    size_t longer = 0;
    int longest = exponent;
    int64_t last = 0;
    for (size_t i = 0; i < n; ++i) {
      if (!ToDecimal(values[i], out->exponent, &last)) {
        out->exceptions.push_back(i);
        if (out->exceptions.size() > n / kMaxExceptionShare + 1) return false;
        if (const int e = ExponentOf(values[i]); e <= std::min(out->exponent + 3, kMaxDecimalExponent)) {
          ++longer;
          longest = std::max(longest, e);
        }
        last = i == 0 ? 0 : out->integers[i - 1];
      }
      out->integers[i] = last;
    }
    if (longer <= n / 32) return out->exceptions.size() <= n / kMaxExceptionShare;
    exponent = longest;
  }
  return exponent <= kMaxDecimalExponent && out->exceptions.size() <= n / kMaxExceptionShare;
}

bool ToDecimalsExactly(std::span<const double> values, Decimals* out) {
  out->exceptions.clear();
  out->integers.resize(values.size());
  out->exponent = 0;
  int64_t integer = 0;
  for (const double v : values) {
    while (!ToDecimal(v, out->exponent, &integer)) {
      if (++out->exponent > kMaxDecimalExponent) return false;
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!ToDecimal(values[i], out->exponent, &out->integers[i])) return false;
  }
  return true;
}

bool ToNearDecimals(std::span<const double> values, NearDecimals* out) {
  // A sample may have missed the longest fractions.
  const int guess = GuessExponent(values, NearExponentOf);
  for (int e = guess; e <= std::min(guess + 2, kMaxDecimalExponent); ++e) {
    if (TakeNearDecimals(values, e, out)) return true;
  }
  return false;
}

void FromNearDecimals(std::span<const int64_t> integers, std::span<const int64_t> corrections, int exponent,
                      double* out) {
  FromDecimals(integers, exponent, out);
  for (size_t i = 0; i < integers.size(); ++i) {
    const auto ordered = static_cast<uint64_t>(OrderedBits(std::bit_cast<int64_t>(out[i])));
    out[i] = std::bit_cast<double>(OrderedBits(static_cast<int64_t>(ordered + static_cast<uint64_t>(corrections[i]))));
  }
}

bool ToDecimalBounds(double low, double high, int* exponent, int64_t* low_integer, int64_t* high_integer) {
  for (*exponent = std::max(ExponentOf(low), ExponentOf(high)); *exponent <= kMaxDecimalExponent; ++*exponent) {
    if (ToDecimal(low, *exponent, low_integer) && ToDecimal(high, *exponent, high_integer)) return true;
  }
  return false;
}

bool DecodeXor(std::string_view bytes, size_t count, double* out) {
  BitReader reader(bytes);
  uint64_t previous = reader.Read(64);
  out[0] = std::bit_cast<double>(previous);
  int leading_code = kNoLeading;
  for (size_t i = 1; i < count && reader.ok(); ++i) {
    const uint64_t flag = reader.Read(2);
    if (flag == kSame) {
      leading_code = kNoLeading;
    } else if (flag == kShort) {
      const int leading = kLeading[reader.Read(3)];
      const int length = static_cast<int>(reader.Read(6));
      const int trailing = 64 - leading - length;
      if (length == 0 || trailing < 0) return false;
      previous ^= reader.Read(length) << trailing;
      leading_code = kNoLeading;
    } else {
      if (flag == kNewLeading) leading_code = static_cast<int>(reader.Read(3));
      if (leading_code == kNoLeading) return false;
      previous ^= reader.Read(64 - kLeading[static_cast<size_t>(leading_code)]);
    }
    out[i] = std::bit_cast<double>(previous);
  }
  return reader.ok() && reader.consumed_bytes() == bytes.size();
}

}  // namespace pulseboard
