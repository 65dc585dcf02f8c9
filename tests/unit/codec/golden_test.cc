// Blocks as earlier versions wrote them: they must decode for ever. A new block version adds files, it never changes
// these.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
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

// Computed from integers only: the same on every machine.
std::vector<Case> Cases() {
  constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;
  std::vector<int64_t> regular, jittered;
  std::vector<double> constant, gauge, counter, mixed, raw;
  uint64_t state = 88172645463325252;
  const auto next = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  };
  double level = 1000;
  for (int i = 0; i < 200; ++i) {
    regular.push_back(kStart + i * 10 * kNanosPerSecond);
    jittered.push_back(kStart + i * kNanosPerSecond + static_cast<int64_t>(next() % 1000) * kNanosPerMicro);
    level += static_cast<double>(next() % 21) - 10;
    constant.push_back(-0.0);
    gauge.push_back(level / 100);
    counter.push_back(1e6 + 64.0 * i * i);
    mixed.push_back(i % 5 == 0 ? std::numeric_limits<double>::infinity() : 1.0 / (i + 3));
    raw.push_back(std::bit_cast<double>(next() & 0xffefffffffffffff));
  }
  return {{"constant", regular, constant}, {"gauge", jittered, gauge}, {"counter", regular, counter},
          {"xor", jittered, mixed},        {"raw", regular, raw},      {"single", {-5}, {1.5}}};
}

std::string PathOf(const std::string& name) {
  return std::string(PULSEBOARD_SOURCE_DIR) + "/tests/golden/codec/block_v1_" + name + ".bin";
}

TEST(GoldenBlocks, DecodeToWhatWasWritten) {
  for (const Case& c : Cases()) {
    if (std::getenv("PULSEBOARD_WRITE_GOLDEN") != nullptr) {
      std::ofstream(PathOf(c.name), std::ios::binary) << EncodeBlock(c.times, c.values);
    }
    std::ifstream file(PathOf(c.name), std::ios::binary);
    ASSERT_TRUE(file.good()) << PathOf(c.name);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    SampleColumns out;
    ASSERT_TRUE(DecodeBlock(bytes, &out).ok()) << c.name;
    EXPECT_EQ(out.times, c.times) << c.name;
    ASSERT_EQ(out.values.size(), c.values.size());
    for (size_t i = 0; i < c.values.size(); ++i) {
      EXPECT_EQ(std::bit_cast<uint64_t>(out.values[i]), std::bit_cast<uint64_t>(c.values[i])) << c.name << " " << i;
    }
  }
}

}  // namespace
}  // namespace pulseboard
