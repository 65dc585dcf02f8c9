#include "common/codec/huffman.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "common/codec/bits.h"
#include "common/codec/unpack.h"

namespace pulseboard {
namespace {

std::array<uint32_t, kMaxSymbols> Count(const std::vector<uint8_t>& symbols) {
  std::array<uint32_t, kMaxSymbols> counts = {};
  for (const uint8_t s : symbols) ++counts[s];
  return counts;
}

TEST(Symbols, OfAnySkewAndLengthRoundTrip) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> symbols(1 + random() % (round % 20 == 0 ? 5000 : 200));
    // Ever fewer of the greater symbols, so that rare ones would want codes longer than the limit.
    const uint64_t skew = 1 + random() % 6;
    for (uint8_t& s : symbols) {
      s = static_cast<uint8_t>(
          std::min<uint64_t>(kMaxSymbols - 1, static_cast<uint64_t>(std::countr_zero(random())) * skew));
    }
    std::string bytes;
    EncodeSymbols(symbols, BuildCodeLengths(Count(symbols)), &bytes);
    ByteReader in(bytes);
    std::vector<uint8_t> out(symbols.size());
    const bool one_but_not_zero = Count(symbols)[symbols[0]] == symbols.size() && symbols[0] != 0;
    if (one_but_not_zero) continue;  // callers rebase: a lone symbol is 0
    ASSERT_TRUE(DecodeSymbols(&in, out.size(), out.data())) << round;
    ASSERT_EQ(out, symbols) << round;
  }
}

TEST(Symbols, CodesAreCompleteAndNearTheEntropy) {
  std::array<uint32_t, kMaxSymbols> counts = {};
  for (size_t s = 0; s < 20; ++s) counts[s] = s < 8 ? 1000u >> s : 1;
  const CodeLengths lengths = BuildCodeLengths(counts);
  double kraft = 0;
  for (const uint8_t length : lengths) kraft += length == 0 ? 0 : 1.0 / static_cast<double>(1 << length);
  EXPECT_EQ(kraft, 1);
  EXPECT_EQ(lengths[0], 1);
}

TEST(Symbols, RefuseShortBytesAndIncompleteCodes) {
  std::vector<uint8_t> symbols(300);
  for (size_t i = 0; i < symbols.size(); ++i) symbols[i] = static_cast<uint8_t>(i * i % 7);
  std::string bytes;
  EncodeSymbols(symbols, BuildCodeLengths(Count(symbols)), &bytes);
  std::vector<uint8_t> out(symbols.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader in(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(DecodeSymbols(&in, out.size(), out.data())) << size;
  }
  const std::string incomplete("\x02\x00\x00", 3);  // two symbols of six bits
  ByteReader in(incomplete);
  EXPECT_FALSE(DecodeSymbols(&in, out.size(), out.data()));
}

TEST(UnpackBits, EveryWidthAndRest) {
  std::mt19937_64 random(2);
  for (int width = 0; width <= 64; ++width) {
    for (const size_t count : {1, 63, 64, 65, 200}) {
      std::vector<int64_t> values(count), out(count);
      std::string bytes;
      BitWriter bits(&bytes);
      for (int64_t& v : values) {
        const uint64_t low = random() & LowBits(width);
        bits.Write(low, width);
        v = static_cast<int64_t>(low + 17);
      }
      bits.Finish();
      ASSERT_EQ(bytes.size(), PackedBytes(count, width));
      UnpackBits(bytes, count, width, 17, out.data());
      ASSERT_EQ(out, values) << width;
    }
  }
}

}  // namespace
}  // namespace pulseboard
