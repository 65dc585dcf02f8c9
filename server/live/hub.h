// Hub: sends every sample that commits to the subscriptions that want it. Plain C++, no gRPC.
//
// A subscription is definitions, backfill and live samples in one ordered stream without hole or double: the view that
// the backfill reads is cut inside the store's commit lock, where the subscription takes over from the commit after it.
// After a break the stream goes on from a resume token: the commits between are read back from the store's log. Late
// samples (CommittedBatch::late) go as an event of their own, after the others of the same commits. What
// does not fit into `max_buffer_bytes` is first reduced to what the viewer's pixels can show, then dropped oldest
// first, and one Gap says so. While all subscriptions together hold more than `max_total_buffer_bytes`, each may hold
// only an equal share of that: the slow ones lose samples, or read them in the log again, and the committer waits for
// none of them.
//
// Queries may ask for values per column of time instead of samples (live_aggregation.h), and for events
// (server/events): these have no queue but a position, from which everything is read that came since.
//
// Subscriptions that ask alike share a topic (live_topic.h): what commits is collected, made a frame and encoded once
// for all of them. What is one viewer's own (resume token, sent time, gaps) is put around the shared bytes.
//
// Lock order, outermost first. None is taken while a later one is held, and no lock is held across LiveSink calls:
//   1. the store's commit lock   (held around OnCommit and the `at_cut` callbacks)
//   2. SubscriptionIndex::mu_    (which series go to whom)
//   3. LiveTopic::seal_mu_       (frames are made and given to the members in one order)
//   4. LiveTopic::mu_            (what committed since the last frame)
//      LiveSubscription::mu_     (state and frames of one subscription)
//   5. LiveAggregation::mu_      (values of an aggregated query)
//   6. FramePump::mu_, WorkerPool::mu_, LiveTopic::series_mu_, RefTable::mu_, the store's series index (GetSeries), all
//      leaves
// LiveAggregation::members_mu_ comes between 2 and LiveSubscription::mu_.
// Hence: Store::Cut and OpenView, which take 1, are called with none of 2 to 6 held; reactors call into the hub without
// holding their own mutex, because the hub calls them without holding its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "server/events/event.h"
#include "server/live/aggregate_query.h"
#include "server/live/live_sink.h"
#include "server/storage/store.h"

namespace pulseboard {

class EventLog;
class FramePump;
class QueryEngine;
class SubscriptionIndex;
class WorkerPool;
struct LiveContext;

struct HubOptions {
  const Clock* clock = &SystemClock();
  int32_t max_subscriptions = 10'000;            // live.max_subscriptions: open at once, else TOO_MANY_SUBSCRIPTIONS
  int32_t max_series_per_subscription = 20'000;  // live.max_series_per_subscription: else QUERY_TOO_BROAD
  int64_t default_buffer_bytes = 1 << 20;        // live.default_buffer: unsent bytes held per subscription, by default
  int64_t max_total_buffer_bytes = 256 << 20;    // live.max_total_buffer: unsent bytes of all subscriptions together
  int32_t default_frames_per_second = 20;        // live.default_frames_per_second: 1 to 60
  int64_t progress_interval_ns = 5 * kNanosPerSecond;  // live.progress_interval: heartbeat of an idle subscription
  int64_t max_stall_ns = 60 * kNanosPerSecond;  // live.max_stall: a peer that takes nothing so long: SLOW_CONSUMER
  int64_t max_stream_age_ns = 3'600 * kNanosPerSecond;  // live.max_stream_age: ended with OK and a token after 90 to
                                                        // 110 % of it, so that balancers can move it. 0: never
  int64_t max_backfill_ns = 300 * kNanosPerSecond;  // live.max_backfill_duration: longest backfill, then SLOW_CONSUMER
  int64_t max_backfill_samples = 50'000'000;  // live.max_backfill_samples: samples and rollups, else QUERY_TOO_BROAD
  int32_t pump_threads = 1;                   // live.pump_threads: threads that build and hand over frames; 1 to 16
  int32_t reader_threads = 2;                 // live.reader_threads: threads that read backfills and the log; 1 to 16
  int64_t busy_retry_ms = 1'000;              // live.busy_retry: RetryInfo with TOO_MANY_SUBSCRIPTIONS
  uint32_t first_ref = 1;                     // of series in streams; for tests
};

inline constexpr int64_t kMinLiveBufferBytes = 64 << 10;
inline constexpr int64_t kMaxLiveBufferBytes = 16 << 20;
inline constexpr int32_t kMaxLiveFramesPerSecond = 60;
inline constexpr size_t kMaxLiveQueries = 64;
inline constexpr size_t kMaxQueryIdBytes = 64;
inline constexpr int64_t kMaxBackfillNanos = 400 * kNanosPerDay;
inline constexpr int32_t kMaxBackfillPoints = 100'000;

struct LiveQuerySpec {
  std::string query_id;
  std::string selector;
  int64_t backfill_ns = 0;
  int32_t max_points = 0;                                 // 0: raw
  std::optional<LiveAggregate> aggregate = std::nullopt;  // values instead of samples; then without max_points
};

// Events beside the samples.
struct LiveEventQuerySpec {
  std::string query_id;
  std::string selector;  // empty: all
  EventSeverity min_severity = EventSeverity::kUnspecified;
  std::string text_contains;
  int64_t backfill_ns = 0;
};

struct SubscriptionSpec {
  TenantId tenant = 0;
  std::vector<LiveQuerySpec> queries;
  std::vector<LiveEventQuerySpec> event_queries = {};
  std::string resume_token;           // empty: start anew
  int64_t max_buffer_bytes = 0;       // 0: default; coerced
  int32_t max_frames_per_second = 0;  // 0: default; coerced
};

// A change of the queries of a running subscription.
struct SubscriptionUpdate {
  int64_t update_id = 0;            // given back with the answer
  std::vector<LiveQuerySpec> set;   // by id: new ones, and such as replace one
  std::vector<std::string> remove;  // ids, of event queries too
  std::vector<LiveEventQuerySpec> set_events = {};
};

// The receiver's handle on its subscription. Thread-safe; any call may come after the end. The hub must outlive it.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // Events may come from now on. Call once, when the sink can take them.
  virtual void Start() = 0;
  // The last event is on its way; the next one may be offered.
  virtual void Ready() = 0;
  // Asks for other queries. Answered by one LiveUpdated among the events; call again only after it was offered. The
  // stream goes on without hole or double: first all up to some commit by the old queries, then LiveUpdated, the
  // definitions of all series of the new ones, the backfill of those that were set, LiveBackfillDone, and all after
  // that commit. With an error (BAD_FIELD, BAD_SELECTOR, QUERY_TOO_BROAD, BLOCK_CORRUPT) it goes on as it was.
  virtual void Update(SubscriptionUpdate update) = 0;
  // Answers an update that could not even be read, as Update does one that it refuses.
  virtual void Refuse(int64_t update_id, const absl::Status& why) = 0;
  // Sends what is pending and a last position, then ends with `status`.
  virtual void Drain(const absl::Status& status) = 0;
  // The receiver is gone: nothing more is offered, End is not called.
  virtual void Close() = 0;
};

struct HubStats {
  int64_t subscriptions = 0;
  int64_t routed_series = 0;
  int64_t topics = 0;         // sets of subscriptions that ask alike
  int64_t frames_made = 0;    // each once, however many get it
  int64_t frames = 0;         // handed to the transport
  int64_t widened_ticks = 0;  // ticks that took so long that the next one was put off
  int64_t delivered_samples = 0;
  int64_t late_samples = 0;  // of them, in amends
  int64_t dropped_samples = 0;
  int64_t conflated_samples = 0;  // left out for slow viewers because they show in none of their pixels
  int64_t catch_ups = 0;          // times a subscription read the log to catch up
  int64_t slow_consumers = 0;
  int64_t buffered_bytes = 0;  // read or committed, not yet given to all who want it
};

// Thread-safe. Made before the store (which observes through it), attached to it once open, closed before the store
// closes.
class Hub final : public CommitObserver {
 public:
  explicit Hub(HubOptions options);
  ~Hub() override;

  // All that is attached must outlive Close(). Without `queries`, aggregated queries are refused, without `events`
  // those for events.
  void Attach(Store& store);
  void AttachQueries(QueryEngine& queries);
  void AttachEvents(EventLog& events);
  // Ends every subscription with UNAVAILABLE/SHUTTING_DOWN and joins the threads. Idempotent.
  void Close();

  // Checks the request and makes a subscription; nothing happens until Start(). BAD_FIELD, BAD_SELECTOR,
  // BAD_RESUME_TOKEN, RESUME_TOKEN_EXPIRED, TOO_MANY_SUBSCRIPTIONS with RetryInfo, or SHUTTING_DOWN. Later errors come
  // by LiveSink::End: QUERY_TOO_BROAD, RESUME_TOKEN_EXPIRED, BAD_RESUME_TOKEN, SLOW_CONSUMER, BLOCK_CORRUPT,
  // SHUTTING_DOWN. The hub holds `sink` weakly; when it is gone the subscription is closed.
  absl::StatusOr<std::shared_ptr<Subscription>> Subscribe(SubscriptionSpec spec, std::weak_ptr<LiveSink> sink);

  void OnCommit(const CommittedBatch& batch) noexcept override;

  const HubOptions& options() const { return options_; }
  HubStats Stats() const;

 private:
  const HubOptions options_;
  std::atomic<Store*> store_{nullptr};
  std::atomic<QueryEngine*> queries_{nullptr};
  std::atomic<EventLog*> events_{nullptr};
  std::atomic<bool> closed_{false};
  std::unique_ptr<SubscriptionIndex> index_;
  std::unique_ptr<FramePump> pump_;
  std::unique_ptr<WorkerPool> readers_;
  std::unique_ptr<LiveContext> context_;  // the above, as subscriptions see it
  Mutex close_mu_;                        // outermost: one Close at a time
};

}  // namespace pulseboard
