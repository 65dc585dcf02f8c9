#include "common/codec/integers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <vector>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

constexpr size_t kGroup = 64;

int64_t WrappingSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t WrappingMultiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
uint64_t Magnitude(int64_t v) { return v < 0 ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v); }

// The greatest number that divides every delta, 1 when some delta does not fit 64 bits (offsets could wrap then).
int64_t LearnUnit(std::span<const int64_t> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  int64_t span = 0;
  if (__builtin_sub_overflow(*high, *low, &span)) return 1;
  uint64_t unit = 0;
  for (size_t i = 1; i < values.size() && unit != 1; ++i) {
    const uint64_t delta = Magnitude(values[i] - values[i - 1]);
    // Equal or already divisible deltas are the common case and cheaper than a gcd.
    if (unit == 0 || delta % unit != 0) unit = std::gcd(unit, delta);
  }
  return unit == 0 ? 1 : static_cast<int64_t>(unit);
}

struct Group {
  int64_t low;
  int width;
};

Group Measure(std::span<const int64_t> residuals) {
  const auto [low, high] = std::minmax_element(residuals.begin(), residuals.end());
  return {*low, static_cast<int>(std::bit_width(static_cast<uint64_t>(WrappingSubtract(*high, *low))))};
}

size_t PackedBytes(size_t count, int width) { return (count * static_cast<size_t>(width) + 7) / 8; }

size_t PackedSize(std::span<const int64_t> residuals) {
  size_t size = 0;
  for (size_t at = 0; at < residuals.size(); at += kGroup) {
    const auto group = residuals.subspan(at, std::min(kGroup, residuals.size() - at));
    const Group m = Measure(group);
    size += VarintSize(ToZigZag(m.low)) + 1 + PackedBytes(group.size(), m.width);
  }
  return size;
}

void Pack(std::span<const int64_t> residuals, std::string* out) {
  for (size_t at = 0; at < residuals.size(); at += kGroup) {
    const auto group = residuals.subspan(at, std::min(kGroup, residuals.size() - at));
    const Group m = Measure(group);
    PutZigZag(out, m.low);
    out->push_back(static_cast<char>(m.width));
    BitWriter bits(out);
    for (const int64_t r : group) bits.Write(static_cast<uint64_t>(WrappingSubtract(r, m.low)), m.width);
    bits.Finish();
  }
}

bool Unpack(ByteReader* in, size_t count, int64_t* out) {
  for (size_t at = 0; at < count; at += kGroup) {
    const size_t size = std::min(kGroup, count - at);
    const int64_t low = in->ZigZag();
    const int width = in->Fixed<uint8_t>();
    if (width > 64) in->Fail();
    const std::string_view packed = in->Bytes(PackedBytes(size, width));
    if (!in->ok()) return false;
    BitReader bits(packed);
    for (size_t i = 0; i < size; ++i) out[at + i] = WrappingAdd(low, static_cast<int64_t>(bits.Read(width)));
  }
  return true;
}

bool IsLinear(std::span<const int64_t> values) {
  if (values.size() < 2) return true;
  const int64_t step = WrappingSubtract(values[1], values[0]);
  for (size_t i = 2; i < values.size(); ++i) {
    if (WrappingSubtract(values[i], values[i - 1]) != step) return false;
  }
  return true;
}

}  // namespace

void EncodeIntegers(std::span<const int64_t> values, std::string* out) {
  const auto put_head = [&](IntegerEncoding encoding) {
    out->push_back(static_cast<char>(encoding));
    PutZigZag(out, values[0]);
  };
  if (IsLinear(values)) {
    put_head(IntegerEncoding::kLinear);
    PutZigZag(out, values.size() < 2 ? 0 : WrappingSubtract(values[1], values[0]));
    return;
  }
  const int64_t unit = LearnUnit(values);
  const size_t n = values.size() - 1;
  std::vector<int64_t> offsets(n), deltas(n), second(n);
  for (size_t i = 0; i < n; ++i) {
    offsets[i] = WrappingSubtract(values[i + 1], values[0]);
    deltas[i] = WrappingSubtract(values[i + 1], values[i]);
    if (unit != 1) {
      offsets[i] /= unit;
      deltas[i] /= unit;
    }
    second[i] = i == 0 ? deltas[0] : WrappingSubtract(deltas[i], deltas[i - 1]);
  }
  const std::span<const int64_t> second_tail = std::span(second).subspan(1);
  const size_t offset_size = PackedSize(offsets);
  const size_t delta_size = PackedSize(deltas);
  const size_t second_size = VarintSize(ToZigZag(second[0])) + PackedSize(second_tail);
  if (offset_size <= delta_size && offset_size <= second_size) {
    put_head(IntegerEncoding::kOffset);
    PutVarint(out, static_cast<uint64_t>(unit));
    Pack(offsets, out);
  } else if (delta_size <= second_size) {
    put_head(IntegerEncoding::kDelta);
    PutVarint(out, static_cast<uint64_t>(unit));
    Pack(deltas, out);
  } else {
    put_head(IntegerEncoding::kDeltaOfDelta);
    PutVarint(out, static_cast<uint64_t>(unit));
    PutZigZag(out, second[0]);
    Pack(second_tail, out);
  }
}

bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out) {
  const auto encoding = static_cast<IntegerEncoding>(in->Fixed<uint8_t>());
  out[0] = in->ZigZag();
  if (encoding == IntegerEncoding::kLinear) {
    const int64_t step = in->ZigZag();
    for (size_t i = 1; i < count; ++i) out[i] = WrappingAdd(out[i - 1], step);
    return in->ok();
  }
  const auto unit = static_cast<int64_t>(in->Varint());
  if (encoding == IntegerEncoding::kOffset) {
    if (!Unpack(in, count - 1, out + 1)) return false;
    for (size_t i = 1; i < count; ++i) out[i] = WrappingAdd(out[0], WrappingMultiply(out[i], unit));
  } else if (encoding == IntegerEncoding::kDelta) {
    if (!Unpack(in, count - 1, out + 1)) return false;
    for (size_t i = 1; i < count; ++i) out[i] = WrappingAdd(out[i - 1], WrappingMultiply(out[i], unit));
  } else if (encoding == IntegerEncoding::kDeltaOfDelta) {
    int64_t delta = in->ZigZag();
    if (count < 2 || !Unpack(in, count - 2, out + 2)) return false;
    out[1] = WrappingAdd(out[0], WrappingMultiply(delta, unit));
    for (size_t i = 2; i < count; ++i) {
      delta = WrappingAdd(delta, out[i]);
      out[i] = WrappingAdd(out[i - 1], WrappingMultiply(delta, unit));
    }
  } else {
    in->Fail();
  }
  return in->ok();
}

}  // namespace pulseboard
