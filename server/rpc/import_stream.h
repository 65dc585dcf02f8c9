// ImportReactor: one TransferService.Import call.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pulseboard/v1/transfer.pb.h"
#include "server/rpc/bidi_stream.h"
#include "server/rpc/retry_alarm.h"
#include "server/transfer/importer.h"

namespace pulseboard {

// Reads a message while the one before is parsed on the importer's pool, where batches are handed to the intake, too.
// As with PushStream nothing more is parsed while `max_unacked_batches` wait for their commit or the store has no room,
// and so nothing more is read: flow control slows the client.
class ImportReactor final : public BidiStream {
 public:
  // The arguments outlive the call.
  static ImportReactor* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                              Importer& importer, StreamRegistry& streams, StreamTicker& ticker);

 private:
  ImportReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, Importer& importer,
                StreamRegistry& streams, StreamTicker& ticker);

  std::shared_ptr<ImportReactor> Self() { return std::static_pointer_cast<ImportReactor>(shared_from_this()); }

  void OnAdmitted(const Principal& principal) override;
  void OnMessage() override;
  void AdvanceLocked() override PB_REQUIRES(mu_);

  // On the pool, one at a time.
  void Work();
  // One step of it; false when there is nothing to do until something happens.
  absl::StatusOr<bool> Step();
  absl::StatusOr<bool> TakeBatch(bool flush);
  absl::StatusOr<bool> SubmitBatch();
  // The next message, or the end of the text; false when neither is there.
  absl::StatusOr<bool> TakeInput();
  absl::Status TakeMessage(grpc::ByteBuffer* message);
  absl::Status OpenSession(const v1::ImportSpec& spec);
  void OnReceipt(const absl::StatusOr<PushReceipt>& receipt, std::shared_ptr<ImportBatch> batch);

  bool MayWorkLocked() const PB_REQUIRES(mu_);
  bool ProgressDueLocked() const PB_REQUIRES(mu_);
  // Puts the next message into `writing_`, if one is due.
  bool NextMessageLocked() PB_REQUIRES(mu_);
  // AdvanceLocked() when nothing new happened that the job does not know of.
  void ContinueLocked() PB_REQUIRES(mu_);

  Importer& importer_;
  TenantId tenant_ = 0;

  // The pool job's.
  std::unique_ptr<ImportSession> session_;
  v1::ImportRequest request_;
  std::shared_ptr<ImportBatch> batch_;  // full, not handed over yet
  bool text_over_ = false;
  bool broke_off_ = false;  // the messages were over within a line
  RetryAlarm retry_;

  bool working_ PB_GUARDED_BY(mu_) = false;      // a job waits or runs
  bool woken_ PB_GUARDED_BY(mu_) = true;         // something happened since the job last found nothing to do
  bool retry_waits_ PB_GUARDED_BY(mu_) = false;  // the store had no room
  bool all_submitted_ PB_GUARDED_BY(mu_) = false;
  bool frozen_ PB_GUARDED_BY(mu_) = false;  // a batch failed: nothing after it may be told as committed
  int32_t uncommitted_ PB_GUARDED_BY(mu_) = 0;
  std::vector<std::shared_ptr<ImportBatch>> done_batches_ PB_GUARDED_BY(mu_);

  std::optional<ImportTally> tally_ PB_GUARDED_BY(mu_);  // once there is a session
  bool started_told_ PB_GUARDED_BY(mu_) = false;
  bool summary_told_ PB_GUARDED_BY(mu_) = false;
  bool progress_ PB_GUARDED_BY(mu_) = false;  // there is some that was not told
  std::chrono::steady_clock::time_point progress_told_at_ PB_GUARDED_BY(mu_);
  v1::ImportResponse writing_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
