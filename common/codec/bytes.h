// Varints and a bounds-checked reader: the small bricks of every format of ours (blocks, log records).
//
// Varint: 7 bits per byte, lowest first, the high bit says "more follows" (LEB128, at most 10 bytes).
// ZigZag: 0, -1, 1, -2 … as varint 0, 1, 2, 3 …
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "common/base/endian.h"

namespace pulseboard {

inline constexpr size_t kMaxVarintBytes = 10;

// Writes at `out`, which must have kMaxVarintBytes of room, and returns the place after.
inline char* WriteVarint(char* out, uint64_t v) {
  while (v >= 0x80) {
    *out++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *out++ = static_cast<char>(v);
  return out;
}

inline void PutVarint(std::string* out, uint64_t v) {
  char buffer[kMaxVarintBytes];
  out->append(buffer, WriteVarint(buffer, v));
}

constexpr uint64_t ToZigZag(int64_t v) { return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63); }
constexpr int64_t FromZigZag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

inline void PutZigZag(std::string* out, int64_t v) { PutVarint(out, ToZigZag(v)); }
inline void PutLengthPrefixed(std::string* out, std::string_view s) {
  PutVarint(out, s.size());
  out->append(s);
}
constexpr size_t VarintSize(uint64_t v) { return (static_cast<size_t>(std::bit_width(v | 1)) + 6) / 7; }

// Takes values from the front of bytes that may be hostile. After the first failure ok() is false and every further
// value is zero or empty, so callers may check once at the end. The bytes must outlive the reader. Not thread-safe.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  std::string_view rest() const { return rest_; }
  size_t remaining() const { return rest_.size(); }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < rest_.size() && i < kMaxVarintBytes; ++i) {
      const auto byte = static_cast<uint8_t>(rest_[i]);
      if (i == kMaxVarintBytes - 1 && byte > 1) break;  // would not fit 64 bits
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return value;
      }
    }
    Fail();
    return 0;
  }
  int64_t ZigZag() { return FromZigZag(Varint()); }

  template <typename T>
  T Fixed() {
    if (rest_.size() < sizeof(T)) {
      Fail();
      return T{};
    }
    const T value = GetLittleEndian<T>(rest_);
    rest_.remove_prefix(sizeof(T));
    return value;
  }

  // Of one byte; fails beyond `last`.
  template <typename E>
  E Enum(E last) {
    const auto number = Fixed<uint8_t>();
    if (number > static_cast<uint8_t>(last)) Fail();
    return static_cast<E>(number);
  }

  std::string_view Bytes(size_t n) {
    if (rest_.size() < n) {
      Fail();
      return {};
    }
    const std::string_view bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return bytes;
  }
  std::string_view LengthPrefixed() { return Bytes(Varint()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace pulseboard
