#include "common/codec/doubles.h"

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
constexpr int kMinTrailing = 7;  // fewer trailing zeros don't pay for their count
constexpr int kNoLeading = -1;

enum Flag : uint64_t { kSame = 0, kShort = 1, kOldLeading = 2, kNewLeading = 3 };

int LeadingCode(int zeros) {
  int code = 7;
  while (kLeading[static_cast<size_t>(code)] > zeros) --code;
  return code;
}

// Calls emit(bits, count) for every field of the stream.
template <typename Emit>
void WalkXor(std::span<const double> values, const Emit& emit) {
  uint64_t previous = std::bit_cast<uint64_t>(values[0]);
  emit(previous, 64);
  int leading_code = kNoLeading;
  for (const double value : values.subspan(1)) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const uint64_t x = bits ^ previous;
    previous = bits;
    if (x == 0) {
      emit(kSame, 2);
      leading_code = kNoLeading;
      continue;
    }
    const int code = LeadingCode(std::countl_zero(x));
    const int leading = kLeading[static_cast<size_t>(code)];
    const int trailing = std::countr_zero(x);
    if (trailing >= kMinTrailing) {
      const int length = 64 - leading - trailing;
      emit(kShort | static_cast<uint64_t>(code) << 2 | static_cast<uint64_t>(length) << 5, 11);
      emit(x >> trailing, length);
      leading_code = kNoLeading;
    } else if (code == leading_code) {
      emit(kOldLeading, 2);
      emit(x, 64 - leading);
    } else {
      emit(kNewLeading | static_cast<uint64_t>(code) << 2, 5);
      emit(x, 64 - leading);
      leading_code = code;
    }
  }
}

}  // namespace

double PowerOfTen(int exponent) { return kPowers.at(static_cast<size_t>(exponent)); }

bool ToDecimals(std::span<const double> values, std::vector<int64_t>* integers, int* exponent) {
  int64_t integer = 0;
  int e = 0;
  for (const double value : values) {
    while (!ToDecimal(value, e, &integer)) {
      if (++e > kMaxDecimalExponent) return false;
    }
  }
  integers->resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!ToDecimal(values[i], e, &(*integers)[i])) return false;
  }
  *exponent = e;
  return true;
}

size_t XorSize(std::span<const double> values) {
  size_t bits = 0;
  WalkXor(values, [&bits](uint64_t, int count) { bits += static_cast<size_t>(count); });
  return (bits + 7) / 8;
}

void EncodeXor(std::span<const double> values, std::string* out) {
  BitWriter writer(out);
  WalkXor(values, [&writer](uint64_t bits, int count) { writer.Write(bits, count); });
  writer.Finish();
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
