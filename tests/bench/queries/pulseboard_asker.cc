#include <grpcpp/grpcpp.h>

#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/wire/status.h"
#include "pulseboard/v1/auth.grpc.pb.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "tests/bench/queries/asker.h"
#include "tests/support/client.h"

namespace pulseboard::bench {
namespace {

std::string MetricName(int field) { return "cpu_" + std::string(kCpuMetrics[static_cast<size_t>(field)]); }

std::string SelectorOf(const std::vector<int>& fields, const std::vector<int>& hosts) {
  const bool all_fields = fields.size() == kMetricsPerHost;
  std::string matchers = fields.size() == 1 ? "__name__=\"" + MetricName(fields[0]) + "\""
                         : all_fields       ? "__name__=~\"cpu_usage_.+\""
                                            : "__name__=~\"" + Alternatives(fields, MetricName) + "\"";
  if (hosts.size() == 1) matchers += ",hostname=\"" + HostName(hosts[0]) + "\"";
  if (hosts.size() > 1) matchers += ",hostname=~\"" + Alternatives(hosts, HostName) + "\"";
  return "{" + matchers + "}";
}

void SetTime(int64_t nanos, google::protobuf::Timestamp* out) {
  out->set_seconds(nanos / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
}

v1::QueryRangeRequest RangeRequestOf(const Question& question) {
  v1::QueryRangeRequest out;
  out.set_selector(SelectorOf(question.fields, question.hosts));
  SetTime(question.range.start, out.mutable_start_time());
  SetTime(question.range.end, out.mutable_end_time());
  out.set_join_small(true);
  if (question.shape == Shape::kSamples) return out;
  out.mutable_step()->set_seconds(question.step_ns / kNanosPerSecond);
  if (question.fold == Fold::kMean) {
    out.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_AVG);
    return out;  // of each series
  }
  out.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_MAX);
  if (question.fold == Fold::kMinAndMax) out.add_aggregates()->set_function(v1::AGGREGATE_FUNCTION_MIN);
  if (question.apart == Apart::kSeries) return out;
  out.mutable_group()->set_function(v1::GROUP_FUNCTION_MAX);
  if (question.apart == Apart::kFields) out.mutable_group()->add_labels("__name__");
  return out;
}

v1::QueryExpressionRequest RowsRequestOf(const Question& question) {
  v1::QueryExpressionRequest out;
  out.set_expression(SelectorOf(question.fields, question.hosts) + " and on (hostname) (" +
                     SelectorOf({question.fields[0]}, question.hosts) + " > " +
                     std::to_string(static_cast<int>(question.threshold)) + ")");
  SetTime(question.range.start, out.mutable_start_time());
  SetTime(question.range.end - kWorkloadStepNanos, out.mutable_end_time());
  out.mutable_step()->set_seconds(question.step_ns / kNanosPerSecond);
  return out;
}

class PulseboardAsker final : public Asker {
 public:
  explicit PulseboardAsker(const testing::Login& login)
      : login_(login),
        auth_(v1::AuthService::NewStub(login.channel)),
        stub_(v1::QueryService::NewStub(login.channel)) {}

  absl::Status Prepare(const Question& question) override {
    if (question.shape == Shape::kPing) {
      request_ = v1::WhoAmIRequest();
    } else if (question.shape == Shape::kLatest) {
      v1::QueryLatestRequest request;
      request.set_selector(SelectorOf(question.fields, question.hosts));
      request_ = request;
    } else if (question.shape == Shape::kRows) {
      request_ = RowsRequestOf(question);
    } else {
      request_ = RangeRequestOf(question);
    }
    return absl::OkStatus();
  }

  absl::Status Ask() override {
    latest_.Clear();
    frames_.clear();
    return std::visit([this](const auto& request) { return Send(request); }, request_);
  }

  absl::StatusOr<AnswerSum> Sum() const override {
    AnswerSum out;
    for (const v1::LatestSample& sample : latest_.samples()) {
      ++out.values;
      out.sum += sample.value();
    }
    for (const v1::SampleFrame& frame : frames_) {
      for (const v1::SeriesColumns& columns : frame.columns()) {
        out.values += columns.values_size();
        for (const double value : columns.values()) out.sum += value;
      }
    }
    return out;
  }
  int64_t answer_bytes() const override {
    auto bytes = static_cast<int64_t>(latest_.ByteSizeLong());
    for (const v1::SampleFrame& frame : frames_) bytes += static_cast<int64_t>(frame.ByteSizeLong());
    return bytes;
  }

 private:
  absl::Status Send(const v1::WhoAmIRequest& request) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::WhoAmIResponse response;
    return FromGrpcStatus(auth_->WhoAmI(&context, request, &response));
  }
  absl::Status Send(const v1::QueryLatestRequest& request) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    return FromGrpcStatus(stub_->QueryLatest(&context, request, &latest_));
  }
  absl::Status Send(const v1::QueryRangeRequest& request) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    return ReadAll<v1::QueryRangeResponse>(stub_->QueryRange(&context, request));
  }
  absl::Status Send(const v1::QueryExpressionRequest& request) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    return ReadAll<v1::QueryExpressionResponse>(stub_->QueryExpression(&context, request));
  }
  template <typename Response>
  void Keep(Response* response) {
    if (response->has_samples()) frames_.push_back(std::move(*response->mutable_samples()));
  }
  template <typename Response>
  absl::Status ReadAll(std::unique_ptr<grpc::ClientReader<Response>> reader) {
    Response response;
    while (reader->Read(&response)) {
      Keep(&response);
      if constexpr (std::is_same_v<Response, v1::QueryRangeResponse>) {
        if (!response.has_joined()) continue;
        for (v1::QueryRangeResponse& chunk : *response.mutable_joined()->mutable_chunks()) Keep(&chunk);
      }
    }
    return FromGrpcStatus(reader->Finish());
  }

  const testing::Login& login_;
  const std::unique_ptr<v1::AuthService::Stub> auth_;
  const std::unique_ptr<v1::QueryService::Stub> stub_;
  std::variant<v1::WhoAmIRequest, v1::QueryLatestRequest, v1::QueryRangeRequest, v1::QueryExpressionRequest> request_;
  v1::QueryLatestResponse latest_;
  std::vector<v1::SampleFrame> frames_;
};

}  // namespace

std::unique_ptr<Asker> MakePulseboardAsker(const testing::Login& login) {
  return std::make_unique<PulseboardAsker>(login);
}

}  // namespace pulseboard::bench
