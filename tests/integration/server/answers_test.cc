// Answers of a real server under load: exports in constant memory, cancelled calls that end, pushes beside heavy
// queries, and the query command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "pulseboard/v1/transfer.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr auto kDeadline = std::chrono::seconds(60);
// Instants of a query that never ends within a test: at each it sorts 50,000 values of a subquery, six times.
constexpr int64_t kEndlessInstants = 40'000;
std::string Endless() {
  std::string text = "0";
  for (int i = 0; i < 6; ++i) text += " + quantile_over_time(0.5, vector(1)[50000s:1s])";
  return text;
}

template <typename Condition>
bool Becomes(const Condition& condition) {
  const auto end = steady_clock::now() + kDeadline;
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // between two looks
  }
  return true;
}

void SetTime(int64_t unix_nanos, google::protobuf::Timestamp* out) {
  out->set_seconds(unix_nanos / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(unix_nanos % kNanosPerSecond));
}

class AnswersTest : public ::testing::Test {
 protected:
  void Begin(std::vector<std::string> set = {}) {
    server_ = std::make_unique<ServerProcess>(ServerProcessOptions{.set = std::move(set)});
    ASSERT_TRUE(server_->Start().ok());
    auto login = LogInAsAdmin(*server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *std::move(login);
  }

  // `count` samples of each of `series` series m{n=…}, a second apart, the last one now.
  void Fill(int series, int64_t count) {
    constexpr int64_t kBatch = 50'000;
    grpc::ClientContext context;
    login_.Prepare(&context);
    const auto stream = v1::IngestService::NewStub(login_.channel)->PushStream(&context);
    int64_t sequence = 0;
    v1::PushStreamResponse ack;
    for (int n = 0; n < series; ++n) {
      for (int64_t at = 0; at < count; at += kBatch) {
        v1::PushStreamRequest batch;
        batch.set_producer_id("fill");
        batch.set_sequence(++sequence);
        batch.set_base_time_unix_nanos(now_ - (count - 1 - at) * kNanosPerSecond);
        if (at == 0) {
          v1::PushSeriesDefinition* definition = batch.add_definitions();
          definition->set_ref(static_cast<uint32_t>(n + 1));
          definition->set_metric("m");
          v1::Label* label = definition->add_labels();
          label->set_name("n");
          label->set_value(std::to_string(n));
        }
        for (int64_t i = 0; i < std::min(kBatch, count - at); ++i) {
          batch.add_refs(static_cast<uint32_t>(n + 1));
          batch.add_time_offsets_nanos(i * kNanosPerSecond);
          batch.add_values(static_cast<double>((at + i) * 7'919 % 1'000) / 8);
        }
        ASSERT_TRUE(stream->Write(batch));
        while (ack.acked_sequence() < sequence) ASSERT_TRUE(stream->Read(&ack));
      }
    }
    stream->WritesDone();
    ASSERT_TRUE(stream->Finish().ok());
  }

  v1::QueryExpressionRequest EndlessQuery() const {
    v1::QueryExpressionRequest request;
    request.set_expression(Endless());
    SetTime(now_ - kEndlessInstants * kNanosPerSecond, request.mutable_start_time());
    SetTime(now_, request.mutable_end_time());
    request.mutable_step()->set_seconds(1);
    return request;
  }
  // How a query of one number ends.
  absl::Status AskLittle() {
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::QueryExpressionRequest request;
    request.set_expression("1 + 1");
    const auto stream = v1::QueryService::NewStub(login_.channel)->QueryExpression(&context, request);
    v1::QueryExpressionResponse response;
    while (stream->Read(&response)) {
    }
    return FromGrpcStatus(stream->Finish());
  }
  bool IsFull() { return HasReason(AskLittle(), ErrorReason::kQueryBusy); }
  // Starts calls until one is taken: the place of the call before is given back a little after its end.
  template <typename Start>
  auto StartBusy(const Start& start) {
    while (true) {
      auto call = start();
      call->ReadOn();
      const double before = CpuSeconds(server_->pid());
      EXPECT_TRUE(Becomes([&] { return call->ended || CpuSeconds(server_->pid()) > before + 0.1; }));
      if (!call->ended || HasFailure()) return call;
    }
  }

  // A stream under way, cancelled by its end.
  template <typename Response>
  struct Call {
    ~Call() { End(); }
    // From now on all that comes is read, by a thread of its own.
    void ReadOn() {
      reader = std::thread([this] {
        Response response;
        while (stream->Read(&response)) {
        }
        ended = true;
      });
    }
    grpc::Status End() {
      if (stream == nullptr) return grpc::Status::OK;
      if (reader.joinable()) {
        context.TryCancel();
        reader.join();
      }
      return std::exchange(stream, nullptr)->Finish();
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<Response>> stream;
    std::thread reader;
    std::atomic<bool> ended{false};
  };
  std::unique_ptr<Call<v1::QueryExpressionResponse>> StartEndless(const std::string& tenant = "") {
    auto call = std::make_unique<Call<v1::QueryExpressionResponse>>();
    login_.Prepare(&call->context, tenant);
    call->stream = v1::QueryService::NewStub(login_.channel)->QueryExpression(&call->context, EndlessQuery());
    return call;
  }
  std::unique_ptr<Call<v1::ExportResponse>> StartExport(const v1::ExportRequest& request,
                                                        const std::string& tenant = "") {
    auto call = std::make_unique<Call<v1::ExportResponse>>();
    login_.Prepare(&call->context, tenant);
    call->stream = v1::TransferService::NewStub(login_.channel)->Export(&call->context, request);
    return call;
  }
  v1::ExportRequest AllSamples(v1::TextFormat format) const {
    v1::ExportRequest request;
    request.set_selector("m");
    SetTime(now_ - 20 * kNanosPerDay, request.mutable_start_time());
    request.set_format(format);
    return request;
  }
  v1::ExportRequest AnswerOfAllSamples(v1::TextFormat format) const {
    v1::ExportRequest request;
    request.set_format(format);
    v1::QueryRangeRequest* range = request.add_queries()->mutable_range();
    range->set_selector("m");
    SetTime(now_ - 20 * kNanosPerDay, range->mutable_start_time());
    return request;
  }

  // A cancelled call gives its place back; milliseconds until another one got it.
  double MillisUntilFree() {
    const auto start = steady_clock::now();
    EXPECT_TRUE(Becomes([this] { return !IsFull(); }));
    return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
  }

  const int64_t now_ = SystemClock().NowUnixNanos();
  std::unique_ptr<ServerProcess> server_;
  Login login_;
};

TEST_F(AnswersTest, AnExportHoldsALittleHoweverLongItIsAndHoweverSlowItsReader) {
  Begin({"storage.memory=64MiB"});
  Fill(8, 200'000);
  for (const v1::ExportRequest& request :
       {AllSamples(v1::TEXT_FORMAT_JSON_LINES), AnswerOfAllSamples(v1::TEXT_FORMAT_OPENMETRICS)}) {
    const auto call = StartExport(request);
    v1::ExportResponse response;
    ASSERT_TRUE(call->stream->Read(&response));
    // Nobody reads until the server has nothing left to do but to wait for that.
    double cpu = -1;
    ASSERT_TRUE(Becomes([&] {
      const double before = std::exchange(cpu, CpuSeconds(server_->pid()));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return cpu - before < 0.01;
    }));
    const int64_t waiting = ResidentBytes(server_->pid());
    int64_t bytes = static_cast<int64_t>(response.data().size());
    int64_t most = waiting;
    for (int i = 0; call->stream->Read(&response); ++i) {
      bytes += static_cast<int64_t>(response.data().size());
      if (i % 16 == 0) most = std::max(most, ResidentBytes(server_->pid()));
    }
    EXPECT_TRUE(call->End().ok());
    EXPECT_EQ(response.summary().sample_count(), 8 * 200'000);
    EXPECT_GT(bytes, 60 << 20);
    EXPECT_LT(most - waiting, 24 << 20) << "of " << bytes << " bytes";
    RecordProperty("growthBytes", std::to_string(most - waiting));
  }
}

TEST_F(AnswersTest, ACancelledCallGivesItsPlaceBackAtOnce) {
  Begin({"query.max_tenant_active=1"});
  for (int round = 0; round < 3; ++round) {
    const auto query = StartBusy([this] { return StartEndless(); });
    ASSERT_TRUE(IsFull()) << "it is under way";
    query->context.TryCancel();
    RecordProperty("queryMillis" + std::to_string(round), std::to_string(MillisUntilFree()));
    EXPECT_EQ(query->End().error_code(), grpc::StatusCode::CANCELLED);

    v1::ExportRequest request;
    request.set_format(v1::TEXT_FORMAT_CSV);
    *request.add_queries()->mutable_expression() = EndlessQuery();
    const auto exporting = StartBusy([&] { return StartExport(request); });
    ASSERT_TRUE(IsFull()) << "it is under way";
    exporting->context.TryCancel();
    // 50 ms are wanted of a machine with nothing else to do; here it is only told.
    RecordProperty("exportMillis" + std::to_string(round), std::to_string(MillisUntilFree()));
    EXPECT_EQ(exporting->End().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(AnswersTest, PushesAreTakenWhateverTheQueriesOfSeveralTenantsAsk) {
  Begin({"query.threads=2"});
  std::vector<std::unique_ptr<Call<v1::QueryExpressionResponse>>> endless;
  for (const char* tenant : {"", "", "", "", "_system", "_system", "_system", "_system"}) {
    endless.push_back(StartBusy([&] { return StartEndless(tenant); }));
  }
  int pushed = 0;
  const auto stub = v1::IngestService::NewStub(login_.channel);
  for (int i = 0; i < 200; ++i) {
    v1::PushRequest request;
    v1::Sample* sample = request.add_samples();
    sample->set_metric("pushed");
    sample->set_value(i);
    SetTime(now_ + i, sample->mutable_time());
    grpc::ClientContext context;
    login_.Prepare(&context);
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    v1::PushResponse response;
    const grpc::Status status = stub->Push(&context, request, &response);
    EXPECT_TRUE(status.ok()) << "push " << i << ": " << status.error_message();
    pushed += response.accepted_count();
  }
  EXPECT_EQ(pushed, 200);
  for (const auto& call : endless) EXPECT_FALSE(call->ended) << "the queries were there all the time";
}

TEST_F(AnswersTest, AnExportSeesWhatItsTenantHolds) {
  Begin();
  Fill(1, 10);
  for (const v1::ExportRequest& request :
       {AllSamples(v1::TEXT_FORMAT_CSV), AnswerOfAllSamples(v1::TEXT_FORMAT_OPENMETRICS)}) {
    for (const char* tenant : {"", "_system"}) {
      const auto call = StartExport(request, tenant);
      v1::ExportResponse response;
      while (call->stream->Read(&response)) {
      }
      const grpc::Status status = call->End();
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.summary().sample_count(), *tenant == 0 ? 10 : 0);
    }
  }
  const auto writer = LogInAsNew(*server_, "writer", "INGEST");
  ASSERT_TRUE(writer.ok()) << writer.status();
  login_ = *writer;
  const auto call = StartExport(AnswerOfAllSamples(v1::TEXT_FORMAT_OPENMETRICS));
  v1::ExportResponse response;
  EXPECT_FALSE(call->stream->Read(&response));
  EXPECT_EQ(call->End().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

class QueryCommandTest : public AnswersTest {
 protected:
  Output Query(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {
        BinaryPath("pulseboardd"), "query", "--server", server_->address(), "--user", "admin", "--password-file",
        server_->password_file()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunToEnd(std::move(argv));
  }
};

TEST_F(QueryCommandTest, AsksForTables) {
  Begin();
  Fill(3, 9);
  const Output table = Query({"--table", "m{n!=\"0\"}", "--from", "1h", "--aggregate", "count", "--aggregate", "max",
                              "--aggregate", "p50", "--format", "csv"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  // Values 0, 919, 838 … of 1,000, in eighths.
  EXPECT_THAT(table.out, HasSubstr("series,count,max,p50\n"));
  EXPECT_THAT(table.out, HasSubstr("\"m{n=\"\"1\"\"}\",9,114.875,"));
  EXPECT_THAT(table.out, ::testing::Not(HasSubstr("n=\"\"0\"\"")));
  const Output top = Query({"--table", "m", "--from", "1h", "--aggregate", "count", "--top", "1"});
  EXPECT_EQ(top.exit_code, 0) << top.err;
  EXPECT_THAT(top.out, HasSubstr("sum of 2 more  18\n"));
  const Output json =
      Query({"--table", "m", "--from", "1h", "--aggregate", "count", "--by", "job", "--format", "json"});
  EXPECT_EQ(json.out, "{\"count\":27.0,\"series\":\"{}\"}\n") << json.err;
  const Output wrong = Query({"--table", "m", "--from", "1h", "--aggregate", "median"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("--aggregate"));
  const Output no_range = Query({"--table", "m"});
  EXPECT_EQ(no_range.exit_code, 1);
  EXPECT_THAT(no_range.err, HasSubstr("--from"));
}

TEST_F(QueryCommandTest, AsksForHistograms) {
  Begin();
  Fill(2, 9);
  const Output histogram = Query({"--histogram", "m", "--from", "1h", "--step", "2h", "--buckets", "2", "--quantile",
                                  "0.5", "--quantile", "1", "--format", "csv"});
  EXPECT_EQ(histogram.exit_code, 0) << histogram.err;
  EXPECT_THAT(histogram.out, HasSubstr(",18,")) << "all values";
  EXPECT_THAT(histogram.out, HasSubstr("114.875")) << "the greatest";
}

TEST_F(QueryCommandTest, SaysWhatAQueryWouldCostWithoutRunningIt) {
  Begin();
  Fill(2, 100);
  for (const std::vector<std::string>& what :
       {std::vector<std::string>{"--expression", "sum(m)"}, {"--table", "m"}, {"--histogram", "m"}}) {
    std::vector<std::string> arguments = what;
    arguments.insert(arguments.end(), {"--from", "1h", "--dry-run"});
    const Output dry = Query(arguments);
    EXPECT_EQ(dry.exit_code, 0) << dry.err;
    EXPECT_THAT(dry.out, ::testing::ContainsRegex("^would read about [0-9]+ samples and [0-9]+ rollups of 2 series"))
        << what[0];
    EXPECT_EQ(std::count(dry.out.begin(), dry.out.end(), '\n'), 1) << dry.out;
  }
}

TEST_F(QueryCommandTest, PointsAtTheColumnOfAMistake) {
  Begin();
  const Output wrong = Query({"--expression", "sum by (host) (rate(m[5m]) +)"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("column 29")) << wrong.err;
}

}  // namespace
}  // namespace pulseboard::testing
