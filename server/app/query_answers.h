// How `pulseboardd query` asks for tables and histograms, and prints what any query would cost.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "server/app/api_connection.h"
#include "server/app/query_command.h"

namespace pulseboard {

// `2026-11-24T15:00:00Z`.
std::string QueryTimeText(int64_t unix_nanos);
// The shortest decimal that reads back, or NaN.
std::string QueryNumberText(double value);
// Quoted where CSV needs it.
std::string QueryCsvText(const std::string& text);

// Rows to stdout. `from`, `to`: unix nanoseconds.
absl::Status RunTableQuery(const QueryCommandOptions& options, ApiConnection& connection, int64_t from, int64_t to);
absl::Status RunHistogramQuery(const QueryCommandOptions& options, ApiConnection& connection, int64_t from, int64_t to);
void PrintEstimate(const v1::QueryEstimate& estimate);

}  // namespace pulseboard
