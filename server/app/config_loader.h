// Effective settings from default < file < environment < flags, each with its source.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/app/config.h"

namespace pulseboard {

struct ConfigFlag {
  std::string flag;  // as typed, e.g. `--listen`
  std::string name;  // `server.listen`
  std::string value;
};

// What there is to read.
struct ConfigSources {
  std::string file;                                // TOML; empty: none
  std::map<std::string, std::string> environment;  // all variables; those of known tables count
  std::vector<ConfigFlag> flags;                   // later ones win
};

struct LoadedConfig {
  ServerConfig values;
  std::map<std::string, std::string> source;  // by key name: `default`, `FILE:LINE`, `environment NAME`, `flag NAME`
};

// Of this process.
std::map<std::string, std::string> ProcessEnvironment();
// `table.key=value` as --set takes it. INVALID_ARGUMENT.
absl::StatusOr<ConfigFlag> ParseSetFlag(const std::string& text);

// INVALID_ARGUMENT naming file and line (or variable, or flag), key, value and what would be accepted; the first
// problem found. NOT_FOUND when the file is not there. An empty storage.directory is filled in.
absl::StatusOr<LoadedConfig> LoadConfig(const ConfigSources& sources);

// All effective values as TOML, each with a comment saying its source.
std::string FormatEffectiveConfig(const LoadedConfig& config);

struct ConfigChanges {
  std::vector<std::string> reloadable;     // names of keys that differ and may change while running
  std::vector<std::string> needs_restart;  // names of the others that differ
};
ConfigChanges CompareConfigs(const ServerConfig& before, const ServerConfig& after);

}  // namespace pulseboard
