#include "server/storage/decoded_blocks.h"

#include <map>
#include <random>

#include "common/codec/block.h"
#include "server/storage/memory_reads.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

SampleColumns MakeSamples(int64_t start, int count, int64_t step, std::mt19937_64* uneven = nullptr) {
  SampleColumns out;
  int64_t time = start;
  for (int i = 0; i < count; ++i) {
    out.push_back(time, i * 0.01);
    time += step + (uneven == nullptr ? 0 : static_cast<int64_t>((*uneven)() % 5));
  }
  return out;
}

DecodedBlock Decoded(const SampleColumns& samples) {
  return {EncodeBlock(samples.times, samples.values), samples.times, samples.values};
}

TEST(DecodedBlock, GivesTheSamplesOfAnyRange) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const SampleColumns samples =
        MakeSamples(static_cast<int64_t>(random() % 50) - 25, 1 + round % 20, 1 + static_cast<int64_t>(random() % 9),
                    round % 2 == 0 ? nullptr : &random);
    const DecodedBlock block = Decoded(samples);
    for (int i = 0; i < 50; ++i) {
      const int64_t from = static_cast<int64_t>(random() % 300) - 100;
      const TimeRange range = i == 0 ? kAllTime : TimeRange{from, from + static_cast<int64_t>(random() % 100)};
      SampleColumns want, got;
      for (size_t at = 0; at < samples.size(); ++at) {
        if (range.Contains(samples.times[at])) want.push_back(samples.times[at], samples.values[at]);
      }
      EXPECT_EQ(block.AppendWithin(range, &got), want.size());
      ASSERT_EQ(got.times, want.times);
      ASSERT_EQ(got.values, want.values);
    }
  }
}

TEST(DecodedBlock, ReachesOverAllOfTime) {
  SampleColumns ends;
  ends.push_back(kAllTime.start, 1);
  ends.push_back(kAllTime.end - 1, 2);
  const DecodedBlock block = Decoded(ends);
  SampleColumns got;
  EXPECT_EQ(block.AppendWithin({0, kAllTime.end}, &got), 1U);
  EXPECT_EQ(got.values, std::vector<double>{2});
}

TEST(DecodedBlocks, KeepWhatComesBackWithinTheirLimit) {
  constexpr int64_t kLimit = 64 << 10;
  DecodedBlocks blocks(kLimit);
  std::mt19937_64 random(3);
  std::map<int64_t, std::string> bytes;
  std::map<int64_t, SampleColumns> samples;
  for (int64_t i = 0; i < 100; ++i) {
    samples[i] = MakeSamples(i * 1'000'000, 100, 10 + i);
    bytes[i] = EncodeBlock(samples[i].times, samples[i].values);
  }
  int64_t found = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto i = static_cast<int64_t>(random() % (random() % 2 == 0 ? 10 : 100));
    bool wanted = false;
    if (const auto block = blocks.Find(bytes[i], &wanted); block != nullptr) {
      ++found;
      SampleColumns got;
      block->AppendWithin(kAllTime, &got);
      ASSERT_EQ(got.times, samples[i].times);
      ASSERT_FALSE(wanted);
    } else if (wanted) {
      blocks.Offer(std::make_shared<const DecodedBlock>(bytes[i], samples[i].times, samples[i].values));
    }
    ASSERT_LE(blocks.Stats().bytes, kLimit);
  }
  EXPECT_EQ(blocks.Stats().hits, found);
  EXPECT_GT(found, 10'000) << "what is read most is not kept";
}

TEST(DecodedBlocks, LeaveOutWhatIsReadOnce) {
  DecodedBlocks blocks(1 << 20);
  for (int64_t i = 0; i < 1'000; ++i) {
    const SampleColumns samples = MakeSamples(i * 1'000'000, 10, 10);
    bool wanted = true;
    EXPECT_EQ(blocks.Find(EncodeBlock(samples.times, samples.values), &wanted), nullptr);
    EXPECT_FALSE(wanted);
  }
  EXPECT_EQ(blocks.Stats().bytes, 0);
}

class DecodedStoreTest : public StoreTest {
 protected:
  SeriesId PushBlocks(const std::string& metric, int count, int64_t step) {
    const SeriesId id = Series(metric);
    Points points;
    for (int i = 0; i < count; ++i) points.emplace_back(kStart - 3'600 * kNanosPerSecond + i * step, i);
    EXPECT_TRUE(Push(id, points).ok());
    return id;
  }
};

TEST_F(DecodedStoreTest, ShowsLateAndOverwrittenSamplesAtOnce) {
  options_.block_samples = 64;
  Open();
  const SeriesId id = PushBlocks("m", 256, 10 * kNanosPerSecond);
  SealAll();
  for (int i = 0; i < 4; ++i) Read(id);
  EXPECT_GT(store_->Stats().decoded_hits, 0);
  EXPECT_GT(store_->Stats().decoded_bytes, 0);
  const int64_t late = kStart - 3'600 * kNanosPerSecond + 5 * kNanosPerSecond;
  for (int round = 1; round < 4; ++round) {
    ASSERT_TRUE(Push(id, {{late, round}}).ok());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Read(id).at(1), std::pair(late, static_cast<double>(round)));
    SealAll();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Read(id).at(1), std::pair(late, static_cast<double>(round)));
    EXPECT_EQ(Read(id).size(), 257U);
  }
}

TEST_F(DecodedStoreTest, FindsBlocksOfSeriesOfAnyPace) {
  options_.block_samples = 16;
  Open();
  std::mt19937_64 random(11);
  std::vector<SeriesId> ids;
  std::vector<int64_t> steps;
  for (int i = 0; i < 8; ++i) {
    steps.push_back((1 + static_cast<int64_t>(random() % 40)) * kNanosPerSecond);
    ids.push_back(PushBlocks("m" + std::to_string(i), 90, steps.back()));
  }
  SealAll();
  for (int round = 0; round < 200; ++round) {
    const int64_t start = kStart + static_cast<int64_t>(random() % 4'000) * kNanosPerSecond - 4'000 * kNanosPerSecond;
    const TimeRange range = {start, start + static_cast<int64_t>(1 + random() % 900) * kNanosPerSecond};
    auto view = store_->OpenView(ids, range, nullptr);
    ASSERT_TRUE(view.ok());
    for (size_t i = 0; i < ids.size(); ++i) {
      std::vector<double> want;
      for (int at = 0; at < 90; ++at) {
        if (range.Contains(kStart - 3'600 * kNanosPerSecond + at * steps[i])) want.push_back(at);
      }
      const auto samples = (*view)->Read(ids[i], range);
      ASSERT_TRUE(samples.ok());
      ASSERT_EQ(samples->values, want) << "series " << i << ", round " << round;
    }
  }
}

TEST_F(DecodedStoreTest, ReadsFromMemoryAloneWhenAskedTo) {
  options_.block_samples = 64;
  options_.decoded_bytes = 0;
  Open();
  const SeriesId id = PushBlocks("m", 256, 10 * kNanosPerSecond);
  SealAll();
  Open();
  const auto read = [&] {
    const auto view = store_->OpenView({{id}}, kAllTime, nullptr);
    return (*view)->Read(id, kAllTime);
  };
  {
    MemoryReads reads(1'000);
    EXPECT_FALSE(read().ok()) << "RocksDB's cache is empty yet";
    EXPECT_TRUE(reads.failed());
  }
  {
    MemoryReads reads(1'000);
    EXPECT_FALSE(store_->Latest(id).ok());
    EXPECT_TRUE(reads.failed());
  }
  ASSERT_TRUE(read().ok());
  {
    MemoryReads reads(1'000);
    const auto samples = read();
    ASSERT_TRUE(samples.ok()) << samples.status();
    EXPECT_EQ(samples->size(), 256U);
    EXPECT_FALSE(reads.failed());
  }
  {
    MemoryReads reads(200);
    EXPECT_FALSE(read().ok()) << "more than it may decode";
    EXPECT_TRUE(reads.failed());
  }
}

}  // namespace
}  // namespace pulseboard
