// AggregateQuery: a live query that asks for values per column of time instead of samples. What such a value is, is
// said in one place: QueryEngine::OpenColumns answers it, for history and for what is live.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "common/model/selector.h"
#include "server/live/live_frame.h"
#include "server/query/columns/column_cursor.h"

namespace pulseboard {

inline constexpr int64_t kMinAggregateStepNanos = 100 * kNanosPerMilli;
inline constexpr int64_t kMaxAggregateStepNanos = 400 * kNanosPerDay;
// More columns than this in the window of one query are BAD_FIELD.
inline constexpr int64_t kMaxAggregateColumns = 20'000;
// A window holds so many columns at least: late samples of those still count.
inline constexpr int64_t kMinAggregateColumns = 16;

// What is asked of each column: aligned to multiples of the step since the epoch.
struct LiveAggregate {
  int64_t step_ns = 0;
  Aggregate aggregate;
  Grouping group;  // kNone: series stay by themselves
};

// One such question of a subscription. Immutable.
struct AggregateQuery {
  TenantId tenant = 0;
  int64_t frame_interval_ns = 0;
  std::string selector_text;
  Selector selector;
  LiveAggregate aggregate;
  int64_t backfill_ns = 0;       // the longest of `queries`
  std::string key;               // equal for equal questions, whatever their backfill and id
  std::vector<int32_t> queries;  // numbers of the subscription's queries that ask this

  static std::string MakeKey(TenantId tenant, int64_t frame_interval_ns, const Selector& selector,
                             const LiveAggregate& aggregate);
};

}  // namespace pulseboard
