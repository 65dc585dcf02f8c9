// Intake: takes batches from pushers, judges every sample, finds its series and hands what is good to the Store.
// One bad sample never costs the batch: it is refused by index and reason. Plain C++, no gRPC.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "server/ingest/otlp_attributes.h"
#include "server/ingest/refusals.h"
#include "server/ingest/series_limits.h"
#include "server/storage/store.h"

namespace pulseboard {

class IntakeStream;

struct IntakeOptions {
  int64_t max_sample_age_ns = 30 * kNanosPerDay;       // ingest.max_sample_age: older samples are refused TOO_OLD,
                                                       // as are those older than the tenant's retention
  int64_t max_sample_lead_ns = 600 * kNanosPerSecond;  // ingest.max_sample_lead: further ahead is refused IN_FUTURE
  int32_t max_labels = 64;                             // ingest.max_labels: labels per series; 1 to 256
  int64_t max_series_per_tenant = 1'000'000;           // ingest.max_series_per_tenant: new series beyond: SERIES_LIMIT
  int64_t max_series_per_metric = 200'000;             // ingest.max_series_per_metric: the same per tenant and metric
  int32_t max_refs_per_stream = 1'000'000;       // ingest.max_refs_per_stream: series a stream may bind; 8 to 40 B each
  int64_t max_streams = 10'000;                  // ingest.max_streams: push streams at once, else TOO_MANY_STREAMS
  int32_t max_unacked_batches = 16;              // ingest.max_unacked_batches: in work per stream, then no reads
  int64_t backlog_retry_ms = 250;                // ingest.backlog_retry: RetryInfo with these refusals
  AckMode default_ack_mode = AckMode::kFsynced;  // ingest.ack_mode: of batches that do not say
  bool allow_buffered = true;                    // ingest.allow_buffered: false fsyncs all, whatever they say
  OtlpAttributeRules otlp_resource_labels = {};  // ingest.otlp_resource_labels: attributes that become labels
  std::function<std::string(TenantId)> tenant_name = nullptr;  // for messages; none: its number
};

// A series as a pusher describes it, not judged yet. The views live as long as the request.
struct SeriesDraft {
  std::string_view metric;
  std::vector<std::pair<std::string_view, std::string_view>> labels;  // any order
  MetricKind kind = MetricKind::kGauge;
  std::string_view unit;
  std::string_view description;
};

// One sample of a row-shaped batch.
struct PushSample {
  enum class TimeIs { kGiven, kReceipt, kNotRepresentable };

  SeriesDraft series;
  TimeIs time_is = TimeIs::kReceipt;
  int64_t time_unix_nanos = 0;  // with kGiven
  double value = 0;
  // The 0 from which a counter began at this time, so that its first increment counts. Left out, and not refused, where
  // the series has a sample then or later, or the time is not taken.
  bool begins_counter = false;
};

// A row-shaped batch.
struct PushBatch {
  std::string_view producer_id;  // empty: no exactly-once tracking
  int64_t sequence = 0;
  std::vector<PushSample> samples;
  std::optional<AckMode> ack_mode = std::nullopt;  // nothing: the default
  size_t max_detailed_refusals = kMaxDetailedRefusals;
};

// Binds a ref of a stream to a series.
struct StreamDefinition {
  uint32_t ref = 0;
  SeriesDraft series;
};

// A column-shaped batch; the spans point into the transport's message.
struct StreamBatch {
  std::string_view producer_id;
  int64_t sequence = 0;
  std::optional<AckMode> ack_mode;  // as the stream's first batch said, or nothing
  std::vector<StreamDefinition> definitions;
  int64_t base_time_unix_nanos = 0;
  std::span<const uint32_t> refs;
  std::span<const int64_t> time_offsets_nanos;
  std::span<const double> values;
  int64_t pushed_unix_nanos = 0;
};

// What became of a batch.
struct PushReceipt {
  int64_t sequence = 0;        // as pushed
  int64_t accepted_count = 0;  // committed now
  Refusals refusals;
  bool duplicate = false;       // committed before; nothing was applied again
  int64_t commit_sequence = 0;  // 0 when nothing was accepted
  bool fsynced = true;
};

// Runs once: on the store's completion thread, or on the caller's when no sample was good and there is nothing to
// commit. Must not block.
using PushDone = std::function<void(const absl::StatusOr<PushReceipt>&)>;

inline constexpr size_t kMaxPushSamples = 10'000;         // PushRequest.samples
inline constexpr size_t kMaxStreamBatchSamples = 50'000;  // PushStreamRequest columns
inline constexpr size_t kMaxProducerIdBytes = 128;
inline constexpr uint32_t kMaxRef = 16'777'215;

struct IntakeStats {
  int64_t accepted_samples = 0;
  int64_t refused_samples = 0;
  std::array<int64_t, kRefusalReasonCount> refused_by_reason{};
  int64_t batches = 0;
  int64_t duplicate_batches = 0;
  int64_t backlog_refusals = 0;
  int64_t open_streams = 0;
};

// Thread-safe. Store and clock must outlive it and its streams.
class Intake {
 public:
  Intake(Store& store, const Clock& clock, IntakeOptions options);

  // Takes a batch of rows. Samples that are `begins_counter` may read from disk. A returned error means nothing was
  // taken and `done` will not run: BAD_FIELD for a malformed batch, SERIES_LIMIT when every sample is of a new series
  // beyond a limit, INGEST_BACKLOG_FULL with RetryInfo, STORE_READ_ONLY, DISK_FULL, SHUTTING_DOWN.
  absl::Status Push(TenantId tenant, const PushBatch& batch, PushDone done);

  // A long-lived stream of column batches of one producer.
  std::unique_ptr<IntakeStream> OpenStream(TenantId tenant);
  // The same for a pusher. RESOURCE_EXHAUSTED/TOO_MANY_STREAMS with RetryInfo when `max_streams` are open.
  absl::StatusOr<std::unique_ptr<IntakeStream>> OpenPushStream(TenantId tenant);
  // Highest committed sequence of a producer; 0 when unknown.
  int64_t ProducerPosition(TenantId tenant, std::string_view producer_id) const {
    return store_.ProducerPosition(tenant, producer_id);
  }

  const IntakeOptions& options() const { return options_; }
  IntakeStats Stats() const;

 private:
  friend class IntakeStream;

  // The result of finding a series: an id, or why there is none.
  struct Found {
    SeriesId id = 0;
    RefusalReason reason = RefusalReason::kUnspecified;
    std::string message = {};
    std::shared_ptr<const SeriesOverflow> overflow = nullptr;  // with kSeriesLimit, instead of a message
  };
  // The times that are taken now.
  struct TimeLimits {
    OldestTime oldest;
    int64_t newest = 0;
  };
  // Why the drafted series is not allowed; kUnspecified when it is. `key`, `metadata`: the series when allowed.
  Found Judge(const SeriesDraft& draft, SeriesKey* key, SeriesMetadata* metadata) const;
  // Finds or creates within the quotas; only a store failure is an error.
  absl::StatusOr<Found> Resolve(TenantId tenant, const SeriesKey& key, const SeriesMetadata& metadata);
  // Whether a counter that began at `time` did so after all that is known of it.
  absl::StatusOr<bool> BeginsAnew(TenantId tenant, const SeriesKey& key, int64_t time);
  TimeLimits LimitsAt(TenantId tenant, int64_t now) const;
  // Refuses times outside what is kept. True when the sample may be taken.
  bool TimeAllowed(int64_t index, int64_t time, const TimeLimits& limits, Refusals* refusals) const {
    if (time >= limits.oldest.unix_nanos && time <= limits.newest) return true;
    RefuseTime(index, time, limits, refusals);
    return false;
  }
  void RefuseTime(int64_t index, int64_t time, const TimeLimits& limits, Refusals* refusals) const;
  // A series beyond a limit. Texts are made for the few that are described.
  static void RefuseSeries(int64_t index, const SeriesKey& key, const SeriesOverflow& overflow, Refusals* refusals);
  // How a batch is really acknowledged.
  AckMode AckModeFor(std::optional<AckMode> wanted) const {
    return options_.allow_buffered ? wanted.value_or(options_.default_ack_mode) : AckMode::kFsynced;
  }
  absl::Status Append(AppendBatch batch, Refusals refusals, PushDone done);
  void CountReceipt(const PushReceipt& receipt);

  Store& store_;
  const Clock& clock_;
  const IntakeOptions options_;
  const SeriesLimits limits_;
  Mutex creation_mu_;  // makes quota check and creation one step
  std::atomic<int64_t> accepted_samples_{0};
  std::array<std::atomic<int64_t>, kRefusalReasonCount> refused_{};
  std::atomic<int64_t> batches_{0};
  std::atomic<int64_t> duplicate_batches_{0};
  std::atomic<int64_t> backlog_refusals_{0};
  std::atomic<int64_t> open_streams_{0};
};

// Refs, producer and sequence of one PushStream call. Thread-compatible: one call at a time. Its Intake must outlive
// it.
//
// Per batch: Begin once, then Submit until it does not say INGEST_BACKLOG_FULL.
class IntakeStream {
 public:
  ~IntakeStream();
  IntakeStream(const IntakeStream&) = delete;
  IntakeStream& operator=(const IntakeStream&) = delete;

  // Checks the structure and binds the definitions. An error ends the stream: BAD_FIELD (columns of unequal length, too
  // many samples, producer_id missing or changed, ack_mode changed, a ref out of range or bound to another series) or
  // BAD_SEQUENCE.
  absl::Status Begin(const StreamBatch& batch);
  // Judges and queues the samples of the batch Begin took. INGEST_BACKLOG_FULL: nothing happened, call again later with
  // the same batch; other errors end the stream. With an error `done` will not run.
  absl::Status Submit(const StreamBatch& batch, PushDone done);
  // Refused samples described per batch from now on; kMaxDetailedRefusals by default.
  void SetMaxDetailedRefusals(size_t most) { max_detailed_refusals_ = most; }
  // Highest committed sequence of the producer. REQUIRES: Begin succeeded once.
  int64_t ProducerPosition() const;

 private:
  friend class Intake;
  // A bound ref whose series was not found yet, or may not be. A series is looked up when its first good sample comes,
  // so that refused samples create nothing.
  struct Unresolved {
    SeriesKey key;
    SeriesMetadata metadata;
    RefusalReason reason = RefusalReason::kUnspecified;  // why its samples are refused
    std::string message;
    std::shared_ptr<const SeriesOverflow> overflow;
    int64_t tried_in_batch = 0;  // a series over its quota is tried once per batch
    size_t bytes = 0;
  };

  IntakeStream(Intake& intake, TenantId tenant);
  absl::Status CheckStructure(const StreamBatch& batch);
  absl::Status Bind(size_t index, const StreamDefinition& definition);
  // 0 when the ref has no series (yet).
  SeriesId Resolved(uint32_t ref) const;
  void SetResolved(uint32_t ref, SeriesId id);
  // 0 when refused; the refusal is noted.
  absl::StatusOr<SeriesId> ResolveSlowly(int64_t index, uint32_t ref, Refusals* refusals);

  Intake& intake_;
  const TenantId tenant_;
  std::string producer_id_;
  std::optional<AckMode> ack_mode_;  // of the first batch
  int64_t last_sequence_ = 0;
  size_t max_detailed_refusals_ = kMaxDetailedRefusals;
  std::vector<SeriesId> dense_;                    // by ref, for small refs
  std::unordered_map<uint32_t, SeriesId> sparse_;  // for large ones
  std::unordered_map<uint32_t, Unresolved> unresolved_;
  size_t unresolved_bytes_ = 0;
  size_t bound_count_ = 0;
  bool refs_exhausted_ = false;  // a definition was turned away: unknown refs may be its
};

}  // namespace pulseboard
