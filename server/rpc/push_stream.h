// PushStreamReactor: one IngestService.PushStream call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/base/mutex.h"
#include "pulseboard/v1/ingest.pb.h"
#include "server/ingest/intake.h"
#include "server/rpc/retry_alarm.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// Reads a batch, hands it to the intake, reads the next one while less than `max_unacked_batches` wait for their ack. A
// batch that the store has no room for is tried again a little later, and nothing is read meanwhile: flow control slows
// the pusher. Acks that come while a response is on its way are put together into the next one.
//
// Messages arrive and leave as bytes: gRPC reports one that does not parse as the end of the stream, and the pusher
// would take what it sent after it for received. Here such a message ends the call with INVALID_ARGUMENT/BAD_FIELD.
//
// However the call ends, what is in work is acknowledged first, unless the peer is gone. Thread-safe; owns itself until
// OnDone.
class PushStreamReactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                                public Drainable,
                                public TickingStream,
                                public std::enable_shared_from_this<PushStreamReactor> {
 public:
  // The arguments outlive the call.
  static PushStreamReactor* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                  Intake& intake, StreamRegistry& streams, StreamTicker& ticker);

  void Drain(const absl::Status& status, bool hard) override;
  void Tick() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  PushStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, Intake& intake,
                    StreamRegistry& streams, StreamTicker& ticker);

  // The batch in `received_`: first time, and again while the store is full.
  void TakeBatch();
  absl::Status ParseBatch();
  void SubmitBatch();
  void RetryLater();
  void OnReceipt(const absl::StatusOr<PushReceipt>& receipt);

  void GreetLocked() PB_REQUIRES(mu_);
  void WriteLocked() PB_REQUIRES(mu_);
  void AddToAckLocked(const PushReceipt& receipt) PB_REQUIRES(mu_);
  void AddLimitToAckLocked(google::rpc::Status* limit) PB_REQUIRES(mu_);
  void BatchOverLocked() PB_REQUIRES(mu_);
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_);
  // Writes, reads or finishes, whatever is due.
  void AdvanceLocked() PB_REQUIRES(mu_);
  void FinishLocked(const absl::Status& status) PB_REQUIRES(mu_);

  Intake& intake_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  std::unique_ptr<IntakeStream> stream_;  // null when the call was refused
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<PushStreamReactor> self_;

  // Belong to whoever reads or takes the batch; one at a time.
  grpc::ByteBuffer received_;
  v1::PushStreamRequest request_;  // parsed into again and again: its columns keep their memory
  StreamBatch batch_;              // views of it
  RetryAlarm retry_;

  Mutex mu_;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool taking_ PB_GUARDED_BY(mu_) = false;       // a batch was read and is not handed over yet
  bool half_closed_ PB_GUARDED_BY(mu_) = false;  // the pusher will send no more
  bool write_in_flight_ PB_GUARDED_BY(mu_) = false;
  bool greeted_ PB_GUARDED_BY(mu_) = false;
  bool acks_frozen_ PB_GUARDED_BY(mu_) = false;  // a batch failed: nothing after it may be acknowledged
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> ending_ PB_GUARDED_BY(mu_);
  int32_t unacked_ PB_GUARDED_BY(mu_) = 0;     // batches whose ack was not handed to the transport
  int32_t ready_acks_ PB_GUARDED_BY(mu_) = 0;  // those of them that are in `ack_`
  v1::PushStreamResponse ack_ PB_GUARDED_BY(mu_);
  std::array<int64_t, kRefusalReasonCount> ack_counts_ PB_GUARDED_BY(mu_){};
  int64_t acked_sequence_ PB_GUARDED_BY(mu_) = 0;
  int64_t commit_sequence_ PB_GUARDED_BY(mu_) = 0;
  v1::PushStreamResponse writing_ PB_GUARDED_BY(mu_);
  grpc::ByteBuffer written_ PB_GUARDED_BY(mu_);  // `writing_` as bytes, until OnWriteDone
};

}  // namespace pulseboard
