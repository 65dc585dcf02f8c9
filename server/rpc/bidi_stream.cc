#include "server/rpc/bidi_stream.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "server/rpc/authenticator.h"

namespace pulseboard {
namespace {

using Serialization = grpc::SerializationTraits<google::protobuf::MessageLite>;

}  // namespace

void BidiStream::Open() {
  self_ = shared_from_this();
  const auto principal = authenticator_.Authenticate(*context_, right_);
  if (principal.ok()) {
    OnAdmitted(*principal);
    admitted_ = true;
    ticker_id_ = ticker_.Add(self_);
    registry_id_ = streams_.Add(self_);
  }
  MutexLock lock(&mu_);
  if (principal.ok()) {
    AdvanceLocked();
  } else {
    FinishLocked(principal.status());
  }
}

absl::Status BidiStream::ParseMessage(std::string_view field, grpc::ByteBuffer* received,
                                      google::protobuf::MessageLite* message) {
  const size_t bytes = received->Length();
  if (Serialization::Deserialize(received, message).ok()) return absl::OkStatus();
  return BadField(field, std::to_string(bytes) + " bytes that do not parse",
                  "a " + message->GetTypeName() + ", its strings in UTF-8,");
}

void BidiStream::ReadLocked() {
  if (finished_ || ending_ || reading_ || has_message_ || half_closed_) return;
  reading_ = true;
  StartRead(&received_);
}

void BidiStream::WriteLocked(const google::protobuf::MessageLite& message) {
  written_.Clear();  // Serialize wants an empty one
  bool own_buffer = false;
  const grpc::Status status = Serialization::Serialize(message, &written_, &own_buffer);
  if (!status.ok()) {
    FinishLocked(MakeError(ErrorReason::kInternal, "an answer could not be encoded: " + status.error_message()));
    return;
  }
  write_in_flight_ = true;
  StartWrite(&written_);
}

void BidiStream::EndLocked(const absl::Status& status) {
  if (!ending_) ending_ = status;
  AdvanceLocked();
}

void BidiStream::FinishLocked(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  guard_.NoteFinished();
  Finish(ToGrpcStatus(status));
}

void BidiStream::OnReadDone(bool ok) {
  {
    MutexLock lock(&mu_);
    reading_ = false;
    if (!ok) half_closed_ = true;
    if (!ok || finished_ || ending_) {
      AdvanceLocked();
      return;
    }
    has_message_ = true;
  }
  OnMessage();
}

void BidiStream::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  write_in_flight_ = false;
  if (!ok) {
    FinishLocked(absl::CancelledError("the client is gone"));
  } else {
    AdvanceLocked();
  }
}

void BidiStream::Drain(const absl::Status& status, bool hard) {
  if (hard) guard_.Cancel();
  MutexLock lock(&mu_);
  EndLocked(status);
}

void BidiStream::Tick() {
  guard_.CancelIfStuck();
  const absl::Status session = guard_.CheckSession();
  MutexLock lock(&mu_);
  if (!session.ok()) {
    EndLocked(session);
  } else {
    AdvanceLocked();
  }
}

void BidiStream::OnCancel() {
  MutexLock lock(&mu_);
  FinishLocked(absl::CancelledError("the client cancelled"));
}

void BidiStream::OnDone() {
  guard_.Forget();
  if (admitted_) {
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
  }
  const auto keep = std::move(self_);  // last line: may destroy *this
}

}  // namespace pulseboard
