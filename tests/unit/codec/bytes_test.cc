#include "common/codec/bytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/codec/bits.h"

namespace pulseboard {
namespace {

TEST(Varint, EveryLengthRoundTripsAndKnowsItsSize) {
  for (int bits = 0; bits <= 64; ++bits) {
    const uint64_t value = LowBits(bits);
    std::string bytes;
    PutVarint(&bytes, value);
    EXPECT_EQ(bytes.size(), VarintSize(value)) << bits;
    ByteReader in(bytes);
    EXPECT_EQ(in.Varint(), value);
    EXPECT_TRUE(in.ok());
    EXPECT_EQ(in.remaining(), 0u);
  }
}

TEST(Varint, ZigZagKeepsExtremes) {
  for (const int64_t value : {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0}, int64_t{1},
                              std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(FromZigZag(ToZigZag(value)), value);
  }
  EXPECT_EQ(ToZigZag(-1), 1u);
  EXPECT_EQ(ToZigZag(1), 2u);
}

TEST(ByteReader, FailsOnceAndStaysFailed) {
  ByteReader in(std::string_view("\x80\x80", 2));
  EXPECT_EQ(in.Varint(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.Fixed<uint32_t>(), 0u);
  EXPECT_TRUE(in.Bytes(0).empty());
  EXPECT_FALSE(in.ok());
}

TEST(ByteReader, RefusesAVarintBeyond64Bits) {
  ByteReader in(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
  in.Varint();
  EXPECT_FALSE(in.ok());
}

TEST(ByteReader, RefusesALengthBeyondTheBytes) {
  std::string bytes;
  PutVarint(&bytes, std::numeric_limits<uint64_t>::max());
  bytes += "abc";
  ByteReader in(bytes);
  EXPECT_TRUE(in.LengthPrefixed().empty());
  EXPECT_FALSE(in.ok());
}

TEST(Bits, EveryWidthAtEveryOffsetRoundTrips) {
  for (int offset = 0; offset < 64; ++offset) {
    for (int width = 0; width <= 64; ++width) {
      const uint64_t pattern = 0xdeadbeefcafef00d & LowBits(width);
      std::string bytes;
      BitWriter writer(&bytes);
      writer.Write(LowBits(offset), offset);
      writer.Write(pattern, width);
      writer.Write(1, 1);
      writer.Finish();
      EXPECT_EQ(bytes.size(), static_cast<size_t>(offset + width + 1 + 7) / 8);
      BitReader reader(bytes);
      EXPECT_EQ(reader.Read(offset), LowBits(offset));
      EXPECT_EQ(reader.Read(width), pattern) << offset << " " << width;
      EXPECT_EQ(reader.Read(1), 1u);
      EXPECT_TRUE(reader.ok());
      reader.Read(8);
      EXPECT_FALSE(reader.ok());
    }
  }
}

}  // namespace
}  // namespace pulseboard
