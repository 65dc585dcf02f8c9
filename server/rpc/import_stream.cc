#include "server/rpc/import_stream.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "server/rpc/authenticator.h"
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
  auto self = std::shared_ptr<ImportReactor>(new ImportReactor(context, authenticator, importer, streams, ticker));
  self->self_ = self;
  const auto principal = authenticator.Authenticate(*context, Right::kPush);
  if (principal.ok()) {
    self->tenant_ = principal->tenant;
    self->admitted_ = true;
    self->ticker_id_ = ticker.Add(self);
    self->registry_id_ = streams.Add(self);
  }
  MutexLock lock(&self->mu_);
  if (principal.ok()) {
    self->AdvanceLocked();
  } else {
    self->FinishLocked(principal.status());
  }
  return self.get();
}

ImportReactor::ImportReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                             Importer& importer, StreamRegistry& streams, StreamTicker& ticker)
    : importer_(importer), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kPush) {}

void ImportReactor::OnReadDone(bool ok) {
  MutexLock lock(&mu_);
  reading_ = false;
  woken_ = true;
  (ok ? has_message_ : half_closed_) = true;
  AdvanceLocked();
}

void ImportReactor::Work() {
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more) more = Step();
  MutexLock lock(&mu_);
  working_ = false;
  if (!more.ok()) EndLocked(more.status());
  AdvanceLocked();
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
  MutexLock lock(&mu_);
  all_submitted_ = text_over_;
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
  const absl::Status status =
      session_->Submit(batch_, [self = shared_from_this(), batch = batch_](const absl::StatusOr<PushReceipt>& receipt) {
        self->OnReceipt(receipt, batch);
      });
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
  retry_.Set([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    MutexLock lock(&self->mu_);
    self->retry_waits_ = false;
    self->woken_ = true;
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
      AdvanceLocked();  // the next one arrives meanwhile
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
  PB_RETURN_IF_ERROR(session_->Finish());
  return true;
}

absl::Status ImportReactor::TakeMessage(grpc::ByteBuffer* message) {
  const size_t bytes = message->Length();
  if (!grpc::SerializationTraits<v1::ImportRequest>::Deserialize(message, &request_).ok()) {
    return BadField("batch", std::to_string(bytes) + " bytes that do not parse",
                    "a pulseboard.v1.ImportRequest, its strings in UTF-8,");
  }
  if (request_.has_spec() != (session_ == nullptr)) {
    return BadField("spec", session_ == nullptr ? "nothing" : "a second one",
                    "a spec as the first message, and only there,");
  }
  switch (request_.message_case()) {
    case v1::ImportRequest::kSpec:
      return OpenSession(request_.spec());
    case v1::ImportRequest::kContext:
      return session_->AddContext(request_.context().data());
    case v1::ImportRequest::kChunk:
      return session_->Feed(request_.chunk().offset(), request_.chunk().data(), request_.chunk().line());
    case v1::ImportRequest::MESSAGE_NOT_SET:
      break;
  }
  return BadField("message", "nothing", "a spec, a context or a chunk");
}

absl::Status ImportReactor::OpenSession(const v1::ImportSpec& in) {
  PB_ASSIGN_OR_RETURN(ImportSpec spec, FromProto(in));
  PB_ASSIGN_OR_RETURN(session_, importer_.Open(tenant_, std::move(spec)));
  MutexLock lock(&mu_);
  tally_.emplace(session_->max_refused_lines());
  session_->Count(&*tally_);
  AdvanceLocked();
  return absl::OkStatus();
}

void ImportReactor::OnReceipt(const absl::StatusOr<PushReceipt>& receipt, std::shared_ptr<ImportBatch> batch) {
  MutexLock lock(&mu_);
  --uncommitted_;
  woken_ = true;
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

void ImportReactor::WriteLocked() {
  written_.Clear();  // Serialize wants an empty one
  bool own_buffer = false;
  const grpc::Status status =
      grpc::SerializationTraits<v1::ImportResponse>::Serialize(writing_, &written_, &own_buffer);
  if (!status.ok()) {
    FinishLocked(MakeError(ErrorReason::kInternal, "a progress could not be encoded: " + status.error_message()));
    return;
  }
  write_in_flight_ = true;
  StartWrite(&written_);
}

void ImportReactor::AdvanceLocked() {
  if (finished_) return;
  if (!write_in_flight_ && NextMessageLocked()) WriteLocked();
  if (finished_) return;
  const bool work_done = uncommitted_ == 0 && !working_ && !write_in_flight_;
  if (work_done && (ending_ || summary_told_)) {
    FinishLocked(ending_.value_or(absl::OkStatus()));
    return;
  }
  if (!working_ && woken_ && MayWorkLocked()) {
    working_ = importer_.Run([self = shared_from_this()] { self->Work(); });
    if (!working_) EndLocked(MakeError(ErrorReason::kShuttingDown, "the server is shutting down; go on where it says"));
  }
  if (!finished_ && !ending_ && !reading_ && !has_message_ && !half_closed_) {
    reading_ = true;
    StartRead(&received_);
  }
}

void ImportReactor::EndLocked(const absl::Status& status) {
  if (!ending_) ending_ = status;
  AdvanceLocked();
}

void ImportReactor::FinishLocked(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  guard_.NoteFinished();
  Finish(ToGrpcStatus(status));
}

void ImportReactor::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  write_in_flight_ = false;
  woken_ = true;
  if (!ok) {
    FinishLocked(absl::CancelledError("the client is gone"));
  } else {
    AdvanceLocked();
  }
}

void ImportReactor::Drain(const absl::Status& status, bool hard) {
  if (hard) guard_.Cancel();
  MutexLock lock(&mu_);
  EndLocked(status);
}

void ImportReactor::Tick() {
  guard_.CancelIfStuck();
  const absl::Status session = guard_.CheckSession();
  MutexLock lock(&mu_);
  if (!session.ok()) {
    EndLocked(session);
  } else {
    AdvanceLocked();  // progress that was too fresh to be told
  }
}

void ImportReactor::OnCancel() {
  MutexLock lock(&mu_);
  FinishLocked(absl::CancelledError("the client cancelled"));
}

void ImportReactor::OnDone() {
  guard_.Forget();
  if (admitted_) {
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
  }
  const auto keep = std::move(self_);  // last line: may destroy *this
}

}  // namespace pulseboard
