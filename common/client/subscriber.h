// Subscriber: one live subscription that goes on by itself through restarts, lost connections and ended tokens, without
// hole or double: events come decoded, in order, and each carries the whole truth (a gap is said, a new beginning is
// said).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/client/backoff.h"
#include "common/model/labels.h"
#include "common/model/samples.h"

namespace grpc {
class Channel;
}

namespace pulseboard::client {

class TokenSource;

// Values per column of time, and per group of series, instead of samples.
struct SubscriptionAggregate {
  struct Group {
    int function = 0;  // pulseboard.v1.GroupFunction; 0: the sum
    double quantile = 0;
    std::vector<std::string> labels = {};  // none: all series become one
    bool without = false;
    bool operator==(const Group&) const = default;
  };
  std::chrono::nanoseconds step{0};  // length of a column
  int function = 0;                  // pulseboard.v1.AggregateFunction; 0: the average
  double quantile = 0;
  std::optional<Group> group = std::nullopt;  // none: each series by itself
  bool operator==(const SubscriptionAggregate&) const = default;
};

struct SubscriptionQuery {
  std::string id;        // unique in the subscription
  std::string selector;  // PromQL-like
  std::chrono::nanoseconds backfill{0};
  int32_t max_points = 0;                                         // pixel columns for the backfill; 0 raw
  std::optional<SubscriptionAggregate> aggregate = std::nullopt;  // then without max_points
  bool operator==(const SubscriptionQuery&) const = default;
};

// Events beside the samples.
struct EventSubscription {
  std::string id;        // unique among all queries of the subscription
  std::string selector;  // of sources and labels; empty: all
  int min_severity = 0;  // pulseboard.v1.EventSeverity
  std::chrono::nanoseconds backfill{0};
  std::string text_contains = {};  // empty: all
  bool operator==(const EventSubscription&) const = default;
};

struct SubscriberOptions {
  std::vector<SubscriptionQuery> queries;  // 1 to 64, with those of events
  std::vector<EventSubscription> event_queries = {};
  std::string resume_token;           // go on from an earlier run with the same queries
  bool attach = false;                // a stream whose queries can change, see Subscriber::Update
  int64_t max_buffer_bytes = 0;       // at the server; 0: its default
  int32_t max_frames_per_second = 0;  // 0: the server's default
  BackoffOptions backoff;
  // The server says something every 5 s at least; after this much silence the connection is taken for dead. Not while
  // paused.
  std::chrono::milliseconds silence_limit{20'000};
  const Clock* clock = &SystemClock();
};

// Events, in the order they mean something.

// A new snapshot begins: forget all samples so far. Comes before any definition or sample; again when the server could
// not go on from the resume token, or when a backfill was cut off. Not when a resume_token given at the start was good.
struct ResetEvent {
  absl::Status cause;  // OK for the first one
};
// A line of an aggregated query: a group, or one series. Positive; the same line has the same number up to the next
// ResetEvent, also after a reconnect.
using LineNumber = uint64_t;
// Series of samples, and lines of aggregated queries, to come. Sent again after a reconnect; the same id is the same
// series.
struct DefinitionsEvent {
  struct Definition {
    SeriesInfo series;
    std::vector<std::string> query_ids;  // empty when there is one query
  };
  struct LineDefinition {
    LineNumber line = 0;
    SeriesInfo series;  // id 0: a group; its labels are those it was grouped by
    std::vector<std::string> query_ids;
  };
  std::vector<Definition> definitions;
  std::vector<LineDefinition> lines = {};
};
struct SeriesSamples {
  SeriesId series = 0;
  SampleColumns samples;  // sorted
};
// History.
struct BackfillEvent {
  std::vector<SeriesSamples> series;
};
// The history is complete; all that follows is live.
struct BackfillDoneEvent {
  int64_t commit_sequence = 0;
};
// Where the time went; unix nanoseconds, 0 unknown. `arrived` is this machine's clock.
struct FrameTimes {
  int64_t pushed = 0;
  int64_t received = 0;
  int64_t committed = 0;
  int64_t sent = 0;
  int64_t arrived = 0;
};
// New samples in commit order, each newer than all of its series before.
struct SamplesEvent {
  std::vector<SeriesSamples> series;
  FrameTimes times;
};
// Late samples in commit order: each belongs in between older ones, or replaces the value of its time.
struct AmendsEvent {
  std::vector<SeriesSamples> series;
  FrameTimes times;
};
// Values of aggregated queries at the beginnings of their columns, history and live. Each replaces what came for its
// column before; the newest column is provisional.
struct AggregatesEvent {
  struct LineValues {
    LineNumber line = 0;
    SampleColumns values;  // in order of time but for a viewer that is behind: then the last one of a time is right
  };
  std::vector<LineValues> lines;
  FrameTimes times;  // all 0 with history, but `arrived`
};
// What happened, as text.
struct Occurrence {
  int64_t event_id = 0;  // in order of arrival
  int64_t time_unix_nanos = 0;
  int severity = 0;  // pulseboard.v1.EventSeverity
  std::string source;
  Labels labels;
  std::string text;
  std::vector<std::string> query_ids;
};
// Events: history in order of time, before BackfillDoneEvent, then as they arrive. After a ResetEvent history comes
// again.
struct OccurrencesEvent {
  std::vector<Occurrence> occurrences;
};
// The position to go on from was too old for the server's log: forget all samples from this time on, a backfill of them
// follows.
struct RestatedEvent {
  int64_t start_unix_nanos = 0;
};
// The server dropped samples of this time range (both ends inclusive) for this viewer: read it by QueryRange, or show a
// gap.
struct GapEvent {
  int64_t start_unix_nanos = 0;
  int64_t end_unix_nanos = 0;
  int64_t dropped_samples = 0;
};
// Heartbeat: all up to this commit was sent.
struct ProgressEvent {
  int64_t commit_sequence = 0;
  int64_t server_unix_nanos = 0;
  int64_t dropped_samples = 0;    // of this call
  int64_t conflated_samples = 0;  // of this call: left out for a slow viewer, as they show in none of its pixels
};
enum class SubscriberState { kConnecting, kConnected, kWaiting, kEnded };
// The connection's state. kEnded is the last event: the server will never take this (bad selector, too broad, no right,
// session over).
struct StateEvent {
  SubscriberState state = SubscriberState::kConnecting;
  absl::Status status;                    // why, for kWaiting and kEnded
  std::chrono::milliseconds retry_in{0};  // for kWaiting
};
// An answer to Subscriber::Update: what follows (the definitions of all series, the backfill of queries that are new or
// changed, live samples) is of the new queries; or, with an error, all goes on as it was. A ResetEvent in between
// answers it as well.
struct UpdatedEvent {
  absl::Status status;
};
// Series that have stopped, by how often they used to come. Until their next sample.
struct StaleEvent {
  std::vector<SeriesId> series;
};
using SubscriberEvent =
    std::variant<ResetEvent, DefinitionsEvent, BackfillEvent, BackfillDoneEvent, SamplesEvent, AmendsEvent, GapEvent,
                 UpdatedEvent, StaleEvent, ProgressEvent, StateEvent, OccurrencesEvent, RestatedEvent, AggregatesEvent>;

enum class Flow {
  kContinue,
  kPause,  // read no further until Resume(): the server's own bounded queue and its Gap take over
};

// What a subscription is delivered to. Called on gRPC threads, one event at a time, in order; must be quick and never
// block.
class SubscriptionConsumer {
 public:
  virtual ~SubscriptionConsumer() = default;
  // The event was accepted whatever is returned; kPause only stops further reading. StateEvent and ResetEvent ignore
  // it.
  virtual Flow OnEvent(SubscriberEvent event) = 0;
};

struct SubscriberStats {
  int64_t connects = 0;          // streams on which the server answered
  int64_t resets = 0;            // ResetEvents after the first
  int64_t received_samples = 0;  // late ones included, values of aggregated queries not
  int64_t late_samples = 0;
  int64_t dropped_samples = 0;  // by the server, from gaps
  int64_t gaps = 0;
  int64_t messages = 0;
};

// Thread-safe. Destructible while connected, also inside OnEvent; no OnEvent runs after the destructor has returned.
class Subscriber {
 public:
  // Starts connecting. `consumer` must outlive this object.
  Subscriber(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, SubscriberOptions options,
             SubscriptionConsumer* consumer);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // Other queries from some point on, without a new stream and without a hole in those that stay; without
  // `event_queries`, those of events stay. Only the newest wish counts; an UpdatedEvent or ResetEvent says that it is
  // carried out. REQUIRES: options.attach.
  void Update(std::vector<SubscriptionQuery> queries);
  void Update(std::vector<SubscriptionQuery> queries, std::vector<EventSubscription> event_queries);
  // After kPause: read on. A Resume() that comes while OnEvent still runs (on another thread) is not lost: the kPause
  // it then returns is ignored. So decide and drain under one lock of the consumer's, and call this after draining.
  void Resume();
  // Position after the last event; empty before the backfill is done.
  std::string resume_token() const;
  SubscriberStats stats() const;

 private:
  class Core;
  const std::shared_ptr<Core> core_;
};

}  // namespace pulseboard::client
