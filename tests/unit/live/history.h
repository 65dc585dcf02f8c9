// What the history query answers for the window of an aggregated live query, and how a viewer's values differ from it.
#pragma once

#include <map>
#include <string>

#include "server/live/hub.h"
#include "server/query/query_engine.h"
#include "tests/unit/live/viewer.h"

namespace pulseboard::testing {

// By line, `cpu{host="a"}`.
using AggregateHistory = std::map<std::string, std::map<int64_t, double>>;

// All whole columns from `query.backfill_ns` before `now` on.
AggregateHistory HistoryOf(QueryEngine& queries, const LiveQuerySpec& query, int64_t now);
// Empty when the viewer has these values, and no others in the window of the history.
std::string DifferenceOf(const ViewerState& state, const LiveQuerySpec& query, const AggregateHistory& history);

}  // namespace pulseboard::testing
