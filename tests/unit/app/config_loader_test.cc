#include "server/app/config_loader.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "tests/support/temp_dir.h"

namespace pulseboard {
namespace {

using testing::TempDir;
using testing::WriteFile;

class ConfigLoaderTest : public ::testing::Test {
 protected:
  absl::StatusOr<LoadedConfig> Load(const std::string& toml, std::map<std::string, std::string> environment = {},
                                    std::vector<ConfigFlag> flags = {}) {
    WriteFile(file_, toml);
    return LoadConfig({file_, std::move(environment), std::move(flags)});
  }
  // The error text with the file's name shortened to FILE.
  std::string Error(const std::string& toml, std::map<std::string, std::string> environment = {},
                    std::vector<ConfigFlag> flags = {}) {
    std::string message = StatusMessage(Load(toml, std::move(environment), std::move(flags)).status());
    if (message.starts_with(file_)) message.replace(0, file_.size(), "FILE");
    return message;
  }

  const TempDir dir_;
  const std::string file_ = dir_.File("c.toml");
};

TEST_F(ConfigLoaderTest, LetsLaterLayersWinAndSaysWhichDid) {
  const std::string toml = "[query]\nthreads = 3\nmax_active = 5\nmax_series = 7\n";
  const auto config = Load(toml, {{"PULSEBOARD_QUERY_MAX_ACTIVE", "6"}, {"PULSEBOARD_QUERY_MAX_SERIES", "8"}},
                           {{"--set", "query.max_series", "9"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->values.query.threads, 3);
  EXPECT_EQ(config->values.query.max_active, 6);
  EXPECT_EQ(config->values.query.max_series, 9);
  EXPECT_EQ(config->source.at("query.threads"), file_ + ":2");
  EXPECT_EQ(config->source.at("query.max_active"), "environment PULSEBOARD_QUERY_MAX_ACTIVE");
  EXPECT_EQ(config->source.at("query.max_series"), "flag --set");
  EXPECT_EQ(config->source.at("query.chunk_samples"), "default");
}

TEST_F(ConfigLoaderTest, TakesValuesInTheirOwnTomlTypesAndAsText) {
  const auto config = Load(
      "[ingest]\nallow_buffered = false\nack_mode = \"buffered\"\n[storage]\nwal_segment = 2097152\nmemory = "
      "\"300MiB\"\nseal_age = \"90s\"\n"
      "[identity]\nself_registration = \"true\"\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->values.intake.allow_buffered);
  EXPECT_EQ(config->values.intake.default_ack_mode, AckMode::kBuffered);
  EXPECT_EQ(config->values.store.wal_segment_bytes, 2 << 20);
  EXPECT_EQ(config->values.store.memory_bytes, 300 << 20);
  EXPECT_EQ(config->values.store.seal_age_ns, 90 * kNanosPerSecond);
  EXPECT_TRUE(config->values.accounts.self_registration);
}

TEST_F(ConfigLoaderTest, NamesFileLineKeyValueAndWhatIsAccepted) {
  EXPECT_EQ(Error("[server]\n\nlistn = \"x\"\n"), "FILE:3: server.listn: unknown key; did you mean server.listen?");
  EXPECT_EQ(Error("[query]\nthreads = 99\n"), "FILE:2: query.threads: got \"99\"; 1 to 64 (threads) would be accepted");
  EXPECT_EQ(Error("[server]\ntls = \"yes\"\n"), "FILE:2: server.tls: got \"yes\"; auto, on or off would be accepted");
  EXPECT_EQ(Error("[ingest]\nallow_buffered = 1\n"),
            "FILE:2: ingest.allow_buffered: got \"1\"; true or false would be accepted");
  EXPECT_EQ(Error("[server]\nlisten = \"nowhere\"\n"),
            "FILE:2: server.listen: got \"nowhere\"; HOST:PORT or [IPV6]:PORT would be accepted");
  EXPECT_EQ(Error("[server]\ndrain = 2\n"),
            "FILE:2: server.drain: got \"2\"; 0 to 1m, numbers with ns, us, ms, s, m, h or d, would be accepted");
  EXPECT_EQ(Error("[query]\nthreads = 1.5\n"),
            "FILE:2: query.threads: got a table, list, date or fraction; 1 to 64 (threads) would be accepted");
  EXPECT_EQ(Error("[server.listen]\nx = 1\n"),
            "FILE:1: server.listen: got a table, list, date or fraction; HOST:PORT or [IPV6]:PORT would be accepted");
  EXPECT_EQ(Error("listen = \"x:1\"\n"), "FILE:1: listen: unknown key; all keys stand in a [table]");
  EXPECT_TRUE(Error("[server\n").starts_with("FILE:1: ")) << Error("[server\n");
}

TEST_F(ConfigLoaderTest, SaysWhatTookThePlaceOfAKey) {
  const std::string instead =
      "storage.fsync: is no longer a key; set ingest.ack_mode = \"buffered\" for what fsync = false was, leave it out "
      "for fsync = true";
  EXPECT_EQ(Error("[storage]\nfsync = true\n"), "FILE:2: " + instead);
  EXPECT_EQ(Error("", {}, {{"--set", "storage.fsync", "false"}}), "flag --set: " + instead);
}

TEST_F(ConfigLoaderTest, NamesVariableOrFlag) {
  EXPECT_EQ(Error("", {{"PULSEBOARD_QUERY_THREADS", "0"}}),
            "environment PULSEBOARD_QUERY_THREADS: query.threads: got \"0\"; 1 to 64 (threads) would be accepted");
  EXPECT_EQ(Error("", {{"PULSEBOARD_QUERY_THREAD", "1"}}),
            "environment PULSEBOARD_QUERY_THREAD: query.thread: unknown key; did you mean query.threads?");
  EXPECT_EQ(Error("", {}, {{"--listen", "server.listen", "x"}}),
            "flag --listen: server.listen: got \"x\"; HOST:PORT or [IPV6]:PORT would be accepted");
  EXPECT_TRUE(Load("", {{"PULSEBOARD_TEST_DIR", "x"}, {"PATH", "y"}}).ok()) << "variables of others";
}

TEST_F(ConfigLoaderTest, SaysWhenTheFileIsMissing) {
  const auto config = LoadConfig({dir_.File("none.toml"), {}, {}});
  EXPECT_TRUE(absl::IsNotFound(config.status()));
  EXPECT_EQ(StatusMessage(config.status()), dir_.File("none.toml") + ": cannot be read");
}

TEST_F(ConfigLoaderTest, FindsTheDataDirectory) {
  const auto directory = [](std::map<std::string, std::string> environment) {
    return LoadConfig({"", std::move(environment), {}})->values.store.directory;
  };
  EXPECT_EQ(directory({{"XDG_STATE_HOME", "/s"}, {"HOME", "/h"}}), "/s/pulseboard");
  EXPECT_EQ(directory({{"XDG_STATE_HOME", "relative"}, {"HOME", "/h"}}), "/h/.local/state/pulseboard");
  EXPECT_EQ(directory({{"HOME", "/h"}}), "/h/.local/state/pulseboard");
  EXPECT_EQ(directory({}), "/var/lib/pulseboard");
  EXPECT_EQ(directory({{"HOME", "/h"}, {"PULSEBOARD_STORAGE_DIRECTORY", "/d"}}), "/d");
}

TEST_F(ConfigLoaderTest, WantsCertificateAndKeyTogether) {
  EXPECT_FALSE(Load("[server]\ntls_key = \"k\"\n").ok());
  EXPECT_TRUE(Load("[server]\ntls_key = \"k\"\ntls_certificate = \"c\"\n").ok());
}

TEST_F(ConfigLoaderTest, ReadsAndChecksTheTiers) {
  const auto config = Load("[storage]\nraw_retention = \"7d\"\ntiers = \"5m:90d, 1h:400d\"\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->values.store.tiers,
            (std::vector<TierOptions>{{5 * kNanosPerMinute, 90 * kNanosPerDay}, {kNanosPerHour, 400 * kNanosPerDay}}));
  EXPECT_EQ(config->values.store.raw_retention_ns, 7 * kNanosPerDay);
  EXPECT_TRUE(Load("[storage]\ntiers = \"\"\n")->values.store.tiers.empty());
  EXPECT_EQ(Load("")->values.store.tiers, DefaultTiers());
  EXPECT_EQ(Load("[storage]\nraw_retention = \"365d\"\n")->values.storage_tiers, "1m:365d,1h:1825d,1d:7300d");
  EXPECT_EQ(Error("[storage]\ntiers = \"1m:10d\"\n"),
            "FILE:2: storage.tiers: got 1m:10d; at least the retention of the finer tier, 30d, would be accepted");
  EXPECT_EQ(Error("[storage]\ntiers = \"1m\"\n"),
            "FILE:2: storage.tiers: got \"1m\"; BUCKET:RETENTION as in 1m:180d, durations such as 1h, would be "
            "accepted");
}

TEST_F(ConfigLoaderTest, PrintsEffectiveValuesThatItReadsBack) {
  const auto config = Load("[log]\nlevel = \"warn\"\n[query]\nthreads = 3\n");
  ASSERT_TRUE(config.ok());
  const std::string printed = FormatEffectiveConfig(*config);
  EXPECT_NE(printed.find("threads = 3  # " + file_ + ":4\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("max_active = 64  # default\n"), std::string::npos);
  const auto again = Load(printed);
  ASSERT_TRUE(again.ok()) << again.status();
  const ConfigChanges changes = CompareConfigs(config->values, again->values);
  EXPECT_TRUE(changes.reloadable.empty());
  EXPECT_TRUE(changes.needs_restart.empty());
}

TEST_F(ConfigLoaderTest, TellsReloadableChangesFromOthers) {
  const auto before = Load("");
  const auto after = Load("[log]\nlevel = \"warn\"\n[query]\nthreads = 3\n");
  const ConfigChanges changes = CompareConfigs(before->values, after->values);
  EXPECT_EQ(changes.reloadable, (std::vector<std::string>{"log.level"}));
  EXPECT_EQ(changes.needs_restart, (std::vector<std::string>{"query.threads"}));
}

TEST(ParseSetFlag, SplitsAtTheFirstEqualsSign) {
  EXPECT_EQ(ParseSetFlag("a.b=c=d")->name, "a.b");
  EXPECT_EQ(ParseSetFlag("a.b=c=d")->value, "c=d");
  EXPECT_EQ(ParseSetFlag("a.b=")->value, "");
  EXPECT_FALSE(ParseSetFlag("a.b").ok());
  EXPECT_FALSE(ParseSetFlag("=x").ok());
}

}  // namespace
}  // namespace pulseboard
