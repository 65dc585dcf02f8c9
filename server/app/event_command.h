// `pulseboardd event`: pushes an event to a server, lists its events, or follows them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/app/api_connection.h"

namespace CLI {
class App;
}

namespace pulseboard {

struct EventCommandOptions {
  enum class Action { kNone, kPush, kList, kWatch };

  ConnectionFlags connection;
  Action action = Action::kNone;
  // push
  std::string source;
  std::string text;
  std::vector<std::string> labels;  // name=value
  std::string time = "now";
  std::string severity;  // push: info when empty; list, watch: the least
  std::string request_id;
  // list, watch
  std::string selector;
  std::string contains;
  std::string from = "-24h";     // see moment.h
  std::string to;                // empty: no end
  std::string format = "table";  // table or json (a line per event)
  int64_t limit = 1'000;
};

void AddEventCommand(CLI::App* app, EventCommandOptions* options);
bool EventCommandGiven(const CLI::App& app);
// Returns the exit code; errors go to stderr, events to stdout.
int RunEventCommand(const EventCommandOptions& options);

}  // namespace pulseboard
