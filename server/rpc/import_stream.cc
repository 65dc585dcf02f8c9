#include "server/rpc/import_stream.h"

#include <utility>

#include "common/base/errors.h"
#include "server/rpc/transfer_wire.h"

namespace pulseboard {
namespace {

constexpr std::chrono::milliseconds kProgressInterval(100);
// Refused lines per message: well below the 4 MiB that clients take.
constexpr size_t kRefusedLinesPerMessage = 1'000;
// While more wait to be told than this, nothing is parsed.
constexpr size_t kMaxWaitingRefusedLines = 20'000;

}  // namespace

ImportReactor* ImportReactor::Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                    Importer& importer, StreamRegistry& streams, StreamTicker& ticker) {
  const std::shared_ptr<ImportReactor> self(new ImportReactor(context, authenticator, importer, streams, ticker));
  self->Open();
  return self.get();
}

ImportReactor::ImportReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                             Importer& importer, StreamRegistry& streams, StreamTicker& ticker)
    : BidiStream(context, authenticator, Right::kPush, streams, ticker), importer_(importer) {}

void ImportReactor::OnAdmitted(const Principal& principal) { tenant_ = principal.tenant; }

void ImportReactor::OnMessage() {
  MutexLock lock(&mu_);
  AdvanceLocked();
}

void ImportReactor::Work() {
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = Step();
  MutexLock lock(&mu_);
  working_ = false;
  if (!more.ok()) EndLocked(more.status());
  ContinueLocked();
}

absl::StatusOr<bool> ImportReactor::Step() {
  {
    MutexLock lock(&mu_);
    if (!MayWorkLocked()) return false;
    woken_ = false;
    if (session_ != nullptr) {
      for (auto& batch : done_batches_) session_->Recycle(std::move(batch));
      done_batches_.clear();
    }
  }
  if (batch_ != nullptr) return SubmitBatch();
  if (session_ != nullptr) {
    PB_ASSIGN_OR_RETURN(const bool full, TakeBatch(/*flush=*/false));
    if (full) return true;
  }
  PB_ASSIGN_OR_RETURN(const bool taken, TakeInput());
  if (taken) return true;
  if (session_ == nullptr) return false;
  // The client is slower than we are: what there is goes now.
  PB_ASSIGN_OR_RETURN(const bool flushed, TakeBatch(/*flush=*/true));
  if (flushed) return true;
  if (broke_off_) {
    return BadField("message", "the last one within a line",
                    "the rest of the text, or an `end` where the line is a whole one,");
  }
  MutexLock lock(&mu_);
  all_submitted_ = text_over_ && half_closed_;  // nothing may follow the end
  return false;
}

absl::StatusOr<bool> ImportReactor::TakeBatch(bool flush) {
  PB_ASSIGN_OR_RETURN(batch_, session_->NextBatch(flush));
  MutexLock lock(&mu_);
  session_->Count(&*tally_);
  return batch_ != nullptr;
}

absl::StatusOr<bool> ImportReactor::SubmitBatch() {
  {
    MutexLock lock(&mu_);
    ++uncommitted_;
  }
  const absl::Status status = session_->Submit(
      batch_,
      [self = Self(), batch = batch_](const absl::StatusOr<PushReceipt>& receipt) { self->OnReceipt(receipt, batch); });
  if (status.ok()) {
    retry_.Reset();
    batch_ = nullptr;
    return true;
  }
  const bool full = HasReason(status, ErrorReason::kIngestBacklogFull);
  {
    MutexLock lock(&mu_);
    --uncommitted_;
    retry_waits_ = full;
  }
  if (!full) return status;
  retry_.Set([weak = std::weak_ptr<ImportReactor>(Self())] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    MutexLock lock(&self->mu_);
    self->retry_waits_ = false;
    self->AdvanceLocked();
  });
  return false;
}

absl::StatusOr<bool> ImportReactor::TakeInput() {
  grpc::ByteBuffer message;
  bool over = false;
  {
    MutexLock lock(&mu_);
    if (has_message_) {
      message.Swap(&received_);
      has_message_ = false;
      ContinueLocked();  // the next one arrives meanwhile
    } else if (half_closed_ && !text_over_) {
      over = true;
    } else {
      return false;
    }
  }
  if (!over) {
    PB_RETURN_IF_ERROR(TakeMessage(&message));
    return true;
  }
  if (session_ == nullptr) return BadField("spec", "nothing", "a spec as the first message");
  text_over_ = true;
  // A client that died looks like one that has said all: of half a number another one would be made.
  broke_off_ = session_->within_line();
  if (!broke_off_) PB_RETURN_IF_ERROR(session_->Finish());
  return true;
}

absl::Status ImportReactor::TakeMessage(grpc::ByteBuffer* message) {
  PB_RETURN_IF_ERROR(ParseMessage("batch", message, &request_));
  if (request_.has_spec() != (session_ == nullptr)) {
    return BadField("spec", session_ == nullptr ? "nothing" : "a second one",
                    "a spec as the first message, and only there,");
  }
  if (text_over_) return BadField("message", "another one", "nothing after `end`");
  switch (request_.message_case()) {
    case v1::ImportRequest::kEnd:
      text_over_ = true;
      return session_->Finish();
    case v1::ImportRequest::kSpec:
      return OpenSession(request_.spec());
    case v1::ImportRequest::kContext:
      return session_->AddContext(request_.context().data());
    case v1::ImportRequest::kChunk:
      return session_->Feed(request_.chunk().offset(), request_.chunk().data(), request_.chunk().line());
    case v1::ImportRequest::MESSAGE_NOT_SET:
      break;
  }
  return BadField("message", "nothing", "a spec, a context, a chunk or an end");
}

absl::Status ImportReactor::OpenSession(const v1::ImportSpec& in) {
  PB_ASSIGN_OR_RETURN(ImportSpec spec, FromProto(in));
  PB_ASSIGN_OR_RETURN(session_, importer_.Open(tenant_, std::move(spec)));
  MutexLock lock(&mu_);
  tally_.emplace(session_->max_refused_lines());
  session_->Count(&*tally_);
  ContinueLocked();
  return absl::OkStatus();
}

void ImportReactor::OnReceipt(const absl::StatusOr<PushReceipt>& receipt, std::shared_ptr<ImportBatch> batch) {
  MutexLock lock(&mu_);
  --uncommitted_;
  if (!receipt.ok()) {
    frozen_ = true;
    EndLocked(receipt.status());
  } else if (!frozen_) {
    tally_->Add(*receipt, batch.get());
    progress_ = true;
    done_batches_.push_back(std::move(batch));
  }
  AdvanceLocked();
}

bool ImportReactor::MayWorkLocked() const {
  return !finished_ && !ending_ && !all_submitted_ && !retry_waits_ &&
         uncommitted_ < importer_.intake_options().max_unacked_batches &&
         (!tally_ || tally_->waiting_refused_lines() <= kMaxWaitingRefusedLines);
}

bool ImportReactor::ProgressDueLocked() const {
  if (!tally_) return false;
  if (tally_->waiting_refused_lines() > 0) return true;
  return progress_ && (ending_ || std::chrono::steady_clock::now() - progress_told_at_ >= kProgressInterval);
}

bool ImportReactor::NextMessageLocked() {
  if (!tally_ || summary_told_) return false;
  writing_.Clear();
  if (!std::exchange(started_told_, true)) {
    writing_.mutable_started()->set_resume_offset(tally_->committed_offset);
    return true;
  }
  if (ProgressDueLocked()) {
    progress_ = false;
    progress_told_at_ = std::chrono::steady_clock::now();
    ToProto(&*tally_, kRefusedLinesPerMessage, writing_.mutable_progress());
    return true;
  }
  if (!all_submitted_ || uncommitted_ > 0 || ending_) return false;
  summary_told_ = true;
  ToProto(&*tally_, writing_.mutable_summary());
  return true;
}

void ImportReactor::AdvanceLocked() {
  woken_ = true;
  ContinueLocked();
}

void ImportReactor::ContinueLocked() {
  if (finished_) return;
  if (!write_in_flight_ && NextMessageLocked()) WriteLocked(writing_);
  if (finished_) return;
  const bool work_done = uncommitted_ == 0 && !working_ && !write_in_flight_;
  if (work_done && (ending_ || summary_told_)) {
    session_.reset();  // the client may begin the next import of this producer as soon as it hears of the end
    FinishLocked(ending_.value_or(absl::OkStatus()));
    return;
  }
  if (!working_ && woken_ && MayWorkLocked()) {
    working_ = importer_.Run([self = Self()] { self->Work(); });
    if (!working_) EndLocked(MakeError(ErrorReason::kShuttingDown, "the server is shutting down; go on where it says"));
  }
  ReadLocked();
}

}  // namespace pulseboard
