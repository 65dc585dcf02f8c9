#include "common/codec/block.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/endian.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

struct Coded {
  BlockHeader header;
  size_t bytes;
};

// Encodes, decodes, compares every bit.
Coded RoundTrip(const std::vector<int64_t>& times, const std::vector<double>& values) {
  const std::string block = EncodeBlock(times, values);
  SampleColumns out;
  const absl::Status status = DecodeBlock(block, &out);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(out.times, times);
  EXPECT_EQ(out.size(), values.size());
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(out.values[i]), std::bit_cast<uint64_t>(values[i])) << "at " << i;
  }
  const auto header = ReadBlockHeader(block);
  EXPECT_TRUE(header.ok());
  EXPECT_EQ(header->count, times.size());
  EXPECT_EQ(header->min_time, times.front());
  EXPECT_EQ(header->max_time, times.back());
  return {*header, block.size()};
}

std::vector<int64_t> Regular(size_t count, int64_t step = 10 * kNanosPerSecond) {
  std::vector<int64_t> times(count);
  for (size_t i = 0; i < count; ++i) times[i] = kStart + static_cast<int64_t>(i) * step;
  return times;
}

TEST(Block, ConstantSeriesTakesNextToNothing) {
  const Coded coded = RoundTrip(Regular(720), std::vector<double>(720, 42.5));
  EXPECT_EQ(coded.header.value_encoding, ValueEncoding::kConstant);
  EXPECT_LE(coded.bytes, 48u);
}

TEST(Block, TwoDecimalGaugeTakesLessThanTwoBytesPerSample) {
  std::mt19937 random(1);
  std::vector<double> values(720);
  double level = 5000;
  for (double& v : values) {
    level += static_cast<double>(random() % 101) - 50;
    v = std::round(level) / 100;
  }
  const Coded coded = RoundTrip(Regular(720), values);
  EXPECT_EQ(coded.header.value_encoding, ValueEncoding::kDecimal);
  EXPECT_LT(static_cast<double>(coded.bytes) / 720, 1.3);
}

TEST(Block, CounterThatRisesEvenlyIsLinear) {
  std::vector<double> values(720);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1e9 + 4096.0 * static_cast<double>(i);
  EXPECT_LE(RoundTrip(Regular(720), values).bytes, 64u);
}

TEST(Block, FullEntropyFallsBackToBitsOrRaw) {
  std::mt19937_64 random(2);
  std::vector<double> noise(720), bits(720);
  for (double& v : noise) v = std::uniform_real_distribution<double>(0, 100)(random);
  for (double& v : bits) v = std::bit_cast<double>(random());
  const Coded coded = RoundTrip(Regular(720), noise);
  EXPECT_EQ(coded.header.value_encoding, ValueEncoding::kBits);
  EXPECT_LT(coded.bytes, 720 * 7.5);
  EXPECT_EQ(RoundTrip(Regular(720), bits).header.value_encoding, ValueEncoding::kRaw);
}

TEST(Block, SpecialValuesKeepTheirBits) {
  const std::vector<double> special = {0.0,
                                       -0.0,
                                       1.0,
                                       -1.0,
                                       std::numeric_limits<double>::infinity(),
                                       -std::numeric_limits<double>::infinity(),
                                       std::numeric_limits<double>::quiet_NaN(),
                                       std::bit_cast<double>(uint64_t{0xfff8000000000123}),
                                       std::bit_cast<double>(uint64_t{0x7ff0000000000001}),  // signalling
                                       std::numeric_limits<double>::denorm_min(),
                                       -std::numeric_limits<double>::denorm_min(),
                                       std::numeric_limits<double>::min(),
                                       std::numeric_limits<double>::max(),
                                       std::numeric_limits<double>::lowest(),
                                       9007199254740991.0,
                                       9007199254740992.0,
                                       9007199254740993.0,
                                       0.1,
                                       0.30000000000000004,
                                       1e15,
                                       1e-15,
                                       1e300,
                                       123.45};
  for (const double v : special) RoundTrip(Regular(3), {v, v, v});
  for (const double v : special) RoundTrip(Regular(4), {1.25, v, v, 2.5});
  RoundTrip(Regular(special.size()), special);
}

TEST(Block, OddTimesRoundTrip) {
  RoundTrip({kStart}, {1});
  RoundTrip({kMin}, {1});
  RoundTrip({kMax}, {1});
  RoundTrip({kMin, kMax}, {1, 2});
  RoundTrip({kMin, kMin + 1, -1, 0, 1, kMax - 1, kMax}, {1, 2, 3, 4, 5, 6, 7});
  RoundTrip({kMin, 0, kMax}, {1, 2, 3});
  std::vector<int64_t> with_gap = Regular(300);
  for (size_t i = 150; i < 300; ++i) with_gap[i] += kNanosPerDay;
  EXPECT_LT(RoundTrip(with_gap, std::vector<double>(300, 1)).bytes, 170u);
}

TEST(Block, JitteredMillisecondsLearnTheirUnit) {
  std::mt19937 random(3);
  std::vector<int64_t> times = Regular(720, kNanosPerSecond);
  for (int64_t& t : times) t += static_cast<int64_t>(random() % 8) * kNanosPerMilli;
  EXPECT_LT(RoundTrip(times, std::vector<double>(720, 1)).bytes, 720 * 5 / 8 + 100u);
}

TEST(Block, RandomColumnsRoundTrip) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 2000; ++round) {
    const size_t count = 1 + random() % (round % 10 == 0 ? 2000 : 150);
    const int time_bits = 1 + static_cast<int>(random() % 40);
    const int digits = static_cast<int>(random() % 18);
    const int kind = static_cast<int>(random() % 5);
    std::vector<int64_t> times(count);
    std::vector<double> values(count);
    int64_t time = static_cast<int64_t>(random() >> 2);
    double level = 0;
    for (size_t i = 0; i < count; ++i) {
      time += 1 + static_cast<int64_t>(random() & ((uint64_t{1} << time_bits) - 1));
      times[i] = time;
      level += static_cast<double>(static_cast<int64_t>(random() % 2001)) - 1000;
      values[i] = kind == 0   ? std::bit_cast<double>(random())
                  : kind == 1 ? level / std::pow(10, digits)
                  : kind == 2 ? level
                  : kind == 3 ? static_cast<double>(random() % 3)
                              : std::sin(static_cast<double>(i)) * std::pow(10, digits);
    }
    RoundTrip(times, values);
    if (::testing::Test::HasFailure()) FAIL() << "round " << round;
  }
}

TEST(Block, DecimalsThatWentThroughArithmeticStayShort) {
  std::mt19937_64 random(8);
  std::vector<double> sums(720);
  for (double& v : sums) {  // 0.1 + 0.2 is not 0.3
    v = static_cast<double>(random() % 1000) / 100 + static_cast<double>(random() % 1000) / 1000;
  }
  const Coded coded = RoundTrip(Regular(720), sums);
  EXPECT_EQ(coded.header.value_encoding, ValueEncoding::kNearDecimal);
  EXPECT_LT(coded.bytes, 720 * 2.2);
  for (size_t i = 0; i < sums.size(); i += 50) {
    sums[i] = i % 100 == 0 ? std::numeric_limits<double>::quiet_NaN() : -std::numeric_limits<double>::infinity();
  }
  sums[7] = -0.0;
  sums[8] = std::numeric_limits<double>::denorm_min();
  sums[9] = 1e300;
  EXPECT_EQ(RoundTrip(Regular(720), sums).header.value_encoding, ValueEncoding::kNearDecimal);
}

TEST(Block, HeaderBoundsLeaveNaNsOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  BlockHeader header = RoundTrip(Regular(4), {3, nan, -7, 5}).header;
  EXPECT_EQ(header.min_value, -7);
  EXPECT_EQ(header.max_value, 5);
  header = RoundTrip(Regular(2), {nan, std::bit_cast<double>(uint64_t{0x7ff8000000000009})}).header;
  EXPECT_TRUE(std::isnan(header.min_value));
  EXPECT_TRUE(std::isnan(header.max_value));
}

TEST(Block, DecodeAppends) {
  SampleColumns out;
  ASSERT_TRUE(DecodeBlock(EncodeBlock(std::vector<int64_t>{1, 2}, std::vector<double>{3, 4}), &out).ok());
  ASSERT_TRUE(DecodeBlock(EncodeBlock(std::vector<int64_t>{5}, std::vector<double>{6}), &out).ok());
  EXPECT_EQ(out.times, (std::vector<int64_t>{1, 2, 5}));
}

TEST(Block, EveryFlippedBitAndEveryCutIsNoticed) {
  std::vector<double> values(100);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<double>(i));
  const std::string block = EncodeBlock(Regular(100), values);
  SampleColumns out;
  for (size_t bit = 0; bit < block.size() * 8; ++bit) {
    std::string bad = block;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(HasReason(DecodeBlock(bad, &out), ErrorReason::kBlockCorrupt)) << "bit " << bit;
  }
  for (size_t size = 0; size < block.size(); ++size) {
    EXPECT_FALSE(DecodeBlock(std::string_view(block).substr(0, size), &out).ok()) << size;
  }
  EXPECT_TRUE(out.empty());
}

// Bytes that carry a right checksum over wrong contents: what a checksum cannot catch, the decoder must.
TEST(Block, MutationsWithRightChecksumNeverHarm) {
  std::mt19937_64 random(5);
  std::vector<std::string> seeds;
  std::vector<double> decimal(90), noise(90);
  for (size_t i = 0; i < 90; ++i) {
    decimal[i] = static_cast<double>(i * i % 37) / 10;
    noise[i] = std::sin(static_cast<double>(i));
  }
  std::vector<double> near(90), spikes(90);
  for (size_t i = 0; i < 90; ++i) {
    near[i] = static_cast<double>(random() % 1000) / 100 + static_cast<double>(random() % 1000) / 1000;
    spikes[i] = static_cast<double>(random() % (uint64_t{1} << random() % 24));
  }
  for (const auto& values : {decimal, noise, std::vector<double>(90, 7), near, spikes})
    seeds.push_back(EncodeBlock(Regular(90), values));
  int decoded = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = seeds[random() % seeds.size()];
    bytes.resize(bytes.size() - 4);
    for (uint64_t n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 8 == 0) bytes.resize(random() % (bytes.size() + 1));
    PutLittleEndian(&bytes, Crc32(bytes));
    SampleColumns out;
    if (!DecodeBlock(bytes, &out).ok()) {
      EXPECT_TRUE(out.empty());
      continue;
    }
    ++decoded;
    ASSERT_LE(out.size(), kMaxBlockSamples);
    ASSERT_EQ(out.times.size(), out.values.size());
    ASSERT_TRUE(std::is_sorted(out.times.begin(), out.times.end(), std::less_equal<>()));
  }
  EXPECT_GT(decoded, 1000);  // value bytes may change at will
}

TEST(Block, RefusesTheNextVersion) {
  std::string block = EncodeBlock(std::vector<int64_t>{1}, std::vector<double>{1});
  block.resize(block.size() - 4);
  block[0] = static_cast<char>(kBlockVersion + 1);
  PutLittleEndian(&block, Crc32(block));
  SampleColumns out;
  EXPECT_TRUE(HasReason(DecodeBlock(block, &out), ErrorReason::kBlockCorrupt));
  EXPECT_FALSE(ReadBlockHeader(block).ok());
}

}  // namespace
}  // namespace pulseboard
