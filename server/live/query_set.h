// LiveQuerySet: the queries of a subscription, checked, and what follows from them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/selector.h"
#include "server/live/hub.h"
#include "server/live/live_topic.h"
#include "server/storage/tiers.h"

namespace pulseboard {

// Immutable.
struct LiveQuerySet {
  // BAD_FIELD or BAD_SELECTOR.
  // `tiers`: as Store::Tiers gives them.
  static absl::StatusOr<std::shared_ptr<const LiveQuerySet>> Make(TenantId tenant, std::vector<LiveQuerySpec> queries,
                                                                  std::vector<LiveEventQuerySpec> event_queries,
                                                                  int64_t frame_interval_ns,
                                                                  std::span<const TierOptions> tiers);

  // BAD_FIELD when it asks for what is not there.
  absl::Status CheckServed(bool has_aggregates, bool has_events) const;
  // The queries among which one that has one of these selectors (numbers in topic_key.selectors).
  std::vector<int32_t> QueriesOf(const std::vector<int32_t>& numbers) const;
  // Their ids; empty when there is only one query.
  std::vector<std::string> QueryIdsOf(const std::vector<int32_t>& numbers) const;
  // Width of the narrowest pixel column that one of them draws in; 0 when one wants all samples, or does not say.
  int64_t PixelWidthOf(const std::vector<int32_t>& numbers) const;
  // The widths of all pixel columns that they draw in, each once.
  std::vector<int64_t> PixelWidthsOf(const std::vector<int32_t>& numbers) const;

  // Ids of the event queries that want this event.
  std::vector<std::string> QueryIdsOf(const Event& event) const;
  // Ids of the queries that ask this; empty when there is only one query.
  std::vector<std::string> QueryIdsOf(const AggregateQuery& aggregate) const;

  std::vector<LiveQuerySpec> queries;
  std::vector<LiveEventQuerySpec> event_queries;
  std::vector<Selector> selectors;         // of the queries
  std::vector<int64_t> pixel_widths;       // of the queries; columns begin at their multiples. 0: none
  int64_t longest_backfill_ns = 0;         // of the queries for samples
  std::vector<EventFilter> event_filters;  // of the event queries
  std::vector<AggregateQuery> aggregates;  // each once
  uint64_t hash = 0;                       // HashLiveQueries
  TopicKey topic_key;
  std::vector<Selector> topic_selectors;   // of topic_key.selectors
  std::vector<int32_t> selector_of_query;  // number in topic_key.selectors; -1: aggregated
};
using LiveQuerySetPtr = std::shared_ptr<const LiveQuerySet>;

// The queries of `old` after an update: those that are set replace or follow, those to be removed are gone. BAD_FIELD
// or BAD_SELECTOR for a bad one that is set, BAD_FIELD for one to be removed that is not there.
absl::StatusOr<LiveQuerySetPtr> Updated(TenantId tenant, const LiveQuerySet& old, const SubscriptionUpdate& update,
                                        std::span<const TierOptions> tiers);

}  // namespace pulseboard
