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

namespace pulseboard {

// Binds a ref to a series for the rest of the subscription.
struct LiveDefinition {
  uint32_t ref = 0;
  std::shared_ptr<const SeriesInfo> series;
  std::vector<std::string> query_ids;  // empty when the subscription has one query
};
struct LiveDefinitions {
  std::vector<LiveDefinition> definitions;
};

// Sorted samples of one series.
struct LiveColumn {
  uint32_t ref = 0;
  SampleColumns samples;
};
struct LiveBackfill {
  std::vector<LiveColumn> columns;
};
struct LiveBackfillDone {
  int64_t commit_sequence = 0;
};

// Times of the oldest commit in a frame; see pulseboard.v1.FrameTimes.
struct LiveTimes {
  int64_t pushed_unix_nanos = 0;
  int64_t received_unix_nanos = 0;
  int64_t committed_unix_nanos = 0;
};
// All that is newer than anything of its series before, of whole commits.
struct LiveSamples {
  std::vector<LiveColumn> columns;
  LiveTimes times;
};
// What is late in whole commits (CommittedBatch::late); comes after the samples of the same commits.
struct LiveAmends {
  std::vector<LiveColumn> columns;
  LiveTimes times;
};
struct LiveGap {
  int64_t start_time_unix_nanos = 0;
  int64_t end_time_unix_nanos = 0;  // inclusive
  int64_t dropped_sample_count = 0;
};
struct LiveProgress {
  int64_t commit_sequence = 0;
  int64_t server_time_unix_nanos = 0;
  int64_t dropped_sample_count = 0;
};

struct LiveEvent {
  std::variant<LiveDefinitions, LiveBackfill, LiveBackfillDone, LiveSamples, LiveAmends, LiveGap, LiveProgress> what;
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
