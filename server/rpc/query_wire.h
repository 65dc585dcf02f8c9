// Requests and answers of QueryService about columns of time, tables, histograms and forecasts <-> values of
// server/query.
#pragma once

#include <deque>
#include <vector>

#include "pulseboard/v1/query.pb.h"
#include "server/query/columns/column_cursor.h"
#include "server/query/columns/histogram_query.h"
#include "server/query/columns/table_query.h"
#include "server/query/forecast_query.h"
#include "server/query/query_engine.h"
#include "server/query/query_estimate.h"

namespace pulseboard {

// All: BAD_FIELD for times, durations and enums that make no sense.
bool HasTimeColumns(const v1::QueryRangeRequest& request);
// REQUIRES: HasTimeColumns.
absl::StatusOr<ColumnsRequest> ColumnsFromProto(const v1::QueryRangeRequest& request, int64_t now_unix_nanos);
absl::StatusOr<TableRequest> FromProto(const v1::QueryTableRequest& request, int64_t now_unix_nanos);
absl::StatusOr<ForecastRequest> FromProto(const v1::ForecastRequest& request, int64_t now_unix_nanos);
absl::StatusOr<HistogramRequest> FromProto(const v1::QueryHistogramRequest& request, int64_t now_unix_nanos);

absl::StatusOr<Aggregate> AggregateFromProto(std::string_view field, const v1::Aggregate& in);
absl::StatusOr<Grouping> GroupingFromProto(const v1::Grouping& in);

void ToProto(const std::vector<int64_t>& bounds, v1::TimeColumns* out);
void ToProto(const QueryEstimate& estimate, v1::QueryEstimate* out);
void ToProto(const RangeSummary& summary, v1::QueryRangeSummary* out);
void ToProto(const RangeSummary& summary, v1::QueryExpressionSummary* out);
void ToProto(const ForecastAnswer& answer, v1::ForecastResponse* out);
void ToProto(const TableAnswer& answer, v1::QueryTableResponse* out);
void ToMessages(const HistogramAnswer& answer, std::deque<v1::QueryHistogramResponse>* out);

}  // namespace pulseboard
