// QueryEngine: answers questions about series and history on worker threads of its own. Plain C++, no gRPC.
//
// A call is admitted first (Admit), then runs on the pool through its ticket. Reads block on disk: never call the
// reading functions on an RPC thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/fair_pool.h"
#include "server/query/query_usage.h"
#include "server/query/tenant_time.h"
#include "server/storage/store.h"

namespace pulseboard {

class ChunkSource;
class ColumnCursor;
class ExpressionCursor;
class RangeCursor;
struct ColumnsRequest;
struct QueryEstimate;

struct QueryOptions {
  int32_t threads = 2;               // query.threads: worker threads; 1 to 64
  int32_t max_active = 64;           // query.max_active: calls running or waiting, beyond: QUERY_BUSY
  int64_t max_series = 10'000;       // query.max_series: per QueryRange or QueryLatest, else QUERY_TOO_BROAD
  int64_t max_samples = 50'000'000;  // query.max_samples: samples and rollups read per QueryRange
  int64_t max_duration_ns = 60 * kNanosPerSecond;  // query.max_duration: longest life of one call, streaming included
  int64_t busy_retry_ms = 500;                     // query.busy_retry: RetryInfo with QUERY_BUSY
  int64_t lookback_ns = 300 * kNanosPerSecond;     // query.lookback: an older sample is no value of an instant
  int64_t max_held_values = 20'000'000;            // query.max_held_values: values an expression may hold, 8 bytes each
  int64_t max_answer_bytes = int64_t{1} << 30;     // query.max_answer_bytes: of one streamed answer
  // What the calls of one tenant that are under way may use together; beyond, QUERY_BUSY.
  int32_t max_tenant_active = 32;                      // query.max_tenant_active: calls
  int64_t max_tenant_series = 100'000;                 // query.max_tenant_series: series picked
  int64_t max_tenant_samples = 200'000'000;            // query.max_tenant_samples: samples and rollups read
  int64_t max_tenant_held_values = 40'000'000;         // query.max_tenant_held_values
  int64_t max_tenant_answer_bytes = int64_t{4} << 30;  // query.max_tenant_answer_bytes
  int64_t max_tenant_time_ns = 0;  // query.max_tenant_time: work of its queries per minute; 0: what the threads can do
  int64_t slice_ns = 10 * kNanosPerMilli;  // query.slice: a call that ran so long gives way to those that wait
  int32_t thread_niceness = 5;             // query.thread_niceness: how much less than ingestion they are preferred
  // query.here_samples: a query that reads no more, and from memory alone, is answered by the thread that received it,
  // if no other waits; 0: none is.
  int64_t here_samples = 40'000;
  int32_t chunk_samples = 8'000;  // query.chunk_samples: samples per chunk of a QueryRange answer
};

// Cancels the work of one call from any thread. Thread-safe.
class Cancellation {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

// A call that is tried at once on the thread that received it: it has to be over in a fraction of a millisecond, or
// given up. Not thread-safe.
struct QueryHere {
  int64_t deadline_monotonic_nanos = 0;
  bool given_up = false;
};

// For whom and for how long.
struct QueryContext {
  TenantId tenant = 0;
  int64_t deadline_monotonic_nanos = 0;  // by the engine's clock; see QueryEngine::Deadline
  std::shared_ptr<const Cancellation> cancellation;
  std::shared_ptr<QueryUsage::Call> usage = nullptr;  // of the call's ticket; null: not counted for its tenant
  QueryHere* here = nullptr;                          // null: it may take its time
};

struct PageRequest {
  std::string selector;  // empty: all
  int32_t page_size = 0;
  std::string page_token;
};
struct MetricSummary {
  std::string name;
  SeriesMetadata metadata;  // of its first series
  int64_t series_count = 0;
};
struct MetricsPage {
  std::vector<MetricSummary> metrics;
  std::string next_page_token;
};
struct SeriesPage {
  std::vector<std::shared_ptr<const SeriesInfo>> series;
  std::string next_page_token;
};
struct LabelValueCount {
  std::string value;
  int64_t series_count = 0;
};
struct LabelValuesPage {
  std::vector<LabelValueCount> values;
  std::string next_page_token;
};
struct CardinalityRequest {
  std::string selector;  // empty: all
  CardinalityOrder order = CardinalityOrder::kSeries;
  int32_t limit = 0;  // 0: kDefaultCardinalityLimit
};
struct LatestSample {
  std::shared_ptr<const SeriesInfo> series;
  Sample sample;
};
struct LatestSamples {
  std::vector<LatestSample> samples;
  int64_t commit_sequence = 0;
};
struct RangeRequest {
  std::string selector;
  TimeRange range;
  int32_t max_points = 0;  // 0: raw
};
struct ExpressionRequest {
  std::string expression;
  int64_t start = 0;  // unix nanoseconds; instants are start, start + step … up to and with end
  int64_t end = 0;
  int64_t step_ns = 0;     // 0: by max_points
  int32_t max_points = 0;  // most instants, when there is no step
};
struct RangeSeries {
  uint32_t ref = 0;
  std::shared_ptr<const SeriesInfo> series;
  int32_t aggregate = -1;  // number of the aggregate, counted from 0; -1: samples
  bool earlier = false;    // of the period to compare with
};
struct RangeColumn {
  uint32_t ref = 0;
  SampleColumns samples;
};
struct RangeSummary {
  int64_t series_count = 0;
  int64_t sample_count = 0;
  int64_t scanned_sample_count = 0;
  int64_t scanned_rollup_count = 0;
  int64_t bucket_ns = 0;  // of the tier that the columns were made for; 0: samples
  int64_t column_ns = 0;  // width of a column; 0: not reduced
  int64_t commit_sequence = 0;
  int64_t step_ns = 0;            // of expressions: between two instants
  double max_quantile_error = 0;  // of columns: relative to the value; 0: quantiles are exact
};
// Bounds and definitions come before the columns that use them; the summary comes last, once.
struct RangeChunk {
  std::vector<int64_t> bounds;  // of all columns of time, once, in answers made of such
  std::vector<RangeSeries> definitions;
  std::vector<RangeColumn> columns;
  std::shared_ptr<const QueryEstimate> estimate;  // of a dry run, with an empty summary
  std::optional<RangeSummary> summary;
};

struct QueryStats {
  int64_t active = 0;
  int64_t admitted = 0;
  int64_t answered_here = 0;  // on the thread that received them
  int64_t refused_busy = 0;
  int64_t waiting = 0;    // jobs without a thread's time
  int64_t handovers = 0;  // times a long job gave way
  int64_t scanned_samples = 0;
  int64_t scanned_rollups = 0;
};

inline constexpr int32_t kDefaultPageSize = 1'000;
inline constexpr int32_t kMaxPageSize = 10'000;
inline constexpr int32_t kMaxPoints = 100'000;
inline constexpr int32_t kDefaultCardinalityLimit = 20;
inline constexpr int32_t kMaxCardinalityLimit = 1'000;

// Thread-safe. Store and clock must outlive it. The reading functions run on the calling thread, check cancellation and
// deadline as they go (CANCELLED, or QUERY_TOO_BROAD when the time is up) and answer BAD_SELECTOR, BAD_FIELD,
// BAD_PAGE_TOKEN, QUERY_TOO_BROAD with the numbers, or BLOCK_CORRUPT.
class QueryEngine {
 public:
  // One admitted call. Keeps its place among `max_active` until destroyed.
  class Ticket {
   public:
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    // Runs `job` on the pool. At most one job of a ticket may wait or run at a time; then there is always room. After
    // Stop the job is dropped unrun and false returned.
    [[nodiscard]] bool Run(std::function<void()> job);
    // Runs `job` here and now, if that may be done without waiting for others, for the disk or for long; true when it
    // was. Else it must be run again, from its beginning, by Run: whatever it made meanwhile, errors too, is to be
    // dropped before, views on this thread. The job returns false to give up, too.
    [[nodiscard]] bool TryHere(const std::function<bool(QueryHere*)>& job);
    const std::shared_ptr<QueryUsage::Call>& usage() const { return usage_; }

   private:
    friend class QueryEngine;
    Ticket(QueryEngine& engine, TenantId tenant);
    QueryEngine& engine_;
    const std::shared_ptr<FairPool::Customer> customer_;
    const std::shared_ptr<QueryUsage::Call> usage_;
  };

  QueryEngine(Store& store, const Clock& clock, QueryOptions options);
  ~QueryEngine();

  // RESOURCE_EXHAUSTED/QUERY_BUSY with RetryInfo when `max_active` calls, or `max_tenant_active` of this tenant, are
  // under way, or this tenant's queries took `max_tenant_time_ns` already: RetryInfo then says when there is time
  // again.
  absl::StatusOr<std::shared_ptr<Ticket>> Admit(TenantId tenant);
  // The instant at which a call starting now must end: the caller's own deadline or `max_duration_ns`, whichever is
  // sooner.
  int64_t Deadline(std::optional<int64_t> remaining_ns) const;

  absl::StatusOr<MetricsPage> ListMetrics(const QueryContext& context, const PageRequest& request) const;
  absl::StatusOr<SeriesPage> ListSeries(const QueryContext& context, const PageRequest& request) const;
  absl::StatusOr<LabelValuesPage> ListLabelValues(const QueryContext& context, std::string_view label,
                                                  const PageRequest& request) const;
  absl::StatusOr<CardinalityReport> GetCardinality(const QueryContext& context,
                                                   const CardinalityRequest& request) const;
  absl::StatusOr<LatestSamples> QueryLatest(const QueryContext& context, std::string_view selector) const;
  // Opens a consistent view; read it chunk by chunk (range_cursor.h).
  absl::StatusOr<std::unique_ptr<RangeCursor>> OpenRange(const QueryContext& context, const RangeRequest& request);
  // Columns of time with aggregates of each; read it chunk by chunk (columns/column_cursor.h).
  absl::StatusOr<std::unique_ptr<ColumnCursor>> OpenColumns(const QueryContext& context, const ColumnsRequest& request);
  // A dry run of each kind: the answer's estimate and nothing else. What would be refused is.
  absl::StatusOr<std::unique_ptr<ChunkSource>> EstimateRange(const QueryContext& context, const RangeRequest& request);
  absl::StatusOr<std::unique_ptr<ChunkSource>> EstimateColumns(const QueryContext& context,
                                                               const ColumnsRequest& request);
  absl::StatusOr<std::unique_ptr<ChunkSource>> EstimateExpression(const QueryContext& context,
                                                                  const ExpressionRequest& request);
  // Evaluates server/query/expression/LANGUAGE.md; read it chunk by chunk (expression_cursor.h). BAD_EXPRESSION with
  // the column.
  absl::StatusOr<std::unique_ptr<ExpressionCursor>> OpenExpression(const QueryContext& context,
                                                                   const ExpressionRequest& request);

  // OK while the call may go on: CANCELLED, or QUERY_TOO_BROAD past its deadline. Gives way to other calls when its
  // slice of time is over, so do not hold a lock. To be called every few thousand steps of work, a millisecond or so.
  absl::Status CheckAlive(const QueryContext& context) const;

  // For the cursors. QUERY_TOO_BROAD above `max_series`.
  absl::Status CheckSeriesCount(const QueryContext& context, std::string_view selector, size_t count) const;
  // Of the context's tenant, ascending. BAD_SELECTOR.
  absl::StatusOr<std::vector<SeriesId>> Select(const QueryContext& context, std::string_view selector) const;
  // What nobody should wait for on an RPC thread: not OK, and given up, when the call is tried there.
  absl::Status NotHere(const QueryContext& context, bool when = true) const;
  absl::Status NoteScanned(const QueryContext& context, int64_t samples, int64_t rollups);
  // Counts series, held values or bytes answered for the call's tenant. QUERY_BUSY when its calls use too much
  // together, QUERY_TOO_BROAD when the one call does.
  absl::Status Charge(const QueryContext& context, UsageKind kind, int64_t amount) const;
  // QUERY_TOO_BROAD when one call has read more than `max_samples`.
  absl::Status CheckScanned(int64_t samples_and_rollups) const;

  // Lets running jobs end and takes no more. Idempotent; the destructor does it too.
  void Stop();
  const QueryOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  Store& store() { return store_; }
  QueryStats Stats() const;

 private:
  friend class ExpressionCursor;
  friend class RangeCursor;
  absl::StatusOr<Selector> ParseForList(const QueryContext& context, std::string_view selector) const;
  absl::StatusOr<std::vector<LabelValueSummary>> ListValues(const QueryContext& context, std::string_view label,
                                                            std::string_view list, const PageRequest& request,
                                                            std::string* next_page_token) const;

  Store& store_;
  const Clock& clock_;
  const QueryOptions options_;
  std::atomic<int64_t> active_{0};
  std::atomic<int64_t> admitted_{0};
  std::atomic<int64_t> answered_here_{0};
  std::atomic<int64_t> refused_busy_{0};
  std::atomic<int64_t> scanned_samples_{0};
  std::atomic<int64_t> scanned_rollups_{0};
  QueryUsage usage_;
  TenantTime tenant_time_;
  FairPool pool_;
};

}  // namespace pulseboard
