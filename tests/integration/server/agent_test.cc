// `pulseboardd agent` against a real server, as a process of its own.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "common/base/clock.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

class AgentTest : public ::testing::Test {
 protected:
  void StartServer(ServerProcess& server) {
    const absl::Status started = server.Start();
    ASSERT_TRUE(started.ok()) << started;
    const auto made = LogInAsNew(server, "agent", "INGEST");
    ASSERT_TRUE(made.ok()) << made.status();
    WriteFile(dir_.File("agent.pw"), "password of agent\n");
  }
  std::vector<std::string> Command(const std::string& address) const {
    return {BinaryPath("pulseboardd"), "agent",  "--server",        address,      "--user", "agent", "--password-file",
            dir_.File("agent.pw"),     "--pins", dir_.File("pins"), "--interval", "200ms"};
  }
  // When the newest sample of any host metric was measured; 0 for none.
  static int64_t Newest(const Login& login) {
    const auto stored = QueryRaw(login, "{host=~\".+\"}");
    int64_t newest = 0;
    if (stored.ok()) {
      for (const auto& [name, columns] : *stored) {
        if (!columns.empty()) newest = std::max(newest, columns.times.back());
      }
    }
    return newest;
  }

  TempDir dir_;
};

TEST_F(AgentTest, BringsAHundredSeriesThatKeepMovingThroughARestart) {
  ServerProcess server;
  StartServer(server);
  const auto admin = LogInAsAdmin(server);
  ASSERT_TRUE(admin.ok()) << admin.status();
  Process agent(Command(server.address()), dir_.File("agent"));
  ASSERT_TRUE(Eventually([&] {
    const auto stored = QueryRaw(*admin, "{host=~\".+\"}");
    return stored.ok() && stored->size() >= 100;
  })) << agent.err();

  const auto stored = QueryRaw(*admin, "{host=~\".+\"}");
  ASSERT_TRUE(stored.ok()) << stored.status();
  std::set<std::string> metrics;
  for (const auto& [name, columns] : *stored) metrics.insert(name.substr(0, name.find('{')));
  for (const char* expected :
       {"system.cpu.utilization", "system.cpu.usage", "system.memory.usage", "system.memory.utilization",
        "system.swap.usage", "system.load", "system.network.throughput", "system.network.packets", "system.network.io",
        "system.context_switches", "system.filesystem.utilization", "process.cpu.utilization",
        "process.memory.usage"}) {
    EXPECT_TRUE(metrics.contains(expected)) << expected;
  }

  const int64_t before = Newest(*admin);
  EXPECT_TRUE(Eventually([&] { return Newest(*admin) > before + kNanosPerSecond; }));
  server.Kill();
  const int64_t killed = SystemClock().NowUnixNanos();
  // Long enough for a hole that no busy machine makes between two readings.
  constexpr int64_t kAway = 2 * kNanosPerSecond;
  ASSERT_TRUE(Eventually([&] { return SystemClock().NowUnixNanos() > killed + kAway; }));
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(Eventually([&] { return Newest(*admin) > killed + kNanosPerSecond; })) << agent.err();
  // What was measured while the server was away came later: no pause in the ticks of a counter.
  const auto switches = QueryRaw(*admin, "system.context_switches");
  ASSERT_TRUE(switches.ok()) << switches.status();
  const SampleColumns& ticks = switches->begin()->second;
  int64_t longest = 0;
  for (size_t i = 1; i < ticks.size(); ++i) longest = std::max(longest, ticks.times[i] - ticks.times[i - 1]);
  EXPECT_LT(longest, kAway) << "a reading every 200 ms, spooled while the server was away";
  EXPECT_TRUE(std::is_sorted(ticks.values.begin(), ticks.values.end())) << "a counter";

  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(std::chrono::seconds(10)), 0) << agent.err();
}

TEST_F(AgentTest, CostsLittle) {
  ServerProcess server;
  StartServer(server);
  const auto admin = LogInAsAdmin(server);
  ASSERT_TRUE(admin.ok()) << admin.status();
  std::vector<std::string> command = Command(server.address());
  command.back() = "1s";
  Process agent(command, dir_.File("agent"));
  ASSERT_TRUE(Eventually([&] { return Newest(*admin) > 0; })) << agent.err();
  const int64_t from = Newest(*admin);
  const double cpu_before = CpuSeconds(agent.pid());
  ASSERT_TRUE(Eventually([&] { return Newest(*admin) > from + 5 * kNanosPerSecond; }));
  const double share = (CpuSeconds(agent.pid()) - cpu_before) / 5;
  RecordProperty("cpu_percent_of_a_core", std::to_string(share * 100));
  EXPECT_LT(share, 0.05) << "the target is 1 %; sanitizers and busy machines get room";
}

TEST_F(AgentTest, WaitsForAServerThatIsNotThereYet) {
  ServerProcess server;
  StartServer(server);
  ASSERT_EQ(server.Terminate(), 0);
  Process agent(Command(server.address()), dir_.File("agent"));
  ASSERT_TRUE(Eventually([&] { return agent.err().find("cannot connect") != std::string::npos; })) << agent.err();
  EXPECT_FALSE(agent.Poll());
  ASSERT_TRUE(server.Start().ok());
  const auto admin = LogInAsAdmin(server);
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_TRUE(Eventually([&] { return Newest(*admin) > 0; })) << agent.err();
}

TEST_F(AgentTest, EndsAtOnceWhileItWaits) {
  WriteFile(dir_.File("agent.pw"), "whatever\n");
  Process agent(Command("127.0.0.1:" + std::to_string(PickPort())), dir_.File("agent"));
  ASSERT_TRUE(Eventually([&] { return agent.err().find("cannot connect") != std::string::npos; })) << agent.err();
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(std::chrono::seconds(10)), 0) << agent.err();
}

TEST_F(AgentTest, RefusesAServerWhoseCertificateChanged) {
  std::string address;
  {
    ServerProcess server({.set = {"server.tls=on"}});
    StartServer(server);
    address = server.address();
    const auto admin = LogInAsAdmin(server);
    ASSERT_TRUE(admin.ok()) << admin.status();
    Process agent(Command(address), dir_.File("agent"));
    ASSERT_TRUE(Eventually([&] { return Newest(*admin) > 0; })) << agent.err();
    EXPECT_NE(agent.err().find(server.fingerprint()), std::string::npos) << "says what it pinned: " << agent.err();
    agent.Signal(SIGTERM);
    EXPECT_EQ(agent.Wait(std::chrono::seconds(10)), 0);
  }
  ServerProcess impostor({.listen = address, .set = {"server.tls=on"}});
  StartServer(impostor);
  const Output output = RunToEnd(Command(address));
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_NE(output.err.find("HAS CHANGED"), std::string::npos) << output.err;
  EXPECT_NE(output.err.find(impostor.fingerprint()), std::string::npos) << output.err;
}

TEST_F(AgentTest, EndsWithAClearErrorThatWaitingCannotMend) {
  ServerProcess server;
  StartServer(server);
  WriteFile(dir_.File("agent.pw"), "wrong password\n");
  Output output = RunToEnd(Command(server.address()));
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_NE(output.err.find("log in as agent"), std::string::npos) << output.err;
  EXPECT_EQ(output.err.find("wrong password\n"), std::string::npos) << "never prints the password";

  ASSERT_TRUE(LogInAsNew(server, "reader", "VIEWER").ok());
  WriteFile(dir_.File("agent.pw"), "password of reader\n");
  std::vector<std::string> command = Command(server.address());
  *(std::find(command.begin(), command.end(), "--user") + 1) = "reader";
  output = RunToEnd(command);
  EXPECT_EQ(output.exit_code, 1) << output.err;
  EXPECT_NE(output.err.find("push as reader"), std::string::npos) << output.err;

  command = Command(server.address());
  *(std::find(command.begin(), command.end(), "--password-file") + 1) = dir_.File("absent");
  output = RunToEnd(command);
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_NE(output.err.find(dir_.File("absent")), std::string::npos) << output.err;
}

}  // namespace
}  // namespace pulseboard::testing
