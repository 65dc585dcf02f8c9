#include "tests/unit/live/history.h"

#include <gtest/gtest.h>

#include "common/analysis/rollup.h"
#include "common/base/errors.h"
#include "server/query/columns/column_cursor.h"

namespace pulseboard::testing {

AggregateHistory HistoryOf(QueryEngine& queries, const LiveQuerySpec& query, int64_t now) {
  const LiveAggregate& aggregate = *query.aggregate;
  ColumnsRequest request;
  request.selector = query.selector;
  request.range = {BucketStart(now - query.backfill_ns, aggregate.step_ns), now + kNanosPerDay / 4};
  request.step.step_ns = aggregate.step_ns;
  request.aggregates = {aggregate.aggregate};
  request.group = aggregate.group;
  AggregateHistory history;
  auto cursor = queries.OpenColumns({kDefaultTenant, queries.Deadline(std::nullopt), nullptr}, request);
  EXPECT_TRUE(cursor.ok()) << StatusMessage(cursor.status());
  std::map<uint32_t, std::string> lines;
  while (cursor.ok()) {
    const auto chunk = (*cursor)->Next();
    EXPECT_TRUE(chunk.ok()) << StatusMessage(chunk.status());
    if (!chunk.ok()) return history;
    for (const RangeSeries& line : chunk->definitions) lines[line.ref] = line.series->key.Format();
    for (const RangeColumn& column : chunk->columns) {
      auto& values = history[lines.at(column.ref)];
      for (size_t i = 0; i < column.samples.size(); ++i) values[column.samples.times[i]] = column.samples.values[i];
    }
    if (chunk->summary) break;
  }
  return history;
}

std::string DifferenceOf(const ViewerState& state, const LiveQuerySpec& query, const AggregateHistory& history) {
  const auto describe = [&query](const std::string& line, int64_t time) {
    return query.query_id + " " + line + " column " + std::to_string(time) + ": ";
  };
  int64_t window_start = INT64_MAX;
  for (const auto& [line, values] : history) {
    window_start = std::min(window_start, values.begin()->first);
    const auto known = state.values.find({query.query_id, line});
    if (known == state.values.end()) return describe(line, values.begin()->first) + "no such line; ";
    for (const auto& [time, value] : values) {
      const auto got = known->second.find(time);
      if (got == known->second.end()) return describe(line, time) + "not there; ";
      if (got->second != value) {
        return describe(line, time) + std::to_string(got->second) + " not " + std::to_string(value) + "; ";
      }
    }
  }
  for (const auto& [line, values] : state.values) {
    if (line.first != query.query_id) continue;
    const auto known = history.find(line.second);
    for (const auto& [time, value] : values) {
      if (time < window_start) continue;
      if (known == history.end() || !known->second.contains(time)) return describe(line.second, time) + "too much; ";
    }
  }
  return "";
}

}  // namespace pulseboard::testing
