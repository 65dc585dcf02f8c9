#include "server/rpc/transition_stream.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "server/rpc/alert_wire.h"

namespace pulseboard {
namespace {

constexpr int kTicksPerHeartbeat = 5;  // of a second
constexpr size_t kTransitionsPerMessage = 500;

}  // namespace

TransitionStream* TransitionStream::Start(grpc::CallbackServerContext* context,
                                          const v1::WatchTransitionsRequest& request,
                                          const Authenticator& authenticator, AlertLedger& ledger,
                                          StreamRegistry& streams, StreamTicker& ticker, RunReads run) {
  auto self = std::shared_ptr<TransitionStream>(
      new TransitionStream(context, authenticator, ledger, streams, ticker, std::move(run)));
  self->self_ = self;
  if (const absl::Status status = self->Begin(*context, request, authenticator); !status.ok()) self->End(status);
  return self.get();
}

absl::Status TransitionStream::Begin(const grpc::CallbackServerContext& context,
                                     const v1::WatchTransitionsRequest& request, const Authenticator& authenticator) {
  PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
  tenant_ = principal.tenant;
  PB_ASSIGN_OR_RETURN(filter_, FromProto(request.filter()));
  if (request.after_sequence() < 0) {
    return BadField("after_sequence", std::to_string(request.after_sequence()), "0 or a sequence");
  }
  position_ = request.after_sequence() == 0 ? ledger_.last_sequence() : request.after_sequence();
  follower_id_ = ledger_.Follow(weak_from_this());
  ticker_id_ = ticker_.Add(weak_from_this());
  registry_id_ = streams_.Add(weak_from_this());
  Advance();
  return absl::OkStatus();
}

void TransitionStream::OnLedger() {
  {
    MutexLock lock(&mu_);
    news_ = true;
  }
  Advance();
}

void TransitionStream::Drain(const absl::Status& status, bool hard) {
  if (hard) guard_.Cancel();
  End(status);
}

void TransitionStream::Tick() {
  guard_.CancelIfStuck();
  if (const absl::Status session = guard_.CheckSession(); !session.ok()) End(session);
  {
    MutexLock lock(&mu_);
    if (++quiet_ticks_ >= kTicksPerHeartbeat) heartbeat_ = true;
  }
  Advance();  // also when a read was turned away
}

void TransitionStream::OnWriteDone(bool ok) {
  if (!ok) return End(absl::CancelledError("the viewer is gone"));
  {
    MutexLock lock(&mu_);
    writing_ = false;
  }
  Advance();
}

void TransitionStream::OnCancel() { End(absl::CancelledError("the viewer cancelled")); }

void TransitionStream::OnDone() {
  guard_.Forget();
  if (follower_id_ != 0) {
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
    ledger_.Unfollow(follower_id_);
  }
  const auto keep = std::move(self_);  // last line: may destroy *this
}

void TransitionStream::Advance() {
  {
    MutexLock lock(&mu_);
    if (finished_ || writing_ || reading_) return;
    if (!news_) {
      if (heartbeat_) WriteLocked({});
      return;
    }
    news_ = false;
    reading_ = true;
  }
  if (run_([self = shared_from_this()] { self->ReadOn(); })) return;
  MutexLock lock(&mu_);  // too many reads wait: the next tick tries again
  reading_ = false;
  news_ = true;
}

void TransitionStream::ReadOn() {
  bool more = false;
  const auto transitions = ledger_.ReadAfter(tenant_, filter_, kTransitionsPerMessage, &position_, &more);
  if (!transitions.ok()) return End(transitions.status());
  {
    MutexLock lock(&mu_);
    reading_ = false;
    if (more) news_ = true;
    if (!finished_ && !transitions->empty()) WriteLocked(*transitions);
  }
  Advance();
}

void TransitionStream::WriteLocked(const std::vector<AlertTransition>& transitions) {
  response_.Clear();
  for (const AlertTransition& transition : transitions) ToProto(transition, response_.add_transitions());
  response_.set_next_sequence(position_);
  heartbeat_ = false;
  quiet_ticks_ = 0;
  writing_ = true;
  StartWrite(&response_);
}

void TransitionStream::End(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (std::exchange(finished_, true)) return;
  guard_.NoteFinished();
  Finish(ToGrpcStatus(status));
}

}  // namespace pulseboard
