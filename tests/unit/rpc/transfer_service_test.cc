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
using testing::Eventually;
using testing::HoldingStore;
using testing::ReasonOf;

using ImportCall = grpc::ClientReaderWriter<v1::ImportRequest, v1::ImportResponse>;

int64_t NowSeconds() { return SystemClock().NowUnixNanos() / kNanosPerSecond; }

std::string Lines(int count) {
  std::string text = "time,metric,value\n";
  const int64_t start = NowSeconds() - count;
  for (int i = 0; i < count; ++i) text += std::to_string(start + i) + ",m," + std::to_string(i) + "\n";
  return text;
}

v1::ImportRequest SpecMessage(const std::string& producer = "p", v1::TextFormat format = v1::TEXT_FORMAT_CSV) {
  v1::ImportRequest request;
  request.mutable_spec()->set_producer_id(producer);
  request.mutable_spec()->set_format(format);
  return request;
}

v1::ImportRequest ChunkMessage(int64_t offset, std::string data) {
  v1::ImportRequest request;
  request.mutable_chunk()->set_offset(offset);
  request.mutable_chunk()->set_data(std::move(data));
  return request;
}

// Reads to the end; the summary, if one came.
v1::ImportSummary ReadSummary(ImportCall* call, std::vector<v1::LineRefusal>* refused = nullptr) {
  v1::ImportSummary summary;
  for (v1::ImportResponse response; call->Read(&response);) {
    if (response.has_summary()) summary = response.summary();
    if (refused == nullptr) continue;
    for (const v1::LineRefusal& line : response.progress().refused_lines()) refused->push_back(line);
  }
  return summary;
}

class HeldImport : public ::testing::Test {
 protected:
  HeldImport() : server_({}, [](Store& real) { return std::make_unique<HoldingStore>(real); }) {}
  ~HeldImport() override { store().Release(); }
  HoldingStore& store() { return static_cast<HoldingStore&>(*server_.front()); }
  size_t Stored() {
    const auto id = server_.store()->FindSeries(kDefaultTenant, {"m", {}});
    return id ? server_.store().Read(*id).size() : 0;
  }

  DataServer server_;
};

TEST(Import, SaysWhereToBeginTellsRefusedLinesAndSumsUp) {
  DataServer server;
  const auto context = server.Context(server.Token("pusher", Role::kIngest));
  const auto stub = server.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  v1::ImportResponse response;
  ASSERT_TRUE(call->Read(&response));
  ASSERT_TRUE(response.has_started());
  EXPECT_EQ(response.started().resume_offset(), 0);
  const std::string text = Lines(3) + "x,m,1\n1000,m,1\n";
  for (size_t at = 0; at < text.size(); at += 10) {
    ASSERT_TRUE(call->Write(ChunkMessage(static_cast<int64_t>(at), text.substr(at, 10))));
  }
  call->WritesDone();
  std::vector<v1::LineRefusal> refused;
  const v1::ImportSummary summary = ReadSummary(call.get(), &refused);
  const grpc::Status status = call->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(summary.totals().accepted_count(), 3);
  EXPECT_EQ(summary.totals().refused_count(), 2);
  EXPECT_EQ(summary.totals().line_count(), 6);
  EXPECT_EQ(summary.totals().committed_offset(), static_cast<int64_t>(text.size()));
  EXPECT_EQ(summary.refusal_counts_size(), 2);
  EXPECT_EQ(summary.series_count(), 1);
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].reason(), v1::LINE_REFUSAL_REASON_BAD_TIME);
  EXPECT_EQ(refused[0].line(), 5);
  EXPECT_EQ(refused[0].column(), 1);
  EXPECT_EQ(refused[0].text(), "x,m,1");
  EXPECT_EQ(refused[1].reason(), v1::LINE_REFUSAL_REASON_TOO_OLD);
  EXPECT_EQ(refused[1].line(), 6);
}

TEST(Import, CommitsWhatThereIsWhenTheClientIsSlow) {
  DataServer server;
  const auto context = server.Context();
  const auto stub = server.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  const std::string text = Lines(2);
  ASSERT_TRUE(call->Write(ChunkMessage(0, text)));
  v1::ImportResponse response;
  while (response.progress().accepted_count() < 2) ASSERT_TRUE(call->Read(&response));
  EXPECT_EQ(response.progress().committed_offset(), static_cast<int64_t>(text.size()));
  call->WritesDone();
  EXPECT_EQ(ReadSummary(call.get()).totals().accepted_count(), 2);
  EXPECT_TRUE(call->Finish().ok());
}

// A client that dies in mid-line looks to the server like one that has said all.
TEST(Import, AppliesNoLineThatBrokeOff) {
  DataServer server;
  const auto stub = server.transfer();
  const std::string whole = Lines(2) + std::to_string(NowSeconds()) + ",m,234";
  const std::string torn = whole.substr(0, whole.size() - 2);
  const auto resume_offset = static_cast<int64_t>(Lines(2).size());
  {
    const auto context = server.Context();
    const auto call = stub->Import(context.get());
    ASSERT_TRUE(call->Write(SpecMessage()));
    ASSERT_TRUE(call->Write(ChunkMessage(0, torn)));
    call->WritesDone();
    EXPECT_EQ(ReadSummary(call.get()).totals().committed_offset(), 0) << "no summary of a text that broke off";
    EXPECT_EQ(ReasonOf(call->Finish()), ErrorReason::kBadField);
  }
  const auto context = server.Context();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  v1::ImportResponse response;
  ASSERT_TRUE(call->Read(&response));
  EXPECT_EQ(response.started().resume_offset(), resume_offset) << "the lines before it are committed";
  ASSERT_TRUE(call->Write(ChunkMessage(0, whole)));
  v1::ImportRequest end;
  end.mutable_end();
  ASSERT_TRUE(call->Write(end));
  call->WritesDone();
  const v1::ImportSummary summary = ReadSummary(call.get());
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_EQ(summary.totals().committed_offset(), static_cast<int64_t>(whole.size()));
  EXPECT_EQ(summary.totals().refused_count(), 0);
  const std::optional<SeriesId> series = server.store()->FindSeries(kDefaultTenant, {"m", {}});
  ASSERT_TRUE(series.has_value());
  const SampleColumns stored = server.store().Read(*series);
  ASSERT_EQ(stored.size(), 3U);
  EXPECT_EQ(stored.values.back(), 234);
}

TEST(Import, IsOverWithItsEnd) {
  DataServer server;
  const auto context = server.Context();
  const auto stub = server.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  ASSERT_TRUE(call->Write(ChunkMessage(0, Lines(1))));
  v1::ImportRequest end;
  end.mutable_end();
  ASSERT_TRUE(call->Write(end));
  call->WritesDone();
  EXPECT_EQ(ReadSummary(call.get()).totals().accepted_count(), 1);
  EXPECT_TRUE(call->Finish().ok());
}

TEST(Import, TellsManyRefusedLinesInMessagesThatClientsTake) {
  DataServer server;
  const auto context = server.Context();
  const auto stub = server.transfer();
  const auto call = stub->Import(context.get());
  v1::ImportRequest spec = SpecMessage();
  spec.mutable_spec()->set_max_refused_lines(1'000'000);
  ASSERT_TRUE(call->Write(spec));
  std::thread writer([&] {
    std::string text = "time,metric,value\n";
    for (int i = 0; i < 60'000; ++i) text += "x,m," + std::string(300, 'y') + "\n";
    for (size_t at = 0; at < text.size(); at += 1 << 20) {
      call->Write(ChunkMessage(static_cast<int64_t>(at), text.substr(at, 1 << 20)));
    }
    call->WritesDone();
  });
  std::vector<v1::LineRefusal> refused;
  const v1::ImportSummary summary = ReadSummary(call.get(), &refused);
  writer.join();
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_EQ(summary.totals().refused_count(), 60'000);
  ASSERT_EQ(refused.size(), 60'000U);
  for (size_t i = 0; i < refused.size(); ++i) ASSERT_EQ(refused[i].line(), static_cast<int64_t>(i) + 2);
  EXPECT_EQ(refused[0].text().size(), 200U);
}

TEST_F(HeldImport, StopsReadingWhileTooManyBatchesAreInWork) {
  store().Hold();
  const auto context = server_.Context();
  const auto stub = server_.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  const std::string text = Lines(1'000'000);
  std::atomic<size_t> written{0};
  std::thread writer([&] {
    for (size_t at = 0; at < text.size(); at += 1 << 18) {
      if (!call->Write(ChunkMessage(static_cast<int64_t>(at), text.substr(at, 1 << 18)))) return;
      written = at;
    }
    call->WritesDone();
  });
  const auto limit = static_cast<size_t>(IntakeOptions{}.max_unacked_batches);
  EXPECT_TRUE(Eventually([&] { return store().held() == limit; }));
  EXPECT_TRUE(ComesToRest([&] { return written.load(); }));
  EXPECT_EQ(store().held(), limit);
  EXPECT_LT(written.load(), text.size() / 2) << "the client was not slowed down";
  store().Release();
  EXPECT_EQ(ReadSummary(call.get()).totals().accepted_count(), 1'000'000);
  writer.join();
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_EQ(Stored(), 1'000'000U);
}

TEST_F(HeldImport, PausesAndTriesAgainWhenTheStoreIsFull) {
  store().RefuseNext(5);
  const auto context = server_.Context();
  const auto stub = server_.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  ASSERT_TRUE(call->Write(ChunkMessage(0, Lines(30'000))));
  call->WritesDone();
  EXPECT_EQ(ReadSummary(call.get()).totals().accepted_count(), 30'000);
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_EQ(store().refusals_left(), 0);
  EXPECT_EQ(Stored(), 30'000U);
}

TEST_F(HeldImport, TellsNothingBehindABatchThatFailed) {
  store().Hold();
  const auto context = server_.Context();
  const auto stub = server_.transfer();
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  ASSERT_TRUE(call->Write(ChunkMessage(0, Lines(1))));
  ASSERT_TRUE(Eventually([&] { return store().held() == 1; }));
  store().Fail(MakeError(ErrorReason::kDiskFull, "no space"));
  for (v1::ImportResponse response; call->Read(&response);) EXPECT_EQ(response.progress().committed_offset(), 0);
  EXPECT_EQ(ReasonOf(call->Finish()), ErrorReason::kDiskFull);
}

TEST_F(HeldImport, TellsWhatIsInWorkBeforeADrainEndsIt) {
  store().Hold();
  const auto context = server_.Context();
  const auto stub = server_.transfer();
  const auto call = stub->Import(context.get());
  const std::string text = Lines(5);
  ASSERT_TRUE(call->Write(SpecMessage()));
  ASSERT_TRUE(call->Write(ChunkMessage(0, text)));
  ASSERT_TRUE(Eventually([&] { return store().held() == 1; }));
  server_.streams().DrainAll(/*hard=*/false);
  store().Release();
  int64_t committed = 0;
  for (v1::ImportResponse response; call->Read(&response);) committed = response.progress().committed_offset();
  EXPECT_EQ(committed, static_cast<int64_t>(text.size()));
  EXPECT_EQ(ReasonOf(call->Finish()), ErrorReason::kShuttingDown);
}

TEST_F(HeldImport, KeepsItsNameUntilTheLastBatchOfACancelledCallIsCommitted) {
  store().Hold();
  const auto stub = server_.transfer();
  const std::string text = Lines(5);
  {
    const auto context = server_.Context();
    const auto call = stub->Import(context.get());
    ASSERT_TRUE(call->Write(SpecMessage()));
    ASSERT_TRUE(call->Write(ChunkMessage(0, text)));
    ASSERT_TRUE(Eventually([&] { return store().held() == 1; }));
    context->TryCancel();
    EXPECT_EQ(call->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(Eventually([&] { return server_.streams().size() == 0; }));
  const auto resume = [&](int64_t* offset) {
    const auto context = server_.Context();
    const auto call = stub->Import(context.get());
    call->Write(SpecMessage());
    v1::ImportResponse response;
    if (call->Read(&response)) {
      *offset = response.started().resume_offset();
      context->TryCancel();
    }
    return call->Finish();
  };
  int64_t offset = -1;
  EXPECT_EQ(ReasonOf(resume(&offset)), ErrorReason::kTransferBusy) << "what is in work may still be committed";
  store().Release();
  EXPECT_TRUE(Eventually([&] {
    resume(&offset);
    return offset >= 0;
  }));
  EXPECT_EQ(offset, static_cast<int64_t>(text.size()));
  EXPECT_TRUE(Eventually([&] { return server_.importer().active() == 0; }));
}

// Whoever is told that a call is over may begin the next one.
TEST(Import, FreesItsNameBeforeItTellsTheEnd) {
  DataServer server;
  const auto stub = server.transfer();
  for (int i = 0; i < 500; ++i) {
    const auto context = server.Context();
    const auto call = stub->Import(context.get());
    call->Write(SpecMessage());
    call->Write(ChunkMessage(-1, "x"));  // ends it
    for (v1::ImportResponse response; call->Read(&response);) {
    }
    ASSERT_EQ(ReasonOf(call->Finish()), ErrorReason::kBadField) << "import " << i;
    ASSERT_EQ(server.importer().active(), 0) << "import " << i;
  }
}

TEST(Import, RefusesStrangersBeforeReading) {
  DataServer server;
  const auto stub = server.transfer();
  const auto context = server.Context(server.Token("viewer", Role::kViewer));
  EXPECT_EQ(ReasonOf(stub->Import(context.get())->Finish()), ErrorReason::kRoleTooLow);
  EXPECT_EQ(server.importer().active(), 0);
}

TEST(Import, EndsWithItsSession) {
  DataServer server;
  const std::string token = server.Token("pusher", Role::kIngest);
  const auto stub = server.transfer();
  const auto context = server.Context(token);
  const auto call = stub->Import(context.get());
  ASSERT_TRUE(call->Write(SpecMessage()));
  v1::ImportResponse response;
  ASSERT_TRUE(call->Read(&response));
  server.identity().clock.Advance(SessionOptions{}.access_token_life_ns);
  while (call->Read(&response)) {
  }
  EXPECT_EQ(ReasonOf(call->Finish()), ErrorReason::kTokenExpired);
}

TEST(Export, StreamsTextAndSumsUp) {
  DataServer server;
  std::vector<testing::TestStore::Row> rows;
  const SeriesId id = server.store().Series("m", {{"host", "a"}});
  const int64_t start = SystemClock().NowUnixNanos() - 1'000 * kNanosPerSecond;
  for (int i = 0; i < 50'000; ++i) rows.push_back({id, start + i * kNanosPerMilli, i / 10.0});
  server.store().Append(rows);
  const auto context = server.Context(server.Token("viewer", Role::kViewer));
  v1::ExportRequest request;
  request.set_selector("m");
  request.set_format(v1::TEXT_FORMAT_OPENMETRICS);
  request.mutable_start_time()->set_seconds(NowSeconds() - 3'600);
  const auto stub = server.transfer();
  const auto call = stub->Export(context.get(), request);
  std::string text;
  v1::ExportSummary summary;
  int pieces = 0;
  for (v1::ExportResponse response; call->Read(&response);) {
    text += response.data();
    pieces += response.has_data() ? 1 : 0;
    if (response.has_summary()) summary = response.summary();
  }
  EXPECT_TRUE(call->Finish().ok());
  EXPECT_GT(pieces, 5);
  EXPECT_EQ(summary.sample_count(), 50'000);
  EXPECT_EQ(summary.series_count(), 1);
  EXPECT_EQ(summary.byte_count(), static_cast<int64_t>(text.size()));
  EXPECT_TRUE(text.ends_with("# EOF\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 50'002);
}

TEST(Export, EndsWhenItsReaderGoes) {
  DataServer server;
  std::vector<testing::TestStore::Row> rows;
  const SeriesId id = server.store().Series("m");
  const int64_t start = SystemClock().NowUnixNanos() - 1'000 * kNanosPerSecond;
  for (int i = 0; i < 200'000; ++i) rows.push_back({id, start + i * kNanosPerMilli, i / 10.0});
  server.store().Append(rows);
  const auto context = server.Context();
  v1::ExportRequest request;
  request.set_selector("m");
  request.set_format(v1::TEXT_FORMAT_CSV);
  request.mutable_start_time()->set_seconds(NowSeconds() - 3'600);
  const auto stub = server.transfer();
  const auto call = stub->Export(context.get(), request);
  v1::ExportResponse response;
  ASSERT_TRUE(call->Read(&response));
  EXPECT_EQ(server.engine().Stats().active, 1);
  context->TryCancel();
  EXPECT_EQ(call->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server.engine().Stats().active == 0; }));
}

}  // namespace
}  // namespace pulseboard
