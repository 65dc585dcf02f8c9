#include "server/app/config_loader.h"

#include <toml++/toml.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include "common/base/errors.h"
#include "server/app/config_registry.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not in every libc's unistd.h

namespace pulseboard {
namespace {

// Keys of earlier versions: what to write instead.
struct RetiredKey {
  std::string_view name;
  std::string_view instead;
};
constexpr RetiredKey kRetiredKeys[] = {
    {"storage.fsync", "set ingest.ack_mode = \"buffered\" for what fsync = false was, leave it out for fsync = true"},
    {"storage.head_memory", "storage.memory is for head, write buffers and cache together; the head gets half of it"},
    {"storage.block_cache",
     "storage.memory is for head, write buffers and cache together; the cache gets what is left"},
};

absl::Status UnknownKey(const std::string& name) {
  for (const RetiredKey& retired : kRetiredKeys) {
    if (name == retired.name) {
      return absl::InvalidArgumentError(name + ": is no longer a key; " + std::string(retired.instead));
    }
  }
  const std::string_view similar = SimilarConfigKey(name);
  return absl::InvalidArgumentError(name + ": unknown key" +
                                    (similar.empty() ? std::string() : "; did you mean " + std::string(similar) + "?"));
}

absl::Status Set(const std::string& name, std::string_view value, const std::string& source, LoadedConfig* config) {
  const ConfigKey* key = FindConfigKey(name);
  if (key == nullptr) return WithContext(UnknownKey(name), source);
  if (absl::Status status = SetConfigValue(*key, value, &config->values); !status.ok()) {
    return WithContext(status, source + ": " + name);
  }
  config->source[name] = source;
  return absl::OkStatus();
}

std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  return std::nullopt;
}

std::string At(const std::string& file, const toml::source_region& region) {
  return file + ":" + std::to_string(region.begin.line);
}

absl::Status ApplyTable(const std::string& file, std::string_view table_name, const toml::table& table,
                        LoadedConfig* config) {
  for (const auto& [key, node] : table) {
    const std::string name = std::string(table_name) + "." + std::string(key.str());
    const std::string place = At(file, key.source());
    const std::optional<std::string> text = ScalarText(node);
    if (!text) {
      if (FindConfigKey(name) == nullptr) return WithContext(UnknownKey(name), place);
      return absl::InvalidArgumentError(place + ": " + name + ": got a table, list, date or fraction; " +
                                        FindConfigKey(name)->Accepted() + " would be accepted");
    }
    PB_RETURN_IF_ERROR(Set(name, *text, place, config));
  }
  return absl::OkStatus();
}

absl::Status ApplyFile(const std::string& file, LoadedConfig* config) {
  std::ifstream in(file);
  if (!in) return absl::NotFoundError(file + ": cannot be read");
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  try {
    const toml::table root = toml::parse(content, file);
    for (const auto& [key, node] : root) {
      const toml::table* table = node.as_table();
      if (table == nullptr) {
        return absl::InvalidArgumentError(At(file, key.source()) + ": " + std::string(key.str()) +
                                          ": unknown key; all keys stand in a [table]");
      }
      PB_RETURN_IF_ERROR(ApplyTable(file, key.str(), *table, config));
    }
  } catch (const toml::parse_error& e) {
    return absl::InvalidArgumentError(At(file, e.source()) + ": " + std::string(e.description()));
  }
  return absl::OkStatus();
}

// A variable that begins like one of ours but names no key is a mistake worth telling.
absl::Status ApplyEnvironment(const std::map<std::string, std::string>& environment, LoadedConfig* config) {
  std::map<std::string, const ConfigKey*> by_variable;
  std::map<std::string, std::string> tables;  // PULSEBOARD_<TABLE>_ -> table
  for (const ConfigKey& key : AllConfigKeys()) {
    const std::string variable = key.EnvironmentName();
    by_variable[variable] = &key;
    tables[variable.substr(0, variable.size() - key.key().size())] = std::string(key.table());
  }
  for (const auto& [variable, value] : environment) {
    const std::string source = "environment " + variable;
    if (const auto it = by_variable.find(variable); it != by_variable.end()) {
      PB_RETURN_IF_ERROR(Set(std::string(it->second->name), value, source, config));
      continue;
    }
    for (const auto& [prefix, table] : tables) {
      if (!variable.starts_with(prefix)) continue;
      std::string name = table + "." + variable.substr(prefix.size());
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      return WithContext(UnknownKey(name), source);
    }
  }
  return absl::OkStatus();
}

std::string DefaultDirectory(const std::map<std::string, std::string>& environment) {
  const auto get = [&](const char* name) {
    const auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  if (const std::string state = get("XDG_STATE_HOME"); state.starts_with('/')) return state + "/pulseboard";
  if (const std::string home = get("HOME"); !home.empty()) return home + "/.local/state/pulseboard";
  return "/var/lib/pulseboard";
}

}  // namespace

std::map<std::string, std::string> ProcessEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

absl::StatusOr<ConfigFlag> ParseSetFlag(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError("--set " + text + ": table.key=value would be accepted");
  }
  return ConfigFlag{"--set", text.substr(0, equals), text.substr(equals + 1)};
}

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigSources& sources) {
  LoadedConfig config;
  for (const ConfigKey& key : AllConfigKeys()) config.source[std::string(key.name)] = "default";
  if (!sources.file.empty()) PB_RETURN_IF_ERROR(ApplyFile(sources.file, &config));
  PB_RETURN_IF_ERROR(ApplyEnvironment(sources.environment, &config));
  for (const ConfigFlag& flag : sources.flags) {
    PB_RETURN_IF_ERROR(Set(flag.name, flag.value, "flag " + flag.flag, &config));
  }
  ServerConfig& values = config.values;
  if (values.store.directory.empty()) values.store.directory = DefaultDirectory(sources.environment);
  if (values.tls.certificate_file.empty() != values.tls.key_file.empty()) {
    return absl::InvalidArgumentError("server.tls_certificate and server.tls_key: both or neither would be accepted");
  }
  // Who did not choose the tiers need not be told that they do not fit a longer raw_retention.
  if (config.source.at("storage.tiers") == "default") {
    values.storage_tiers = FormatTiers(RaiseRetentions(DefaultTiers(), values.store.raw_retention_ns));
  }
  absl::StatusOr<std::vector<TierOptions>> tiers = ParseTiers(values.storage_tiers, values.store.raw_retention_ns);
  if (!tiers.ok()) return WithContext(tiers.status(), config.source.at("storage.tiers") + ": storage.tiers");
  values.store.tiers = *std::move(tiers);
  if (const auto tenants = ParseTenantRetention(values.tenant_retention); !tenants.ok()) {
    return WithContext(tenants.status(), config.source.at("storage.tenant_retention") + ": storage.tenant_retention");
  }
  absl::StatusOr<OtlpAttributeRules> labels = OtlpAttributeRules::Parse(values.otlp_resource_labels);
  if (!labels.ok()) {
    return WithContext(labels.status(),
                       config.source.at("ingest.otlp_resource_labels") + ": ingest.otlp_resource_labels");
  }
  values.intake.otlp_resource_labels = *std::move(labels);
  values.intake.default_ack_mode = values.ack_mode == "buffered" ? AckMode::kBuffered : AckMode::kFsynced;
  return config;
}

std::string FormatEffectiveConfig(const LoadedConfig& config) {
  std::string out;
  std::string_view table;
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.table() != table) {
      out += (table.empty() ? "[" : "\n[") + std::string(key.table()) + "]\n";
      table = key.table();
    }
    out += std::string(key.key()) + " = " + TomlValue(key, config.values) + "  # " +
           config.source.at(std::string(key.name)) + "\n";
  }
  return out;
}

ConfigChanges CompareConfigs(const ServerConfig& before, const ServerConfig& after) {
  ConfigChanges changes;
  for (const ConfigKey& key : AllConfigKeys()) {
    if (GetConfigValue(key, before) == GetConfigValue(key, after)) continue;
    (key.reloadable ? changes.reloadable : changes.needs_restart).push_back(std::string(key.name));
  }
  return changes;
}

}  // namespace pulseboard
