// `pulseboardd query`: evaluates an expression on a server and prints the answer.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/app/api_connection.h"

namespace CLI {
class App;
}

namespace pulseboard {

struct QueryCommandOptions {
  ConnectionFlags connection;
  std::string expression;
  std::string from;  // see ParseInstant; empty: the same as `to`
  std::string to = "now";
  std::string step;              // empty: some 100 instants
  std::string format = "table";  // table, csv or json
};

void AddQueryCommand(CLI::App* app, QueryCommandOptions* options);
bool QueryCommandGiven(const CLI::App& app);
// Returns the exit code; errors go to stderr, results to stdout.
int RunQueryCommand(const QueryCommandOptions& options);

// `now`, `-1h30m` before now, seconds since 1970, or RFC 3339 (`2026-11-24T10:00:00Z`): unix nanoseconds. BAD_FIELD
// about `flag` for anything else.
absl::StatusOr<int64_t> ParseInstant(const std::string& flag, const std::string& text, int64_t now_unix_nanos);

}  // namespace pulseboard
