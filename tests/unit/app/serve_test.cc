// pulseboardd as a process: the ready line, signals and the way out.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "pulseboard/v1/auth.grpc.pb.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "pulseboard/v1/user.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard {
namespace {

using testing::BinaryPath;
using testing::Eventually;
using testing::Output;
using testing::ReadFile;
using testing::RunToEnd;
using testing::ServerProcess;
using testing::ServerProcessOptions;
using testing::TempDir;
using testing::WriteFile;

std::shared_ptr<grpc::Channel> Connect(const ServerProcess& server) {
  return grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials());
}

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

// An access token of the admin.
std::string LogIn(const ServerProcess& server) {
  const auto stub = v1::AuthService::NewStub(Connect(server));
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::LoginRequest request;
  request.set_login("admin");
  request.set_password(server.admin_password());
  v1::LoginResponse response;
  const grpc::Status status = stub->Login(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.tokens().access_token();
}

bool WhoAmI(const ServerProcess& server, const std::string& token) {
  const auto stub = v1::AuthService::NewStub(Connect(server));
  grpc::ClientContext context;
  SetDeadline(&context);
  context.AddMetadata("authorization", "Bearer " + token);
  v1::WhoAmIResponse response;
  return stub->WhoAmI(&context, {}, &response).ok();
}

TEST(Serve, KeepsSessionsOverARestart) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const std::string token = LogIn(server);
  EXPECT_TRUE(WhoAmI(server, token));
  EXPECT_EQ(server.Terminate(), 0);
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(WhoAmI(server, token));
  server.Kill();
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(WhoAmI(server, token));
}

TEST(Serve, TellsWatchersAndEndsStreamsBeforeItGoes) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const auto stub = grpc::health::v1::Health::NewStub(Connect(server));
  grpc::ClientContext context;
  SetDeadline(&context);
  const auto stream = stub->Watch(&context, {});
  grpc::health::v1::HealthCheckResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  server.process().Signal(SIGTERM);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status end = stream->Finish();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE) << end.error_message();
  EXPECT_TRUE(HasReason(FromGrpcStatus(end), ErrorReason::kShuttingDown));
  EXPECT_EQ(server.process().Wait(std::chrono::seconds(5)), 0);
}

// Pushes `count` samples of series `flood`, starting at `first` milliseconds after the test's epoch.
void PushFlood(const ServerProcess& server, const std::string& token, int first, int count) {
  const auto stub = v1::IngestService::NewStub(Connect(server));
  grpc::ClientContext context;
  SetDeadline(&context);
  context.AddMetadata("authorization", "Bearer " + token);
  v1::PushRequest request;
  const int64_t start_ms = SystemClock().NowUnixNanos() / kNanosPerMilli - 1'000'000;
  for (int i = 0; i < count; ++i) {
    auto* sample = request.add_samples();
    sample->set_metric("flood");
    const int64_t ms = start_ms + first + i;
    sample->mutable_time()->set_seconds(ms / 1000);
    sample->mutable_time()->set_nanos(static_cast<int32_t>(ms % 1000) * 1'000'000);
    sample->set_value(i * 0.1);
  }
  v1::PushResponse response;
  const grpc::Status status = stub->Push(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
}

// A subscriber that takes the first message and nothing more while far more than its flow-control window waits for it.
class StuckSubscriber {
 public:
  explicit StuckSubscriber(const ServerProcess& server) {
    const std::string token = LogIn(server);
    PushFlood(server, token, 0, 1);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);            // whose window does not grow
    stub_ = v1::LiveService::NewStub(
        grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments));
    context_.AddMetadata("authorization", "Bearer " + token);
    v1::SubscribeRequest request;
    request.set_max_buffer_bytes(16 << 20);
    auto* query = request.add_queries();
    query->set_query_id("q");
    query->set_selector("flood");
    stream_ = stub_->Subscribe(&context_, request);
    v1::SubscribeResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << stream_->Finish().error_message();
    for (int i = 1; i <= 30; ++i) PushFlood(server, token, i * 10'000, 10'000);
  }
  ~StuckSubscriber() {
    context_.TryCancel();
    v1::SubscribeResponse response;
    while (stream_->Read(&response)) continue;
    EXPECT_FALSE(stream_->Finish().ok());
  }

 private:
  std::unique_ptr<v1::LiveService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> stream_;
};

TEST(Serve, LeavesWithinFiveSecondsWithAStuckPeer) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const StuckSubscriber stuck(server);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(server.Terminate(std::chrono::seconds(10)), 0);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GT(took, std::chrono::milliseconds(1900)) << "the peer was not stuck";
  EXPECT_LT(took, std::chrono::seconds(5));
}

// A peer whose whole process stands still in the middle of a push.
TEST(Serve, LeavesWithinFiveSecondsWithAFrozenPusher) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  testing::Process agent(
      {BinaryPath("pulseboardd"), "agent", "--server", server.address(), "--user", "admin", "--password-file",
       server.password_file(), "--interval", "100ms", "--pins", server.dir().File("pins")},
      server.dir().File("agent"));
  ASSERT_TRUE(Eventually([&] { return agent.err().find("pushing server=") != std::string::npos; })) << agent.err();
  agent.Signal(SIGSTOP);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(server.Terminate(std::chrono::seconds(10)), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Serve, GoesAtOnceOnASecondSignal) {
  ServerProcessOptions options;
  options.set = {"server.drain=60s", "server.exit=120s"};
  ServerProcess server(options);
  ASSERT_TRUE(server.Start().ok());
  const StuckSubscriber stuck(server);
  server.process().Signal(SIGTERM);
  EXPECT_EQ(server.process().Wait(std::chrono::milliseconds(1500)), std::nullopt) << "it did not wait for the stream";
  server.process().Signal(SIGINT);
  EXPECT_EQ(server.process().Wait(std::chrono::seconds(10)), 128 + SIGINT);
}

// What `systemd` is told, one datagram a message.
TEST(Serve, TellsSystemdWhenItIsReadyAndWhenItStops) {
  const TempDir dir;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = dir.File("notify");
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const timeval limit{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const auto next = [fd] {
    char buffer[256];
    const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  };
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ServerProcess server;
  const absl::Status started = server.Start();
  unsetenv("NOTIFY_SOCKET");
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(next(), "READY=1");
  EXPECT_EQ(server.Terminate(), 0);
  EXPECT_EQ(next(), "STOPPING=1");
  close(fd);
}

TEST(Serve, ReloadsSettingsOnHangup) {
  const TempDir dir;
  WriteFile(dir.File("c.toml"), "[identity]\nself_registration = false\n");
  ServerProcessOptions options;
  options.arguments = {"--config", dir.File("c.toml")};
  ServerProcess server(options);
  ASSERT_TRUE(server.Start().ok());
  const auto stub = v1::UserService::NewStub(Connect(server));
  const auto register_user = [&](const std::string& name) {
    grpc::ClientContext context;
    SetDeadline(&context);
    v1::RegisterUserRequest request;
    request.set_user_name(name);
    request.set_password("long enough it is");
    v1::RegisterUserResponse response;
    return FromGrpcStatus(stub->RegisterUser(&context, request, &response));
  };
  EXPECT_TRUE(HasReason(register_user("eve"), ErrorReason::kRegistrationDisabled));

  WriteFile(dir.File("c.toml"), "[identity]\nself_registration = maybe\n");
  server.process().Signal(SIGHUP);
  ASSERT_TRUE(Eventually([&] { return server.process().err().find("kept settings") != std::string::npos; }));
  EXPECT_TRUE(HasReason(register_user("eve"), ErrorReason::kRegistrationDisabled));

  WriteFile(dir.File("c.toml"), "[identity]\nself_registration = true\n[query]\nthreads = 3\n");
  server.process().Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return register_user("eve").ok(); }));
  EXPECT_TRUE(Eventually([&] {
    return server.process().err().find("settings wait for a restart changed=[query.threads]") != std::string::npos;
  }));
  EXPECT_EQ(server.Terminate(), 0);
}

TEST(Serve, SpeaksTlsWhereOthersCouldListen) {
  ServerProcessOptions options;
  options.listen = "0.0.0.0:0";
  ServerProcess server(options);
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(server.tls());
  EXPECT_EQ(server.fingerprint().size(), 32u * 3 - 1);
  const std::string fingerprint = server.fingerprint();
  EXPECT_EQ(server.Terminate(), 0);
  ASSERT_TRUE(server.Start().ok());
  EXPECT_EQ(server.fingerprint(), fingerprint);
}

TEST(Serve, RefusesPlaintextWhereOthersCouldListen) {
  const TempDir dir;
  const Output refused = RunToEnd({BinaryPath("pulseboardd"), "serve", "--data", dir.File("data"), "--listen",
                                   "0.0.0.0:0", "--set", "server.tls=off"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, ::testing::HasSubstr("server.allow_plaintext = true"));
  EXPECT_THAT(refused.out, ::testing::IsEmpty());

  ServerProcessOptions options;
  options.listen = "0.0.0.0:0";
  options.set = {"server.tls=off", "server.allow_plaintext=true"};
  ServerProcess server(options);
  ASSERT_TRUE(server.Start().ok());
  EXPECT_FALSE(server.tls());
}

TEST(Serve, SharesNeitherPortNorDirectory) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const TempDir dir;
  const Output port =
      RunToEnd({BinaryPath("pulseboardd"), "serve", "--data", dir.File("data"), "--listen", server.address()});
  EXPECT_EQ(port.exit_code, 1);
  EXPECT_THAT(port.err, ::testing::HasSubstr("cannot listen on " + server.address()));
  const Output directory =
      RunToEnd({BinaryPath("pulseboardd"), "serve", "--data", server.data_dir(), "--listen", "127.0.0.1:0"});
  EXPECT_EQ(directory.exit_code, 1);
  EXPECT_THAT(directory.err, ::testing::HasSubstr(server.data_dir()));
  EXPECT_TRUE(WhoAmI(server, LogIn(server)));
}

TEST(UserCommand, MakesListsAndChangesAccounts) {
  ServerProcess server;
  ASSERT_TRUE(server.Start().ok());
  const TempDir dir;
  WriteFile(dir.File("pw"), "pushing all day\n");
  const auto run = [&](std::vector<std::string> arguments, const std::string& user, const std::string& password_file) {
    std::vector<std::string> argv = {BinaryPath("pulseboardd"), "user"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    for (const std::string& more :
         {std::string("--server"), server.address(), std::string("--user"), user, std::string("--password-file"),
          password_file, std::string("--pins"), dir.File("pins")}) {
      argv.push_back(more);
    }
    return RunToEnd(std::move(argv));
  };
  const auto as_admin = [&](std::vector<std::string> arguments) {
    return run(std::move(arguments), "admin", server.password_file());
  };
  const Output created =
      as_admin({"create", "--name", "pusher", "--role", "ingest", "--new-password-file", dir.File("pw")});
  EXPECT_EQ(created.exit_code, 0) << created.err;
  EXPECT_THAT(created.out, ::testing::MatchesRegex("pusher +INGEST +active +usr_.*\n"));
  EXPECT_THAT(as_admin({"list"}).out,
              ::testing::AllOf(::testing::HasSubstr("admin "), ::testing::HasSubstr("pusher ")));
  EXPECT_THAT(as_admin({"set-role", "--name", "PUSHER", "--role", "EDITOR"}).out, ::testing::HasSubstr("EDITOR"));
  EXPECT_THAT(as_admin({"deactivate", "--name", "pusher"}).out, ::testing::HasSubstr("inactive"));
  EXPECT_EQ(run({"list"}, "pusher", dir.File("pw")).exit_code, 1);
  EXPECT_EQ(as_admin({"activate", "--name", "pusher"}).exit_code, 0);
  WriteFile(dir.File("pw2"), "pushing all night\n");
  EXPECT_EQ(run({"password", "--new-password-file", dir.File("pw2")}, "pusher", dir.File("pw")).exit_code, 0);
  EXPECT_THAT(run({"list"}, "pusher", dir.File("pw2")).err, ::testing::HasSubstr("EDITOR may not manage accounts"));
  EXPECT_THAT(as_admin({"set-role", "--name", "nobody", "--role", "EDITOR"}).err, ::testing::HasSubstr("nobody"));
  EXPECT_THAT(as_admin({"set-role", "--name", "pusher", "--role", "king"}).err,
              ::testing::HasSubstr("would be accepted"));
}

TEST(Program, PrintsVersionAndSettings) {
  EXPECT_THAT(RunToEnd({BinaryPath("pulseboardd"), "version"}).out, ::testing::MatchesRegex("pulseboardd [0-9.]+\n"));
  const Output config = RunToEnd({BinaryPath("pulseboardd"), "config", "--set", "query.threads=3"});
  EXPECT_THAT(config.out, ::testing::HasSubstr("threads = 3  # flag --set\n"));
  const Output bad = RunToEnd({BinaryPath("pulseboardd"), "config", "--set", "query.threads=x"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, ::testing::HasSubstr("1 to 64 (threads) would be accepted"));
  EXPECT_NE(RunToEnd({BinaryPath("pulseboardd")}).exit_code, 0);
  EXPECT_NE(RunToEnd({BinaryPath("pulseboardd"), "serve", "--nonsense"}).exit_code, 0);
}

}  // namespace
}  // namespace pulseboard
