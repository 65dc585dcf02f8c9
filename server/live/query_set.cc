#include "server/live/query_set.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "server/live/resume_token.h"
#include "server/query/line_plan.h"

namespace pulseboard {
namespace {

absl::Status CheckIdAndBackfill(const std::string& query_id, int64_t backfill_ns, const std::string& path) {
  if (query_id.size() > kMaxQueryIdBytes) {
    return BadField(path + ".query_id", query_id, "at most " + std::to_string(kMaxQueryIdBytes) + " bytes");
  }
  if (backfill_ns < 0 || backfill_ns > kMaxBackfillNanos) {
    return BadField(path + ".backfill", std::to_string(backfill_ns) + " ns", "0 to 400 days");
  }
  return absl::OkStatus();
}

absl::Status CheckAggregate(const LiveQuerySpec& query, const std::string& path) {
  const LiveAggregate& aggregate = *query.aggregate;
  if (aggregate.step_ns < kMinAggregateStepNanos || aggregate.step_ns > kMaxAggregateStepNanos) {
    return BadField(path + ".aggregation.step", std::to_string(aggregate.step_ns) + " ns", "100 ms to 400 days");
  }
  if (query.max_points != 0) {
    return BadField(path + ".max_points", std::to_string(query.max_points), "none beside aggregation");
  }
  if (const int64_t columns = query.backfill_ns / aggregate.step_ns; columns > kMaxAggregateColumns / 2) {
    return BadField(path + ".aggregation.step", std::to_string(columns) + " columns in the backfill",
                    "a step that makes at most " + std::to_string(kMaxAggregateColumns / 2));
  }
  PB_RETURN_IF_ERROR(CheckAggregates(path + ".aggregation.aggregate", {&aggregate.aggregate, 1}));
  return CheckGrouping(path + ".aggregation.group", aggregate.group);
}

absl::Status CheckQuery(const LiveQuerySpec& query, const std::string& path) {
  PB_RETURN_IF_ERROR(CheckIdAndBackfill(query.query_id, query.backfill_ns, path));
  if (query.aggregate) return CheckAggregate(query, path);
  if (query.max_points < 0 || query.max_points > kMaxBackfillPoints) {
    return BadField(path + ".max_points", std::to_string(query.max_points),
                    "0 to " + std::to_string(kMaxBackfillPoints));
  }
  return absl::OkStatus();
}

absl::StatusOr<Selector> ParseSelector(const LiveQuerySpec& query, const std::string& path) {
  absl::StatusOr<Selector> selector = Selector::Parse(query.selector);
  if (!selector.ok()) return WithContext(selector.status(), path);
  return selector;
}

// Ids are unique among all queries, and none is empty where there are several.
absl::Status CheckIds(const std::vector<LiveQuerySpec>& queries, const std::vector<LiveEventQuerySpec>& event_queries) {
  const size_t count = queries.size() + event_queries.size();
  if (count == 0 || count > kMaxLiveQueries) {
    return BadField("queries", std::to_string(count) + " queries", "1 to " + std::to_string(kMaxLiveQueries));
  }
  std::set<std::string> ids;
  const auto check = [&](const std::string& list, size_t i, const std::string& id) -> absl::Status {
    const std::string field = list + "[" + std::to_string(i) + "].query_id";
    if (!ids.insert(id).second) return BadField(field, id, "an id that no other query of the request has");
    if (count > 1 && id.empty()) return BadField(field, "", "an id, as there are several queries,");
    return absl::OkStatus();
  };
  for (size_t i = 0; i < queries.size(); ++i) PB_RETURN_IF_ERROR(check("queries", i, queries[i].query_id));
  for (size_t i = 0; i < event_queries.size(); ++i) {
    PB_RETURN_IF_ERROR(check("event_queries", i, event_queries[i].query_id));
  }
  return absl::OkStatus();
}

absl::StatusOr<EventFilter> CheckEventQuery(const LiveEventQuerySpec& query, const std::string& path) {
  PB_RETURN_IF_ERROR(CheckIdAndBackfill(query.query_id, query.backfill_ns, path));
  auto filter = EventFilter::Parse(query.selector, query.min_severity, query.text_contains);
  if (!filter.ok()) return WithContext(filter.status(), path);
  return filter;
}

std::string PathOf(const char* list, size_t i) { return std::string(list) + "[" + std::to_string(i) + "]"; }

// The question of an aggregated query among those of the set, a new one when nobody asked it yet.
AggregateQuery& FindAggregate(const AggregateQuery& wanted, std::vector<AggregateQuery>* aggregates) {
  const auto known = std::find_if(aggregates->begin(), aggregates->end(),
                                  [&wanted](const AggregateQuery& one) { return one.key == wanted.key; });
  return known != aggregates->end() ? *known : aggregates->emplace_back(wanted);
}

}  // namespace

absl::StatusOr<LiveQuerySetPtr> LiveQuerySet::Make(TenantId tenant, std::vector<LiveQuerySpec> queries,
                                                   std::vector<LiveEventQuerySpec> event_queries,
                                                   int64_t frame_interval_ns, std::span<const TierOptions> tiers) {
  auto set = std::make_shared<LiveQuerySet>();
  PB_RETURN_IF_ERROR(CheckIds(queries, event_queries));
  for (size_t i = 0; i < queries.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckQuery(queries[i], PathOf("queries", i)));
    PB_ASSIGN_OR_RETURN(Selector selector, ParseSelector(queries[i], PathOf("queries", i)));
    set->selectors.push_back(std::move(selector));
  }
  for (size_t i = 0; i < event_queries.size(); ++i) {
    PB_ASSIGN_OR_RETURN(EventFilter filter, CheckEventQuery(event_queries[i], PathOf("event_queries", i)));
    set->event_filters.push_back(std::move(filter));
  }
  set->queries = std::move(queries);
  set->event_queries = std::move(event_queries);
  set->hash = HashLiveQueries(tenant, set->queries, set->event_queries);
  std::map<std::string, const Selector*> by_text;
  for (size_t i = 0; i < set->queries.size(); ++i) {
    const LiveQuerySpec& query = set->queries[i];
    const Selector& selector = set->selectors[i];
    set->pixel_widths.push_back(PixelColumnWidth(query.backfill_ns, query.max_points, tiers));
    if (!query.aggregate) {
      set->longest_backfill_ns = std::max(set->longest_backfill_ns, query.backfill_ns);
      by_text.emplace(selector.Format(), &selector);
      continue;
    }
    AggregateQuery& aggregate =
        FindAggregate({tenant,
                       frame_interval_ns,
                       query.selector,
                       selector,
                       *query.aggregate,
                       0,
                       AggregateQuery::MakeKey(tenant, frame_interval_ns, selector, *query.aggregate),
                       {}},
                      &set->aggregates);
    aggregate.backfill_ns = std::max(aggregate.backfill_ns, query.backfill_ns);
    aggregate.queries.push_back(static_cast<int32_t>(i));
  }
  set->topic_key = {tenant, frame_interval_ns, {}};
  for (const auto& [text, selector] : by_text) {
    set->topic_key.selectors.push_back(text);
    set->topic_selectors.push_back(*selector);
  }
  const std::vector<std::string>& texts = set->topic_key.selectors;
  for (size_t i = 0; i < set->queries.size(); ++i) {
    const auto at = std::lower_bound(texts.begin(), texts.end(), set->selectors[i].Format());
    set->selector_of_query.push_back(set->queries[i].aggregate ? -1 : static_cast<int32_t>(at - texts.begin()));
  }
  return set;
}

absl::Status LiveQuerySet::CheckServed(bool has_aggregates, bool has_events) const {
  if (!aggregates.empty() && !has_aggregates) return BadField("queries.aggregation", "there", "none on this server");
  if (!event_queries.empty() && !has_events) return BadField("event_queries", "there", "none on this server");
  return absl::OkStatus();
}

std::vector<std::string> LiveQuerySet::QueryIdsOf(const Event& event) const {
  std::vector<std::string> ids;
  for (size_t i = 0; i < event_filters.size(); ++i) {
    if (event_filters[i].Matches(event)) ids.push_back(event_queries[i].query_id);
  }
  return ids;
}

std::vector<std::string> LiveQuerySet::QueryIdsOf(const AggregateQuery& aggregate) const {
  std::vector<std::string> ids;
  if (queries.size() == 1) return ids;
  for (const int32_t query : aggregate.queries) ids.push_back(queries[static_cast<size_t>(query)].query_id);
  return ids;
}

std::vector<int32_t> LiveQuerySet::QueriesOf(const std::vector<int32_t>& numbers) const {
  std::vector<int32_t> out;
  for (size_t i = 0; i < queries.size(); ++i) {
    if (std::binary_search(numbers.begin(), numbers.end(), selector_of_query[i])) {
      out.push_back(static_cast<int32_t>(i));
    }
  }
  return out;
}

std::vector<std::string> LiveQuerySet::QueryIdsOf(const std::vector<int32_t>& numbers) const {
  std::vector<std::string> ids;
  if (queries.size() == 1) return ids;
  for (const int32_t query : QueriesOf(numbers)) ids.push_back(queries[static_cast<size_t>(query)].query_id);
  return ids;
}

int64_t LiveQuerySet::PixelWidthOf(const std::vector<int32_t>& numbers) const {
  int64_t narrowest = 0;
  for (const int32_t number : QueriesOf(numbers)) {
    const int64_t width = pixel_widths[static_cast<size_t>(number)];
    if (width <= 0) return 0;
    narrowest = narrowest == 0 ? width : std::min(narrowest, width);
  }
  return narrowest;
}

std::vector<int64_t> LiveQuerySet::PixelWidthsOf(const std::vector<int32_t>& numbers) const {
  std::vector<int64_t> widths;
  for (const int32_t number : QueriesOf(numbers)) {
    const int64_t width = pixel_widths[static_cast<size_t>(number)];
    if (width > 0 && std::find(widths.begin(), widths.end(), width) == widths.end()) widths.push_back(width);
  }
  return widths;
}

namespace {

// `query` in place of the one with its id, else behind all.
template <typename Query>
void Set(const Query& query, std::vector<Query>* queries) {
  const auto known = std::find_if(queries->begin(), queries->end(),
                                  [&query](const Query& one) { return one.query_id == query.query_id; });
  if (known != queries->end()) {
    *known = query;
  } else {
    queries->push_back(query);
  }
}

}  // namespace

absl::StatusOr<LiveQuerySetPtr> Updated(TenantId tenant, const LiveQuerySet& old, const SubscriptionUpdate& update,
                                        std::span<const TierOptions> tiers) {
  std::vector<LiveQuerySpec> queries = old.queries;
  std::vector<LiveEventQuerySpec> event_queries = old.event_queries;
  for (size_t i = 0; i < update.remove.size(); ++i) {
    const std::string& id = update.remove[i];
    const auto has_id = [&id](const auto& query) { return query.query_id == id; };
    if (std::erase_if(queries, has_id) + std::erase_if(event_queries, has_id) > 0) continue;
    return BadField(PathOf("remove_query_ids", i), id, "the id of a query of the stream");
  }
  for (size_t i = 0; i < update.set.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckQuery(update.set[i], PathOf("set_queries", i)));
    PB_RETURN_IF_ERROR(ParseSelector(update.set[i], PathOf("set_queries", i)).status());
    Set(update.set[i], &queries);
  }
  for (size_t i = 0; i < update.set_events.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckEventQuery(update.set_events[i], PathOf("set_event_queries", i)).status());
    Set(update.set_events[i], &event_queries);
  }
  return LiveQuerySet::Make(tenant, std::move(queries), std::move(event_queries), old.topic_key.frame_interval_ns,
                            tiers);
}

}  // namespace pulseboard
