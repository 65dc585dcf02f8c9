// What a subscription sends and to whom. Plain values; server/rpc turns them into messages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/events/event.h"
#include "server/live/live_frame.h"

namespace pulseboard {

// Binds a ref to a series for the rest of the subscription. A ref always means the same series; it is defined again
// when the queries change.
struct LiveDefinition {
  uint32_t ref = 0;
  std::shared_ptr<const SeriesInfo> series;
  std::vector<std::string> query_ids;  // empty when the subscription has one query
};
struct LiveDefinitions {
  std::vector<LiveDefinition> definitions;
  std::vector<LiveDefinition> aggregates;  // of LiveAggregates; the id of a group's series is 0
};

struct LiveBackfill {
  std::vector<LiveColumn> columns;
};
struct LiveBackfillDone {
  int64_t commit_sequence = 0;
};

// All that is newer than anything of its series before, of whole commits: the `samples` of the frames, one after the
// other.
struct LiveSamples {
  std::vector<LiveFramePtr> frames;  // not empty
  const LiveTimes& times() const { return frames.front()->times; }
};
// What is late in whole commits (CommittedBatch::late): the `amends` of the frames, one after the other. Comes after
// the samples of the same commits.
struct LiveAmends {
  std::vector<LiveFramePtr> frames;  // not empty
  const LiveTimes& times() const { return frames.front()->times; }
};
// Values of aggregated queries: the `samples` of the frames, at the beginnings of their columns. Each replaces what was
// sent for its column before.
struct LiveAggregates {
  std::vector<LiveFramePtr> frames;  // not empty
  const LiveTimes& times() const { return frames.front()->times; }
};
// Events, in the order of their arrival; history comes in order of time.
struct LiveOccurrences {
  struct Occurrence {
    Event event;
    std::vector<std::string> query_ids;
  };
  std::vector<Occurrence> occurrences;
};
// The log no longer reaches back to the resume token: a backfill from this time on follows, which replaces all samples
// that the receiver has from there on.
struct LiveRestated {
  int64_t start_time_unix_nanos = 0;
};
struct LiveGap {
  int64_t start_time_unix_nanos = 0;
  int64_t end_time_unix_nanos = 0;  // inclusive
  int64_t dropped_sample_count = 0;
};
// The stream goes on with other queries from here on, or (with an error) with those it had.
struct LiveUpdated {
  int64_t update_id = 0;
  absl::Status status;
};
// Series that have fallen silent by their own cadence. Until their next sample.
struct LiveStale {
  std::vector<uint32_t> refs;
};
struct LiveProgress {
  int64_t commit_sequence = 0;
  int64_t server_time_unix_nanos = 0;
  int64_t dropped_sample_count = 0;
  int64_t conflated_sample_count = 0;
};

struct LiveEvent {
  std::variant<LiveDefinitions, LiveBackfill, LiveBackfillDone, LiveSamples, LiveAmends, LiveAggregates,
               LiveOccurrences, LiveRestated, LiveGap, LiveUpdated, LiveStale, LiveProgress>
      what;
  std::string resume_token;  // position after this event; empty where there is none
};

// The receiving end of one subscription. Called by hub threads without any hub lock held, one call at a time.
class LiveSink {
 public:
  virtual ~LiveSink() = default;
  // Must not block. No further event is offered until Subscription::Ready().
  virtual void Offer(LiveEvent event) = 0;
  // The last call; may come while an event is still on its way.
  virtual void End(const absl::Status& status) = 0;
};

}  // namespace pulseboard
