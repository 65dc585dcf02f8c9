// A query that was cancelled, or whose time is up, does little more: counted in samples read, not in milliseconds.
#include <gtest/gtest.h>

#include <atomic>

#include "common/base/errors.h"
#include "server/query/chunk_source.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/expression/expression_cursor.h"
#include "server/query/query_engine.h"
#include "server/query/range_cursor.h"
#include "tests/support/test_store.h"

namespace pulseboard {
namespace {

using testing::TestStore;

constexpr int64_t kNow = 1'774'951'200 * kNanosPerSecond;
constexpr int64_t kSamplesPerSeries = 100'000;  // a second apart
constexpr int64_t kSeries = 8;
// Read between two looks: a day of samples and what its first and last block hold beyond.
constexpr int64_t kPiece = 86'400 + 2 * 2'048;

// At its `at`-th look something happens; time stands still.
class TrapClock final : public Clock {
 public:
  int64_t NowUnixNanos() const override { return kNow; }
  int64_t MonotonicNanos() const override {
    if (--looks_left == 0) on_trap();
    return monotonic;
  }
  mutable std::atomic<int64_t> looks_left{0};
  std::atomic<int64_t> monotonic{0};
  std::function<void()> on_trap = [] {};
};

class QueryGuardsTest : public ::testing::Test {
 protected:
  QueryGuardsTest() {
    store_.ReopenWith([](StoreOptions* options) { options->seal_age_ns = 0; });
    for (int64_t i = 0; i < kSeries; ++i) {
      const SeriesKey key{"m", Labels({{"n", std::to_string(i)}})};
      const SeriesId id = *store_->FindOrCreateSeries(kDefaultTenant, key, {}, nullptr);
      std::vector<TestStore::Row> rows;
      for (int64_t k = kSamplesPerSeries; k > 0; --k) {
        rows.push_back({id, kNow - k * kNanosPerSecond, static_cast<double>(k)});
      }
      store_.Append(rows);
    }
    engine_ = std::make_unique<QueryEngine>(*store_, clock_, QueryOptions{});
  }

  // Every kind of streamed query over all samples.
  absl::StatusOr<std::unique_ptr<ChunkSource>> Open(int kind, const QueryContext& context) {
    const TimeRange all = {kNow - kSamplesPerSeries * kNanosPerSecond, kNow};
    if (kind == 0) return engine_->OpenRange(context, {"m", all, 0});
    if (kind == 1) {
      ColumnsRequest request;
      request.selector = "m";
      request.range = all;
      request.step.step_ns = 60 * kNanosPerSecond;
      request.aggregates = {{AggregateKind::kQuantile, 0.5}};
      return engine_->OpenColumns(context, request);
    }
    return engine_->OpenExpression(context, {"sum(avg_over_time(m[1m]))", all.start, all.end, 60 * kNanosPerSecond, 0});
  }

  // Runs a query in which `trap` happens at look number `look`: how it ended, and what it read after that.
  absl::Status Run(int kind, int64_t look, const std::function<void(Cancellation*)>& trap, int64_t* read_after) {
    const auto cancellation = std::make_shared<Cancellation>();
    clock_.monotonic = 0;
    const QueryContext context{kDefaultTenant, engine_->Deadline(std::nullopt), cancellation};
    int64_t read_before = -1;
    clock_.on_trap = [&] {
      read_before = engine_->Stats().scanned_samples;
      trap(cancellation.get());
    };
    clock_.looks_left = look;
    absl::Status status;
    const auto source = Open(kind, context);
    status = source.status();
    while (status.ok()) {
      const auto chunk = (*source)->Next();
      status = chunk.status();
      if (chunk.ok() && chunk->summary) break;
    }
    clock_.looks_left = 0;
    *read_after = read_before < 0 ? 0 : engine_->Stats().scanned_samples - read_before;
    return status;
  }

  TestStore store_;
  TrapClock clock_;
  std::unique_ptr<QueryEngine> engine_;
};

TEST_F(QueryGuardsTest, ACancelledQueryReadsNoMoreThanAPiece) {
  for (int kind = 0; kind < 3; ++kind) {
    for (const int64_t look : {2, 3, 5, 9}) {
      int64_t read_after = 0;
      const absl::Status status = Run(
          kind, look, [](Cancellation* c) { c->Cancel(); }, &read_after);
      EXPECT_TRUE(absl::IsCancelled(status)) << kind << " at look " << look << ": " << status;
      EXPECT_LE(read_after, kPiece) << kind << " at look " << look;
    }
  }
}

TEST_F(QueryGuardsTest, AQueryWhoseTimeIsUpReadsNoMoreThanAPiece) {
  for (int kind = 0; kind < 3; ++kind) {
    for (const int64_t look : {2, 3, 5, 9}) {
      int64_t read_after = 0;
      const absl::Status status = Run(
          kind, look, [this](Cancellation*) { clock_.monotonic = 3'600 * kNanosPerSecond; }, &read_after);
      EXPECT_TRUE(HasReason(status, ErrorReason::kQueryTooBroad)) << kind << " at look " << look << ": " << status;
      EXPECT_LE(read_after, kPiece) << kind << " at look " << look;
    }
  }
}

}  // namespace
}  // namespace pulseboard
