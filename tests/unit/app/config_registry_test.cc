#include "server/app/config_registry.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "server/app/config_loader.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

ServerConfig LoadText(const std::string& toml) {
  const TempDir dir;
  WriteFile(dir.File("c.toml"), toml);
  const auto loaded = LoadConfig({dir.File("c.toml"), {}, {}});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->values : ServerConfig{};
}

// The only value that LoadConfig fills in.
void ExpectDefaults(ServerConfig config) {
  config.store.directory.clear();
  const ServerConfig defaults;
  for (const ConfigKey& key : AllConfigKeys()) {
    EXPECT_EQ(GetConfigValue(key, config), GetConfigValue(key, defaults)) << key.name;
  }
}

TEST(ConfigRegistry, NamesEveryKeyOnceWithADoc) {
  std::set<std::string> names;
  std::set<std::string> variables;
  std::set<std::string> finished_tables;
  std::string table;
  for (const ConfigKey& key : AllConfigKeys()) {
    EXPECT_TRUE(names.insert(std::string(key.name)).second) << key.name;
    EXPECT_TRUE(variables.insert(key.EnvironmentName()).second) << key.name;
    EXPECT_TRUE(key.doc.ends_with('.')) << key.name;
    EXPECT_EQ(key.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_."), std::string_view::npos) << key.name;
    if (key.table() != table) {
      EXPECT_TRUE(finished_tables.insert(table).second) << "table " << key.table() << " comes twice";
      table = key.table();
    }
  }
  EXPECT_EQ(FindConfigKey("identity.self_registration")->EnvironmentName(), "PULSEBOARD_IDENTITY_SELF_REGISTRATION");
}

TEST(ConfigRegistry, HasEveryFieldOnce) {
  ServerConfig config;
  std::set<void*> fields;
  for (const ConfigKey& key : AllConfigKeys()) {
    void* field = std::visit([](auto* p) { return static_cast<void*>(p); }, key.target(config));
    EXPECT_TRUE(fields.insert(field).second) << key.name;
  }
}

TEST(ConfigRegistry, HasDefaultsInsideTheirBounds) {
  const ServerConfig defaults;
  for (const ConfigKey& key : AllConfigKeys()) {
    ServerConfig config;
    EXPECT_TRUE(SetConfigValue(key, GetConfigValue(key, defaults), &config).ok()) << key.name;
    EXPECT_EQ(GetConfigValue(key, config), GetConfigValue(key, defaults)) << key.name;
  }
}

TEST(ConfigRegistry, RefusesWhatLiesOutsideTheBounds) {
  for (const ConfigKey& key : AllConfigKeys()) {
    ServerConfig config;
    const std::string before = GetConfigValue(key, config);
    if (key.kind == ConfigKind::kText) continue;
    for (const char* text : {"", "nonsense", "-1", "99999999999999999999", "1e3"}) {
      const absl::Status status = SetConfigValue(key, text, &config);
      EXPECT_FALSE(status.ok()) << key.name << " took '" << text << "'";
    }
    if (key.max > 0) {
      const std::string unit = key.kind == ConfigKind::kDuration ? "ns" : "";
      EXPECT_FALSE(SetConfigValue(key, std::to_string(key.min - 1) + unit, &config).ok()) << key.name;
      EXPECT_FALSE(SetConfigValue(key, std::to_string(key.max + 1) + unit, &config).ok()) << key.name;
    }
    EXPECT_EQ(GetConfigValue(key, config), before) << key.name;
    if (key.max > 0) {
      const std::string unit = key.kind == ConfigKind::kDuration ? "ns" : "";
      EXPECT_TRUE(SetConfigValue(key, std::to_string(key.min) + unit, &config).ok()) << key.name;
      EXPECT_TRUE(SetConfigValue(key, std::to_string(key.max) + unit, &config).ok()) << key.name;
    }
  }
}

TEST(SampleConfig, LoadsToTheDefaults) {
  const std::string sample = SampleConfigFile();
  ExpectDefaults(LoadText(sample));

  std::string active;  // with every key's `#` taken away
  int keys = 0;
  for (size_t at = 0; at < sample.size();) {
    const size_t end = sample.find('\n', at);
    std::string line = sample.substr(at, end - at);
    if (line.starts_with('#') && !line.starts_with("# ")) {
      line.erase(0, 1);
      ++keys;
    }
    active += line + "\n";
    at = end + 1;
  }
  EXPECT_EQ(keys, static_cast<int>(AllConfigKeys().size()));
  ExpectDefaults(LoadText(active));
}

TEST(SampleConfig, IsTheOneInTheRepository) {
  EXPECT_EQ(ReadFile(PULSEBOARD_SOURCE_DIR "/server/app/pulseboardd.sample.toml"), SampleConfigFile())
      << "run: pulseboardd config --sample > server/app/pulseboardd.sample.toml";
}

TEST(SimilarConfigKey, HelpsWithTyposAndWrongTables) {
  EXPECT_EQ(SimilarConfigKey("server.listn"), "server.listen");
  EXPECT_EQ(SimilarConfigKey("storage.listen"), "server.listen");
  EXPECT_EQ(SimilarConfigKey("query.thread"), "query.threads");
  EXPECT_EQ(SimilarConfigKey("completely.different_thing_here"), "");
}

}  // namespace
}  // namespace pulseboard
