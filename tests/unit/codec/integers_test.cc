#include "common/codec/integers.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "common/codec/doubles.h"

namespace pulseboard {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string RoundTrip(const std::vector<int64_t>& values) {
  std::string bytes;
  EncodeIntegers(values, &bytes);
  ByteReader in(bytes);
  std::vector<int64_t> out(values.size());
  EXPECT_TRUE(DecodeIntegers(&in, values.size(), out.data()));
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_EQ(out, values);
  return bytes;
}

IntegerEncoding EncodingOf(const std::string& bytes) { return static_cast<IntegerEncoding>(bytes[0]); }

TEST(Integers, ExtremesWrapAndComeBack) {
  RoundTrip({kMin});
  RoundTrip({kMin, kMax, kMin, kMax});
  RoundTrip({kMax, kMin, 0, -1, 1, kMin + 1});
  RoundTrip({0, kMin, 0, kMin, kMin});
}

TEST(Integers, PicksTheFittingEncoding) {
  std::mt19937_64 random(1);
  std::vector<int64_t> linear(500), noise(500), walk(500), curve(500);
  int64_t level = 0;
  for (size_t i = 0; i < 500; ++i) {
    const auto n = static_cast<int64_t>(i);
    linear[i] = 7 - 3 * n;
    noise[i] = static_cast<int64_t>(random() % 1024);
    walk[i] = level += static_cast<int64_t>(random() % 16);
    curve[i] = n * n * 1000 + static_cast<int64_t>(random() % 3);
  }
  EXPECT_EQ(EncodingOf(RoundTrip(linear)), IntegerEncoding::kLinear);
  EXPECT_EQ(EncodingOf(RoundTrip(noise)), IntegerEncoding::kOffset);
  EXPECT_EQ(EncodingOf(RoundTrip(walk)), IntegerEncoding::kDelta);
  EXPECT_EQ(EncodingOf(RoundTrip(curve)), IntegerEncoding::kDeltaOfDelta);
}

TEST(Integers, ACommonUnitCostsNothingPerValue) {
  std::mt19937_64 random(2);
  std::vector<int64_t> plain(640), scaled(640);
  for (size_t i = 0; i < plain.size(); ++i) {
    plain[i] = static_cast<int64_t>(random() % 4096);
    scaled[i] = 17 + plain[i] * 1'000'000'007;
  }
  EXPECT_LE(RoundTrip(scaled).size(), RoundTrip(plain).size() + 64);
}

TEST(Integers, RandomBitWidthsRoundTrip) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::vector<int64_t> values(1 + random() % 200);
    const int bits = static_cast<int>(random() % 64);
    const auto unit = static_cast<int64_t>(1 + random() % 1000);
    for (int64_t& v : values) v = static_cast<int64_t>((random() >> bits) * static_cast<uint64_t>(unit));
    RoundTrip(values);
  }
}

TEST(Integers, RefusesShortAndUnknownBytes) {
  std::vector<int64_t> values(130);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i * i * i % 977);
  std::string bytes = RoundTrip(values);
  std::vector<int64_t> out(values.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader in(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(DecodeIntegers(&in, out.size(), out.data())) << size;
  }
  bytes[0] = 9;
  ByteReader in(bytes);
  EXPECT_FALSE(DecodeIntegers(&in, out.size(), out.data()));
}

TEST(Decimals, FindTheSmallestCommonExponent) {
  std::vector<int64_t> integers;
  int exponent = -1;
  ASSERT_TRUE(ToDecimals(std::vector<double>{1.5, 2.25, -3}, &integers, &exponent));
  EXPECT_EQ(exponent, 2);
  EXPECT_EQ(integers, (std::vector<int64_t>{150, 225, -300}));
  ASSERT_TRUE(ToDecimals(std::vector<double>{5, -6}, &integers, &exponent));
  EXPECT_EQ(exponent, 0);
}

TEST(Decimals, RefuseWhatIsNoShortDecimal) {
  std::vector<int64_t> integers;
  int exponent = 0;
  for (const double v : {-0.0, 0.1 + 0.2, 1e300, std::numeric_limits<double>::infinity(),
                         std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::denorm_min()}) {
    EXPECT_FALSE(ToDecimals(std::vector<double>{1, v}, &integers, &exponent)) << v;
  }
  // Each alone is one, but no exponent fits both.
  EXPECT_FALSE(ToDecimals(std::vector<double>{9007199254740991.0, 0.5}, &integers, &exponent));
}

TEST(Xor, SizeIsWhatIsWrittenAndShortBytesAreRefused) {
  std::vector<double> values;
  for (int i = 0; i < 300; ++i) values.push_back(i % 7 == 0 ? 1.0 : 1.0 / (i + 1));
  std::string bytes;
  EncodeXor(values, &bytes);
  EXPECT_EQ(bytes.size(), XorSize(values));
  std::vector<double> out(values.size());
  EXPECT_TRUE(DecodeXor(bytes, out.size(), out.data()));
  EXPECT_EQ(out, values);
  EXPECT_FALSE(DecodeXor(bytes + "x", out.size(), out.data()));
  EXPECT_FALSE(DecodeXor(std::string_view(bytes).substr(0, bytes.size() - 1), out.size(), out.data()));
}

}  // namespace
}  // namespace pulseboard
