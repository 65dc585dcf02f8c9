#include "client-qt/net/history_reader.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/client_callback.h>

#include <unordered_map>
#include <utility>

#include "client-qt/net/feed_mailbox.h"
#include "common/base/clock.h"
#include "common/client/channel.h"
#include "common/client/session.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"

namespace pulseboard::qt {
namespace {

constexpr std::chrono::seconds kDeadline{60};

void setTime(qint64 unix_nanos, google::protobuf::Timestamp* out) {
  qint64 seconds = unix_nanos / kNanosPerSecond;
  qint64 nanos = unix_nanos % kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(nanos));
}

}  // namespace

// One QueryRange call. Reactions come one at a time; `self_` keeps it alive until OnDone.
class HistoryReader::Call final : public grpc::ClientReadReactor<v1::QueryRangeResponse> {
 public:
  using End = std::function<void(const absl::Status&, HistoryResult, bool too_large)>;

  Call(std::shared_ptr<grpc::Channel> channel, const HistoryQuery& query, End end)
      : stub_(v1::QueryService::NewStub(std::move(channel))), end_(std::move(end)) {
    request_.set_selector(query.selector.toStdString());
    setTime(query.start_unix_nanos, request_.mutable_start_time());
    setTime(query.end_unix_nanos, request_.mutable_end_time());
    request_.set_max_points(query.max_points);
    context_.set_deadline(std::chrono::system_clock::now() + kDeadline);
  }

  grpc::ClientContext* context() { return &context_; }

  void start(std::shared_ptr<Call> self, const std::string& token) {
    self_ = std::move(self);
    client::AddBearer(&context_, token);
    stub_->async()->QueryRange(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone brings the status
    take();
    if (sample_count_ > kMaxSamples) {
      too_large_ = true;
      return context_.TryCancel();
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Call> keep = std::move(self_);
    end_(FromGrpcStatus(status), std::move(result_), too_large_);
  }

 private:
  void take() {
    if (response_.has_definition()) {
      const SeriesInfo series = FromProto(response_.definition().series());
      series_by_ref_[response_.definition().ref()] = series.id;
      result_.definitions.push_back({toItem(series), {}});
    }
    for (const v1::SeriesColumns& columns : response_.samples().columns()) {
      SampleColumns samples;
      const auto series = series_by_ref_.find(columns.ref());
      if (series == series_by_ref_.end() || !FromProto(columns, &samples) || samples.empty()) continue;
      sample_count_ += samples.size();
      SeriesSamples out;
      out.series_id = series->second;
      out.times.assign(samples.times.begin(), samples.times.end());
      out.values = std::move(samples.values);
      result_.samples.push_back(std::move(out));
    }
  }

  const std::unique_ptr<v1::QueryService::Stub> stub_;
  const End end_;
  grpc::ClientContext context_;
  v1::QueryRangeRequest request_;
  v1::QueryRangeResponse response_;
  HistoryResult result_;
  std::unordered_map<uint32_t, quint64> series_by_ref_;
  size_t sample_count_ = 0;
  bool too_large_ = false;
  std::shared_ptr<Call> self_;
};

HistoryReader::HistoryReader(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<client::TokenSource> tokens)
    : channel_(std::move(channel)),
      tokens_(std::move(tokens)),
      post_(std::make_shared<QueuedPost>(this)),
      calls_(std::make_shared<RunningCalls>()) {}

HistoryReader::~HistoryReader() {
  post_->detach();
  calls_->cancelAll();
}

void HistoryReader::request(const HistoryQuery& query) {
  auto call = std::make_shared<Call>(channel_, query,
                                     [this, id = query.id, post = post_, calls = calls_](
                                         const absl::Status& status, HistoryResult result, bool too_large) {
                                       post->run([this, id, status, result = std::move(result), too_large] {
                                         if (status.ok()) {
                                           Q_EMIT ready(id, result);
                                         } else {
                                           Q_EMIT failed(id, status, too_large);
                                         }
                                       });
                                       calls->remove(id);
                                     });
  tokens_->FetchToken(
      {}, [this, call, id = query.id, post = post_, calls = calls_](const absl::StatusOr<std::string>& token) {
        if (!token.ok()) {
          return post->run([this, id, status = token.status()] { Q_EMIT failed(id, status, false); });
        }
        if (calls->add(id, call->context())) call->start(call, *token);
      });
}

void HistoryReader::cancel(quint64 id) { calls_->cancel(id); }

}  // namespace pulseboard::qt
