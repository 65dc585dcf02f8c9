#include "server/live/query_set.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "server/live/resume_token.h"

namespace pulseboard {
namespace {

absl::Status CheckQuery(const LiveQuerySpec& query, const std::string& path) {
  if (query.query_id.size() > kMaxQueryIdBytes) {
    return BadField(path + ".query_id", query.query_id, "at most " + std::to_string(kMaxQueryIdBytes) + " bytes");
  }
  if (query.backfill_ns < 0 || query.backfill_ns > kMaxBackfillNanos) {
    return BadField(path + ".backfill", std::to_string(query.backfill_ns) + " ns", "0 to 400 days");
  }
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

absl::StatusOr<std::vector<Selector>> CheckQueries(const std::vector<LiveQuerySpec>& queries) {
  if (queries.empty() || queries.size() > kMaxLiveQueries) {
    return BadField("queries", std::to_string(queries.size()) + " queries", "1 to " + std::to_string(kMaxLiveQueries));
  }
  std::vector<Selector> selectors;
  std::set<std::string> ids;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::string path = "queries[" + std::to_string(i) + "]";
    PB_RETURN_IF_ERROR(CheckQuery(queries[i], path));
    if (!ids.insert(queries[i].query_id).second) {
      return BadField(path + ".query_id", queries[i].query_id, "an id that no other query of the request has");
    }
    if (queries.size() > 1 && queries[i].query_id.empty()) {
      return BadField(path + ".query_id", "", "an id, as there are several queries,");
    }
    PB_ASSIGN_OR_RETURN(Selector selector, ParseSelector(queries[i], path));
    selectors.push_back(std::move(selector));
  }
  return selectors;
}

}  // namespace

absl::StatusOr<LiveQuerySetPtr> LiveQuerySet::Make(TenantId tenant, std::vector<LiveQuerySpec> queries,
                                                   int64_t frame_interval_ns) {
  auto set = std::make_shared<LiveQuerySet>();
  PB_ASSIGN_OR_RETURN(set->selectors, CheckQueries(queries));
  set->queries = std::move(queries);
  set->hash = HashLiveQueries(tenant, set->queries);
  std::map<std::string, const Selector*> by_text;
  for (const Selector& selector : set->selectors) by_text.emplace(selector.Format(), &selector);
  set->topic_key = {tenant, frame_interval_ns, {}};
  for (const auto& [text, selector] : by_text) {
    set->topic_key.selectors.push_back(text);
    set->topic_selectors.push_back(*selector);
  }
  const std::vector<std::string>& texts = set->topic_key.selectors;
  for (const Selector& selector : set->selectors) {
    const auto at = std::lower_bound(texts.begin(), texts.end(), selector.Format());
    set->selector_of_query.push_back(static_cast<int32_t>(at - texts.begin()));
  }
  return set;
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
    const LiveQuerySpec& query = queries[static_cast<size_t>(number)];
    const int64_t width = query.max_points > 0 ? query.backfill_ns / query.max_points : 0;
    if (width <= 0) return 0;
    narrowest = narrowest == 0 ? width : std::min(narrowest, width);
  }
  return narrowest;
}

absl::StatusOr<std::vector<LiveQuerySpec>> UpdatedQueries(std::vector<LiveQuerySpec> queries,
                                                          const std::vector<LiveQuerySpec>& set,
                                                          const std::vector<std::string>& remove) {
  const auto find = [&queries](const std::string& id) {
    return std::find_if(queries.begin(), queries.end(),
                        [&](const LiveQuerySpec& query) { return query.query_id == id; });
  };
  for (size_t i = 0; i < remove.size(); ++i) {
    const auto known = find(remove[i]);
    if (known == queries.end()) {
      return BadField("remove_query_ids[" + std::to_string(i) + "]", remove[i], "the id of a query of the stream");
    }
    queries.erase(known);
  }
  for (size_t i = 0; i < set.size(); ++i) {
    const LiveQuerySpec& query = set[i];
    const std::string path = "set_queries[" + std::to_string(i) + "]";
    PB_RETURN_IF_ERROR(CheckQuery(query, path));
    PB_RETURN_IF_ERROR(ParseSelector(query, path).status());
    if (const auto known = find(query.query_id); known != queries.end()) {
      *known = query;
    } else {
      queries.push_back(query);
    }
  }
  return queries;
}

}  // namespace pulseboard
