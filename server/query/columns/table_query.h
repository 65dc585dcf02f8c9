// Tables: a row per series or group, a value per aggregate over a whole range; filtered, sorted, cut. For tables, top
// lists and pies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/columns/aggregates.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/columns/grouping.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"

namespace pulseboard {

struct TableColumn {
  Aggregate aggregate;
  bool earlier = false;  // of the period to compare with
};

enum class TableComparison : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

// Rows whose value is missing pass none.
struct TableFilter {
  size_t column = 0;
  TableComparison comparison = TableComparison::kGreater;
  double value = 0;
};

inline constexpr int32_t kDefaultTableRows = 100;
inline constexpr int32_t kMaxTableRows = 10'000;

struct TableRequest {
  std::string selector;
  TimeRange range;
  std::vector<TableColumn> columns;  // 1 to kMaxAggregates
  Grouping group;
  PeriodOffset compare;
  std::vector<TableFilter> filters;  // all must pass
  size_t sort_column = 0;
  bool ascending = false;  // missing values come last either way; equal ones by labels
  int32_t limit = 0;       // 0: kDefaultTableRows; above kMaxTableRows: that
  bool with_rest = false;
};

struct TableRow {
  std::shared_ptr<const SeriesInfo> series;
  std::vector<double> values;  // NaN: none
};

struct TableAnswer {
  std::vector<TableRow> rows;
  int64_t row_count = 0;     // that passed the filters, also those beyond the limit
  std::vector<double> rest;  // sums of the rows beyond the limit; empty: none, or not asked for
  RangeSummary summary;
  std::shared_ptr<const QueryEstimate> estimate;  // of a dry run
};

// On the calling thread; errors as for QueryEngine. Holds a value per series and column.
absl::StatusOr<TableAnswer> QueryTable(QueryEngine& engine, const QueryContext& context, const TableRequest& request,
                                       bool dry_run);

}  // namespace pulseboard
