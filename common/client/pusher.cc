#include "common/client/pusher.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/callback_queue.h"
#include "common/client/channel.h"
#include "common/client/push_wire.h"
#include "common/client/session.h"
#include "common/client/spool.h"
#include "common/client/timer.h"
#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"

namespace pulseboard::client {
namespace {

std::string RandomId() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device device;
  std::string id = "pusher-";
  for (int i = 0; i < 24; ++i) id.push_back(kHex[device() % 16]);
  return id;
}

}  // namespace

class Pusher::Core : public std::enable_shared_from_this<Pusher::Core> {
 public:
  Core(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, PusherOptions options);

  void Connect();
  absl::StatusOr<uint32_t> Define(const SeriesKey& key, const SeriesMetadata& metadata);
  absl::Status Push(std::span<const PushSample> samples);
  void Flush();
  absl::Status WaitUntilAcked(std::chrono::milliseconds timeout);
  PusherStats stats() const;
  const std::string& producer_id() const { return options_.producer_id; }
  void Close();

 private:
  class Stream;

  void OnToken(const absl::StatusOr<std::string>& token);
  void OnMessage(Stream* stream, const v1::PushStreamResponse& response);
  void OnWritten(Stream* stream, bool ok);
  void OnEnd(Stream* stream, const absl::Status& status);
  void OnLinger();
  void OnAckTimer();

  void PumpLocked() PB_REQUIRES(mu_);
  void FillLocked(const SpooledBatch& batch) PB_REQUIRES(mu_);
  void OnFirstMessageLocked(int64_t acked_sequence) PB_REQUIRES(mu_);
  void NoteRefusalsLocked(const v1::PushStreamResponse& response) PB_REQUIRES(mu_);
  void WaitLocked(const absl::Status& status) PB_REQUIRES(mu_);
  void FailLocked(const absl::Status& status) PB_REQUIRES(mu_);
  void SetStateLocked(PusherState state, const absl::Status& status) PB_REQUIRES(mu_);
  void ArmAckTimerLocked() PB_REQUIRES(mu_);

  PusherOptions options_;  // const after the constructor
  const std::unique_ptr<v1::IngestService::Stub> stub_;
  const std::shared_ptr<TokenSource> tokens_;
  CallbackQueue callbacks_;

  mutable Mutex mu_;
  CondVar progress_;  // acks, drops, failure
  bool closed_ PB_GUARDED_BY(mu_) = false;
  Spool spool_ PB_GUARDED_BY(mu_);
  PusherStats stats_ PB_GUARDED_BY(mu_);
  std::vector<DefinedSeries> series_ PB_GUARDED_BY(mu_);  // by ref - 1
  std::map<std::string, uint32_t> refs_ PB_GUARDED_BY(mu_);

  // The stream now, with what is known of it; null between streams.
  std::shared_ptr<Stream> stream_ PB_GUARDED_BY(mu_);
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool answered_ PB_GUARDED_BY(mu_) = false;
  int64_t window_ PB_GUARDED_BY(mu_) = 1;
  std::vector<bool> defined_ PB_GUARDED_BY(mu_);   // on this stream, by ref - 1
  int64_t progress_nanos_ PB_GUARDED_BY(mu_) = 0;  // monotonic time of the last ack, or of the first batch in flight
  std::string token_ PB_GUARDED_BY(mu_);
  std::string rejected_token_ PB_GUARDED_BY(mu_);
  bool token_retried_ PB_GUARDED_BY(mu_) = false;  // since the last progress

  Backoff backoff_ PB_GUARDED_BY(mu_);
  Timer retry_timer_ PB_GUARDED_BY(mu_);
  Timer linger_timer_ PB_GUARDED_BY(mu_);
  Timer ack_timer_ PB_GUARDED_BY(mu_);
};

// One call. Everything but the gRPC mechanics is in Core; the Core's lock covers StartWrite and the hold.
class Pusher::Core::Stream final : public grpc::ClientBidiReactor<v1::PushStreamRequest, v1::PushStreamResponse> {
 public:
  static std::shared_ptr<Stream> Start(std::shared_ptr<Core> core, v1::IngestService::Stub* stub,
                                       std::string_view token) {
    auto stream = std::make_shared<Stream>();
    stream->core_ = std::move(core);
    stream->self_ = stream;
    AddBearer(&stream->context_, token);
    stub->async()->PushStream(&stream->context_, stream.get());
    stream->AddHold();  // batches are written from outside the reactions
    stream->StartRead(&stream->response_);
    stream->StartCall();
    return stream;
  }

  // Under the Core's lock: the stream may write until this was called.
  void ReleaseHold() {
    if (std::exchange(held_, false)) RemoveHold();
  }
  void Cancel() { context_.TryCancel(); }
  // One message reused for all batches; the transport's while a write is in flight.
  v1::PushStreamRequest* request() { return &request_; }

  void OnReadDone(bool ok) override {
    if (!ok) return core_->OnWritten(this, false);  // broken or ended: no write will succeed either
    core_->OnMessage(this, response_);
    StartRead(&response_);
  }
  void OnWriteDone(bool ok) override { core_->OnWritten(this, ok); }
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Stream> self = std::move(self_);
    core_->OnEnd(this, FromGrpcStatus(status));
  }

 private:
  std::shared_ptr<Core> core_;
  std::shared_ptr<Stream> self_;  // until OnDone
  grpc::ClientContext context_;
  v1::PushStreamRequest request_;
  v1::PushStreamResponse response_;
  bool held_ = true;
};

Pusher::Core::Core(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, PusherOptions options)
    : options_(std::move(options)),
      stub_(v1::IngestService::NewStub(channel)),
      tokens_(std::move(tokens)),
      // A given id may have been used before this process: sequences go on from the clock. A random one starts at 1.
      spool_(options_.max_spool_samples, options_.max_batch_samples,
             options_.producer_id.empty() ? 1 : options_.clock->NowUnixNanos() / kNanosPerMicro),
      backoff_(options_.backoff) {
  if (options_.producer_id.empty()) options_.producer_id = RandomId();
}

void Pusher::Core::Connect() {
  std::string rejected;
  {
    MutexLock lock(&mu_);
    if (closed_ || stream_ != nullptr || stats_.state == PusherState::kFailed) return;
    rejected = rejected_token_;
  }
  tokens_->FetchToken(std::move(rejected), [weak = weak_from_this()](const absl::StatusOr<std::string>& token) {
    if (const auto self = weak.lock()) self->OnToken(token);
  });
}

void Pusher::Core::OnToken(const absl::StatusOr<std::string>& token) {
  {
    MutexLock lock(&mu_);
    if (closed_ || stream_ != nullptr || stats_.state == PusherState::kFailed) return;
    if (!token.ok()) {
      if (token.status().code() == absl::StatusCode::kUnauthenticated) {
        FailLocked(token.status());
      } else {
        WaitLocked(token.status());
      }
    } else {
      token_ = *token;
      writing_ = false;
      answered_ = false;
      window_ = 1;
      defined_.assign(series_.size(), false);
      spool_.Rewind();
      stream_ = Stream::Start(shared_from_this(), stub_.get(), token_);
      PumpLocked();
    }
  }
  callbacks_.Run();
}

void Pusher::Core::PumpLocked() {
  if (stream_ == nullptr || writing_ || spool_.in_flight() >= window_) return;
  SpooledBatch* batch = spool_.NextUnsent();
  if (batch == nullptr) return;
  FillLocked(*batch);
  ++stats_.sent_batches;
  if (batch->send_count > 0) ++stats_.resent_batches;
  if (spool_.in_flight() == 0) {
    progress_nanos_ = options_.clock->MonotonicNanos();
    ArmAckTimerLocked();
  }
  spool_.MarkSent();
  writing_ = true;
  stream_->StartWrite(stream_->request());
}

void Pusher::Core::FillLocked(const SpooledBatch& batch) {
  v1::PushStreamRequest* request = stream_->request();
  request->Clear();
  if (!answered_) {
    request->set_producer_id(options_.producer_id);
    request->set_ack_mode(ToProto(options_.ack_mode));
  }
  request->set_sequence(batch.sequence);
  for (const uint32_t ref : batch.series) {
    const size_t index = ref - 1;
    if (index >= defined_.size()) defined_.resize(series_.size(), false);
    if (defined_[index]) continue;
    defined_[index] = true;
    FillDefinition(ref, series_[index], request->add_definitions());
  }
  FillColumns(batch, request);
  request->set_pushed_unix_nanos(options_.clock->NowUnixNanos());
}

void Pusher::Core::OnWritten(Stream* stream, bool ok) {
  MutexLock lock(&mu_);
  if (stream != stream_.get()) return stream->ReleaseHold();
  if (!ok) {
    // No further write; OnEnd brings the reason.
    stream->ReleaseHold();
    writing_ = true;
    return;
  }
  writing_ = false;
  PumpLocked();
}

void Pusher::Core::OnMessage(Stream* stream, const v1::PushStreamResponse& response) {
  {
    MutexLock lock(&mu_);
    if (stream != stream_.get() || closed_) return;
    if (!std::exchange(answered_, true)) OnFirstMessageLocked(response.acked_sequence());
    if (stream_ == nullptr) return;
    window_ = std::max<int64_t>(response.max_unacked_batches(), 1);
    const Spool::Acked acked = spool_.Ack(response.acked_sequence());
    stats_.acked_sequence = std::max(stats_.acked_sequence, response.acked_sequence());
    stats_.duplicate_batches += response.duplicate_batch_count();
    NoteRefusalsLocked(response);
    if (acked.batches > 0) {
      stats_.acked_batches += acked.batches;
      if (response.ack_mode() == v1::ACK_MODE_BUFFERED) stats_.buffered_batches += acked.batches;
      stats_.acked_samples += acked.samples;
      progress_nanos_ = options_.clock->MonotonicNanos();
      backoff_.Reset();
      token_retried_ = false;
      progress_.NotifyAll();
      if (options_.on_ack) callbacks_.Add([this, total = stats_.acked_samples] { options_.on_ack(total); });
    }
    PumpLocked();
  }
  callbacks_.Run();
}

void Pusher::Core::OnFirstMessageLocked(int64_t acked_sequence) {
  if (acked_sequence > spool_.max_sent_sequence() ||
      (stats_.sent_batches <= 1 && acked_sequence >= spool_.max_sent_sequence() && acked_sequence > 0)) {
    // The first response comes before any batch of its stream is committed, so this cannot be our own first batch:
    // somebody else used this producer_id with higher sequences. Ours would be taken for duplicates, so number them
    // anew.
    const absl::Status status =
        absl::AbortedError("the server knows producer " + options_.producer_id + " up to sequence " +
                           std::to_string(acked_sequence) + "; numbering from there");
    spool_.Rewind();
    spool_.Renumber(acked_sequence + 1);
    stream_->ReleaseHold();
    stream_->Cancel();
    stream_ = nullptr;
    return WaitLocked(status);
  }
  ++stats_.connects;
  SetStateLocked(PusherState::kConnected, absl::OkStatus());
}

void Pusher::Core::NoteRefusalsLocked(const v1::PushStreamResponse& response) {
  std::map<std::string, int64_t> unexplained;
  for (const auto& count : response.refusal_counts()) {
    const std::string reason = RefusalName(count.reason());
    stats_.refused_samples += count.count();
    stats_.refusals_by_reason[reason] += count.count();
    unexplained[reason] += count.count();
  }
  if (!options_.on_refusal) return;
  for (const auto& refusal : response.refusals()) {
    PushRefusal note{RefusalName(refusal.reason()), refusal.message(), 1};
    --unexplained[note.reason];
    callbacks_.Add([this, note = std::move(note)] { options_.on_refusal(note); });
  }
  for (const auto& [reason, count] : unexplained) {
    if (count > 0) callbacks_.Add([this, note = PushRefusal{reason, "", count}] { options_.on_refusal(note); });
  }
}

void Pusher::Core::OnEnd(Stream* stream, const absl::Status& status) {
  bool connect_now = false;
  {
    MutexLock lock(&mu_);
    if (stream != stream_.get()) return;
    stream_ = nullptr;
    spool_.Rewind();
    ack_timer_.Cancel();
    if (closed_) return;
    const absl::Status cause = status.ok() ? absl::UnavailableError("the server ended the stream") : status;
    if (status.code() == absl::StatusCode::kInvalidArgument) {
      FailLocked(cause);
    } else if (status.code() == absl::StatusCode::kUnauthenticated && !std::exchange(token_retried_, true)) {
      rejected_token_ = token_;
      connect_now = true;
    } else {
      if (status.code() == absl::StatusCode::kUnauthenticated) rejected_token_ = token_;
      WaitLocked(cause);
    }
  }
  callbacks_.Run();
  if (connect_now) Connect();
}

void Pusher::Core::WaitLocked(const absl::Status& status) {
  std::chrono::milliseconds wait = backoff_.Next();
  if (const auto detail = GetErrorDetail(status); detail && detail->retry_after_ms) {
    wait = std::max(wait, std::chrono::milliseconds(*detail->retry_after_ms));
  }
  SetStateLocked(PusherState::kWaiting, status);
  retry_timer_.Set(wait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Connect();
  });
}

void Pusher::Core::FailLocked(const absl::Status& status) {
  SetStateLocked(PusherState::kFailed, status);
  progress_.NotifyAll();
}

void Pusher::Core::SetStateLocked(PusherState state, const absl::Status& status) {
  stats_.state = state;
  if (!status.ok()) stats_.last_error = status;
  if (options_.on_state) callbacks_.Add([this, state, status] { options_.on_state(state, status); });
}

void Pusher::Core::ArmAckTimerLocked() {
  const int64_t due = progress_nanos_ + std::chrono::nanoseconds(options_.ack_timeout).count();
  const int64_t left = std::max(due - options_.clock->MonotonicNanos(), kNanosPerMilli);
  ack_timer_.Set(std::chrono::nanoseconds(left), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->OnAckTimer();
  });
}

void Pusher::Core::OnAckTimer() {
  std::shared_ptr<Stream> dead;
  {
    MutexLock lock(&mu_);
    if (closed_ || stream_ == nullptr || spool_.in_flight() == 0) return;
    const int64_t silent = options_.clock->MonotonicNanos() - progress_nanos_;
    if (silent < std::chrono::nanoseconds(options_.ack_timeout).count()) return ArmAckTimerLocked();
    dead = std::exchange(stream_, nullptr);
    dead->ReleaseHold();
    spool_.Rewind();
    WaitLocked(absl::DeadlineExceededError("no ack for " + std::to_string(silent / kNanosPerMilli) + " ms"));
  }
  dead->Cancel();
  callbacks_.Run();
}

absl::StatusOr<uint32_t> Pusher::Core::Define(const SeriesKey& key, const SeriesMetadata& metadata) {
  MutexLock lock(&mu_);
  std::string encoded = key.Encode();
  if (const auto it = refs_.find(encoded); it != refs_.end()) return it->second;
  if (static_cast<int64_t>(series_.size()) >= options_.max_series) {
    return absl::ResourceExhaustedError("this pusher has its most series already: " +
                                        std::to_string(options_.max_series));
  }
  series_.push_back({key, metadata});
  const auto ref = static_cast<uint32_t>(series_.size());
  refs_[std::move(encoded)] = ref;
  return ref;
}

absl::Status Pusher::Core::Push(std::span<const PushSample> samples) {
  if (samples.empty()) return absl::OkStatus();
  MutexLock lock(&mu_);
  if (stats_.state == PusherState::kFailed) return stats_.last_error;
  for (const PushSample& sample : samples) {
    if (sample.series == 0 || sample.series > series_.size()) {
      return absl::InvalidArgumentError("series " + std::to_string(sample.series) + " was not defined; 1 to " +
                                        std::to_string(series_.size()) + " would be accepted");
    }
  }
  const auto count = static_cast<int64_t>(samples.size());
  if (count > spool_.room() && options_.spool_policy == SpoolPolicy::kDropOldest &&
      count <= options_.max_spool_samples) {
    stats_.dropped_samples += spool_.DropOldest(count);
    progress_.NotifyAll();
  }
  if (count > spool_.room()) {
    return absl::ResourceExhaustedError("the spool holds " + std::to_string(spool_.samples()) +
                                        " samples that are not acknowledged, of at most " +
                                        std::to_string(options_.max_spool_samples));
  }
  const bool was_open = spool_.has_open();
  spool_.Add(samples);
  stats_.pushed_samples += count;
  if (spool_.has_open() && (!was_open || !linger_timer_.set())) {
    linger_timer_.Set(options_.linger, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->OnLinger();
    });
  }
  PumpLocked();
  return absl::OkStatus();
}

void Pusher::Core::OnLinger() { Flush(); }

void Pusher::Core::Flush() {
  MutexLock lock(&mu_);
  linger_timer_.Cancel();
  if (closed_) return;
  spool_.CloseOpen();
  PumpLocked();
}

absl::Status Pusher::Core::WaitUntilAcked(std::chrono::milliseconds timeout) {
  Flush();
  // Real time: a test's clock that stands still must not make this wait for ever.
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(&mu_);
  const int64_t target = stats_.pushed_samples;
  for (;;) {
    if (stats_.acked_samples + stats_.dropped_samples >= target) return absl::OkStatus();
    if (stats_.state == PusherState::kFailed) return stats_.last_error;
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left.count() <= 0) {
      return absl::DeadlineExceededError(std::to_string(spool_.samples()) + " samples are not acknowledged yet");
    }
    progress_.WaitFor(&mu_, left);
  }
}

PusherStats Pusher::Core::stats() const {
  MutexLock lock(&mu_);
  PusherStats stats = stats_;
  stats.spooled_samples = spool_.samples();
  return stats;
}

void Pusher::Core::Close() {
  std::shared_ptr<Stream> stream;
  {
    MutexLock lock(&mu_);
    closed_ = true;
    retry_timer_.Cancel();
    linger_timer_.Cancel();
    ack_timer_.Cancel();
    stream = std::exchange(stream_, nullptr);
    if (stream != nullptr) stream->ReleaseHold();
  }
  if (stream != nullptr) stream->Cancel();
  callbacks_.Close();
}

Pusher::Pusher(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<TokenSource> tokens, PusherOptions options)
    : core_(std::make_shared<Core>(std::move(channel), std::move(tokens), std::move(options))) {
  core_->Connect();
}
Pusher::~Pusher() { core_->Close(); }

absl::StatusOr<uint32_t> Pusher::Define(const SeriesKey& key, const SeriesMetadata& metadata) {
  return core_->Define(key, metadata);
}
absl::Status Pusher::Push(std::span<const PushSample> samples) { return core_->Push(samples); }
absl::Status Pusher::Push(uint32_t series, int64_t time_unix_nanos, double value) {
  const PushSample sample{series, time_unix_nanos, value};
  return core_->Push(std::span(&sample, 1));
}
void Pusher::Flush() { core_->Flush(); }
absl::Status Pusher::WaitUntilAcked(std::chrono::milliseconds timeout) { return core_->WaitUntilAcked(timeout); }
PusherStats Pusher::stats() const { return core_->stats(); }
const std::string& Pusher::producer_id() const { return core_->producer_id(); }

}  // namespace pulseboard::client
