// SIGTERM: streams end with SHUTTING_DOWN and a resume token, the process with 0 within 5 s, whatever the peers do.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/client/pusher.h"
#include "common/client/subscriber.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(5);

class DrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server_.Start().ok());
    auto login = LogInAsAdmin(server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
  }
  void ExpectCleanExitInTime() {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(server_.Terminate(kLimit), 0) << "still running after 5 s";
    EXPECT_LT(std::chrono::steady_clock::now() - start, kLimit);
  }
  int ConnectRaw() const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int port = std::stoi(server_.address().substr(server_.address().rfind(':') + 1));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  v1::PushStreamRequest Batch(int64_t sequence) const {
    v1::PushStreamRequest batch;
    if (sequence == 1) {
      batch.set_producer_id("drain");
      auto* definition = batch.add_definitions();
      definition->set_ref(1);
      definition->set_metric("drain.load");
    }
    batch.set_sequence(sequence);
    batch.set_base_time_unix_nanos(SystemClock().NowUnixNanos());
    batch.add_refs(1);
    batch.add_time_offsets_nanos(0);
    batch.add_values(static_cast<double>(sequence));
    return batch;
  }

  ServerProcess server_;
  Login login_;
};

TEST_F(DrainTest, EndsAViewerWithAReasonAndAResumeToken) {
  v1::SubscribeRequest request;
  auto* query = request.add_queries();
  query->set_selector("drain.load");
  query->mutable_backfill()->set_seconds(60);
  grpc::ClientContext context;
  login_.Prepare(&context);
  const auto reader = v1::LiveService::NewStub(login_.channel)->Subscribe(&context, request);
  std::string token;
  v1::SubscribeResponse response;
  while (token.empty() && reader->Read(&response)) token = response.resume_token();
  ASSERT_FALSE(token.empty());

  std::atomic<bool> done = false;
  absl::Status status;
  std::thread rest([&] {
    while (reader->Read(&response)) {
      if (!response.resume_token().empty()) token = response.resume_token();
    }
    status = FromGrpcStatus(reader->Finish());
    done = true;
  });
  ExpectCleanExitInTime();
  rest.join();
  EXPECT_TRUE(HasReason(status, ErrorReason::kShuttingDown)) << status;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);

  // The token is good after the restart.
  ASSERT_TRUE(server_.Start().ok());
  request.set_resume_token(token);
  grpc::ClientContext again;
  login_.Prepare(&again);
  const auto resumed = v1::LiveService::NewStub(login_.channel)->Subscribe(&again, request);
  ASSERT_TRUE(resumed->Read(&response)) << resumed->Finish().error_message();
  again.TryCancel();
  EXPECT_EQ(resumed->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(DrainTest, AcknowledgesWhatIsCommittedBeforeItEndsAPusher) {
  grpc::ClientContext context;
  login_.Prepare(&context);
  const auto stream = v1::IngestService::NewStub(login_.channel)->PushStream(&context);
  ASSERT_TRUE(stream->Write(Batch(1)));
  v1::PushStreamResponse ack;
  while (stream->Read(&ack) && ack.acked_sequence() < 1) {
  }
  ASSERT_EQ(ack.acked_sequence(), 1);
  std::thread stop([&] { ExpectCleanExitInTime(); });
  while (stream->Read(&ack)) {
  }
  const absl::Status status = FromGrpcStatus(stream->Finish());
  stop.join();
  EXPECT_TRUE(HasReason(status, ErrorReason::kShuttingDown)) << status;
}

TEST_F(DrainTest, DoesNotWaitForAPeerThatNeverSpeaks) {
  const int silent = ConnectRaw();
  const int half = ConnectRaw();
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  ASSERT_EQ(write(half, kPreface.data(), kPreface.size()), static_cast<ssize_t>(kPreface.size()));
  ExpectCleanExitInTime();
  close(silent);
  close(half);
}

TEST_F(DrainTest, DoesNotWaitForAViewerThatStoppedReading) {
  // Big frames until the connection's flow control is full, and nobody reads.
  v1::SubscribeRequest request;
  request.add_queries()->set_selector("drain.load");
  request.set_max_buffer_bytes(16 << 20);
  const auto channel = OpenTo(server_, /*own_connection=*/true);
  ASSERT_TRUE(channel.ok()) << channel.status();
  grpc::ClientContext context;
  login_.Prepare(&context);
  const auto reader = v1::LiveService::NewStub(*channel)->Subscribe(&context, request);
  v1::SubscribeResponse response;
  ASSERT_TRUE(reader->Read(&response));

  client::PusherOptions options;
  options.spool_policy = client::SpoolPolicy::kRefuse;
  client::Pusher pusher(login_.channel, login_.session, options);
  const uint32_t series = *pusher.Define({"drain.load", {}}, {});
  std::vector<client::PushSample> samples;
  const int64_t now = SystemClock().NowUnixNanos();
  for (int64_t i = 0; i < 400'000; ++i) samples.push_back({series, now + i, static_cast<double>(i * i) * 1e-3});
  ASSERT_TRUE(pusher.Push(samples).ok());
  ASSERT_TRUE(pusher.WaitUntilAcked(std::chrono::seconds(30)).ok());

  ExpectCleanExitInTime();
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(DrainTest, DoesNotWaitForAPusherThatNeverReadsItsAcks) {
  grpc::ClientContext context;
  login_.Prepare(&context);
  const auto stream = v1::IngestService::NewStub(login_.channel)->PushStream(&context);
  for (int64_t sequence = 1; sequence <= 200; ++sequence) ASSERT_TRUE(stream->Write(Batch(sequence)));
  ExpectCleanExitInTime();
  v1::PushStreamResponse ack;
  while (stream->Read(&ack)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(DrainTest, GoesOnByItselfWithTheClientLibrary) {
  client::Pusher pusher(login_.channel, login_.session, {});
  const uint32_t series = *pusher.Define({"drain.load", {}}, {});
  const int64_t now = SystemClock().NowUnixNanos();
  ASSERT_TRUE(pusher.Push(series, now, 1).ok());
  ASSERT_TRUE(pusher.WaitUntilAcked(std::chrono::seconds(60)).ok());
  ExpectCleanExitInTime();
  ASSERT_TRUE(pusher.Push(series, now + 1, 2).ok());
  ASSERT_TRUE(server_.Start().ok());
  ASSERT_TRUE(pusher.WaitUntilAcked(std::chrono::seconds(20)).ok()) << pusher.stats().last_error;
  const auto stored = QueryRaw(login_, "drain.load");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->at("drain.load").values, (std::vector<double>{1, 2}));
}

TEST_F(DrainTest, IsAlsoCleanWithNobodyThere) { ExpectCleanExitInTime(); }

}  // namespace
}  // namespace pulseboard::testing
