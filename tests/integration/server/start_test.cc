// What goes wrong at the start is said in words that help, and ends the process.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

Output Serve(const TempDir& dir, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {BinaryPath("pulseboardd"), "serve", "--admin-password-file", dir.File("pw")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunToEnd(std::move(argv));
}

void ExpectRefusal(const Output& output, const std::vector<std::string>& words) {
  EXPECT_GT(output.exit_code, 0) << output.out << output.err;
  EXPECT_LT(output.exit_code, 128) << "ended by a signal: " << output.err;
  EXPECT_EQ(output.out.find("ready"), std::string::npos) << output.out;
  for (const std::string& word : words) {
    EXPECT_NE(output.err.find(word), std::string::npos) << "misses '" << word << "': " << output.err;
  }
}

TEST(Start, FailsOnATakenPort) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const TempDir dir;
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--listen", server.address()}), {server.address()});
}

TEST(Start, FailsOnADataFolderInUse) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const TempDir dir;
  ExpectRefusal(Serve(dir, {"--data", server.data_dir(), "--listen", "127.0.0.1:0"}), {server.data_dir()});
  const auto login = LogInAsAdmin(server);
  EXPECT_TRUE(login.ok()) << "the first one is not disturbed: " << login.status();
}

TEST(Start, FailsOnADataFolderThatIsAFile) {
  const TempDir dir;
  WriteFile(dir.File("data"), "not a folder");
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--listen", "127.0.0.1:0"}), {dir.File("data")});
}

TEST(Start, FailsOnADataFolderThatCannotBeMade) {
  const TempDir dir;
  ExpectRefusal(Serve(dir, {"--data", "/proc/pulseboard", "--listen", "127.0.0.1:0"}), {"/proc/pulseboard"});
}

TEST(Start, FailsOnADataFolderItMayNotWrite) {
  const TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  ASSERT_EQ(mkdir(dir.File("data").c_str(), 0555), 0);
  std::vector<std::string> argv = {BinaryPath("pulseboardd"), "serve",    "--data",
                                   dir.File("data"),          "--listen", "127.0.0.1:0"};
  // Root may write everywhere, so it steps down for this one.
  if (geteuid() == 0) argv.insert(argv.begin(), {"/usr/bin/setpriv", "--reuid=65534", "--clear-groups"});
  const Output output = RunToEnd(argv);
  if (output.exit_code == 126 || output.exit_code == 127) GTEST_SKIP() << "nobody cannot run it: " << output.err;
  ExpectRefusal(output, {dir.File("data"), "ermission"});
}

TEST(Start, FailsOnSettingsItDoesNotKnow) {
  const TempDir dir;
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--set", "server.no_such=1"}), {"server.no_such"});
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--set", "ingest.max_labels=many"}),
                {"ingest.max_labels", "many"});
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--listen", "nonsense"}), {"nonsense"});
  WriteFile(dir.File("bad.toml"), "[server]\nlisten = \n");
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--config", dir.File("bad.toml")}), {"bad.toml"});
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--config", dir.File("absent.toml")}), {"absent.toml"});
}

TEST(Start, FailsOnAPasswordFileItCannotUse) {
  const TempDir dir;
  ASSERT_EQ(mkdir(dir.File("pw").c_str(), 0700), 0);
  ExpectRefusal(Serve(dir, {"--data", dir.File("data"), "--listen", "127.0.0.1:0"}), {dir.File("pw")});
}

TEST(Start, TakesAnyFreePortAndSaysWhich) {
  ServerProcess server({.listen = "127.0.0.1:0"});
  ASSERT_TRUE(server.Start().ok());
  EXPECT_NE(server.address(), "127.0.0.1:0");
  const auto login = LogInAsAdmin(server);
  EXPECT_TRUE(login.ok()) << login.status();
}

TEST(Start, WritesThePasswordForItsOwnerAlone) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  struct stat info {};
  ASSERT_EQ(stat(server.password_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_GE(server.admin_password().size(), 10U);
  EXPECT_EQ(server.process().out().find(server.admin_password()), std::string::npos);
  EXPECT_EQ(server.process().err().find(server.admin_password()), std::string::npos);
}

TEST(Start, PrintsThePasswordOnceWhenThereIsNoFileForIt) {
  const TempDir dir;
  const auto run = [&](const std::string& name) {
    Process process({BinaryPath("pulseboardd"), "serve", "--data", dir.File("data"), "--listen", "127.0.0.1:0"},
                    dir.File(name));
    EXPECT_TRUE(Eventually([&] { return process.out().find("ready") != std::string::npos; })) << process.err();
    process.Signal(SIGTERM);
    EXPECT_EQ(process.Wait(std::chrono::seconds(10)), 0);
    return process.out();
  };
  EXPECT_NE(run("first").find("admin password: "), std::string::npos);
  EXPECT_EQ(run("second").find("admin password"), std::string::npos);
}

TEST(Start, TheFirstOneComplainsOfNothing) {
  const TempDir dir;
  Process process({BinaryPath("pulseboardd"), "serve", "--data", dir.File("data"), "--listen", "127.0.0.1:0"},
                  dir.File("server"));
  EXPECT_TRUE(Eventually([&] { return process.out().find("ready") != std::string::npos; })) << process.err();
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(std::chrono::seconds(10)), 0);
  EXPECT_NE(process.err().find("opened store"), std::string::npos);  // that is where the log goes
  EXPECT_EQ(process.err().find(" error ["), std::string::npos) << process.err();
  EXPECT_EQ(process.err().find("[ERROR]"), std::string::npos) << process.err();  // what RocksDB says
}

}  // namespace
}  // namespace pulseboard::testing
