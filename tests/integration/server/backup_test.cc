// Backups of a real server under load, restored into another: what was acknowledged before is there, accounts and
// resume tokens work, and damage is refused by name.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/client/pusher.h"
#include "common/wire/status.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

namespace fs = std::filesystem;

// Pushes 0, 1, 2 … into one series as fast as a small spool lets it.
class SteadyLoad {
 public:
  explicit SteadyLoad(const Login& login) {
    client::PusherOptions options;
    options.spool_policy = client::SpoolPolicy::kRefuse;
    options.max_spool_samples = 4'000;
    options.max_batch_samples = 500;
    options.linger = std::chrono::milliseconds(5);
    pusher_ = std::make_unique<client::Pusher>(login.channel, login.session, options);
    series_ = *pusher_->Define({"backup.load", {}}, {});
    thread_ = std::thread([this] { Run(); });
  }
  ~SteadyLoad() {
    stop_ = true;
    thread_.join();
  }
  int64_t acked() const { return pusher_->stats().acked_samples; }
  // Waits for more acknowledged samples; how many there are then.
  int64_t AckedAfter(int64_t more) const {
    const int64_t before = acked();
    EXPECT_TRUE(Eventually([&] { return acked() >= before + more; }));
    return acked();
  }
  int64_t TimeOf(int64_t i) const { return start_ + i * kNanosPerMilli; }

 private:
  void Run() {
    int64_t pushed = 0;
    std::vector<client::PushSample> samples;
    while (!stop_) {
      samples.clear();
      for (int64_t i = pushed; i < pushed + 100; ++i) samples.push_back({series_, TimeOf(i), static_cast<double>(i)});
      if (pusher_->Push(samples).ok()) pushed += 100;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the pace of the load
    }
  }

  const int64_t start_ = SystemClock().NowUnixNanos() - 3600 * kNanosPerSecond;
  std::unique_ptr<client::Pusher> pusher_;
  uint32_t series_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() : server_({.set = {"storage.backup_directory=" + backups()}}) {}

  std::string backups() const { return dir_.File("backups"); }
  Output Online(const ServerProcess& server, std::vector<std::string> command) {
    command.insert(command.begin(), BinaryPath("pulseboardd"));
    for (const std::string& flag : {std::string("--server"), server.address(), std::string("--user"),
                                    std::string("admin"), std::string("--password-file"), server_.password_file()}) {
      command.push_back(flag);
    }
    return RunToEnd(command);
  }
  static Output Offline(std::vector<std::string> command) {
    command.insert(command.begin(), BinaryPath("pulseboardd"));
    return RunToEnd(command);
  }
  static int64_t FilesIn(const std::string& folder) {
    return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
  }

  TempDir dir_;
  ServerProcess server_;
};

// Everything that was acknowledged, and nothing that is wrong.
void ExpectLoad(const ServerProcess& server, const std::string& admin_password, const SteadyLoad& load, int64_t acked) {
  const auto login = LogIn(server, "admin", admin_password);
  ASSERT_TRUE(login.ok()) << login.status();
  const auto series = QueryRaw(*login, "backup.load");
  ASSERT_TRUE(series.ok()) << series.status();
  const auto found = series->find("backup.load");
  ASSERT_NE(found, series->end());
  ASSERT_GE(static_cast<int64_t>(found->second.size()), acked);
  for (size_t i = 0; i < found->second.size(); ++i) {
    ASSERT_EQ(found->second.times[i], load.TimeOf(static_cast<int64_t>(i))) << i;
    ASSERT_EQ(found->second.values[i], static_cast<double>(i)) << i;
  }
}

std::string ResumeToken(const Login& login, v1::SubscribeRequest* request) {
  request->add_queries()->set_selector("backup.load");
  grpc::ClientContext context;
  login.Prepare(&context);
  const auto reader = v1::LiveService::NewStub(login.channel)->Subscribe(&context, *request);
  v1::SubscribeResponse response;
  std::string token;
  while (token.empty() && reader->Read(&response)) token = response.resume_token();
  context.TryCancel();
  return token;
}

TEST_F(BackupTest, RestoresWhatWasAcknowledgedBeforeEachBackup) {
  ASSERT_TRUE(server_.Start().ok());
  const auto login = LogInAsAdmin(server_);
  ASSERT_TRUE(login.ok()) << login.status();
  ASSERT_TRUE(LogInAsNew(server_, "somebody", "VIEWER").ok());
  SteadyLoad load(*login);
  load.AckedAfter(1'000);
  v1::SubscribeRequest request;
  request.set_resume_token(ResumeToken(*login, &request));
  ASSERT_FALSE(request.resume_token().empty());

  std::vector<int64_t> acked;
  for (const std::string name : {"one", "two"}) {
    acked.push_back(load.AckedAfter(5'000));
    const Output made = Online(server_, {"backup", "create", "--name", name});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    EXPECT_EQ(made.out.find(name), 0u) << made.out;
  }
  load.AckedAfter(1'000);  // which no backup has
  server_.Kill();
  EXPECT_LT(FilesIn(backups() + "/files"), 2 * FilesIn(server_.data_dir() + "/db"));

  for (size_t i = 0; i < acked.size(); ++i) {
    const std::string name = i == 0 ? "one" : "two";
    ServerProcess restored({.set = {"storage.backup_directory=" + backups()}});
    const Output output = Offline({"restore", "--backup", backups() + "/" + name, "--data", restored.data_dir()});
    ASSERT_EQ(output.exit_code, 0) << output.err;
    EXPECT_EQ(Offline({"restore", "--backup", backups(), "--data", restored.data_dir()}).exit_code, 1);
    ASSERT_TRUE(restored.Start().ok());
    ExpectLoad(restored, server_.admin_password(), load, acked[i]);

    // Accounts and the positions of viewers are part of it.
    const auto admin = LogIn(restored, "admin", server_.admin_password());
    ASSERT_TRUE(admin.ok()) << admin.status();
    EXPECT_NE(Online(restored, {"user", "list"}).out.find("somebody"), std::string::npos);
    grpc::ClientContext context;
    admin->Prepare(&context);
    const auto resumed = v1::LiveService::NewStub(admin->channel)->Subscribe(&context, request);
    v1::SubscribeResponse response;
    ASSERT_TRUE(resumed->Read(&response)) << resumed->Finish().error_message();
    context.TryCancel();

    const Output verified = Online(restored, {"verify"});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
    EXPECT_EQ(Online(restored, {"backup", "verify", "--name", name}).exit_code, 0);
    EXPECT_EQ(restored.Terminate(), 0);
    const Output offline = Offline({"verify", "--data", restored.data_dir()});
    EXPECT_EQ(offline.exit_code, 0) << offline.out << offline.err;
    EXPECT_NE(offline.out.find("findings=0"), std::string::npos) << offline.out;
  }
}

TEST_F(BackupTest, RefusesADamagedBackupByName) {
  ASSERT_TRUE(server_.Start().ok());
  ASSERT_EQ(Online(server_, {"backup", "create", "--name", "one"}).exit_code, 0);
  std::string largest;
  for (const auto& file : fs::directory_iterator(backups() + "/files")) {
    if (largest.empty() || fs::file_size(file) > fs::file_size(largest)) largest = file.path().string();
  }
  std::fstream(largest, std::ios::in | std::ios::out | std::ios::binary).seekp(100).write("damage", 6);
  const Output verified = Online(server_, {"backup", "verify", "--name", "one"});
  EXPECT_EQ(verified.exit_code, 2);
  EXPECT_NE(verified.out.find(fs::path(largest).filename().string()), std::string::npos) << verified.out;
  const Output restored = Offline({"restore", "--backup", backups(), "--data", dir_.File("restored")});
  EXPECT_EQ(restored.exit_code, 1);
  EXPECT_NE(restored.err.find(fs::path(largest).filename().string()), std::string::npos) << restored.err;
  EXPECT_FALSE(fs::exists(dir_.File("restored")));
}

TEST_F(BackupTest, KilledServerLeavesNoHalfBackup) {
  ASSERT_TRUE(server_.Start().ok());
  const auto login = LogInAsAdmin(server_);
  ASSERT_TRUE(login.ok()) << login.status();
  SteadyLoad load(*login);
  for (int kill = 0; kill < 3; ++kill) {
    load.AckedAfter(2'000);
    Process backup({BinaryPath("pulseboardd"), "backup", "create", "--name", "killed" + std::to_string(kill),
                    "--server", server_.address(), "--user", "admin", "--password-file", server_.password_file()},
                   dir_.File("backup" + std::to_string(kill)));
    // The moment is the random input: as soon as the folder has something, or the whole backup.
    ASSERT_TRUE(Eventually([&] { return fs::exists(backups() + "/files") && FilesIn(backups() + "/files") > kill; }));
    server_.Kill();
    backup.Wait(std::chrono::seconds(20));
    ASSERT_TRUE(server_.Start().ok());
    const Output listed = Online(server_, {"backup", "list"});
    EXPECT_EQ(listed.exit_code, 0) << listed.err;
    EXPECT_EQ(listed.out.find("DAMAGED"), std::string::npos) << listed.out;
    EXPECT_FALSE(fs::exists(server_.data_dir() + "/backup.staging"));
    const std::string name = "after" + std::to_string(kill);
    ASSERT_EQ(Online(server_, {"backup", "create", "--name", name}).exit_code, 0);
    EXPECT_EQ(Online(server_, {"backup", "verify", "--name", name}).exit_code, 0);
  }
}

TEST_F(BackupTest, CommandsDeletePruneAndTellTheStatus) {
  ASSERT_TRUE(server_.Start().ok());
  const auto login = LogInAsAdmin(server_);
  ASSERT_TRUE(login.ok()) << login.status();
  {
    const SteadyLoad load(*login);
    load.AckedAfter(1'000);
  }
  const Output dry = Online(server_, {"delete", "--selector", "backup.load", "--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_EQ(dry.out.find("would delete"), 0u) << dry.out;
  EXPECT_FALSE(QueryRaw(*login, "backup.load")->empty());
  EXPECT_EQ(Online(server_, {"delete", "--selector", "backup.load", "--from", "yesterday"}).exit_code, 1);
  EXPECT_EQ(Online(server_, {"delete", "--selector", "backup.load"}).exit_code, 0);
  EXPECT_TRUE(QueryRaw(*login, "backup.load")->empty());
  for (const std::string name : {"a", "b", "c"})
    ASSERT_EQ(Online(server_, {"backup", "create", "--name", name}).exit_code, 0);
  EXPECT_EQ(Online(server_, {"backup", "create", "--name", "c"}).exit_code, 1);
  EXPECT_EQ(Online(server_, {"backup", "prune", "--keep", "1"}).out.find("removed a\nremoved b\n"), 0u);
  const Output status = Online(server_, {"storage", "--count"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_NE(status.out.find("tier raw"), std::string::npos) << status.out;
  // Who asked stands in the log.
  EXPECT_NE(server_.process().err().find("[audit] began deleting selector=backup.load"), std::string::npos);
}

}  // namespace
}  // namespace pulseboard::testing
