// Fixed-width integers in byte strings: big-endian for keys (bytewise order is numeric order), little-endian for
// values.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pulseboard {

static_assert(std::endian::native == std::endian::little, "BUG: formats are written for little-endian machines");

template <std::unsigned_integral T>
constexpr T ByteSwap(T v) {
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
  return v;
}

template <std::unsigned_integral T>
void PutBigEndian(std::string* out, T v) {
  v = ByteSwap(v);
  out->append(reinterpret_cast<const char*>(&v), sizeof(v));
}
// REQUIRES: in.size() >= sizeof(T).
template <std::unsigned_integral T>
T GetBigEndian(std::string_view in) {
  T v;
  std::memcpy(&v, in.data(), sizeof(v));
  return ByteSwap(v);
}
template <typename T>
requires std::is_trivially_copyable_v<T>
void PutLittleEndian(std::string* out, T v) { out->append(reinterpret_cast<const char*>(&v), sizeof(v)); }
// REQUIRES: in.size() >= sizeof(T).
template <typename T>
requires std::is_trivially_copyable_v<T> T GetLittleEndian(std::string_view in) {
  T v;
  std::memcpy(&v, in.data(), sizeof(v));
  return v;
}
// A signed time as unsigned, so that big-endian bytes order like the time.
constexpr uint64_t TimeToOrdered(int64_t t) { return static_cast<uint64_t>(t) ^ (uint64_t{1} << 63); }
constexpr int64_t OrderedToTime(uint64_t v) { return static_cast<int64_t>(v ^ (uint64_t{1} << 63)); }

}  // namespace pulseboard
