// The same (producer_id, sequence) again: acknowledged, not applied, whatever it holds and whatever happened in
// between.
#include <gtest/gtest.h>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

class ExactlyOnceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server_.Start().ok());
    auto login = LogInAsAdmin(server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
  }

  // One batch of one sample on a stream of its own; the last ack of the stream.
  absl::StatusOr<v1::PushStreamResponse> PushOnce(int64_t sequence, int64_t time, double value,
                                                  v1::PushStreamResponse* first = nullptr) {
    v1::PushStreamRequest batch;
    batch.set_producer_id("p");
    auto* definition = batch.add_definitions();
    definition->set_ref(1);
    definition->set_metric("once");
    batch.set_sequence(sequence);
    batch.set_base_time_unix_nanos(time);
    batch.add_refs(1);
    batch.add_time_offsets_nanos(0);
    batch.add_values(value);
    grpc::ClientContext context;
    login_.Prepare(&context);
    const auto stream = v1::IngestService::NewStub(login_.channel)->PushStream(&context);
    stream->Write(batch);
    stream->WritesDone();
    v1::PushStreamResponse response, last;
    for (int n = 0; stream->Read(&response); ++n) {
      if (n == 0 && first != nullptr) *first = response;
      last = response;
    }
    PB_RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
    return last;
  }
  std::vector<double> Stored() { return QueryRaw(login_, "once")->at("once").values; }

  ServerProcess server_;
  Login login_;
  const int64_t now_ = SystemClock().NowUnixNanos();
};

TEST_F(ExactlyOnceTest, AcknowledgesABatchSentAgainWithoutApplyingIt) {
  v1::PushStreamResponse hello;
  auto ack = PushOnce(1, now_, 1, &hello);
  ASSERT_TRUE(ack.ok()) << ack.status();
  EXPECT_EQ(hello.acked_sequence(), 0);
  EXPECT_GT(hello.max_unacked_batches(), 0);
  EXPECT_EQ(ack->acked_sequence(), 1);
  EXPECT_EQ(ack->duplicate_batch_count(), 0);
  EXPECT_EQ(ack->ack_mode(), v1::ACK_MODE_FSYNCED);

  ack = PushOnce(1, now_ + 5, 2, &hello);  // other content on purpose: it must not be looked at
  ASSERT_TRUE(ack.ok()) << ack.status();
  EXPECT_EQ(hello.acked_sequence(), 1) << "says where the producer stands";
  EXPECT_EQ(ack->duplicate_batch_count(), 1);
  EXPECT_EQ(Stored(), std::vector<double>{1});
}

TEST_F(ExactlyOnceTest, RemembersThroughCrashAndCleanRestart) {
  ASSERT_TRUE(PushOnce(7, now_, 1).ok());
  server_.Kill();
  ASSERT_TRUE(server_.Start().ok());
  auto ack = PushOnce(7, now_ + 5, 2);
  ASSERT_TRUE(ack.ok()) << ack.status();
  EXPECT_EQ(ack->duplicate_batch_count(), 1);
  ASSERT_EQ(server_.Terminate(), 0);
  ASSERT_TRUE(server_.Start().ok());
  ack = PushOnce(6, now_ + 6, 3);
  ASSERT_TRUE(ack.ok()) << ack.status();
  EXPECT_EQ(ack->duplicate_batch_count(), 1);
  EXPECT_EQ(ack->acked_sequence(), 7);
  ack = PushOnce(8, now_ + 7, 4);
  ASSERT_TRUE(ack.ok()) << ack.status();
  EXPECT_EQ(ack->duplicate_batch_count(), 0);
  EXPECT_EQ(Stored(), (std::vector<double>{1, 4}));
}

TEST_F(ExactlyOnceTest, HoldsForUnaryPushToo) {
  const auto push = [&](double value) {
    v1::PushRequest request;
    request.set_producer_id("rows");
    request.set_sequence(3);
    auto* sample = request.add_samples();
    sample->set_metric("once");
    sample->mutable_time()->set_seconds(now_ / kNanosPerSecond);
    sample->set_value(value);
    v1::PushResponse response;
    grpc::ClientContext context;
    login_.Prepare(&context);
    const grpc::Status status = v1::IngestService::NewStub(login_.channel)->Push(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  };
  EXPECT_FALSE(push(1).duplicate());
  EXPECT_TRUE(push(2).duplicate());
  EXPECT_EQ(Stored(), std::vector<double>{1});
}

TEST_F(ExactlyOnceTest, KeepsTheLastOfTwoValuesForOneTime) {
  ASSERT_TRUE(PushOnce(1, now_, 1).ok());
  ASSERT_TRUE(PushOnce(2, now_, 2).ok());
  EXPECT_EQ(Stored(), std::vector<double>{2});
}

}  // namespace
}  // namespace pulseboard::testing
