#include "common/codec/integers.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "common/codec/bits.h"
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
  EXPECT_EQ(EncodingOf(RoundTrip(walk)), IntegerEncoding::kDeltaSplit);
  EXPECT_EQ(EncodingOf(RoundTrip(curve)), IntegerEncoding::kDeltaOfDeltaSplit);
}

TEST(Integers, MagnitudesOfAllSizesAreCodedByClass) {
  std::mt19937_64 random(11);
  std::vector<int64_t> spikes(1000), steps(1000), edges;
  int64_t level = 0;
  for (size_t i = 0; i < spikes.size(); ++i) {
    spikes[i] = static_cast<int64_t>(random() % (uint64_t{1} << random() % 24)) - 1000;
    steps[i] = level += (random() % 2 == 0 ? 1 : -1) * static_cast<int64_t>(random() % (uint64_t{1} << random() % 24));
  }
  const std::string offsets = RoundTrip(spikes);
  EXPECT_EQ(EncodingOf(offsets), IntegerEncoding::kOffsetClasses);
  EXPECT_LT(offsets.size(), spikes.size() * 2);  // 24 bits each when packed
  EXPECT_EQ(EncodingOf(RoundTrip(steps)), IntegerEncoding::kDeltaClasses);
  // The least and the greatest of each class, and one too great for any.
  for (int bit = 0; bit <= 32; ++bit) {
    for (const int64_t magnitude : {int64_t{1} << bit, (int64_t{1} << bit) - 1, int64_t{3} << bit >> 1}) {
      for (int times = 0; times < 3; ++times) edges.push_back(magnitude);
    }
  }
  RoundTrip(edges);
}

TEST(Integers, FewValuesOfAnyWidthRoundTrip) {
  std::mt19937_64 random(12);
  for (int round = 0; round < 200'000; ++round) {
    std::vector<int64_t> values(1 + random() % 8);
    const uint64_t mask = (uint64_t{1} << random() % 64) - 1;
    uint64_t last = 0;  // may wrap around
    for (int64_t& v : values) v = static_cast<int64_t>(last += random() & mask);
    RoundTrip(values);
    if (::testing::Test::HasFailure()) FAIL() << "round " << round;
  }
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

TEST(Integers, BellShapedDeltasComeCloseToTheirEntropy) {
  std::mt19937_64 random(4);
  std::normal_distribution<double> step(0, 100);
  std::vector<int64_t> walk(4096);
  int64_t level = 0;
  for (int64_t& v : walk) v = level += static_cast<int64_t>(std::lround(step(random)));
  const std::string bytes = RoundTrip(walk);
  EXPECT_EQ(EncodingOf(bytes), IntegerEncoding::kDeltaSplit);
  EXPECT_LT(static_cast<double>(bytes.size()) * 8 / 4096, 8.69 + 0.15);  // log2(100 sqrt(2 pi e)) = 8.69
}

TEST(Integers, RepeatingPatternsGoToZstd) {
  std::mt19937_64 random(5);
  std::vector<int64_t> pattern(50), values(1000);
  for (int64_t& v : pattern) v = static_cast<int64_t>(random() % 10'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = pattern[i % 50];
  EXPECT_LT(RoundTrip(values).size(), 200u);
}

TEST(Integers, AFewOutliersDoNotWidenAll) {
  std::mt19937_64 random(6);
  std::vector<int64_t> values(1000);
  for (int64_t& v : values) v = static_cast<int64_t>(random() % 16);
  const size_t plain = RoundTrip(values).size();
  for (size_t i = 3; i < values.size(); i += 100) values[i] = static_cast<int64_t>(random() >> 1);
  EXPECT_LT(RoundTrip(values).size(), plain + 10 * 22);
}

TEST(Decimals, FindTheSmallestCommonExponent) {
  Decimals decimals;
  ASSERT_TRUE(ToDecimals(std::vector<double>{1.5, 2.25, -3}, &decimals));
  EXPECT_EQ(decimals.exponent, 2);
  EXPECT_EQ(decimals.integers, (std::vector<int64_t>{150, 225, -300}));
  EXPECT_TRUE(decimals.exceptions.empty());
  ASSERT_TRUE(ToDecimals(std::vector<double>{5, -6}, &decimals));
  EXPECT_EQ(decimals.exponent, 0);
}

TEST(Decimals, KeepWhatIsNoShortDecimalAsAnException) {
  for (const double odd : {-0.0, 0.1 + 0.2, 1e300, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::denorm_min()}) {
    std::vector<double> values(50, 1.25);
    values[17] = odd;
    Decimals decimals;
    ASSERT_TRUE(ToDecimals(values, &decimals)) << odd;
    EXPECT_EQ(decimals.exponent, 2);
    EXPECT_EQ(decimals.exceptions, std::vector<size_t>{17}) << odd;
    EXPECT_FALSE(ToDecimals(std::vector<double>(50, odd), &decimals) && odd != 0.1 + 0.2) << odd;
  }
}

// Version 1 wrote these: 1.0 twice, then its neighbour above.
TEST(Xor, ReadsWhatVersionOneWroteAndRefusesOtherLengths) {
  const double next = std::nextafter(1.0, 2.0);
  std::string bytes;
  BitWriter bits(&bytes);
  bits.Write(std::bit_cast<uint64_t>(1.0), 64);
  bits.Write(0, 2);           // the same
  bits.Write(3 | 7 << 2, 5);  // new leading code: 24 zeros
  bits.Write(1, 40);
  bits.Finish();
  std::vector<double> out(3);
  EXPECT_TRUE(DecodeXor(bytes, out.size(), out.data()));
  EXPECT_EQ(out, (std::vector<double>{1.0, 1.0, next}));
  EXPECT_FALSE(DecodeXor(bytes + "x", out.size(), out.data()));
  EXPECT_FALSE(DecodeXor(std::string_view(bytes).substr(0, bytes.size() - 1), out.size(), out.data()));
}

}  // namespace
}  // namespace pulseboard
