#include "tests/bench/queries/bare_server.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "pulseboard/v1/query.grpc.pb.h"

namespace pulseboard::bench {
namespace {

constexpr int kSamples = 360;
constexpr std::chrono::seconds kStartLimit(10);

void Describe(v1::Series* out) {
  out->set_metric("cpu_usage_user");
  for (const auto& [name, value] : {std::pair("hostname", "host_0"), std::pair("region", "eu-west-1")}) {
    v1::Label* label = out->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
}

std::vector<v1::QueryRangeResponse> MakeMessages() {
  std::vector<v1::QueryRangeResponse> out(3);
  out[0].mutable_definition()->set_ref(1);
  Describe(out[0].mutable_definition()->mutable_series());
  v1::SeriesColumns* columns = out[1].mutable_samples()->add_columns();
  columns->set_ref(1);
  for (int i = 0; i < kSamples; ++i) {
    columns->add_time_deltas_nanos(10 * kNanosPerSecond);
    columns->add_values(i * 0.01);
  }
  out[2].mutable_summary()->set_series_count(1);
  return out;
}

// Each message when the one before is written; all but the first wait for what follows, as Pulseboard's do.
class Writer final : public grpc::ServerWriteReactor<v1::QueryRangeResponse> {
 public:
  explicit Writer(const std::vector<v1::QueryRangeResponse>& messages) : messages_(messages) { Advance(); }
  void OnWriteDone(bool /*ok*/) override { Advance(); }
  void OnDone() override { delete this; }

 private:
  void Advance() {
    if (next_ == messages_.size()) return Finish(grpc::Status::OK);
    grpc::WriteOptions options;
    if (next_ > 0) options.set_buffer_hint();
    StartWrite(&messages_[next_++], options);
  }

  const std::vector<v1::QueryRangeResponse>& messages_;
  size_t next_ = 0;
};

class BareService final : public v1::QueryService::CallbackService {
 public:
  grpc::ServerUnaryReactor* QueryLatest(grpc::CallbackServerContext* context, const v1::QueryLatestRequest* /*request*/,
                                        v1::QueryLatestResponse* response) override {
    Describe(response->add_samples()->mutable_series());
    response->mutable_samples(0)->set_value(1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<v1::QueryRangeResponse>* QueryRange(grpc::CallbackServerContext* /*context*/,
                                                               const v1::QueryRangeRequest* /*request*/) override {
    return new Writer(messages_);
  }

 private:
  const std::vector<v1::QueryRangeResponse> messages_ = MakeMessages();
};

std::string AddressOf(int port) { return "127.0.0.1:" + std::to_string(port); }

class BareAsker final : public Asker {
 public:
  explicit BareAsker(const std::string& address)
      : stub_(v1::QueryService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  absl::Status Prepare(const Question& question) override {
    latest_ = question.shape == Shape::kLatest;
    return absl::OkStatus();
  }
  absl::Status Ask() override {
    sum_ = {};
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kStartLimit);
    if (latest_) {
      v1::QueryLatestResponse response;
      const grpc::Status status = stub_->QueryLatest(&context, {}, &response);
      sum_.values = response.samples_size();
      return status.ok() ? absl::OkStatus() : absl::InternalError(status.error_message());
    }
    v1::QueryRangeResponse response;
    const auto reader = stub_->QueryRange(&context, {});
    while (reader->Read(&response)) {
      for (const auto& columns : response.samples().columns()) sum_.values += columns.values_size();
    }
    const grpc::Status status = reader->Finish();
    return status.ok() ? absl::OkStatus() : absl::InternalError(status.error_message());
  }
  absl::StatusOr<AnswerSum> Sum() const override { return sum_; }
  int64_t answer_bytes() const override { return 0; }

 private:
  const std::unique_ptr<v1::QueryService::Stub> stub_;
  bool latest_ = true;
  AnswerSum sum_;
};

}  // namespace

int ServeBareGrpc(int port) {
  BareService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(AddressOf(port), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}

absl::StatusOr<std::unique_ptr<BareServer>> BareServer::Start(const std::string& program) {
  std::unique_ptr<BareServer> out(new BareServer());
  out->port_ = testing::PickPort();
  out->process_ = std::make_unique<testing::Process>(
      std::vector<std::string>{program, std::string(kBareServerArgument), std::to_string(out->port_)},
      out->folder_.File("bare"));
  const auto channel = grpc::CreateChannel(AddressOf(out->port_), grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kStartLimit)) {
    return absl::UnavailableError("the bare gRPC server does not answer: " + out->process_->err());
  }
  return out;
}

std::unique_ptr<Asker> BareServer::MakeAsker() const { return std::make_unique<BareAsker>(AddressOf(port_)); }

}  // namespace pulseboard::bench
