#include "common/codec/unpack.h"

#include <array>
#include <cstring>
#include <utility>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

// One value at a constant shift: no branch is left once the compiler knows width and index.
template <int kWidth, size_t kIndex>
inline uint64_t Extract(const uint64_t* words) {
  constexpr size_t kBit = kIndex * static_cast<size_t>(kWidth);
  constexpr size_t kWord = kBit / 64;
  constexpr int kShift = static_cast<int>(kBit % 64);
  uint64_t bits = words[kWord] >> kShift;
  if constexpr (kShift + kWidth > 64) bits |= words[kWord + 1] << (64 - kShift);
  return bits & LowBits(kWidth);
}

template <int kWidth, size_t... kIndices>
inline void ExtractAll(const uint64_t* words, uint64_t low, int64_t* out, std::index_sequence<kIndices...>) {
  ((out[kIndices] = static_cast<int64_t>(low + Extract<kWidth, kIndices>(words))), ...);
}

// 64 values of `width` bits are exactly `width` words.
template <int kWidth>
void UnpackGroup(const char* packed, uint64_t low, int64_t* out) {
  if constexpr (kWidth == 0) {
    for (size_t i = 0; i < kUnpackGroup; ++i) out[i] = static_cast<int64_t>(low);
  } else {
    uint64_t words[kWidth];
    std::memcpy(words, packed, sizeof(words));
    ExtractAll<kWidth>(words, low, out, std::make_index_sequence<kUnpackGroup>());
  }
}

using UnpackFunction = void (*)(const char*, uint64_t, int64_t*);
template <int... kWidths>
constexpr std::array<UnpackFunction, 65> MakeFunctions(std::integer_sequence<int, kWidths...>) {
  return {&UnpackGroup<kWidths>...};
}
constexpr std::array<UnpackFunction, 65> kUnpack = MakeFunctions(std::make_integer_sequence<int, 65>());

}  // namespace

void UnpackBits(std::string_view packed, size_t count, int width, int64_t low, int64_t* out) {
  const UnpackFunction unpack = kUnpack[static_cast<size_t>(width)];
  const size_t group_bytes = static_cast<size_t>(width) * kUnpackGroup / 8;
  size_t at = 0;
  for (; count - at >= kUnpackGroup; at += kUnpackGroup) {
    unpack(packed.data(), static_cast<uint64_t>(low), out + at);
    packed.remove_prefix(group_bytes);
  }
  if (at == count) return;
  char padded[kUnpackGroup * sizeof(uint64_t)] = {};
  int64_t group[kUnpackGroup];
  if (!packed.empty()) std::memcpy(padded, packed.data(), packed.size());
  unpack(padded, static_cast<uint64_t>(low), group);
  std::memcpy(out + at, group, (count - at) * sizeof(int64_t));
}

}  // namespace pulseboard
