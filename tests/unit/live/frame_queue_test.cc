#include "server/live/frame_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "common/analysis/m4.h"

namespace pulseboard {
namespace {

constexpr int64_t kPlenty = 1 << 20;

std::atomic<int64_t>& Held() {
  static std::atomic<int64_t> held{0};
  return held;
}

int64_t AllSamples(uint32_t) { return 0; }

SampleColumns Line(int64_t first_time, int count) {
  SampleColumns samples;
  for (int i = 0; i < count; ++i) samples.push_back(first_time + i, static_cast<double>(first_time + i));
  return samples;
}

LiveFramePtr Frame(int64_t commit, SampleColumns samples, SampleColumns amends = {}) {
  std::vector<LiveColumn> in_order;
  std::vector<LiveColumn> late;
  if (!samples.empty()) in_order.push_back({1, std::move(samples)});
  if (!amends.empty()) late.push_back({1, std::move(amends)});
  return std::make_shared<LiveFrame>(std::move(in_order), std::move(late), LiveTimes{commit, 0, 0}, commit, commit,
                                     Held());
}

TEST(FrameQueue, GivesWholeFramesOldestFirst) {
  FrameQueue queue;
  for (int64_t commit = 1; commit <= 5; ++commit)
    queue.Append(Frame(commit, Line(commit * 100, 10)), kPlenty, AllSamples, Held());
  EXPECT_EQ(queue.Take(25).size(), 2U);
  const auto one = queue.Take(1);
  ASSERT_EQ(one.size(), 1U) << "one frame at least, whatever its size";
  EXPECT_EQ(one[0]->last_commit, 3);
  EXPECT_EQ(queue.Take(1'000).back()->last_commit, 5);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0);
}

TEST(FrameQueue, DropsTheOldestIntoOneGap) {
  FrameQueue queue;
  EXPECT_EQ(queue.Append(Frame(1, Line(1'000, 100)), 4'000, AllSamples, Held()).dropped, 0);
  EXPECT_EQ(queue.Append(Frame(2, Line(500, 100)), 4'000, AllSamples, Held()).dropped, 0);
  EXPECT_EQ(queue.Append(Frame(3, Line(2'000, 100)), 4'000, AllSamples, Held()).dropped, 100);
  EXPECT_LE(queue.bytes(), 4'000);
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.Append(Frame(4, Line(3'000, 100)), 4'000, AllSamples, Held()).dropped, 100);
  const auto gap = queue.TakeGap();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->dropped_sample_count, 200);
  EXPECT_EQ(gap->start_time_unix_nanos, 500);
  EXPECT_EQ(gap->end_time_unix_nanos, 1'099);
  EXPECT_FALSE(queue.TakeGap());
}

TEST(FrameQueue, KeepsTheNewestSamplesOfAFrameThatIsTooLarge) {
  FrameQueue queue;
  const auto loss = queue.Append(Frame(2, Line(100, 1'000)), 2'400, AllSamples, Held());
  const auto frames = queue.Take(10'000);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0]->sample_count + loss.dropped, 1'000);
  EXPECT_GT(frames[0]->sample_count, 50);
  EXPECT_EQ(frames[0]->samples.columns().at(0).samples.times.back(), 1'099);
  EXPECT_EQ(queue.TakeGap()->end_time_unix_nanos + 1, frames[0]->samples.columns().at(0).samples.times.front());
}

TEST(FrameQueue, TriesWithoutChangingAnything) {
  FrameQueue queue;
  EXPECT_TRUE(queue.TryAppend(Frame(1, Line(0, 10)), 1'000));
  EXPECT_FALSE(queue.TryAppend(Frame(2, Line(100, 100)), 1'000));
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_FALSE(queue.has_gap());
  queue.Clear();
  EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, SharesFramesThatFit) {
  FrameQueue queue;
  const LiveFramePtr frame = Frame(1, Line(0, 10));
  queue.Append(
      frame, kPlenty, [](uint32_t) { return 1'000; }, Held());
  EXPECT_EQ(queue.Take(100).at(0), frame) << "no copy, nothing reduced";
}

// Random frames with late samples among them: what is kept shows the same pixels as all of it.
TEST(FrameQueue, ConflatesToWhatThePixelsShow) {
  constexpr int64_t kWidth = 1'000;
  std::mt19937_64 random(7);
  const auto pick = [&random](int64_t below) { return std::uniform_int_distribution<int64_t>(0, below - 1)(random); };
  for (int round = 0; round < 50; ++round) {
    FrameQueue queue;
    std::map<int64_t, double> truth;  // of the time that the frames cover
    int64_t time = 10'000'000 + pick(5'000);
    const int64_t first_time = time;
    FrameQueue::Loss loss;
    int64_t given = 0;
    for (int commit = 1; commit <= 20; ++commit) {
      SampleColumns samples;
      for (int64_t i = 1 + pick(300); i > 0; --i) {
        samples.push_back(time, static_cast<double>(pick(10'000)));
        truth[time] = samples.values.back();
        time += 1 + pick(20);
      }
      SampleColumns amends;
      // Only before anything was left out: what is amended later may have been left out (see live.proto, Conflation).
      if (commit > 1 && loss.conflated == 0) {
        const int64_t late = first_time + pick(time - first_time - 1);
        if (!truth.contains(late)) ++given;
        amends.push_back(late, static_cast<double>(pick(20'000)));
        truth[late] = amends.values.back();
      }
      given += static_cast<int64_t>(samples.size());
      const auto one = queue.Append(
          Frame(commit, samples, amends), 12'000, [](uint32_t) { return kWidth; }, Held());
      loss.dropped += one.dropped;
      loss.conflated += one.conflated;
    }
    EXPECT_EQ(loss.dropped, 0) << "round " << round;
    std::map<int64_t, double> seen;
    int64_t left_out = 0;
    for (const LiveFramePtr& frame : queue.Take(1'000'000)) {
      for (const LiveColumn& column : frame->samples.columns()) {
        for (size_t i = 0; i < column.samples.size(); ++i) seen[column.samples.times[i]] = column.samples.values[i];
      }
      for (const LiveColumn& column : frame->amends.columns()) {
        for (size_t i = 0; i < column.samples.size(); ++i) seen[column.samples.times[i]] = column.samples.values[i];
      }
      left_out += frame->conflation.left_out_sample_count;
    }
    EXPECT_EQ(left_out, loss.conflated);
    EXPECT_GT(left_out, 0);
    const auto pixels = [](const std::map<int64_t, double>& line) {
      SampleColumns columns;
      for (const auto& [t, value] : line) columns.push_back(t, value);
      const int64_t first = columns.times.front() / kWidth * kWidth;
      M4Reducer reducer({first, first + kWidth}, 1);
      reducer.StartReducing();
      reducer.Add(columns);
      return reducer.Finish();
    };
    const SampleColumns want = pixels(truth);
    const SampleColumns got = pixels(seen);
    ASSERT_EQ(got.times, want.times) << "round " << round;
    ASSERT_EQ(got.values, want.values) << "round " << round;
    EXPECT_EQ(given, static_cast<int64_t>(seen.size()) + left_out);
  }
  EXPECT_EQ(Held(), 0) << "every frame gave its bytes back";
}

}  // namespace
}  // namespace pulseboard
