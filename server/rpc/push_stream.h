// PushStreamReactor: one IngestService.PushStream call.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "pulseboard/v1/ingest.pb.h"
#include "server/ingest/intake.h"
#include "server/rpc/bidi_stream.h"
#include "server/rpc/retry_alarm.h"

namespace pulseboard {

// Reads a batch, hands it to the intake, reads the next one while less than `max_unacked_batches` wait for their ack. A
// batch that the store has no room for is tried again a little later, and nothing is read meanwhile: flow control slows
// the pusher. Acks that come while a response is on its way are put together into the next one.
class PushStreamReactor final : public BidiStream {
 public:
  // The arguments outlive the call.
  static PushStreamReactor* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                                  Intake& intake, StreamRegistry& streams, StreamTicker& ticker);

 private:
  PushStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, Intake& intake,
                    StreamRegistry& streams, StreamTicker& ticker);

  std::shared_ptr<PushStreamReactor> Self() { return std::static_pointer_cast<PushStreamReactor>(shared_from_this()); }

  void OnAdmitted(const Principal& principal) override;
  void OnMessage() override;
  void AdvanceLocked() override PB_REQUIRES(mu_);

  // The batch in `received_`: first time, and again while the store is full.
  absl::Status ParseBatch();
  void SubmitBatch();
  void RetryLater();
  void OnReceipt(const absl::StatusOr<PushReceipt>& receipt);

  void GreetLocked() PB_REQUIRES(mu_);
  void AddToAckLocked(const PushReceipt& receipt) PB_REQUIRES(mu_);
  void AddLimitToAckLocked(google::rpc::Status* limit) PB_REQUIRES(mu_);
  void BatchOverLocked() PB_REQUIRES(mu_);
  void WriteAckLocked() PB_REQUIRES(mu_);

  Intake& intake_;
  std::unique_ptr<IntakeStream> stream_;  // null when the call was refused

  // Belong to whoever takes the batch; one at a time.
  v1::PushStreamRequest request_;  // parsed into again and again: its columns keep their memory
  StreamBatch batch_;              // views of it
  RetryAlarm retry_;

  bool greeted_ PB_GUARDED_BY(mu_) = false;
  bool acks_frozen_ PB_GUARDED_BY(mu_) = false;  // a batch failed: nothing after it may be acknowledged
  int32_t unacked_ PB_GUARDED_BY(mu_) = 0;       // batches whose ack was not handed to the transport
  int32_t ready_acks_ PB_GUARDED_BY(mu_) = 0;    // those of them that are in `ack_`
  v1::PushStreamResponse ack_ PB_GUARDED_BY(mu_);
  std::array<int64_t, kRefusalReasonCount> ack_counts_ PB_GUARDED_BY(mu_){};
  int64_t acked_sequence_ PB_GUARDED_BY(mu_) = 0;
  int64_t commit_sequence_ PB_GUARDED_BY(mu_) = 0;
};

}  // namespace pulseboard
