#include "server/query/range_cursor.h"

#include <gtest/gtest.h>

#include <map>

#include "common/analysis/m4.h"
#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "tests/support/forwarding_store.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::ForwardingStore;
using testing::TestStore;

constexpr int64_t kNow = 1'800'000'000 * kNanosPerSecond;
constexpr int64_t kSecond = kNanosPerSecond;

// M4 over all samples in the columns that the answer names.
SampleColumns ExpectedLine(const SampleColumns& samples, TimeRange range, const RangeSummary& summary) {
  const int64_t bucket = summary.bucket_ns;
  const int64_t start = bucket == 0 ? range.start : BucketStart(range.start, bucket);
  const int64_t columns = (range.end - start + summary.column_ns - 1) / summary.column_ns;
  return ReduceM4(samples, {start, start + columns * summary.column_ns}, columns);
}

class RangeCursorTest : public ::testing::Test {
 protected:
  struct Answer {
    std::map<SeriesId, SampleColumns> samples;
    RangeSummary summary;
    size_t chunks = 0;
    size_t largest_chunk = 0;
  };

  QueryContext Context(QueryEngine& engine) const { return {kDefaultTenant, engine.Deadline(std::nullopt), nullptr}; }

  absl::StatusOr<Answer> Query(QueryEngine& engine, const RangeRequest& request) {
    PB_ASSIGN_OR_RETURN(const auto cursor, engine.OpenRange(Context(engine), request));
    Answer answer;
    std::map<uint32_t, SeriesId> refs;
    while (true) {
      PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor->Next());
      ++answer.chunks;
      for (const RangeSeries& series : chunk.definitions) refs[series.ref] = series.series->id;
      size_t size = 0;
      for (const RangeColumn& column : chunk.columns) {
        EXPECT_TRUE(refs.contains(column.ref)) << "samples before their definition";
        SampleColumns& to = answer.samples[refs[column.ref]];
        for (size_t i = 0; i < column.samples.size(); ++i)
          to.push_back(column.samples.times[i], column.samples.values[i]);
        size += column.samples.size();
      }
      answer.largest_chunk = std::max(answer.largest_chunk, size);
      if (!chunk.summary) continue;
      answer.summary = *chunk.summary;
      return answer;
    }
  }
  absl::StatusOr<Answer> Query(const RangeRequest& request) { return Query(engine_, request); }

  // Samples every 10 s over `days`, ending at kNow.
  void Fill(SeriesId series, int days) {
    std::vector<TestStore::Row> rows;
    for (int64_t time = kNow - days * kNanosPerDay; time < kNow; time += 10 * kSecond) {
      rows.push_back({series, time, static_cast<double>((time / kSecond * 7919) % 1'000)});
      if (rows.size() == 20'000) {
        store_.Append(rows);
        rows.clear();
      }
    }
    store_.Append(rows);
  }

  ManualClock clock_{kNow};
  TestStore store_{nullptr, clock_};
  QueryEngine engine_{*store_, clock_, QueryOptions{}};
};

TEST_F(RangeCursorTest, AnswersRawSamplesInChunks) {
  const SeriesId a = store_.Series("cpu", {{"n", "a"}});
  const SeriesId b = store_.Series("cpu", {{"n", "b"}});
  store_.Series("cpu", {{"n", "silent"}});
  Fill(a, 4);
  store_.Append({{b, kNow - 5, 1}, {b, kNow, 2}});
  const auto answer = Query({"cpu", {0, kNow}, 0});
  ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
  EXPECT_EQ(answer->samples.size(), 2U);
  EXPECT_EQ(answer->samples.at(a).times, store_.Read(a).times);
  EXPECT_EQ(answer->samples.at(a).values, store_.Read(a).values);
  EXPECT_EQ(answer->samples.at(b).times, std::vector<int64_t>{kNow - 5}) << "the end is exclusive";
  EXPECT_LE(answer->largest_chunk, 8'000U);
  EXPECT_GE(answer->chunks, 5U);
  EXPECT_EQ(answer->summary.series_count, 2);
  EXPECT_EQ(answer->summary.sample_count, 4 * 8'640 + 1);
  EXPECT_GE(answer->summary.scanned_sample_count, answer->summary.sample_count);
  EXPECT_EQ(answer->summary.commit_sequence, store_->Stats().commit_sequence);
}

TEST_F(RangeCursorTest, ReducesToPixelColumnsAsIfReadAtOnce) {
  const SeriesId a = store_.Series("cpu");
  Fill(a, 5);
  for (const int64_t start : {kNow - 5 * kNanosPerDay, kNow - 3 * kNanosPerDay + 12'345, kNow - 3'600 * kSecond}) {
    const TimeRange range{start, kNow};
    const auto answer = Query({"cpu", range, 150});
    ASSERT_TRUE(answer.ok());
    EXPECT_LE(answer->summary.column_ns, (range.end - range.start) / 150 + 2 * answer->summary.bucket_ns);
    const SampleColumns expected = ExpectedLine(store_.Read(a, range), range, answer->summary);
    EXPECT_EQ(answer->samples.at(a).times, expected.times);
    EXPECT_EQ(answer->samples.at(a).values, expected.values);
  }
}

TEST_F(RangeCursorTest, FindsSamplesAheadOfTheClockAndAtTheEdges) {
  const SeriesId a = store_.Series("cpu");
  store_.Append({{a, kNow - 29 * kNanosPerDay, 1}, {a, kNow + 500 * kSecond, 2}, {a, kNow + 100 * kNanosPerDay, 3}});
  const auto answer = Query({"cpu", {0, std::numeric_limits<int64_t>::max()}, 0});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->samples.at(a).values, (std::vector<double>{1, 2, 3}));
}

TEST_F(RangeCursorTest, AnswersNothingWithASummary) {
  store_.Series("cpu");
  for (const RangeRequest& request : {RangeRequest{"cpu", {kNow, kNow}, 0}, RangeRequest{"cpu", {kNow, kNow}, 10},
                                      RangeRequest{"mem", {0, kNow}, 10}, RangeRequest{"cpu", {0, 1}, 0}}) {
    const auto answer = Query(request);
    ASSERT_TRUE(answer.ok()) << StatusMessage(answer.status());
    EXPECT_EQ(answer->summary.series_count, 0);
    EXPECT_EQ(answer->chunks, 1U);
  }
}

TEST_F(RangeCursorTest, SeesOneStateOfTheStore) {
  const SeriesId a = store_.Series("cpu", {{"n", "a"}});
  const SeriesId b = store_.Series("cpu", {{"n", "b"}});
  store_.Append({{a, kNow - 2, 1}, {b, kNow - 2, 1}});
  const auto cursor = engine_.OpenRange(Context(engine_), {"cpu", {0, kNow}, 0});
  ASSERT_TRUE(cursor.ok());
  store_.Append({{a, kNow - 1, 2}, {b, kNow - 2, 2}});
  const auto chunk = (*cursor)->Next();
  ASSERT_TRUE(chunk.ok());
  for (const RangeColumn& column : chunk->columns) EXPECT_EQ(column.samples.values, std::vector<double>{1});
}

TEST_F(RangeCursorTest, RefusesBadRequests) {
  store_.Series("cpu");
  EXPECT_TRUE(HasReason(Query({"cpu", {5, 4}, 0}).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(Query({"cpu", {0, 4}, -1}).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(Query({"cpu", {0, 4}, kMaxPoints + 1}).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(Query({"", {0, 4}, 0}).status(), ErrorReason::kBadSelector));
}

TEST_F(RangeCursorTest, StopsAtTheSampleLimitNamingIt) {
  Fill(store_.Series("cpu"), 3);
  QueryOptions options;
  options.max_samples = 10'000;
  QueryEngine strict(*store_, clock_, options);
  const absl::Status status = Query(strict, {"cpu", {0, kNow}, 100}).status();
  ASSERT_TRUE(HasReason(status, ErrorReason::kQueryTooBroad)) << StatusMessage(status);
  EXPECT_EQ(GetErrorDetail(status)->metadata.at("limit"), "10000");
  options.max_samples = 1'000'000;
  QueryEngine roomy(*store_, clock_, options);
  EXPECT_TRUE(Query(roomy, {"cpu", {0, kNow}, 100}).ok());
}

TEST_F(RangeCursorTest, StopsWhenCancelledBetweenPieces) {
  Fill(store_.Series("cpu"), 4);
  auto cancellation = std::make_shared<Cancellation>();
  QueryContext context = Context(engine_);
  context.cancellation = cancellation;
  const auto cursor = engine_.OpenRange(context, {"cpu", {0, kNow}, 0});
  ASSERT_TRUE((*cursor)->Next().ok());
  cancellation->Cancel();
  absl::Status status;
  while (status.ok()) {
    const auto chunk = (*cursor)->Next();
    status = chunk.status();
    ASSERT_FALSE(chunk.ok() && chunk->summary.has_value()) << "it went on to the end";
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

class CorruptView final : public ReadView {
 public:
  int64_t commit_sequence() const override { return 1; }
  absl::StatusOr<SampleColumns> Read(SeriesId, TimeRange) override {
    return MakeError(ErrorReason::kBlockCorrupt, "block fails its checksum", {{"day", "2024-06-01"}});
  }
  absl::StatusOr<RollupColumns> ReadRollups(SeriesId, int64_t, TimeRange range, RollupFields) override {
    return Read(0, range).status();
  }
  const ReadStats& stats() const override { return stats_; }

 private:
  ReadStats stats_;
};

class CorruptStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::unique_ptr<ReadView>> OpenView(std::span<const SeriesId>, TimeRange,
                                                     const std::function<void(int64_t)>&) override {
    return std::make_unique<CorruptView>();
  }
};

TEST_F(RangeCursorTest, PassesDataLossOn) {
  store_.Series("cpu");
  CorruptStore corrupt(*store_);
  QueryEngine engine(corrupt, clock_, QueryOptions{});
  EXPECT_EQ(Query(engine, {"cpu", {0, kNow}, 0}).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace pulseboard
