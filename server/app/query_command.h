// `pulseboardd query`: evaluates an expression on a server and prints the answer.
#pragma once

#include <cstdint>
#include <string>

#include "server/app/api_connection.h"

namespace CLI {
class App;
}

namespace pulseboard {

struct QueryCommandOptions {
  ConnectionFlags connection;
  std::string expression;
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
