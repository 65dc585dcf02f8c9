#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>

#include "common/base/errors.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc/data_server.h"
#include "tests/unit/rpc/holding_store.h"

namespace pulseboard {
namespace {

using testing::ComesToRest;
using testing::DataServer;
using testing::DataServerOptions;
using testing::Eventually;
using testing::HoldingStore;
using testing::ReasonOf;

using PushCall = grpc::ClientReaderWriter<v1::PushStreamRequest, v1::PushStreamResponse>;

int64_t Now() { return SystemClock().NowUnixNanos(); }

v1::PushRequest OneRow(const std::string& metric, double value = 1) {
  v1::PushRequest request;
  v1::Sample* sample = request.add_samples();
  sample->set_metric(metric);
  (*sample->mutable_labels())["host"] = "a";
  sample->set_value(value);
  return request;
}

// A batch of `count` samples of ref 1, which the first one defines.
v1::PushStreamRequest Batch(int64_t sequence, int count = 1, const std::string& producer = "p") {
  v1::PushStreamRequest batch;
  batch.set_producer_id(producer);
  batch.set_sequence(sequence);
  v1::PushSeriesDefinition* definition = batch.add_definitions();
  definition->set_ref(1);
  definition->set_metric("cpu");
  batch.set_base_time_unix_nanos(Now() - 3'600 * kNanosPerSecond + sequence * 100'000);
  for (int i = 0; i < count; ++i) {
    batch.add_refs(1);
    batch.add_time_offsets_nanos(i);
    batch.add_values(static_cast<double>(sequence));
  }
  return batch;
}

TEST(IngestService, PushesRowsAndSaysWhatBecameOfThem) {
  DataServer server;
  v1::PushRequest request = OneRow("cpu");
  *request.add_samples() = request.samples(0);
  request.mutable_samples(1)->set_metric("not allowed");
  request.mutable_samples(0)->set_unit("%");
  request.mutable_samples(0)->mutable_time()->set_seconds(Now() / kNanosPerSecond);
  request.set_producer_id("p");
  request.set_sequence(9);
  v1::PushResponse response;
  const grpc::Status status = server.ingest()->Push(server.Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.accepted_count(), 1);
  EXPECT_EQ(response.commit_sequence(), 1);
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_BUFFERED) << "the test server's default";
  ASSERT_EQ(response.refusals_size(), 1);
  EXPECT_EQ(response.refusals(0).sample_index(), 1);
  EXPECT_EQ(response.refusals(0).reason(), v1::REFUSAL_REASON_BAD_METRIC);
  EXPECT_EQ(response.refusals(0).sequence(), 9);
  ASSERT_EQ(response.refusal_counts_size(), 1);
  EXPECT_EQ(response.refusal_counts(0).count(), 1);
  response.Clear();
  ASSERT_TRUE(server.ingest()->Push(server.Context().get(), request, &response).ok());
  EXPECT_TRUE(response.duplicate());
}

TEST(IngestService, AcknowledgesAsThePusherAsks) {
  DataServer server;
  v1::PushRequest request = OneRow("cpu");
  v1::PushResponse response;
  request.set_ack_mode(v1::ACK_MODE_FSYNCED);
  ASSERT_TRUE(server.ingest()->Push(server.Context().get(), request, &response).ok());
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_FSYNCED);
  request.set_ack_mode(static_cast<v1::AckMode>(3));
  const grpc::Status status = server.ingest()->Push(server.Context().get(), request, &response);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadField) << status.error_message();
}

TEST(IngestService, FsyncsWhatIsBufferedWhereTheOperatorWantsIt) {
  DataServerOptions options;
  options.intake.allow_buffered = false;
  DataServer server(options);
  v1::PushRequest request = OneRow("cpu");
  v1::PushResponse response;
  request.set_ack_mode(v1::ACK_MODE_BUFFERED);
  ASSERT_TRUE(server.ingest()->Push(server.Context().get(), request, &response).ok());
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_FSYNCED);
}

TEST(IngestService, AStreamKeepsTheAckModeOfItsFirstMessage) {
  DataServer server;
  const auto context = server.Context();
  const auto stub = server.ingest();
  const auto stream = stub->PushStream(context.get());
  v1::PushStreamRequest batch = Batch(1, 2);
  batch.set_ack_mode(v1::ACK_MODE_FSYNCED);
  ASSERT_TRUE(stream->Write(batch));
  v1::PushStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_UNSPECIFIED) << "the first answer only says where the producer stands";
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_FSYNCED);
  batch = Batch(2, 2);  // says nothing
  ASSERT_TRUE(stream->Write(batch));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.ack_mode(), v1::ACK_MODE_FSYNCED);
  batch = Batch(3, 2);
  batch.set_ack_mode(v1::ACK_MODE_BUFFERED);
  ASSERT_TRUE(stream->Write(batch));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(ReasonOf(stream->Finish()), ErrorReason::kBadField);
}

TEST(IngestService, AnswersBadPushesWithTheirReason) {
  DataServer server;
  const std::string viewer = server.Token("viewer", Role::kViewer);
  v1::PushRequest huge;
  for (int i = 0; i < 10'001; ++i) huge.add_samples()->set_metric("cpu");
  v1::PushRequest no_sequence = OneRow("cpu");
  no_sequence.set_producer_id("p");
  v1::PushRequest negative = no_sequence;
  negative.set_sequence(-1);
  v1::PushRequest long_producer = no_sequence;
  long_producer.set_producer_id(std::string(129, 'p'));
  struct Case {
    std::string name;
    v1::PushRequest request;
    std::string token;
    ErrorReason reason;
  };
  const std::vector<Case> cases = {
      {"empty", {}, "", ErrorReason::kBadField},
      {"huge", huge, "", ErrorReason::kBadField},
      {"no sequence", no_sequence, "", ErrorReason::kBadField},
      {"negative sequence", negative, "", ErrorReason::kBadField},
      {"long producer", long_producer, "", ErrorReason::kBadField},
      {"viewer", OneRow("cpu"), viewer, ErrorReason::kRoleTooLow},
      {"forged", OneRow("cpu"), "forged", ErrorReason::kTokenInvalid},
  };
  for (const Case& c : cases) {
    v1::PushResponse response;
    const grpc::Status status = server.ingest()->Push(server.Context(c.token).get(), c.request, &response);
    EXPECT_EQ(ReasonOf(status), c.reason) << c.name << ": " << status.error_message();
  }
  EXPECT_EQ(server.store()->Stats().committed_batches, 0);
  v1::PushRequest far;  // times no nanosecond count can hold: refused sample by sample
  for (const int64_t seconds : {int64_t{-1}, int64_t{9'223'372'037}, int64_t{253'402'300'799}}) {
    far.add_samples()->set_metric("cpu");
    far.mutable_samples(far.samples_size() - 1)->mutable_time()->set_seconds(seconds);
  }
  far.add_samples()->set_metric("cpu");
  far.mutable_samples(3)->mutable_time()->set_nanos(-1);
  v1::PushResponse response;
  ASSERT_TRUE(server.ingest()->Push(server.Context().get(), far, &response).ok());
  EXPECT_EQ(response.refusal_counts(0).count(), 4);
  EXPECT_EQ(response.refusal_counts(0).reason(), v1::REFUSAL_REASON_BAD_TIME);
}

TEST(PushStream, GreetsThenAcknowledgesCumulatively) {
  DataServer server;
  v1::PushRequest earlier = OneRow("cpu");
  earlier.set_producer_id("p");
  earlier.set_sequence(4);
  v1::PushResponse pushed;
  ASSERT_TRUE(server.ingest()->Push(server.Context().get(), earlier, &pushed).ok());

  const auto context = server.Context();
  const auto ingest = server.ingest();
  const auto stream = ingest->PushStream(context.get());
  v1::PushStreamRequest batch = Batch(4, 3);
  batch.add_refs(77);
  batch.add_time_offsets_nanos(0);
  batch.add_values(0);
  ASSERT_TRUE(stream->Write(batch));
  v1::PushStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.acked_sequence(), 4) << "where the producer stands";
  EXPECT_EQ(response.commit_sequence(), 0);
  EXPECT_EQ(response.max_unacked_batches(), IntakeOptions{}.max_unacked_batches);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.acked_sequence(), 4);
  EXPECT_EQ(response.duplicate_batch_count(), 1);
  ASSERT_EQ(response.refusals_size(), 1);
  EXPECT_EQ(response.refusals(0).reason(), v1::REFUSAL_REASON_UNKNOWN_REF);
  EXPECT_EQ(response.refusals(0).sequence(), 4);
  for (int64_t sequence = 5; sequence < 200; ++sequence) ASSERT_TRUE(stream->Write(Batch(sequence, 10)));
  stream->WritesDone();
  int64_t acked = 4;
  while (stream->Read(&response)) {
    EXPECT_GT(response.acked_sequence(), acked);
    EXPECT_GT(response.commit_sequence(), 0);
    EXPECT_EQ(response.duplicate_batch_count(), 0);
    acked = response.acked_sequence();
  }
  EXPECT_EQ(acked, 199);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(server.store().Read(*server.store()->FindSeries(kDefaultTenant, {"cpu", {}})).size(), 1'950U);
}

TEST(PushStream, EndsOnStructuralErrorsAfterAckingWhatCameBefore) {
  DataServer server;
  v1::PushStreamRequest unequal = Batch(2);
  unequal.add_values(5);
  v1::PushStreamRequest rebound = Batch(2);
  rebound.mutable_definitions(0)->set_metric("mem");
  v1::PushStreamRequest bad_ref = Batch(2);
  bad_ref.mutable_definitions(0)->set_ref(0);
  const std::vector<std::pair<v1::PushStreamRequest, ErrorReason>> cases = {
      {unequal, ErrorReason::kBadField},          {rebound, ErrorReason::kBadField},
      {bad_ref, ErrorReason::kBadField},          {Batch(2, 1, "another"), ErrorReason::kBadField},
      {Batch(2, 50'001), ErrorReason::kBadField}, {Batch(1), ErrorReason::kBadSequence},
      {Batch(0), ErrorReason::kBadSequence},
  };
  int producer = 0;
  for (const auto& [bad, reason] : cases) {
    const std::string name = "p" + std::to_string(++producer);
    const auto context = server.Context();
    const auto ingest = server.ingest();
    const auto stream = ingest->PushStream(context.get());
    ASSERT_TRUE(stream->Write(Batch(1, 1, name)));
    v1::PushStreamRequest second = bad;
    if (second.producer_id() == "p") second.set_producer_id(name);
    stream->Write(second);
    v1::PushStreamResponse response;
    int64_t acked = 0;
    while (stream->Read(&response)) acked = response.acked_sequence();
    EXPECT_EQ(acked, 1);
    EXPECT_EQ(ReasonOf(stream->Finish()), reason);
  }
  const auto context = server.Context();
  const auto ingest = server.ingest();
  const auto stream = ingest->PushStream(context.get());
  stream->Write(Batch(1, 1, ""));
  EXPECT_EQ(ReasonOf(stream->Finish()), ErrorReason::kBadField) << "no producer_id";
  EXPECT_TRUE(Eventually([&] { return server.intake().Stats().open_streams == 0 && server.streams().size() == 0; }));
}

TEST(PushStream, AnswersBytesThatAreNoMessageAndKeepsWhatCameBefore) {
  DataServer server;
  const std::string whole = Batch(2).SerializeAsString();
  v1::PushStreamRequest producer_only;
  producer_only.set_producer_id("caf_");
  std::string not_utf8 = producer_only.SerializeAsString();
  not_utf8.back() = '\xff';
  const std::vector<std::string> bad_messages = {"\xff", "not protobuf", whole.substr(0, whole.size() - 3), not_utf8};
  int producer = 0;
  for (const std::string& bad : bad_messages) {
    const std::string name = "raw" + std::to_string(++producer);
    const auto context = server.Context();
    grpc::GenericStub stub(server.NewChannel());
    grpc::CompletionQueue queue;
    const auto await = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const auto stream = stub.PrepareCall(context.get(), "/pulseboard.v1.IngestService/PushStream", &queue);
    stream->StartCall(nullptr);
    ASSERT_TRUE(await());
    for (const std::string& bytes : {Batch(1, 3, name).SerializeAsString(), bad}) {
      const grpc::Slice slice(bytes);
      stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      ASSERT_TRUE(await());
    }
    int64_t acked = 0;
    for (grpc::ByteBuffer bytes; stream->Read(&bytes, nullptr), await();) {
      v1::PushStreamResponse response;
      ASSERT_TRUE(grpc::SerializationTraits<v1::PushStreamResponse>::Deserialize(&bytes, &response).ok());
      acked = response.acked_sequence();
    }
    EXPECT_EQ(acked, 1);
    grpc::Status status;
    stream->Finish(&status, nullptr);
    ASSERT_TRUE(await());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << producer;
    EXPECT_EQ(ReasonOf(status), ErrorReason::kBadField) << status.error_message();
    EXPECT_EQ(server.store()->ProducerPosition(kDefaultTenant, name), 1);
  }
}

TEST(PushStream, RefusesStrangersBeforeReading) {
  DataServer server;
  const auto ingest = server.ingest();
  const auto context = server.Context(server.Token("viewer", Role::kViewer));
  EXPECT_EQ(ReasonOf(ingest->PushStream(context.get())->Finish()), ErrorReason::kRoleTooLow);
  grpc::ClientContext bare;
  EXPECT_EQ(ReasonOf(ingest->PushStream(&bare)->Finish()), ErrorReason::kTokenInvalid);
  EXPECT_EQ(server.intake().Stats().open_streams, 0);
}

TEST(PushStream, MoreThanTheServerServesAreToldToWait) {
  DataServerOptions options;
  options.intake.max_streams = 2;
  DataServer server(options);
  const auto ingest = server.ingest();
  const auto first_context = server.Context();
  const auto second_context = server.Context();
  const auto first = ingest->PushStream(first_context.get());
  const auto second = ingest->PushStream(second_context.get());
  ASSERT_TRUE(Eventually([&] { return server.intake().Stats().open_streams == 2; }));
  const auto refused_context = server.Context();
  const auto refused = ingest->PushStream(refused_context.get());
  v1::PushStreamResponse response;
  EXPECT_FALSE(refused->Read(&response));
  const grpc::Status status = refused->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kTooManyStreams);
  EXPECT_TRUE(GetErrorDetail(FromGrpcStatus(status))->retry_after_ms.has_value());
  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
  ASSERT_TRUE(Eventually([&] { return server.intake().Stats().open_streams == 1; }));
  const auto third_context = server.Context();
  const auto third = ingest->PushStream(third_context.get());
  ASSERT_TRUE(third->Write(Batch(1)));
  ASSERT_TRUE(third->Read(&response)) << "there is room again";
  for (const auto& stream : {second.get(), third.get()}) {
    stream->WritesDone();
    while (stream->Read(&response)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
  }
}

class HeldPushStream : public ::testing::Test {
 protected:
  HeldPushStream() : server_({}, [](Store& real) { return std::make_unique<HoldingStore>(real); }) {}
  ~HeldPushStream() override { store().Release(); }
  HoldingStore& store() { return static_cast<HoldingStore&>(*server_.front()); }

  DataServer server_;
};

TEST_F(HeldPushStream, StopsReadingWhileTooManyBatchesAreInWork) {
  store().Hold();
  const auto context = server_.Context();
  const auto ingest = server_.ingest();
  const auto stream = ingest->PushStream(context.get());
  std::atomic<int64_t> written{0};
  // 200 batches of 5,000 samples are 12 MB: more than flow control lets a pusher have on the way.
  std::thread pusher([&] {
    for (int64_t sequence = 1; sequence <= 200; ++sequence) {
      if (!stream->Write(Batch(sequence, 5'000))) return;
      written = sequence;
    }
    stream->WritesDone();
  });
  const auto limit = static_cast<size_t>(IntakeOptions{}.max_unacked_batches);
  EXPECT_TRUE(Eventually([&] { return store().held() == limit; }));
  EXPECT_TRUE(ComesToRest([&] { return written.load(); }));
  EXPECT_EQ(store().held(), limit);
  EXPECT_LT(written.load(), 200) << "the pusher was not slowed down";
  store().Release();
  v1::PushStreamResponse response;
  int64_t acked = 0;
  while (stream->Read(&response)) acked = response.acked_sequence();
  pusher.join();
  EXPECT_EQ(acked, 200);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(HeldPushStream, PausesAndTriesAgainWhenTheStoreIsFull) {
  store().RefuseNext(5);
  const auto context = server_.Context();
  const auto ingest = server_.ingest();
  const auto stream = ingest->PushStream(context.get());
  for (int64_t sequence = 1; sequence <= 10; ++sequence) ASSERT_TRUE(stream->Write(Batch(sequence, 10)));
  stream->WritesDone();
  v1::PushStreamResponse response;
  int64_t acked = 0;
  while (stream->Read(&response)) acked = response.acked_sequence();
  EXPECT_EQ(acked, 10);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(store().refusals_left(), 0);
  EXPECT_EQ(server_.store().Read(*server_.store()->FindSeries(kDefaultTenant, {"cpu", {}})).size(), 100U);
}

TEST_F(HeldPushStream, AcknowledgesNothingBehindABatchThatFailed) {
  store().Hold();
  const auto context = server_.Context();
  const auto ingest = server_.ingest();
  const auto stream = ingest->PushStream(context.get());
  ASSERT_TRUE(stream->Write(Batch(1)));
  ASSERT_TRUE(Eventually([&] { return store().held() == 1; }));
  store().Fail(MakeError(ErrorReason::kDiskFull, "no space"));
  v1::PushStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));  // the greeting
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(ReasonOf(stream->Finish()), ErrorReason::kDiskFull);
}

TEST_F(HeldPushStream, AcknowledgesWhatIsInWorkBeforeADrainEndsIt) {
  store().Hold();
  const auto context = server_.Context();
  const auto ingest = server_.ingest();
  const auto stream = ingest->PushStream(context.get());
  for (int64_t sequence = 1; sequence <= 3; ++sequence) ASSERT_TRUE(stream->Write(Batch(sequence)));
  ASSERT_TRUE(Eventually([&] { return store().held() == 3; }));
  server_.streams().DrainAll(/*hard=*/false);
  store().Release();
  v1::PushStreamResponse response;
  int64_t acked = 0;
  while (stream->Read(&response)) acked = response.acked_sequence();
  EXPECT_EQ(acked, 3);
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kShuttingDown);
}

TEST_F(HeldPushStream, GoesAwayWithACancelledPusher) {
  store().Hold();
  const auto context = server_.Context();
  const auto ingest = server_.ingest();
  const auto stream = ingest->PushStream(context.get());
  ASSERT_TRUE(stream->Write(Batch(1)));
  ASSERT_TRUE(Eventually([&] { return store().held() == 1; }));
  context->TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server_.streams().size() == 0; }));
  store().Release();  // what was in work commits all the same
  EXPECT_TRUE(Eventually([&] { return server_.store()->ProducerPosition(kDefaultTenant, "p") == 1; }));
  EXPECT_TRUE(Eventually([&] { return server_.intake().Stats().open_streams == 0; }));
}

TEST(PushStream, EndsWithItsSession) {
  DataServer server;
  const std::string token = server.Token("pusher", Role::kIngest);
  const auto ingest = server.ingest();
  const auto context = server.Context(token);
  const auto stream = ingest->PushStream(context.get());
  ASSERT_TRUE(stream->Write(Batch(1)));
  v1::PushStreamResponse response;
  while (response.acked_sequence() < 1) ASSERT_TRUE(stream->Read(&response));
  server.identity().clock.Advance(SessionOptions{}.access_token_life_ns);
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(ReasonOf(stream->Finish()), ErrorReason::kTokenExpired);
}

}  // namespace
}  // namespace pulseboard
