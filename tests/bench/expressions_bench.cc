// What expressions over a long time cost, from rollup tiers and from samples, beside the same question to QueryRange:
// in one process, without gRPC. 1 s data of a gauge and a counter.
//   expressions_bench [--directory=DIR] [--days=N]     default 365
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/expression/expression_cursor.h"
#include "server/query/query_engine.h"
#include "tests/support/forwarding_store.h"

namespace {

using namespace pulseboard;  // NOLINT(google-build-using-namespace): a program of its own

constexpr int64_t kStart = 1'704'067'200 * kNanosPerSecond;  // 2024-01-01

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", StatusMessage(status).c_str());
  std::exit(1);
}

// The same store for those who know of samples only.
class SamplesOnly final : public testing::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::vector<TierOptions> Tiers(TenantId) const override { return {}; }
};

void Fill(Store* store, ManualClock* clock, int64_t days) {
  const SeriesId gauge = store->FindOrCreateSeries(kDefaultTenant, {"level", {}}, {}, nullptr).value();
  const SeriesId counter =
      store->FindOrCreateSeries(kDefaultTenant, {"requests", {}}, {MetricKind::kCounter, "", ""}, nullptr).value();
  uint64_t noise = 1;
  double count = 0;
  for (int64_t at = 0; at < days * 86'400;) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    batch.ack_mode = AckMode::kBuffered;
    for (; at < days * 86'400 && batch.size() < 50'000; ++at) {
      noise = noise * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
      count += static_cast<double>(noise >> 61);
      for (const auto& [id, value] : {std::pair{gauge, static_cast<double>(noise >> 50) / 100}, {counter, count}}) {
        batch.series.push_back(id);
        batch.times.push_back(kStart + at * kNanosPerSecond);
        batch.values.push_back(value);
      }
    }
    clock->Advance(std::max<int64_t>(0, batch.times.back() - clock->NowUnixNanos()));
    while (true) {
      const absl::Status queued = store->Append(batch, nullptr);
      if (queued.ok()) break;
      if (!HasReason(queued, ErrorReason::kIngestBacklogFull)) Fail(queued);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  while (store->Stats().append_queue_bytes > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  clock->Advance(StoreOptions().seal_age_ns + 1);
  if (const absl::Status status = store->Checkpoint(); !status.ok()) Fail(status);
}

int64_t Drain(ChunkSource* source) {
  while (true) {
    const auto chunk = source->Next();
    if (!chunk.ok()) Fail(chunk.status());
    if (chunk->summary) return chunk->summary->sample_count;
  }
}

template <typename Ask>
double MedianMillis(int rounds, int64_t* points, const Ask& ask) {
  std::vector<double> millis;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    *points = ask();
    millis.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(millis.begin(), millis.end());
  return millis[millis.size() / 2];
}

QueryContext ContextOf(const QueryEngine& engine) { return {kDefaultTenant, engine.Deadline(std::nullopt), nullptr}; }

int64_t AskExpression(QueryEngine* engine, const std::string& text, TimeRange range, int64_t step) {
  const auto cursor = engine->OpenExpression(ContextOf(*engine), {text, range.start, range.end, step, 0});
  if (!cursor.ok()) Fail(cursor.status());
  return Drain(cursor->get());
}

int64_t AskColumns(QueryEngine* engine, const std::string& selector, AggregateKind kind, TimeRange range,
                   int64_t step) {
  ColumnsRequest request;
  request.selector = selector;
  request.range = range;
  request.step.step_ns = step;
  request.aggregates = {{kind, 0}};
  const auto cursor = engine->OpenColumns(ContextOf(*engine), request);
  if (!cursor.ok()) Fail(cursor.status());
  return Drain(cursor->get());
}

struct Row {
  const char* expression;
  const char* selector;
  AggregateKind kind;
  int64_t step;
};

}  // namespace

int main(int argc, char** argv) {
  InitLogging("warn");
  std::string directory = (std::filesystem::temp_directory_path() / "pulseboard-expressions-bench").string();
  int64_t days = 365;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--directory=", 12) == 0) directory = argv[i] + 12;
    if (std::strncmp(argv[i], "--days=", 7) == 0) days = std::atoll(argv[i] + 7);
  }
  std::filesystem::remove_all(directory);
  ManualClock clock(kStart);
  StoreOptions options;
  options.directory = directory;
  options.clock = &clock;
  options.raw_retention_ns = 400 * kNanosPerDay;
  options.tiers = RaiseRetentions(DefaultTiers(), options.raw_retention_ns);
  options.checkpoint_interval_ns = kNanosPerSecond;
  auto store = Store::Open(options, nullptr);
  if (!store.ok()) Fail(store.status());
  Fill(store->get(), &clock, days);

  SamplesOnly samples_only(**store);
  QueryOptions query;
  query.max_samples = INT64_MAX;
  QueryEngine engine(**store, clock, query);
  QueryEngine by_samples(samples_only, clock, query);
  const TimeRange all = {kStart, kStart + days * kNanosPerDay};
  constexpr Row kRows[] = {
      {"avg_over_time(level[1h])", "level", AggregateKind::kAvg, kNanosPerHour},
      {"max_over_time(level[1h])", "level", AggregateKind::kMax, kNanosPerHour},
      {"rate(requests[1h])", "requests", AggregateKind::kRate, kNanosPerHour},
      {"increase(requests[1d])", "requests", AggregateKind::kIncrease, kNanosPerDay},
      {"level", "level", AggregateKind::kLast, kNanosPerHour},
      {"max_over_time(level[1d])", "level", AggregateKind::kMax, kNanosPerHour},
      {"avg_over_time(level[10m])", "level", AggregateKind::kAvg, 10 * kNanosPerMinute},
      {"avg_over_time(level[31537s])", "level", AggregateKind::kAvg, 31'537 * kNanosPerSecond},
  };
  std::printf("%lld days of 1 s data; milliseconds, medians\n%-30s %8s %8s %10s %10s %10s\n",
              static_cast<long long>(days), "expression", "step s", "points", "tiers", "samples", "QueryRange");
  for (const Row& row : kRows) {
    int64_t points = 0;
    // The first window ends a step after the beginning.
    const TimeRange instants = {all.start + row.step, all.end};
    const double tiers =
        MedianMillis(15, &points, [&] { return AskExpression(&engine, row.expression, instants, row.step); });
    const double samples =
        MedianMillis(3, &points, [&] { return AskExpression(&by_samples, row.expression, instants, row.step); });
    int64_t columns = 0;
    const double range =
        MedianMillis(15, &columns, [&] { return AskColumns(&engine, row.selector, row.kind, all, row.step); });
    std::printf("%-30s %8lld %8lld %10.2f %10.1f %10.2f\n", row.expression,
                static_cast<long long>(row.step / kNanosPerSecond), static_cast<long long>(points), tiers, samples,
                range);
  }
  store->reset();
  std::filesystem::remove_all(directory);
  return 0;
}
