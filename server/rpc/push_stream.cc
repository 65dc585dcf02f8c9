#include "server/rpc/push_stream.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
PushStreamReactor* PushStreamReactor::Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                            Intake& intake, StreamRegistry& streams, StreamTicker& ticker) {
  auto self =
      std::shared_ptr<PushStreamReactor>(new PushStreamReactor(context, authenticator, intake, streams, ticker));
  self->self_ = self;
  const auto principal = authenticator.Authenticate(*context, Right::kPush);
  if (principal.ok()) {
    self->stream_ = intake.OpenStream(principal->tenant);
    self->ticker_id_ = ticker.Add(self);
    self->registry_id_ = streams.Add(self);
  }
  MutexLock lock(&self->mu_);
  if (!principal.ok()) {
    self->FinishLocked(principal.status());
  } else {
    self->AdvanceLocked();
  }
  return self.get();
}

PushStreamReactor::PushStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                     Intake& intake, StreamRegistry& streams, StreamTicker& ticker)
    : intake_(intake), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kPush) {}

void PushStreamReactor::OnReadDone(bool ok) {
  {
    MutexLock lock(&mu_);
    reading_ = false;
    if (!ok) half_closed_ = true;
    if (!ok || finished_ || ending_) {
      AdvanceLocked();
      return;
    }
    taking_ = true;
  }
  TakeBatch();
}

absl::Status PushStreamReactor::ParseBatch() {
  const size_t bytes = received_.Length();
  if (!grpc::SerializationTraits<v1::PushStreamRequest>::Deserialize(&received_, &request_).ok()) {
    return BadField("batch", std::to_string(bytes) + " bytes that do not parse",
                    "a pulseboard.v1.PushStreamRequest, its strings in UTF-8,");
  }
  PB_ASSIGN_OR_RETURN(batch_, FromProto(request_));
  return stream_->Begin(batch_);
}

void PushStreamReactor::TakeBatch() {
  const absl::Status status = ParseBatch();
  {
    MutexLock lock(&mu_);
    if (!status.ok()) {
      taking_ = false;
      EndLocked(status);
      return;
    }
    if (!greeted_) GreetLocked();
    ++unacked_;
  }
  retry_.Reset();
  SubmitBatch();
}

void PushStreamReactor::SubmitBatch() {
  {
    MutexLock lock(&mu_);
    if (finished_ || ending_) {  // the pusher will send it again, elsewhere
      taking_ = false;
      BatchOverLocked();
      return;
    }
  }
  const absl::Status status = stream_->Submit(
      batch_, [self = shared_from_this()](const absl::StatusOr<PushReceipt>& receipt) { self->OnReceipt(receipt); });
  if (HasReason(status, ErrorReason::kIngestBacklogFull)) {
    RetryLater();
    return;
  }
  MutexLock lock(&mu_);
  taking_ = false;
  if (status.ok()) {
    AdvanceLocked();
    return;
  }
  EndLocked(status);
  BatchOverLocked();
}

void PushStreamReactor::RetryLater() {
  retry_.Set([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->SubmitBatch();
  });
}

void PushStreamReactor::OnReceipt(const absl::StatusOr<PushReceipt>& receipt) {
  MutexLock lock(&mu_);
  if (acks_frozen_ || finished_) {
    BatchOverLocked();
  } else if (!receipt.ok()) {
    acks_frozen_ = true;
    EndLocked(receipt.status());
    BatchOverLocked();
  } else {
    AddToAckLocked(*receipt);
    AdvanceLocked();
  }
}

void PushStreamReactor::GreetLocked() {
  greeted_ = true;
  acked_sequence_ = stream_->ProducerPosition();
  writing_.Clear();
  writing_.set_acked_sequence(acked_sequence_);
  writing_.set_max_unacked_batches(intake_.options().max_unacked_batches);
  if (!finished_) WriteLocked();
}

void PushStreamReactor::WriteLocked() {
  written_.Clear();  // Serialize wants an empty one
  bool own_buffer = false;
  const grpc::Status status =
      grpc::SerializationTraits<v1::PushStreamResponse>::Serialize(writing_, &written_, &own_buffer);
  if (!status.ok()) {
    FinishLocked(MakeError(ErrorReason::kInternal, "an ack could not be encoded: " + status.error_message()));
    return;
  }
  write_in_flight_ = true;
  StartWrite(&written_);
}

void PushStreamReactor::AddToAckLocked(const PushReceipt& receipt) {
  v1::PushResponse one;
  ToProto(receipt, &one);
  ++ready_acks_;
  acked_sequence_ = std::max(acked_sequence_, receipt.sequence);
  commit_sequence_ = std::max(commit_sequence_, receipt.commit_sequence);
  ack_.mutable_refusals()->MergeFrom(one.refusals());
  for (const v1::RefusalCount& count : one.refusal_counts())
    ack_counts_[static_cast<size_t>(count.reason())] += count.count();
  for (google::rpc::Status& limit : *one.mutable_limits()) AddLimitToAckLocked(&limit);
  if (one.duplicate()) ack_.set_duplicate_batch_count(ack_.duplicate_batch_count() + 1);
  // Of all that an ack covers, the least safe.
  if (ack_.ack_mode() != v1::ACK_MODE_BUFFERED) ack_.set_ack_mode(one.ack_mode());
}

void PushStreamReactor::AddLimitToAckLocked(google::rpc::Status* limit) {
  const auto& known = ack_.limits();
  const bool there = std::any_of(known.begin(), known.end(), [limit](const google::rpc::Status& other) {
    return other.message() == limit->message();
  });
  if (!there && static_cast<size_t>(known.size()) < kMaxRefusalLimits) ack_.add_limits()->Swap(limit);
}

void PushStreamReactor::BatchOverLocked() {
  --unacked_;
  AdvanceLocked();
}

void PushStreamReactor::EndLocked(const absl::Status& status) {
  if (!ending_) ending_ = status;
  AdvanceLocked();
}

void PushStreamReactor::AdvanceLocked() {
  if (finished_) return;
  if (!write_in_flight_ && ready_acks_ > 0) {
    unacked_ -= std::exchange(ready_acks_, 0);
    ack_.set_acked_sequence(acked_sequence_);
    ack_.set_commit_sequence(commit_sequence_);
    ack_.set_max_unacked_batches(intake_.options().max_unacked_batches);
    for (size_t i = 0; i < kRefusalReasonCount; ++i) {
      if (ack_counts_[i] == 0) continue;
      v1::RefusalCount* count = ack_.add_refusal_counts();
      count->set_reason(static_cast<v1::RefusalReason>(i));
      count->set_count(std::exchange(ack_counts_[i], 0));
    }
    writing_.Swap(&ack_);
    ack_.Clear();
    WriteLocked();
    if (finished_) return;
  }
  const bool work_done = unacked_ == 0 && !taking_ && !write_in_flight_;
  if (ending_ && work_done) {
    FinishLocked(*ending_);
  } else if (half_closed_ && work_done) {
    FinishLocked(absl::OkStatus());
  } else if (!ending_ && !half_closed_ && !reading_ && !taking_ && unacked_ < intake_.options().max_unacked_batches) {
    reading_ = true;
    StartRead(&received_);
  }
}

void PushStreamReactor::FinishLocked(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  guard_.NoteFinished();
  Finish(ToGrpcStatus(status));
}

void PushStreamReactor::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  write_in_flight_ = false;
  if (!ok) {
    FinishLocked(absl::CancelledError("the pusher is gone"));
  } else {
    AdvanceLocked();
  }
}

void PushStreamReactor::Drain(const absl::Status& status, bool hard) {
  if (hard) guard_.Cancel();
  MutexLock lock(&mu_);
  EndLocked(status);
}

void PushStreamReactor::Tick() {
  guard_.CancelIfStuck();
  if (const absl::Status session = guard_.CheckSession(); !session.ok()) {
    MutexLock lock(&mu_);
    EndLocked(session);
  }
}

void PushStreamReactor::OnCancel() {
  MutexLock lock(&mu_);
  FinishLocked(absl::CancelledError("the pusher cancelled"));
}

void PushStreamReactor::OnDone() {
  guard_.Forget();
  if (stream_ != nullptr) {
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
  }
  const auto keep = std::move(self_);  // last line: may destroy *this
}

}  // namespace pulseboard
