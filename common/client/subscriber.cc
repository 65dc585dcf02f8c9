#include "common/client/subscriber.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/callback_queue.h"
#include "common/client/channel.h"
#include "common/client/live_wire.h"
#include "common/client/session.h"
#include "common/client/timer.h"
#include "common/wire/status.h"
#include "pulseboard/v1/live.grpc.pb.h"

namespace pulseboard::client {
namespace {

// Answers that the same request will get again.
bool IsFinal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument || status.code() == absl::StatusCode::kPermissionDenied ||
         status.code() == absl::StatusCode::kUnimplemented || HasReason(status, ErrorReason::kQueryTooBroad);
}

bool IsTokenTrouble(const absl::Status& status) {
  return HasReason(status, ErrorReason::kResumeTokenExpired) || HasReason(status, ErrorReason::kBadResumeToken);
}

}  // namespace

class Subscriber::Core : public std::enable_shared_from_this<Subscriber::Core> {
 public:
  Core(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, SubscriberOptions options,
       SubscriptionConsumer* consumer)
      : options_(std::move(options)),
        consumer_(consumer),
        stub_(v1::LiveService::NewStub(channel)),
        tokens_(std::move(tokens)),
        wanted_{options_.queries, options_.event_queries},
        token_queries_(wanted_),
        received_token_(options_.resume_token),
        delivered_token_(options_.resume_token),
        backoff_(options_.backoff) {}

  void Connect();
  void Resume();
  void Update(std::vector<SubscriptionQuery> queries, std::optional<std::vector<EventSubscription>> event_queries);
  void Close();
  std::string resume_token() const {
    MutexLock lock(&mu_);
    return delivered_token_;
  }
  SubscriberStats stats() const {
    MutexLock lock(&mu_);
    return stats_;
  }

 private:
  class Stream;
  template <typename Reactor>
  class Call;
  class SubscribeCall;
  class AttachCall;

  void OnToken(const absl::StatusOr<std::string>& token);
  void OnMessage(const std::shared_ptr<Stream>& stream, v1::SubscribeResponse* response);
  void OnBroken(Stream* stream);
  void OnWritten(Stream* stream);
  void OnEnd(Stream* stream, const absl::Status& status);
  void OnSilenceTimer();

  void StartStreamLocked() PB_REQUIRES(mu_);
  void SendUpdateLocked() PB_REQUIRES(mu_);
  UpdatedEvent TakeAnswerLocked(const v1::QueriesUpdated& answer) PB_REQUIRES(mu_);
  absl::StatusOr<SubscriberEvent> DecodeLocked(const v1::SubscribeResponse& response) PB_REQUIRES(mu_);
  void OnFirstMessageLocked() PB_REQUIRES(mu_);
  // Hands an event over and then reads on, unless the consumer wants a pause.
  void DeliverAndReadLocked(std::shared_ptr<Stream> stream, SubscriberEvent event) PB_REQUIRES(mu_);
  void DeliverLocked(SubscriberEvent event) PB_REQUIRES(mu_);
  void AfterDelivery(Stream* stream, Flow flow, const std::string& token);
  void WaitLocked(const absl::Status& status) PB_REQUIRES(mu_);
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_);
  void ArmSilenceTimerLocked() PB_REQUIRES(mu_);
  std::shared_ptr<Stream> AbandonStreamLocked() PB_REQUIRES(mu_);

  const SubscriberOptions options_;
  SubscriptionConsumer* const consumer_;
  const std::unique_ptr<v1::LiveService::Stub> stub_;
  const std::shared_ptr<TokenSource> tokens_;
  CallbackQueue callbacks_;

  mutable Mutex mu_;
  bool closed_ PB_GUARDED_BY(mu_) = false;
  bool ended_ PB_GUARDED_BY(mu_) = false;
  SubscriptionQueries wanted_ PB_GUARDED_BY(mu_);
  SubscriptionQueries current_ PB_GUARDED_BY(mu_);        // of the stream
  SubscriptionQueries sent_ PB_GUARDED_BY(mu_);           // of the update under way
  SubscriptionQueries token_queries_ PB_GUARDED_BY(mu_);  // of received_token_
  bool asked_ PB_GUARDED_BY(mu_) = false;                 // an Update() that was not sent yet
  bool updating_ PB_GUARDED_BY(mu_) = false;              // an update was sent and not answered
  std::string received_token_ PB_GUARDED_BY(mu_);
  std::string delivered_token_ PB_GUARDED_BY(mu_);
  bool reset_sent_ PB_GUARDED_BY(mu_) = false;
  absl::Status reset_cause_ PB_GUARDED_BY(mu_);
  SubscriberStats stats_ PB_GUARDED_BY(mu_);

  // The stream now; null between streams.
  std::shared_ptr<Stream> stream_ PB_GUARDED_BY(mu_);
  bool answered_ PB_GUARDED_BY(mu_) = false;
  bool resuming_ PB_GUARDED_BY(mu_) = false;  // began with a token
  RefMap refs_ PB_GUARDED_BY(mu_);
  LineTable lines_ PB_GUARDED_BY(mu_);
  bool paused_ PB_GUARDED_BY(mu_) = false;
  bool resume_seen_ PB_GUARDED_BY(mu_) = false;  // Resume() came while an event is being handed over
  int64_t last_message_nanos_ PB_GUARDED_BY(mu_) = 0;
  std::string access_token_ PB_GUARDED_BY(mu_);
  std::string rejected_token_ PB_GUARDED_BY(mu_);
  bool token_retried_ PB_GUARDED_BY(mu_) = false;  // since the last progress

  Backoff backoff_ PB_GUARDED_BY(mu_);
  Timer retry_timer_ PB_GUARDED_BY(mu_);
  Timer silence_timer_ PB_GUARDED_BY(mu_);
};

// One call. All but Cancel under the Core's lock.
class Subscriber::Core::Stream {
 public:
  virtual ~Stream() = default;
  virtual void Read() = 0;
  virtual void ReleaseHold() = 0;
  virtual void Cancel() = 0;
  // False while a message is on its way, and where none can be sent.
  virtual bool can_send() const { return false; }
  virtual void Send(v1::UpdateQueries) {}
  virtual void NoteWritten() {}
};

template <typename Reactor>
class Subscriber::Core::Call : public Subscriber::Core::Stream, public Reactor {
 public:
  void Read() override {
    if (held_) this->StartRead(&response_);
  }
  void ReleaseHold() override {
    if (std::exchange(held_, false)) this->RemoveHold();
  }
  void Cancel() override { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return core_->OnBroken(this);
    core_->OnMessage(self_, &response_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Stream> self = std::move(self_);
    core_->OnEnd(this, FromGrpcStatus(status));
  }

 protected:
  // After the call was bound to the stub.
  void Begin(std::shared_ptr<Stream> self) {
    self_ = std::move(self);
    this->AddHold();  // reading goes on from outside the reactions, after a pause
    this->StartRead(&response_);
    this->StartCall();
  }

  std::shared_ptr<Core> core_;
  grpc::ClientContext context_;

 private:
  std::shared_ptr<Stream> self_;  // until OnDone
  v1::SubscribeResponse response_;
  bool held_ = true;
};

class Subscriber::Core::SubscribeCall final : public Call<grpc::ClientReadReactor<v1::SubscribeResponse>> {
 public:
  static std::shared_ptr<Stream> Start(std::shared_ptr<Core> core, v1::LiveService::Stub* stub,
                                       v1::SubscribeRequest request, std::string_view access_token) {
    auto call = std::make_shared<SubscribeCall>();
    call->core_ = std::move(core);
    call->request_ = std::move(request);
    AddBearer(&call->context_, access_token);
    stub->async()->Subscribe(&call->context_, &call->request_, call.get());
    call->Begin(call);
    return call;
  }

 private:
  v1::SubscribeRequest request_;
};

class Subscriber::Core::AttachCall final
    : public Call<grpc::ClientBidiReactor<v1::AttachRequest, v1::SubscribeResponse>> {
 public:
  static std::shared_ptr<Stream> Start(std::shared_ptr<Core> core, v1::LiveService::Stub* stub,
                                       v1::SubscribeRequest request, std::string_view access_token) {
    auto call = std::make_shared<AttachCall>();
    call->core_ = std::move(core);
    *call->request_.mutable_subscribe() = std::move(request);
    AddBearer(&call->context_, access_token);
    stub->async()->Attach(&call->context_, call.get());
    call->StartWrite(&call->request_);
    call->Begin(call);
    return call;
  }

  bool can_send() const override { return !writing_; }
  void Send(v1::UpdateQueries update) override {
    writing_ = true;
    request_.Clear();
    *request_.mutable_update() = std::move(update);
    StartWrite(&request_);
  }
  void NoteWritten() override { writing_ = false; }
  void OnWriteDone(bool ok) override {
    if (ok) core_->OnWritten(this);
  }

 private:
  v1::AttachRequest request_;
  bool writing_ = true;
};

void Subscriber::Core::Connect() {
  std::string rejected;
  {
    MutexLock lock(&mu_);
    if (closed_ || ended_ || stream_ != nullptr) return;
    rejected = rejected_token_;
    DeliverLocked(StateEvent{SubscriberState::kConnecting, absl::OkStatus(), {}});
  }
  callbacks_.Run();
  tokens_->FetchToken(std::move(rejected), [weak = weak_from_this()](const absl::StatusOr<std::string>& token) {
    if (const auto self = weak.lock()) self->OnToken(token);
  });
}

void Subscriber::Core::OnToken(const absl::StatusOr<std::string>& token) {
  {
    MutexLock lock(&mu_);
    if (closed_ || ended_ || stream_ != nullptr) return;
    if (token.ok()) {
      access_token_ = *token;
      StartStreamLocked();
    } else if (token.status().code() == absl::StatusCode::kUnauthenticated) {
      EndLocked(token.status());
    } else {
      WaitLocked(token.status());
    }
  }
  callbacks_.Run();
}

void Subscriber::Core::StartStreamLocked() {
  answered_ = false;
  paused_ = false;
  refs_.clear();
  lines_.BeginCall();
  resuming_ = !received_token_.empty();
  current_ = resuming_ ? token_queries_ : wanted_;
  // What was not answered is asked again; a new beginning has it from the start.
  asked_ = resuming_ && (asked_ || updating_ || wanted_ != token_queries_);
  updating_ = false;
  v1::SubscribeRequest request = BuildRequest(options_, current_);
  request.set_resume_token(received_token_);
  last_message_nanos_ = options_.clock->MonotonicNanos();
  const auto start = options_.attach ? &AttachCall::Start : &SubscribeCall::Start;
  stream_ = start(shared_from_this(), stub_.get(), std::move(request), access_token_);
  ArmSilenceTimerLocked();
}

void Subscriber::Core::Update(std::vector<SubscriptionQuery> queries,
                              std::optional<std::vector<EventSubscription>> event_queries) {
  MutexLock lock(&mu_);
  wanted_.samples = std::move(queries);
  if (event_queries) wanted_.events = *std::move(event_queries);
  asked_ = true;
  SendUpdateLocked();
}

void Subscriber::Core::SendUpdateLocked() {
  if (closed_ || stream_ == nullptr || !asked_ || !answered_ || updating_ || !stream_->can_send()) return;
  asked_ = false;
  updating_ = true;
  sent_ = wanted_;
  stream_->Send(BuildUpdate(current_, sent_));
}

void Subscriber::Core::OnWritten(Stream* stream) {
  MutexLock lock(&mu_);
  stream->NoteWritten();
  if (stream == stream_.get()) SendUpdateLocked();
}

UpdatedEvent Subscriber::Core::TakeAnswerLocked(const v1::QueriesUpdated& answer) {
  updating_ = false;
  UpdatedEvent event;
  if (answer.has_status()) {
    const auto code = static_cast<grpc::StatusCode>(answer.status().code());
    event.status = FromGrpcStatus({code, answer.status().message(), answer.status().SerializeAsString()});
    if (!asked_) wanted_ = current_;
  } else {
    current_ = sent_;
  }
  SendUpdateLocked();
  return event;
}

void Subscriber::Core::OnMessage(const std::shared_ptr<Stream>& stream, v1::SubscribeResponse* response) {
  std::shared_ptr<Stream> broken;
  {
    MutexLock lock(&mu_);
    if (stream != stream_ || closed_) return;
    last_message_nanos_ = options_.clock->MonotonicNanos();
    ++stats_.messages;
    if (!std::exchange(answered_, true)) {
      OnFirstMessageLocked();
      SendUpdateLocked();
    }
    absl::StatusOr<SubscriberEvent> event = DecodeLocked(*response);
    if (event.ok()) {
      if (!response->resume_token().empty()) {
        received_token_ = response->resume_token();
        token_queries_ = current_;
        backoff_.Reset();
        token_retried_ = false;
      }
      DeliverAndReadLocked(stream, *std::move(event));
    } else {
      broken = AbandonStreamLocked();
      reset_cause_ = event.status();
      WaitLocked(event.status());
    }
  }
  if (broken != nullptr) broken->Cancel();
  callbacks_.Run();
}

void Subscriber::Core::OnFirstMessageLocked() {
  ++stats_.connects;
  DeliverLocked(StateEvent{SubscriberState::kConnected, absl::OkStatus(), {}});
  if (resuming_) return;
  if (std::exchange(reset_sent_, true)) ++stats_.resets;
  lines_.Reset();
  DeliverLocked(ResetEvent{std::exchange(reset_cause_, absl::OkStatus())});
}

absl::StatusOr<SubscriberEvent> Subscriber::Core::DecodeLocked(const v1::SubscribeResponse& response) {
  switch (response.event_case()) {
    case v1::SubscribeResponse::kDefinitions:
      return DecodeDefinitions(response.definitions(), &refs_, &lines_);
    case v1::SubscribeResponse::kBackfill: {
      PB_ASSIGN_OR_RETURN(std::vector<SeriesSamples> series, DecodeFrame(response.backfill(), refs_));
      stats_.received_samples += CountSamples(series);
      return BackfillEvent{std::move(series)};
    }
    case v1::SubscribeResponse::kBackfillDone:
      return BackfillDoneEvent{response.backfill_done().commit_sequence()};
    case v1::SubscribeResponse::kSamples: {
      PB_ASSIGN_OR_RETURN(std::vector<SeriesSamples> series, DecodeFrame(response.samples(), refs_));
      stats_.received_samples += CountSamples(series);
      return SamplesEvent{std::move(series), DecodeTimes(response.times(), options_.clock->NowUnixNanos())};
    }
    case v1::SubscribeResponse::kAmends: {
      PB_ASSIGN_OR_RETURN(std::vector<SeriesSamples> series, DecodeFrame(response.amends(), refs_));
      const int64_t count = CountSamples(series);
      stats_.received_samples += count;
      stats_.late_samples += count;
      return AmendsEvent{std::move(series), DecodeTimes(response.times(), options_.clock->NowUnixNanos())};
    }
    case v1::SubscribeResponse::kGap: {
      const v1::Gap& gap = response.gap();
      ++stats_.gaps;
      stats_.dropped_samples += gap.dropped_sample_count();
      return GapEvent{gap.start_time_unix_nanos(), gap.end_time_unix_nanos(), gap.dropped_sample_count()};
    }
    case v1::SubscribeResponse::kProgress:
      return ProgressEvent{response.progress().commit_sequence(), response.progress().server_time_unix_nanos(),
                           response.progress().dropped_sample_count(), response.progress().conflated_sample_count()};
    case v1::SubscribeResponse::kUpdated:
      return TakeAnswerLocked(response.updated());
    case v1::SubscribeResponse::kStale: {
      StaleEvent event;
      for (const uint32_t ref : response.stale().refs()) {
        if (const auto known = refs_.find(ref); known != refs_.end()) event.series.push_back(known->second);
      }
      return event;
    }
    case v1::SubscribeResponse::kEvents:
      return DecodeEvents(response.events());
    case v1::SubscribeResponse::kRestated:
      return RestatedEvent{response.restated().start_time_unix_nanos()};
    case v1::SubscribeResponse::kAggregates: {
      PB_ASSIGN_OR_RETURN(AggregatesEvent event, DecodeAggregates(response.aggregates(), lines_));
      event.times = DecodeTimes(response.times(), options_.clock->NowUnixNanos());
      return event;
    }
    case v1::SubscribeResponse::EVENT_NOT_SET:
      break;
  }
  // An event of a later version: nothing this client could show, but its token counts.
  return ProgressEvent{};
}

void Subscriber::Core::DeliverLocked(SubscriberEvent event) {
  callbacks_.Add([this, event = std::move(event)]() mutable { (void)consumer_->OnEvent(std::move(event)); });
}

void Subscriber::Core::DeliverAndReadLocked(std::shared_ptr<Stream> stream, SubscriberEvent event) {
  callbacks_.Add([this, stream = std::move(stream), event = std::move(event), token = received_token_]() mutable {
    {
      MutexLock lock(&mu_);
      resume_seen_ = false;
    }
    const Flow flow = consumer_->OnEvent(std::move(event));
    AfterDelivery(stream.get(), flow, token);
  });
}

void Subscriber::Core::AfterDelivery(Stream* stream, Flow flow, const std::string& token) {
  MutexLock lock(&mu_);
  delivered_token_ = token;
  if (closed_ || stream != stream_.get()) return;
  if (flow == Flow::kPause && !resume_seen_) {
    paused_ = true;
  } else {
    stream->Read();
  }
}

void Subscriber::Core::Resume() {
  MutexLock lock(&mu_);
  resume_seen_ = true;
  if (!std::exchange(paused_, false) || stream_ == nullptr) return;
  last_message_nanos_ = options_.clock->MonotonicNanos();
  stream_->Read();
}

void Subscriber::Core::OnBroken(Stream* stream) {
  MutexLock lock(&mu_);
  stream->ReleaseHold();
}

void Subscriber::Core::OnEnd(Stream* stream, const absl::Status& status) {
  bool connect_now = false;
  {
    MutexLock lock(&mu_);
    if (stream != stream_.get()) return;
    stream_ = nullptr;
    silence_timer_.Cancel();
    if (closed_) return;
    const absl::Status cause = status.ok() ? absl::UnavailableError("the server ended the stream") : status;
    reset_cause_ = cause;  // told if the next stream has to begin anew
    if (IsTokenTrouble(status) && resuming_) {
      received_token_.clear();
      connect_now = true;
    } else if (status.ok() && answered_ && !received_token_.empty()) {
      connect_now = true;  // the stream was as old as the server lets it become
    } else if (IsFinal(status)) {
      EndLocked(cause);
    } else if (status.code() == absl::StatusCode::kUnauthenticated) {
      rejected_token_ = access_token_;
      connect_now = !std::exchange(token_retried_, true);
      if (!connect_now) WaitLocked(cause);
    } else {
      WaitLocked(cause);
    }
  }
  callbacks_.Run();
  if (connect_now) Connect();
}

void Subscriber::Core::WaitLocked(const absl::Status& status) {
  std::chrono::milliseconds wait = backoff_.Next();
  if (const auto detail = GetErrorDetail(status); detail && detail->retry_after_ms) {
    wait = std::max(wait, std::chrono::milliseconds(*detail->retry_after_ms));
  }
  DeliverLocked(StateEvent{SubscriberState::kWaiting, status, wait});
  retry_timer_.Set(wait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Connect();
  });
}

void Subscriber::Core::EndLocked(const absl::Status& status) {
  ended_ = true;
  DeliverLocked(StateEvent{SubscriberState::kEnded, status, {}});
}

void Subscriber::Core::ArmSilenceTimerLocked() {
  silence_timer_.Set(options_.silence_limit / 4, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->OnSilenceTimer();
  });
}

void Subscriber::Core::OnSilenceTimer() {
  std::shared_ptr<Stream> dead;
  {
    MutexLock lock(&mu_);
    if (closed_ || stream_ == nullptr) return;
    const int64_t silent = options_.clock->MonotonicNanos() - last_message_nanos_;
    if (paused_ || silent < std::chrono::nanoseconds(options_.silence_limit).count()) return ArmSilenceTimerLocked();
    dead = AbandonStreamLocked();
    reset_cause_ =
        absl::DeadlineExceededError("no word from the server for " + std::to_string(silent / kNanosPerMilli) + " ms");
    WaitLocked(reset_cause_);
  }
  dead->Cancel();
  callbacks_.Run();
}

std::shared_ptr<Subscriber::Core::Stream> Subscriber::Core::AbandonStreamLocked() {
  stream_->ReleaseHold();
  silence_timer_.Cancel();
  return std::exchange(stream_, nullptr);
}

void Subscriber::Core::Close() {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(&mu_);
    closed_ = true;
    retry_timer_.Cancel();
    silence_timer_.Cancel();
    if (stream_ != nullptr) stream = AbandonStreamLocked();
  }
  if (stream != nullptr) stream->Cancel();
  callbacks_.Close();
}

Subscriber::Subscriber(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens,
                       SubscriberOptions options, SubscriptionConsumer* consumer)
    : core_(std::make_shared<Core>(std::move(channel), std::move(tokens), std::move(options), consumer)) {
  core_->Connect();
}
Subscriber::~Subscriber() { core_->Close(); }

void Subscriber::Update(std::vector<SubscriptionQuery> queries) { core_->Update(std::move(queries), std::nullopt); }
void Subscriber::Update(std::vector<SubscriptionQuery> queries, std::vector<EventSubscription> event_queries) {
  core_->Update(std::move(queries), std::move(event_queries));
}
void Subscriber::Resume() { core_->Resume(); }
std::string Subscriber::resume_token() const { return core_->resume_token(); }
SubscriberStats Subscriber::stats() const { return core_->stats(); }

}  // namespace pulseboard::client
