// BidiStream: what every bidirectional call needs besides its own work.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "common/base/mutex.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// The frame of a bidirectional call: who may make it, one read and one write in flight, its session looked at once a
// second, its end by a drain, a cancel or an error.
//
// Messages arrive and leave as bytes: gRPC reports one that does not parse as the end of the stream, and the client
// would take what it sent after it for received. ParseMessage makes it an INVALID_ARGUMENT/BAD_FIELD.
//
// However the call ends, what is in work is told first, unless the peer is gone: AdvanceLocked() finishes it when
// nothing is left. Thread-safe; owns itself until OnDone and as long as callbacks hold it.
class BidiStream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                   public Drainable,
                   public TickingStream,
                   public std::enable_shared_from_this<BidiStream> {
 public:
  void Drain(const absl::Status& status, bool hard) final;
  void Tick() final;

  void OnReadDone(bool ok) final;
  void OnWriteDone(bool ok) final;
  void OnCancel() final;
  void OnDone() final;

 protected:
  // The arguments outlive the call; `context` until OnDone.
  BidiStream(grpc::CallbackServerContext* context, const Authenticator& authenticator, Right right,
             StreamRegistry& streams, StreamTicker& ticker)
      : context_(context),
        authenticator_(authenticator),
        right_(right),
        streams_(streams),
        ticker_(ticker),
        guard_(authenticator, context, right) {}

  // Authenticates the call and begins it, or ends it with the reason. Once, as the last step of making it.
  void Open();

  // The caller may make the call. Before any other of the functions below.
  virtual void OnAdmitted(const Principal& principal) = 0;
  // A message is in `received_`, and nothing more is read until has_message_ is false. On gRPC's thread, without mu_.
  virtual void OnMessage() = 0;
  // Something happened (a message, the end of them, a write done, a tick, an end to come): writes, reads or finishes,
  // whatever is due.
  virtual void AdvanceLocked() PB_REQUIRES(mu_) = 0;

  // Parses `received` into `message` and empties it. BAD_FIELD about `field`.
  static absl::Status ParseMessage(std::string_view field, grpc::ByteBuffer* received,
                                   google::protobuf::MessageLite* message);
  // Starts a read unless there is one, a message waits, or no more are wanted.
  void ReadLocked() PB_REQUIRES(mu_);
  // REQUIRES: !write_in_flight_. `message` may be changed afterwards.
  void WriteLocked(const google::protobuf::MessageLite& message) PB_REQUIRES(mu_);
  // The call is to end so, after what is in work; the first reason counts.
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_);
  // Ends it now.
  void FinishLocked(const absl::Status& status) PB_REQUIRES(mu_);

  grpc::ByteBuffer received_;  // belongs to the read in flight, then to whoever has_message_ is for

  Mutex mu_;
  bool has_message_ PB_GUARDED_BY(mu_) = false;  // one was read and is not taken yet
  bool half_closed_ PB_GUARDED_BY(mu_) = false;  // the client will send no more
  bool write_in_flight_ PB_GUARDED_BY(mu_) = false;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> ending_ PB_GUARDED_BY(mu_);

 private:
  grpc::CallbackServerContext* const context_;
  const Authenticator& authenticator_;
  const Right right_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  bool admitted_ = false;
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<BidiStream> self_;

  bool reading_ PB_GUARDED_BY(mu_) = false;
  grpc::ByteBuffer written_ PB_GUARDED_BY(mu_);  // until OnWriteDone
};

}  // namespace pulseboard
