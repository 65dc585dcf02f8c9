// `pulseboardd cardinality`: who has how many series, as tables.
#pragma once

#include <string>

#include "server/app/api_connection.h"

namespace pulseboard {

struct CardinalityCommandOptions {
  ConnectionFlags connection;
  std::string selector;          // empty: all series
  std::string order = "series";  // series, hour or day
  int limit = 10;                // rows per table
};

// Returns the exit code; errors go to stderr, tables to stdout.
int RunCardinalityCommand(const CardinalityCommandOptions& options);

}  // namespace pulseboard
