// Sections that need no other server: single samples, and the store's reads.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "server/query/query_engine.h"
#include "server/query/range_cursor.h"
#include "server/storage/store.h"
#include "tests/bench/live_loads.h"
#include "tests/bench/peers/report.h"
#include "tests/bench/peers/sections.h"
#include "tests/support/client.h"

namespace pulseboard::bench {
namespace {

constexpr int64_t kHourNanos = 3'600 * kNanosPerSecond;

// Appends and waits until all is durable; one batch in flight is enough here.
class StoreLoader {
 public:
  explicit StoreLoader(Store* store) : store_(store) {}
  absl::Status Append(AppendBatch batch) {
    {
      MutexLock lock(&mu_);
      while (in_flight_ >= kInFlight) changed_.Wait(&mu_);
      ++in_flight_;
    }
    return store_->Append(std::move(batch), [this](const absl::StatusOr<CommitReceipt>& receipt) {
      MutexLock lock(&mu_);
      status_.Update(receipt.status());
      --in_flight_;
      changed_.NotifyAll();
    });
  }
  absl::Status Wait() {
    MutexLock lock(&mu_);
    while (in_flight_ > 0) changed_.Wait(&mu_);
    return status_;
  }

 private:
  static constexpr int kInFlight = 8;
  Store* const store_;
  Mutex mu_;
  CondVar changed_;
  int in_flight_ PB_GUARDED_BY(mu_) = 0;
  absl::Status status_ PB_GUARDED_BY(mu_);
};

// Milliseconds of the median of `rounds` calls, the first of which is not counted.
template <typename Work>
absl::StatusOr<double> MedianMillis(int rounds, const Work& work) {
  std::vector<double> millis;
  for (int i = 0; i <= rounds; ++i) {
    const int64_t start = SystemClock().MonotonicNanos();
    PB_RETURN_IF_ERROR(work());
    if (i > 0) millis.push_back(static_cast<double>(SystemClock().MonotonicNanos() - start) / 1e6);
  }
  return Quantile(&millis, 0.5);
}

absl::StatusOr<std::vector<SeriesId>> LoadWorkload(const Workload& workload, Store* store) {
  std::vector<SeriesId> ids;
  for (int host = 0; host < workload.hosts; ++host) {
    for (const std::string_view metric : kCpuMetrics) {
      PB_ASSIGN_OR_RETURN(
          const SeriesId id,
          store->FindOrCreateSeries(
              kDefaultTenant, {"cpu_" + std::string(metric), Labels({{"hostname", HostName(host)}})}, {}, nullptr));
      ids.push_back(id);
    }
  }
  StoreLoader loader(store);
  for (int step = 0; step < workload.steps; ++step) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    batch.series = ids;
    batch.times.assign(ids.size(), workload.Time(step));
    for (int host = 0; host < workload.hosts; ++host) {
      for (int metric = 0; metric < kMetricsPerHost; ++metric) batch.values.push_back(workload.At(host, metric, step));
    }
    PB_RETURN_IF_ERROR(loader.Append(std::move(batch)));
  }
  PB_RETURN_IF_ERROR(loader.Wait());
  PB_RETURN_IF_ERROR(store->Checkpoint());
  return ids;
}

absl::Status ReadDay(Store* store, std::span<const SeriesId> ids, const Workload& workload) {
  const TimeRange day = {workload.start_unix_nanos, workload.end_unix_nanos()};
  PB_ASSIGN_OR_RETURN(const auto view, store->OpenView(ids, day, nullptr));
  for (const SeriesId id : ids) {
    PB_ASSIGN_OR_RETURN(const SampleColumns samples, view->Read(id, day));
    if (samples.size() != static_cast<size_t>(workload.steps)) {
      return absl::InternalError("read " + std::to_string(samples.size()) + " samples of a day");
    }
  }
  return absl::OkStatus();
}

absl::Status MeasureDay(MarkdownTable* table, std::vector<Verdict>* verdicts) {
  const testing::TempDir dir;
  StoreOptions options;
  options.directory = dir.File("data");
  options.seal_age_ns = 0;
  const int64_t start = SystemClock().NowUnixNanos() / kNanosPerDay * kNanosPerDay - 2 * kNanosPerDay;
  const Workload workload = MakeWorkload(10, 24, Precision::kTwoDecimals, start);
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options, nullptr));
  PB_ASSIGN_OR_RETURN(const std::vector<SeriesId> ids, LoadWorkload(workload, store.get()));
  const std::span<const SeriesId> all(ids);
  for (const size_t count : {size_t{1}, size_t{100}}) {
    PB_ASSIGN_OR_RETURN(const double millis, MedianMillis(count == 1 ? 500 : 50, [&] {
                          return ReadDay(store.get(), all.first(count), workload);
                        }));
    table->Add({Text("24 h of %zu series, 8,640 samples each, warm, one thread", count), Text("%.3f ms", millis)});
    const double most = count == 1 ? 0.1 : 8;
    verdicts->push_back({Text("read 24 h of %zu series, warm", count), Text("%.3f ms", millis),
                         Text("<= %.1f ms", most), millis <= most});
  }
  return store->Close();
}

absl::StatusOr<RangeSummary> RunRange(QueryEngine* engine, TimeRange range) {
  QueryContext context;
  context.tenant = kDefaultTenant;
  context.deadline_monotonic_nanos = SystemClock().MonotonicNanos() + 600 * kNanosPerSecond;
  PB_ASSIGN_OR_RETURN(const auto cursor, engine->OpenRange(context, {"bench.second", range, 1'000}));
  while (true) {
    PB_ASSIGN_OR_RETURN(const RangeChunk chunk, cursor->Next());
    if (chunk.summary) return *chunk.summary;
  }
}

// One series, a sample per second.
absl::Status LoadSeconds(Store* store, int64_t start, int64_t samples) {
  PB_ASSIGN_OR_RETURN(const SeriesId id,
                      store->FindOrCreateSeries(kDefaultTenant, {"bench.second", Labels()}, {}, nullptr));
  StoreLoader loader(store);
  const Workload walk = MakeWorkload(1, 24, Precision::kTwoDecimals, start);
  constexpr int64_t kBatch = 20'000;
  for (int64_t at = 0; at < samples; at += kBatch) {
    AppendBatch batch;
    batch.tenant = kDefaultTenant;
    const int64_t end = std::min(samples, at + kBatch);
    batch.series.assign(static_cast<size_t>(end - at), id);
    for (int64_t i = at; i < end; ++i) {
      batch.times.push_back(start + i * kNanosPerSecond);
      batch.values.push_back(walk.values[static_cast<size_t>(i) % walk.values.size()]);
    }
    PB_RETURN_IF_ERROR(loader.Append(std::move(batch)));
  }
  PB_RETURN_IF_ERROR(loader.Wait());
  return store->Checkpoint();
}

// What a client waits for: the whole call.
absl::Status RunRangeCall(const testing::Login& login, TimeRange range) {
  grpc::ClientContext context;
  login.Prepare(&context);
  v1::QueryRangeRequest request;
  request.set_selector("bench.second");
  request.mutable_start_time()->set_seconds(range.start / kNanosPerSecond);
  request.mutable_end_time()->set_seconds(range.end / kNanosPerSecond);
  request.set_max_points(1'000);
  const auto reader = v1::QueryService::NewStub(login.channel)->QueryRange(&context, request);
  v1::QueryRangeResponse response;
  while (reader->Read(&response)) {
  }
  return FromGrpcStatus(reader->Finish());
}

absl::Status MeasureCalls(testing::ServerProcess* process, int64_t end, int64_t days, MarkdownTable* table,
                          std::vector<Verdict>* verdicts) {
  PB_RETURN_IF_ERROR(process->Start());
  PB_ASSIGN_OR_RETURN(const testing::Login login, testing::LogInAsAdmin(*process));
  double hour_millis = 0;
  for (const int64_t hours : {int64_t{1}, 24 * days}) {
    PB_ASSIGN_OR_RETURN(const double millis, MedianMillis(100, [&] {
                          return RunRangeCall(login, {end - hours * kHourNanos, end});
                        }));
    if (hours == 1) hour_millis = millis;
    table->Add({Text("the same as QueryRange over gRPC, %s",
                     hours == 1 ? "1 h" : Text("%lld days", static_cast<long long>(days)).c_str()),
                Text("%.3f ms, %.1f x the hour", millis, millis / hour_millis)});
    if (hours == 1) continue;
    verdicts->push_back({Text("QueryRange of %lld days of 1 s data at 1,000 columns", static_cast<long long>(days)),
                         Text("%.2f x the hour (%.2f and %.2f ms)", millis / hour_millis, millis, hour_millis),
                         "< 2 x the hour", millis < 2 * hour_millis});
  }
  return absl::OkStatus();
}

absl::Status MeasureYear(bool quick, MarkdownTable* table, std::vector<Verdict>* verdicts) {
  const int64_t days = quick ? 60 : 365;
  testing::ServerProcess process({.set = {"storage.raw_retention=400d"}});
  StoreOptions options;
  options.directory = process.data_dir();
  options.seal_age_ns = 0;
  options.raw_retention_ns = 400 * kNanosPerDay;
  options.tiers = RaiseRetentions(DefaultTiers(), options.raw_retention_ns);
  PB_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(options, nullptr));
  const int64_t end = SystemClock().NowUnixNanos() / kHourNanos * kHourNanos;
  PB_RETURN_IF_ERROR(LoadSeconds(store.get(), end - days * kNanosPerDay, days * 86'400));
  QueryOptions query;
  query.max_samples = int64_t{1} << 40;
  QueryEngine engine(*store, SystemClock(), query);
  double hour_millis = 0;
  for (const int64_t hours : {int64_t{1}, int64_t{24}, int64_t{24 * 30}, int64_t{24 * days}}) {
    const TimeRange range = {end - hours * kHourNanos, end};
    RangeSummary summary;
    PB_ASSIGN_OR_RETURN(const double millis, MedianMillis(hours > 24 * 30 ? 5 : 50, [&]() -> absl::Status {
                          PB_ASSIGN_OR_RETURN(summary, RunRange(&engine, range));
                          return absl::OkStatus();
                        }));
    if (hours == 1) hour_millis = millis;
    table->Add(
        {Text("%lld %s of 1 s data at 1,000 columns, warm", static_cast<long long>(hours < 48 ? hours : hours / 24),
              hours < 48 ? "h" : "days"),
         Text("%.3f ms, %.1f x the hour; read %lld samples and %lld rollups, answered %lld samples", millis,
              millis / hour_millis, static_cast<long long>(summary.scanned_sample_count),
              static_cast<long long>(summary.scanned_rollup_count), static_cast<long long>(summary.sample_count))});
  }
  engine.Stop();
  PB_RETURN_IF_ERROR(store->Close());
  store = nullptr;
  return MeasureCalls(&process, end, days, table, verdicts);
}

}  // namespace

absl::StatusOr<SectionResult> RunReads(const BenchSettings& settings) {
  std::fprintf(stderr, "reads\n");
  MarkdownTable table({"what", "result"});
  SectionResult result;
  PB_RETURN_IF_ERROR(MeasureDay(&table, &result.verdicts));
  PB_RETURN_IF_ERROR(MeasureYear(settings.quick, &table, &result.verdicts));
  result.text = table.text();
  return result;
}

absl::StatusOr<SectionResult> RunUnary(const BenchSettings& settings) {
  std::fprintf(stderr, "unary\n");
  testing::ServerProcess process;
  PB_RETURN_IF_ERROR(process.Start());
  PB_ASSIGN_OR_RETURN(const testing::Login login, testing::LogInAsAdmin(process));
  PB_ASSIGN_OR_RETURN(const UnaryResult r, RunUnaryPush({process, login}, 64, 1, settings.quick ? 3 : 10));
  MarkdownTable table({"what", "result"});
  table.Add({"unary Push, 64 callers, 1 sample each, every ack fsynced",
             Text("%.0f calls/s, p50 %.2f ms, p99 %.2f ms, server %.0f us CPU per call", r.calls_per_second, r.p50_ms,
                  r.p99_ms, r.server_cpu_us_per_call)});
  return SectionResult{table.text(),
                       {{"unary Push, 64 callers", Text("%.1f k/s, p99 %.2f ms", r.calls_per_second / 1e3, r.p99_ms),
                         ">= 20 k/s, p99 < 10 ms", r.calls_per_second >= 20'000 && r.p99_ms < 10}}};
}

}  // namespace pulseboard::bench
