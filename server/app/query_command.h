// `pulseboardd query`: asks a server for the values of an expression, a table or a histogram, and prints the answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/app/api_connection.h"

namespace CLI {
class App;
}

namespace pulseboard {

struct QueryCommandOptions {
  ConnectionFlags connection;
  // One of the three.
  std::string expression;
  std::string table;                    // selector
  std::string histogram;                // selector
  std::vector<std::string> aggregates;  // of a table; none: the usual ones
  std::vector<std::string> by;
  int32_t top = 0;  // 0: the server's default
  std::vector<double> quantiles;
  int32_t buckets = 0;  // 0: the server's default
  bool dry_run = false;
  std::string from;  // see moment.h; empty: the same as `to`
  std::string to = "now";
  std::string step;              // empty: some 100 instants
  std::string format = "table";  // table, csv or json
};

void AddQueryCommand(CLI::App* app, QueryCommandOptions* options);
bool QueryCommandGiven(const CLI::App& app);
// Returns the exit code; errors go to stderr, results to stdout.
int RunQueryCommand(const QueryCommandOptions& options);

}  // namespace pulseboard
