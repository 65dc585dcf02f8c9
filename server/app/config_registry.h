// The one table of settings: name, type, unit, default, bounds, whether it can change while running, and what it is
// for. Sample file, checks, `pulseboardd config` and environment names all come from it. To add a key: add its row in
// config_keys.cc and run `pulseboardd config --sample > server/app/pulseboardd.sample.toml`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "server/app/config.h"

namespace pulseboard {

enum class ConfigKind { kText, kAddress, kChoice, kBool, kInteger, kBytes, kDuration };

struct ConfigKey {
  using Target = std::variant<std::string*, bool*, int32_t*, int64_t*>;

  std::string_view name;  // `table.key`
  ConfigKind kind = ConfigKind::kText;
  std::string_view unit;  // what the number counts, or how the text is built; for people
  int64_t min = 0;        // kInteger, kBytes (bytes) and kDuration (nanoseconds): the least and the most accepted
  int64_t max = 0;
  std::string_view choices;                          // kChoice: `a|b|c`
  bool reloadable = false;                           // taken over on SIGHUP; others need a restart
  std::string_view doc;                              // one or two sentences
  Target (*target)(ServerConfig& config) = nullptr;  // the field it fills

  std::string_view table() const { return name.substr(0, name.find('.')); }
  std::string_view key() const { return name.substr(name.find('.') + 1); }
  // PULSEBOARD_<TABLE>_<KEY>.
  std::string EnvironmentName() const;
  // What would be accepted, for error texts.
  std::string Accepted() const;
};

// In the order of the sample file.
std::span<const ConfigKey> AllConfigKeys();
// Null when unknown.
const ConfigKey* FindConfigKey(std::string_view name);
// The known name that looks most like `name`; empty when none does.
std::string_view SimilarConfigKey(std::string_view name);

// Sets the key's field from text. INVALID_ARGUMENT saying `got "…"; … would be accepted`.
absl::Status SetConfigValue(const ConfigKey& key, std::string_view text, ServerConfig* config);
// The text that SetConfigValue reads back, without quotes.
std::string GetConfigValue(const ConfigKey& key, const ServerConfig& config);
// As it stands in a TOML file.
std::string TomlValue(const ConfigKey& key, const ServerConfig& config);

// A commented file with every key and its default, all commented out.
std::string SampleConfigFile();

}  // namespace pulseboard
