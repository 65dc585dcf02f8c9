// Bit streams, lowest bit of each byte first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pulseboard {

constexpr uint64_t LowBits(int count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

// Appends to a string; Finish() pads the last byte with zero bits. Not thread-safe.
class BitWriter {
 public:
  explicit BitWriter(std::string* out) : out_(out) {}

  // The `count` (0 to 64) lowest bits of `bits`; higher ones must be zero.
  void Write(uint64_t bits, int count) {
    pending_ |= bits << used_;
    if (used_ + count < 64) {
      used_ += count;
      return;
    }
    Put(8);
    const int written = 64 - used_;
    pending_ = written >= 64 ? 0 : bits >> written;
    used_ = count - written;
  }
  void Finish() {
    Put(static_cast<size_t>(used_ + 7) / 8);
    pending_ = 0;
    used_ = 0;
  }

 private:
  void Put(size_t bytes) {
    char buffer[8];
    std::memcpy(buffer, &pending_, sizeof(buffer));
    out_->append(buffer, bytes);
  }

  std::string* out_;
  uint64_t pending_ = 0;
  int used_ = 0;  // bits of pending_, 0 to 63
};

// Reads bytes that may be hostile: past the end every bit is zero and ok() becomes false. Not thread-safe.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes), bit_limit_(bytes.size() * 8) {}

  // `count`: 0 to 64.
  uint64_t Read(int count) {
    const size_t at = bit_at_;
    bit_at_ += static_cast<size_t>(count);
    if (bit_at_ > bit_limit_) {
      ok_ = false;
      bit_at_ = bit_limit_;
      return 0;
    }
    const size_t byte = at / 8;
    const int shift = static_cast<int>(at % 8);
    uint64_t bits = Load(byte) >> shift;
    if (shift + count > 64) bits |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[byte + 8])) << (64 - shift);
    return bits & LowBits(count);
  }
  bool ok() const { return ok_; }
  // Bytes touched so far.
  size_t consumed_bytes() const { return (bit_at_ + 7) / 8; }

 private:
  uint64_t Load(size_t byte) const {
    uint64_t word = 0;
    std::memcpy(&word, bytes_.data() + byte, std::min(sizeof(word), bytes_.size() - byte));
    return word;
  }

  std::string_view bytes_;
  size_t bit_limit_;
  size_t bit_at_ = 0;
  bool ok_ = true;
};

}  // namespace pulseboard
