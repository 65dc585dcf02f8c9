#include "common/analysis/m4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace pulseboard {
namespace {

constexpr int64_t kStart = 1'700'000'000'000'000'000;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

__extension__ typedef __int128 Wide;

using Pixel = std::pair<int64_t, int64_t>;

struct Canvas {
  TimeRange range;
  int64_t width;
  int64_t height;
  double low;
  double high;
};

Pixel ToPixel(const Canvas& canvas, int64_t time, double value) {
  const auto x = static_cast<int64_t>(static_cast<Wide>(time - canvas.range.start) * canvas.width /
                                      (canvas.range.end - canvas.range.start));
  const auto y =
      static_cast<int64_t>((value - canvas.low) / (canvas.high - canvas.low) * static_cast<double>(canvas.height - 1));
  return {x, y};
}

void DrawLine(Pixel from, Pixel to, std::set<Pixel>* drawn) {  // Bresenham
  const int64_t dx = std::abs(to.first - from.first);
  const int64_t dy = -std::abs(to.second - from.second);
  const int64_t sx = from.first < to.first ? 1 : -1;
  const int64_t sy = from.second < to.second ? 1 : -1;
  int64_t error = dx + dy;
  while (true) {
    drawn->insert(from);
    if (from == to) return;
    const int64_t twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      from.first += sx;
    }
    if (twice <= dx) {
      error += dx;
      from.second += sy;
    }
  }
}

// The pixels of the polyline through all samples, broken at NaN.
std::set<Pixel> Draw(const Canvas& canvas, const SampleColumns& samples) {
  std::set<Pixel> drawn;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (std::isnan(samples.values[i])) continue;
    const Pixel here = ToPixel(canvas, samples.times[i], samples.values[i]);
    drawn.insert(here);
    if (i > 0 && !std::isnan(samples.values[i - 1])) {
      DrawLine(ToPixel(canvas, samples.times[i - 1], samples.values[i - 1]), here, &drawn);
    }
  }
  return drawn;
}

SampleColumns RandomWalk(std::mt19937_64& random, TimeRange range, size_t count, double break_chance) {
  std::set<int64_t> times;
  std::uniform_int_distribution<int64_t> any_time(range.start, range.end - 1);
  while (times.size() < count) times.insert(any_time(random));
  std::normal_distribution<double> step(0, 1);
  std::uniform_real_distribution<double> chance(0, 1);
  SampleColumns samples;
  double value = 0;
  for (const int64_t time : times) {
    value += step(random);
    if (chance(random) < 0.01) value = 30 * step(random);  // spikes
    samples.push_back(time, chance(random) < break_chance ? kNaN : std::clamp(value, -100.0, 100.0));
  }
  return samples;
}

TEST(M4, DrawsTheLineOfAllSamplesPixelForPixel) {
  std::mt19937_64 random(20241106);
  for (int round = 0; round < 60; ++round) {
    const int64_t span = std::uniform_int_distribution<int64_t>(1'000'000, 400LL * 86'400 * 1'000'000'000)(random);
    const int64_t width = std::uniform_int_distribution<int64_t>(1, 200)(random);
    const Canvas canvas{{kStart, kStart + span}, width, 150, -101, 101};
    const SampleColumns all = RandomWalk(random, canvas.range, static_cast<size_t>(width) * 20, 0);
    const SampleColumns reduced = ReduceM4(all, canvas.range, width);
    ASSERT_LE(reduced.size(), static_cast<size_t>(width) * 4);
    ASSERT_LT(reduced.size(), all.size());
    ASSERT_EQ(Draw(canvas, reduced), Draw(canvas, all)) << "round " << round << " width " << width << " span " << span;
  }
}

TEST(M4, DrawsBreaksPixelForPixelWhileAColumnHoldsOne) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    const Canvas canvas{{kStart, kStart + 1'000'000'000}, 50, 120, -101, 101};
    SampleColumns all = RandomWalk(random, canvas.range, 2'000, 0);
    int64_t last_broken = -1;
    for (size_t i = 0; i < all.size(); ++i) {
      const int64_t column = ToPixel(canvas, all.times[i], 0).first;
      if (column == last_broken || random() % 25 != 0) continue;
      last_broken = column;
      all.values[i] = kNaN;
      for (size_t j = i + 1; j < all.size() && random() % 3 != 0 && ToPixel(canvas, all.times[j], 0).first == column;
           ++j) {
        all.values[j] = kNaN;
      }
    }
    const SampleColumns reduced = ReduceM4(all, canvas.range, 50);
    ASSERT_LE(reduced.size(), 50U * 11);
    ASSERT_EQ(Draw(canvas, reduced), Draw(canvas, all)) << "round " << round;
  }
}

TEST(M4, KeepsTrueSamplesInOrder) {
  std::mt19937_64 random(11);
  const TimeRange range{kStart, kStart + 999'999'937};
  for (const double breaks : {0.0, 0.02, 0.5, 1.0}) {
    const SampleColumns all = RandomWalk(random, range, 5'000, breaks);
    const SampleColumns reduced = ReduceM4(all, range, 37);
    ASSERT_FALSE(reduced.empty());
    size_t at = 0;
    for (size_t i = 0; i < reduced.size(); ++i) {
      while (at < all.size() && all.times[at] != reduced.times[i]) ++at;
      ASSERT_LT(at, all.size()) << "sample " << i << " is not among the given ones, or out of order";
      ASSERT_TRUE(std::isnan(all.values[at]) ? std::isnan(reduced.values[i]) : all.values[at] == reduced.values[i]);
      ++at;
    }
  }
}

TEST(M4, GivesTheSameInPiecesAsAtOnce) {
  std::mt19937_64 random(5);
  const TimeRange range{kStart, kStart + 86'400'000'000'000};
  const SampleColumns all = RandomWalk(random, range, 3'000, 0.03);
  M4Reducer pieces(range, 100);
  for (size_t at = 0; at < all.size();) {
    const size_t count = std::min<size_t>(random() % 400, all.size() - at);
    SampleColumns piece;
    for (size_t i = at; i < at + count; ++i) piece.push_back(all.times[i], all.values[i]);
    pieces.Add(piece);
    at += count;
  }
  const SampleColumns once = ReduceM4(all, range, 100);
  const SampleColumns joined = pieces.Finish();
  EXPECT_EQ(joined.times, once.times);
}

TEST(M4, LeavesFewSamplesRaw) {
  SampleColumns samples;
  for (int i = 0; i < 40; ++i) samples.push_back(kStart + i, i);
  EXPECT_EQ(ReduceM4(samples, {kStart, kStart + 40}, 10).times, samples.times);
  EXPECT_LT(ReduceM4(samples, {kStart, kStart + 40}, 9).size(), 40U);
  EXPECT_TRUE(ReduceM4({}, {kStart, kStart + 1}, 1).empty());
}

TEST(M4, AlignsColumnsToTheStartOfTheRange) {
  SampleColumns samples;  // column width 10: 0-9, 10-19; the border sample opens the next column
  for (int i = 0; i < 20; ++i) samples.push_back(kStart + i, i % 10 == 5 ? 9.0 : 0.0);
  const SampleColumns reduced = ReduceM4(samples, {kStart, kStart + 20}, 2);
  EXPECT_EQ(reduced.times,
            (std::vector<int64_t>{kStart, kStart + 5, kStart + 9, kStart + 10, kStart + 15, kStart + 19}));
}

// Column i begins at the first instant at or after i * width / columns, however wide and odd the range.
TEST(M4, CutsColumnsWhereExactArithmeticDoes) {
  std::mt19937_64 random(5);
  for (int run = 0; run < 2'000; ++run) {
    const auto columns = static_cast<int64_t>(1 + random() % 3'000);
    const int64_t width = columns * 4 + static_cast<int64_t>(random() >> (2 + random() % 50));
    const int64_t start = static_cast<int64_t>(random() >> 2) - (int64_t{1} << 61);
    const auto border = [&](int64_t column) {
      return start + static_cast<int64_t>((Wide{column} * width + columns - 1) / columns);
    };
    SampleColumns samples, expected;
    for (int64_t column = 0; column < columns; column += 1 + static_cast<int64_t>(random() % 100)) {
      const int64_t first = border(column), last = border(column + 1) - 1;
      samples.push_back(first, 1);
      samples.push_back(first + 1, 1);
      samples.push_back(last, 1);
      expected.push_back(first, 1);
      expected.push_back(last, 1);
    }
    M4Reducer reducer({start, start + width}, columns);
    reducer.StartReducing();
    reducer.Add(samples);
    ASSERT_EQ(reducer.Finish().times, expected.times) << start << " " << width << " " << columns;
  }
}

TEST(M4, WorksAtTheEdgesOfTime) {
  const TimeRange all_time{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  SampleColumns samples;
  for (int i = 0; i < 100; ++i) samples.push_back(std::numeric_limits<int64_t>::max() - 100 + i, i);
  EXPECT_EQ(ReduceM4(samples, all_time, 3).times, (std::vector<int64_t>{samples.times.front(), samples.times.back()}));
  // Beyond the range: further columns of the same width, before and after.
  SampleColumns around;
  for (int i = -20; i < 30; ++i) around.push_back(kStart + i, -i);
  const SampleColumns reduced = ReduceM4(around, {kStart, kStart + 10}, 1);
  EXPECT_EQ(reduced.size(), 10U);
  EXPECT_EQ(reduced.times[4], kStart);
}

// Buckets of which only the four samples are known give the line of all samples, breaks included.
TEST(M4ReducerTest, BucketsWithinAColumnCountAsAllTheirSamples) {
  std::mt19937_64 random(5);
  int64_t folded = 0;
  for (int round = 0; round < 500; ++round) {
    const int64_t columns = 1 + static_cast<int64_t>(random() % 9);
    const TimeRange range = {kStart, kStart + 1'000 + static_cast<int64_t>(random() % 1'000)};
    M4Reducer from_samples(range, columns), from_buckets(range, columns);
    from_samples.StartReducing();
    from_buckets.StartReducing();
    for (int64_t time = range.start; time < range.end;) {
      SampleColumns bucket;
      const auto size = static_cast<size_t>(1 + random() % 8);
      for (; bucket.size() < size && time < range.end; time += 1 + static_cast<int64_t>(random() % 9)) {
        bucket.push_back(time, static_cast<double>(random() % 5));
      }
      if (random() % 6 == 0) bucket.values[random() % bucket.size()] = kNaN;
      from_samples.Add(bucket);
      const bool broken =
          std::any_of(bucket.values.begin(), bucket.values.end(), [](double v) { return std::isnan(v); });
      const auto at = [&](std::vector<double>::const_iterator value) {
        const auto i = static_cast<size_t>(value - bucket.values.cbegin());
        return Sample{bucket.times[i], bucket.values[i]};
      };
      const auto [values, end] = std::pair(bucket.values.cbegin(), bucket.values.cend());
      if (broken || !from_buckets.AddWithinColumn(at(values), at(std::min_element(values, end)),
                                                  at(std::max_element(values, end)), at(end - 1))) {
        from_buckets.Add(bucket);
      } else {
        ++folded;
      }
    }
    const SampleColumns expected = from_samples.Finish(), actual = from_buckets.Finish();
    EXPECT_EQ(actual.times, expected.times) << "round " << round;
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) {
      EXPECT_TRUE(actual.values[i] == expected.values[i] || std::isnan(expected.values[i])) << "round " << round;
    }
  }
  EXPECT_GT(folded, 1'000);
}

}  // namespace
}  // namespace pulseboard
