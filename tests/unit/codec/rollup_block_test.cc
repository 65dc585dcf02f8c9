#include "common/codec/rollup_block.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "common/base/checksum.h"
#include "common/base/clock.h"
#include "common/base/endian.h"
#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr int64_t kMinute = 60 * kNanosPerSecond;
constexpr int64_t kStart = 28'333'200 * kMinute;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

RollupSpan Span(uint32_t slots) {
  RollupSpan span;
  span.bucket_ns = kMinute;
  span.start = kStart;
  span.slots = slots;
  return span;
}

// The same on every machine.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }

 private:
  uint64_t state_;
};

// What rollups of `per_bucket` samples look like; `scale` 0: full doubles.
RollupColumns Walk(uint64_t seed, uint32_t slots, double scale, bool gaps) {
  Numbers numbers(seed);
  RollupColumns out;
  int64_t level = 500'000;
  const auto value = [&](int64_t k) {
    return scale > 0 ? static_cast<double>(k) / scale : static_cast<double>(k) / 3 * 1.000001;
  };
  for (uint32_t i = 0; i < slots; ++i) {
    if (gaps && numbers.Below(5) == 0) continue;
    const int64_t start = kStart + static_cast<int64_t>(i) * kMinute;
    Rollup r;
    r.count = gaps ? 1 + numbers.Below(60) : 60;
    r.nan_count = gaps ? numbers.Below(2) : 0;
    if (gaps && numbers.Below(20) == 0) {
      r.count = 0;
      r.nan_count = 3;
      r.min = r.max = r.first = r.last = kNan;
      r.first_time = r.min_time = r.max_time = start + 5;
      r.last_time = start + 999;
      out.push_back(start, r);
      continue;
    }
    const int64_t first = level + numbers.Below(200) - 100;
    const int64_t last = first + numbers.Below(1000) - 500;
    r.first = value(first);
    r.last = value(last);
    r.min = value(std::min(first, last) - numbers.Below(300));
    r.max = value(std::max(first, last) + numbers.Below(300));
    r.sum = value(r.count * (first + last) / 2 + numbers.Below(4000));
    r.resets = gaps && numbers.Below(9) == 0 ? r.last : 0;
    r.first_time = start + (gaps ? numbers.Below(kNanosPerSecond) : 0);
    r.last_time = start + 59 * kNanosPerSecond;
    r.min_time = start + numbers.Below(60) * kNanosPerSecond;
    r.max_time = start + numbers.Below(60) * kNanosPerSecond;
    level = last;
    out.push_back(start, r);
  }
  return out;
}

void ExpectSame(const RollupColumns& a, const RollupColumns& b) {
  EXPECT_EQ(a.starts, b.starts);
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.nan_counts, b.nan_counts);
  EXPECT_EQ(a.first_times, b.first_times);
  EXPECT_EQ(a.last_times, b.last_times);
  EXPECT_EQ(a.min_times, b.min_times);
  EXPECT_EQ(a.max_times, b.max_times);
  const auto bits = [](const std::vector<double>& values) {
    std::vector<uint64_t> out;
    for (const double v : values) out.push_back(std::bit_cast<uint64_t>(v));
    return out;
  };
  EXPECT_EQ(bits(a.sums), bits(b.sums));
  EXPECT_EQ(bits(a.mins), bits(b.mins));
  EXPECT_EQ(bits(a.maxs), bits(b.maxs));
  EXPECT_EQ(bits(a.firsts), bits(b.firsts));
  EXPECT_EQ(bits(a.lasts), bits(b.lasts));
  EXPECT_EQ(bits(a.resets), bits(b.resets));
}

void RoundTrip(const RollupSpan& span, const RollupColumns& columns) {
  const std::string block = EncodeRollupBlock(span, columns);
  RollupSpan read;
  RollupColumns out;
  const absl::Status status = DecodeRollupBlock(block, kAllRollupFields, &read, &out);
  ASSERT_TRUE(status.ok()) << status;
  ExpectSame(out, columns);
  EXPECT_EQ(read.start, span.start);
  EXPECT_EQ(read.slots, span.slots);
  EXPECT_EQ(read.derive, span.derive);
  EXPECT_EQ(read.count, columns.size());
  // Appending, and each column for itself.
  ASSERT_TRUE(DecodeRollupBlock(block, kAllRollupFields, &read, &out).ok());
  EXPECT_EQ(out.size(), 2 * columns.size());
  for (uint32_t bit = 0; bit < 12; ++bit) {
    const auto field = static_cast<RollupField>(1u << bit);
    RollupColumns one;
    ASSERT_TRUE(DecodeRollupBlock(block, field, &read, &one).ok());
    RollupColumns expected = columns;
    expected.Keep(field);
    ExpectSame(one, expected);
  }
}

TEST(RollupBlock, RoundTripsWhateverTheColumnsHold) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto slots = static_cast<uint32_t>(1 + seed * 7);
    const RollupColumns columns = Walk(seed, slots, seed % 3 == 0 ? 0 : 100, seed % 2 == 0);
    if (columns.empty()) continue;
    RoundTrip(Span(slots), columns);
  }
  // Any bits at all.
  Numbers numbers(9);
  RollupColumns wild;
  for (int64_t i = 0; i < 40; ++i) {
    const auto any = [&] { return std::bit_cast<double>(numbers.Next()); };
    const auto time = [&] { return static_cast<int64_t>(numbers.Next()); };
    wild.push_back(kStart + i * kMinute,
                   {1 + numbers.Below(9), 0, any(), any(), any(), any(), any(), any(), time(), time(), time(), time()});
  }
  RoundTrip(Span(40), wild);
}

TEST(RollupBlock, TakesAboutTheInformation) {
  const RollupColumns columns = Walk(1, 480, 100, false);
  EXPECT_LE(EncodeRollupBlock(Span(480), columns).size(), 480 * 10u);
  RollupColumns flat;
  for (int64_t i = 0; i < 480; ++i) {
    const int64_t start = kStart + i * kMinute;
    const int64_t last = start + 59 * kNanosPerSecond;
    flat.push_back(start, {60, 0, 120, 2, 2, 2, 2, 0, start, last, start, start});
  }
  EXPECT_LE(EncodeRollupBlock(Span(480), flat).size(), 120u);
}

TEST(RollupBlock, LeavesOutWhatHasToBeDerived) {
  RollupSpan span = Span(100);
  span.derive = {{90, 100}};
  const RollupColumns columns = Walk(3, 90, 100, false);
  const std::string block = EncodeRollupBlock(span, columns);
  const SlotRange holes[] = {{0, 2}, {50, 51}, {95, 200}};
  const auto punched = PunchRollupBlock(block, holes);
  ASSERT_TRUE(punched.ok()) << punched.status();
  RollupSpan read;
  RollupColumns out;
  ASSERT_TRUE(DecodeRollupBlock(*punched, RollupField::kMax | RollupField::kLastTime, &read, &out).ok());
  EXPECT_EQ(read.derive, (std::vector<SlotRange>{{0, 2}, {50, 51}, {90, 100}}));
  ASSERT_EQ(out.size(), 87u);
  EXPECT_EQ(out.starts[0], columns.starts[2]);
  EXPECT_EQ(out.maxs[47], columns.maxs[49]);
  EXPECT_EQ(out.maxs[48], columns.maxs[51]);
  EXPECT_EQ(out.last_times[48], columns.last_times[51]);
  EXPECT_TRUE(out.mins.empty());
  const SlotRange again[] = {{2, 3}};
  ASSERT_TRUE(DecodeRollupBlock(*PunchRollupBlock(*punched, again), RollupFields(), &read, &out).ok());
  EXPECT_EQ(read.derive.front(), (SlotRange{0, 3}));
}

TEST(RollupBlock, HeaderTellsWhatCanBeSkipped) {
  RollupColumns columns = Walk(4, 50, 100, true);
  const auto span = ReadRollupSpan(EncodeRollupBlock(Span(60), columns));
  ASSERT_TRUE(span.ok());
  double low = 1e300, high = -1e300;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns.counts[i] == 0) continue;
    low = std::min(low, columns.mins[i]);
    high = std::max(high, columns.maxs[i]);
  }
  EXPECT_EQ(span->min_value, low);
  EXPECT_EQ(span->max_value, high);
  EXPECT_EQ(span->end(), kStart + 60 * kMinute);
}

TEST(RollupBlock, RefusesDamageAndLeavesTheOutputAsItWas) {
  const std::string block = EncodeRollupBlock(Span(50), Walk(5, 50, 100, true));
  RollupSpan span;
  RollupColumns out = Walk(6, 3, 100, false);
  const RollupColumns before = out;
  for (size_t i = 0; i < block.size(); ++i) {
    std::string bad = block;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    EXPECT_TRUE(HasReason(DecodeRollupBlock(bad, kAllRollupFields, &span, &out), ErrorReason::kBlockCorrupt)) << i;
    EXPECT_FALSE(PunchRollupBlock(bad, {}).ok());
    EXPECT_FALSE(DecodeRollupBlock(block.substr(0, i), kAllRollupFields, &span, &out).ok());
    // With a checksum that fits it is refused or is something else, and never more.
    std::string body = bad.substr(0, bad.size() - 4);
    PutLittleEndian(&body, Crc32(body));
    RollupColumns other;
    (void)DecodeRollupBlock(body, kAllRollupFields, &span, &other).ok();
  }
  ExpectSame(out, before);
}

TEST(RollupBlock, VersionOneDecodesToWhatWasWritten) {
  struct Case {
    std::string name;
    uint32_t slots;
    RollupColumns columns;
    std::vector<SlotRange> derive;
  };
  const std::vector<Case> cases = {{"decimal", 480, Walk(21, 480, 100, false), {}},
                                   {"doubles", 100, Walk(22, 100, 0, false), {}},
                                   {"gaps", 200, Walk(23, 190, 100, true), {{190, 200}}},
                                   {"single", 1, Walk(24, 1, 1, false), {}}};
  for (const Case& c : cases) {
    const std::string path = std::string(PULSEBOARD_SOURCE_DIR) + "/tests/golden/codec/rollup_v1_" + c.name + ".bin";
    RollupSpan span = Span(c.slots);
    span.derive = c.derive;
    if (std::getenv("PULSEBOARD_WRITE_GOLDEN") != nullptr) {
      std::ofstream(path, std::ios::binary) << EncodeRollupBlock(span, c.columns);
    }
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file.good()) << path;
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    RollupSpan read;
    RollupColumns out;
    ASSERT_TRUE(DecodeRollupBlock(bytes, kAllRollupFields, &read, &out).ok()) << c.name;
    ExpectSame(out, c.columns);
    EXPECT_EQ(read.slots, c.slots);
    EXPECT_EQ(read.derive, c.derive);
  }
}

}  // namespace
}  // namespace pulseboard
