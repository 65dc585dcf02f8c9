// LiveQuerySet: the queries of a subscription, checked, and what follows from them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/selector.h"
#include "server/live/hub.h"
#include "server/live/live_topic.h"

namespace pulseboard {

// Immutable.
struct LiveQuerySet {
  // BAD_FIELD or BAD_SELECTOR.
  static absl::StatusOr<std::shared_ptr<const LiveQuerySet>> Make(TenantId tenant, std::vector<LiveQuerySpec> queries,
                                                                  int64_t frame_interval_ns);

  // The queries among which one that has one of these selectors (numbers in topic_key.selectors).
  std::vector<int32_t> QueriesOf(const std::vector<int32_t>& numbers) const;
  // Their ids; empty when there is only one query.
  std::vector<std::string> QueryIdsOf(const std::vector<int32_t>& numbers) const;
  // Width of the narrowest pixel column that one of them draws in; 0 when one wants all samples, or does not say.
  int64_t PixelWidthOf(const std::vector<int32_t>& numbers) const;

  std::vector<LiveQuerySpec> queries;
  std::vector<Selector> selectors;  // of the queries
  uint64_t hash = 0;                // HashLiveQueries
  TopicKey topic_key;
  std::vector<Selector> topic_selectors;   // of topic_key.selectors
  std::vector<int32_t> selector_of_query;  // number in topic_key.selectors
};
using LiveQuerySetPtr = std::shared_ptr<const LiveQuerySet>;

// `queries` after an update: those of `set` replace or follow, those of `remove` are gone. BAD_FIELD or BAD_SELECTOR
// for a bad one of `set`, BAD_FIELD for one to be removed that is not there.
absl::StatusOr<std::vector<LiveQuerySpec>> UpdatedQueries(std::vector<LiveQuerySpec> queries,
                                                          const std::vector<LiveQuerySpec>& set,
                                                          const std::vector<std::string>& remove);

}  // namespace pulseboard
