// ImportReactor: one TransferService.Import call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/mutex.h"
#include "pulseboard/v1/transfer.pb.h"
#include "server/rpc/retry_alarm.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"
#include "server/transfer/importer.h"

namespace pulseboard {

// Reads a message while the one before is parsed on the importer's pool, where batches are handed to the intake, too.
// As with PushStream nothing more is parsed while `max_unacked_batches` wait for their commit or the store has no room,
// and so nothing more is read: flow control slows the client. Messages arrive as bytes for the same reason as there.
//
// However the call ends, what is in work is told first, unless the peer is gone. Thread-safe; owns itself until OnDone
// and the last commit.
class ImportReactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                            public Drainable,
                            public TickingStream,
                            public std::enable_shared_from_this<ImportReactor> {
 public:
  // The arguments outlive the call.
  static ImportReactor* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator,
                              Importer& importer, StreamRegistry& streams, StreamTicker& ticker);

  void Drain(const absl::Status& status, bool hard) override;
  void Tick() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  ImportReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, Importer& importer,
                StreamRegistry& streams, StreamTicker& ticker);

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
  void WriteLocked() PB_REQUIRES(mu_);
  // Reads, writes, works or finishes, whatever is due.
  void AdvanceLocked() PB_REQUIRES(mu_);
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_);
  void FinishLocked(const absl::Status& status) PB_REQUIRES(mu_);

  Importer& importer_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  TenantId tenant_ = 0;
  bool admitted_ = false;
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<ImportReactor> self_;
  grpc::ByteBuffer received_;  // belongs to the read in flight, then to `has_message_`

  // The pool job's.
  std::unique_ptr<ImportSession> session_;
  v1::ImportRequest request_;
  std::shared_ptr<ImportBatch> batch_;  // full, not handed over yet
  bool text_over_ = false;
  RetryAlarm retry_;

  Mutex mu_;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool has_message_ PB_GUARDED_BY(mu_) = false;
  bool half_closed_ PB_GUARDED_BY(mu_) = false;  // the client will send no more
  bool working_ PB_GUARDED_BY(mu_) = false;      // a job waits or runs
  bool woken_ PB_GUARDED_BY(mu_) = true;         // something happened since the job last found nothing to do
  bool retry_waits_ PB_GUARDED_BY(mu_) = false;  // the store had no room
  bool all_submitted_ PB_GUARDED_BY(mu_) = false;
  bool frozen_ PB_GUARDED_BY(mu_) = false;  // a batch failed: nothing after it may be told as committed
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> ending_ PB_GUARDED_BY(mu_);
  int32_t uncommitted_ PB_GUARDED_BY(mu_) = 0;
  std::vector<std::shared_ptr<ImportBatch>> done_batches_ PB_GUARDED_BY(mu_);

  std::optional<ImportTally> tally_ PB_GUARDED_BY(mu_);  // once there is a session
  bool write_in_flight_ PB_GUARDED_BY(mu_) = false;
  bool started_told_ PB_GUARDED_BY(mu_) = false;
  bool summary_told_ PB_GUARDED_BY(mu_) = false;
  bool progress_ PB_GUARDED_BY(mu_) = false;  // there is some that was not told
  std::chrono::steady_clock::time_point progress_told_at_ PB_GUARDED_BY(mu_);
  v1::ImportResponse writing_ PB_GUARDED_BY(mu_);
  grpc::ByteBuffer written_ PB_GUARDED_BY(mu_);  // `writing_` as bytes, until OnWriteDone
};

}  // namespace pulseboard
