#include "server/rpc/push_stream.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {

PushStreamReactor* PushStreamReactor::Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                            Intake& intake, StreamRegistry& streams, StreamTicker& ticker) {
  const std::shared_ptr<PushStreamReactor> self(new PushStreamReactor(context, authenticator, intake, streams, ticker));
  self->Open();
  return self.get();
}

PushStreamReactor::PushStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                     Intake& intake, StreamRegistry& streams, StreamTicker& ticker)
    : BidiStream(context, authenticator, Right::kPush, streams, ticker), intake_(intake) {}

void PushStreamReactor::OnAdmitted(const Principal& principal) {
  absl::StatusOr<std::unique_ptr<IntakeStream>> stream = intake_.OpenPushStream(principal.tenant);
  if (stream.ok()) {
    stream_ = *std::move(stream);
    return;
  }
  MutexLock lock(&mu_);
  ending_ = stream.status();
}

absl::Status PushStreamReactor::ParseBatch() {
  PB_RETURN_IF_ERROR(ParseMessage("batch", &received_, &request_));
  PB_ASSIGN_OR_RETURN(batch_, FromProto(request_));
  return stream_->Begin(batch_);
}

void PushStreamReactor::OnMessage() {
  const absl::Status status = ParseBatch();
  {
    MutexLock lock(&mu_);
    if (!status.ok()) {
      has_message_ = false;
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
      has_message_ = false;
      BatchOverLocked();
      return;
    }
  }
  const absl::Status status = stream_->Submit(
      batch_, [self = Self()](const absl::StatusOr<PushReceipt>& receipt) { self->OnReceipt(receipt); });
  if (HasReason(status, ErrorReason::kIngestBacklogFull)) {
    RetryLater();
    return;
  }
  MutexLock lock(&mu_);
  has_message_ = false;
  if (status.ok()) {
    AdvanceLocked();
    return;
  }
  EndLocked(status);
  BatchOverLocked();
}

void PushStreamReactor::RetryLater() {
  retry_.Set([weak = std::weak_ptr<PushStreamReactor>(Self())] {
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
  v1::PushStreamResponse greeting;
  greeting.set_acked_sequence(acked_sequence_);
  greeting.set_max_unacked_batches(intake_.options().max_unacked_batches);
  if (!finished_) WriteLocked(greeting);
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

void PushStreamReactor::WriteAckLocked() {
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
  WriteLocked(ack_);
  ack_.Clear();
}

void PushStreamReactor::AdvanceLocked() {
  if (finished_) return;
  if (!write_in_flight_ && ready_acks_ > 0) {
    WriteAckLocked();
    if (finished_) return;
  }
  const bool work_done = unacked_ == 0 && !has_message_ && !write_in_flight_;
  if (work_done && (ending_ || half_closed_)) {
    FinishLocked(ending_.value_or(absl::OkStatus()));
  } else if (unacked_ < intake_.options().max_unacked_batches) {
    ReadLocked();
  }
}

}  // namespace pulseboard
