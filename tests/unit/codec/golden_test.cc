// Blocks as earlier versions wrote them: they must decode for ever. A new block version adds files, it never changes
// these.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/codec/block.h"

namespace pulseboard {
namespace {

struct Case {
  std::string name;
  std::vector<int64_t> times;
  std::vector<double> values;
};

constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;

// Computed from integers only: the same on every machine.
class Numbers {
 public:
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  uint64_t state_ = 88172645463325252;
};

std::vector<Case> FirstVersionCases() {
  std::vector<int64_t> regular, jittered;
  std::vector<double> constant, gauge, counter, mixed, raw;
  Numbers numbers;
  double level = 1000;
  for (int i = 0; i < 200; ++i) {
    regular.push_back(kStart + i * 10 * kNanosPerSecond);
    jittered.push_back(kStart + i * kNanosPerSecond + static_cast<int64_t>(numbers.Next() % 1000) * kNanosPerMicro);
    level += static_cast<double>(numbers.Next() % 21) - 10;
    constant.push_back(-0.0);
    gauge.push_back(level / 100);
    counter.push_back(1e6 + 64.0 * i * i);
    mixed.push_back(i % 5 == 0 ? std::numeric_limits<double>::infinity() : 1.0 / (i + 3));
    raw.push_back(std::bit_cast<double>(numbers.Next() & 0xffefffffffffffff));
  }
  return {{"constant", regular, constant}, {"gauge", jittered, gauge}, {"counter", regular, counter},
          {"xor", jittered, mixed},        {"raw", regular, raw},      {"single", {-5}, {1.5}}};
}

// One per value encoding and per form of integer column.
std::vector<Case> SecondVersionCases() {
  std::vector<Case> cases = FirstVersionCases();
  for (Case& c : cases) {
    if (c.name == "xor") c.name = "infinities";
  }
  std::vector<int64_t> regular;
  std::vector<double> split, split_outliers, bits, dictionary, runs, rows, frame, nans;
  Numbers numbers;
  double level = 5000;
  for (int i = 0; i < 600; ++i) {
    regular.push_back(kStart + i * 10 * kNanosPerSecond);
    const auto draw = [&] { return static_cast<double>(numbers.Next() % 41); };
    level += draw() + draw() + draw() + draw() - 80;  // bell-shaped steps
    split.push_back(level / 100);
    split_outliers.push_back(i % 97 == 5 ? level * 1e5 : i % 101 == 7 ? 1.0 / 3 : level / 100);
    bits.push_back(1.0 / (1'000'003.0 + static_cast<double>(numbers.Next() % 4096)));
    dictionary.push_back(1.0 / static_cast<double>(3 + numbers.Next() % 20));
    runs.push_back(static_cast<double>(i / 50 * (i / 50) % 7) / 10);
    rows.push_back(static_cast<double>(i % 60 * (i % 60) * 7919 % 1000003) / 10);
    // Repeats at irregular distances, too many distinct ones for a dictionary.
    const uint64_t fresh = numbers.Next() & 0xffefffffffffffff;
    frame.push_back(i > 20 && i % 9 < 4 ? frame[static_cast<size_t>(i) - 1 - fresh % 16]
                                        : std::bit_cast<double>(fresh));
    nans.push_back(std::bit_cast<double>(0x7ff8000000000000 + numbers.Next() % 1000));
  }
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    cases.push_back({name, regular, values});
  };
  add("split", split);
  add("split_outliers", split_outliers);
  add("bits", bits);
  add("dictionary", dictionary);
  add("runs", runs);
  add("rows", rows);
  add("frame", frame);
  add("nans", nans);
  return cases;
}

// What version 3 added: near decimals, magnitude classes of offsets and of deltas.
std::vector<Case> ThirdVersionCases() {
  std::vector<Case> cases = SecondVersionCases();
  std::vector<int64_t> regular;
  std::vector<double> sums, near_with_outliers, spikes, drifting_spikes;
  Numbers numbers;
  int64_t level = 1'000'000;
  for (int i = 0; i < 600; ++i) {
    regular.push_back(kStart + i * 10 * kNanosPerSecond);
    sums.push_back(static_cast<double>(numbers.Next() % 1000) / 100 +
                   static_cast<double>(numbers.Next() % 1000) / 1000);
    near_with_outliers.push_back(i % 151 == 3   ? std::numeric_limits<double>::quiet_NaN()
                                 : i % 149 == 5 ? 1.0 / 3
                                                : sums.back());
    const uint64_t size = numbers.Next() % 18;
    const auto spike = static_cast<int64_t>(numbers.Next() % (uint64_t{1} << size));
    spikes.push_back(static_cast<double>(spike));
    level += numbers.Next() % 2 == 0 ? spike : -spike;
    drifting_spikes.push_back(static_cast<double>(level));
  }
  cases.push_back({"near", regular, sums});
  cases.push_back({"near_outliers", regular, near_with_outliers});
  cases.push_back({"classes_offset", regular, spikes});
  cases.push_back({"classes_delta", regular, drifting_spikes});
  return cases;
}

std::string PathOf(int version, const std::string& name) {
  return std::string(PULSEBOARD_SOURCE_DIR) + "/tests/golden/codec/block_v" + std::to_string(version) + "_" + name +
         ".bin";
}

void ExpectDecodes(int version, const Case& c) {
  std::ifstream file(PathOf(version, c.name), std::ios::binary);
  ASSERT_TRUE(file.good()) << PathOf(version, c.name);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(bytes[0], version);
  SampleColumns out;
  ASSERT_TRUE(DecodeBlock(bytes, &out).ok()) << c.name;
  EXPECT_EQ(out.times, c.times) << c.name;
  ASSERT_EQ(out.values.size(), c.values.size());
  for (size_t i = 0; i < c.values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(out.values[i]), std::bit_cast<uint64_t>(c.values[i])) << c.name << " " << i;
  }
}

TEST(GoldenBlocks, VersionOneDecodesToWhatWasWritten) {
  for (const Case& c : FirstVersionCases()) ExpectDecodes(1, c);
}

TEST(GoldenBlocks, VersionTwoDecodesToWhatWasWritten) {
  for (const Case& c : SecondVersionCases()) ExpectDecodes(2, c);
}

TEST(GoldenBlocks, VersionThreeDecodesToWhatWasWritten) {
  for (const Case& c : ThirdVersionCases()) {
    if (std::getenv("PULSEBOARD_WRITE_GOLDEN") != nullptr) {
      std::ofstream(PathOf(3, c.name), std::ios::binary) << EncodeBlock(c.times, c.values);
    }
    ExpectDecodes(3, c);
  }
}

// A kept file of an encoding shows nothing when no file has it.
std::set<ValueEncoding> EncodingsOf(int version, const std::vector<Case>& cases) {
  std::set<ValueEncoding> seen;
  for (const Case& c : cases) {
    std::ifstream file(PathOf(version, c.name), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const auto header = ReadBlockHeader(bytes);
    EXPECT_TRUE(header.ok()) << c.name;
    if (header.ok()) seen.insert(header->value_encoding);
  }
  return seen;
}

TEST(GoldenBlocks, EveryValueEncodingIsThere) {
  std::set<ValueEncoding> all = {ValueEncoding::kConstant,  ValueEncoding::kDecimal, ValueEncoding::kRaw,
                                 ValueEncoding::kBits,      ValueEncoding::kRuns,    ValueEncoding::kZstd,
                                 ValueEncoding::kDictionary};
  EXPECT_EQ(EncodingsOf(2, SecondVersionCases()), all);
  all.insert(ValueEncoding::kNearDecimal);
  EXPECT_EQ(EncodingsOf(3, ThirdVersionCases()), all);
}

}  // namespace
}  // namespace pulseboard
