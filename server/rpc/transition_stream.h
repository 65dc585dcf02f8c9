// TransitionStream: one WatchTransitions call. Reads on from its position whenever there is news and the last message
// is written, so it has no queue and a slow one misses nothing.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>

#include "common/base/mutex.h"
#include "pulseboard/v1/alert.pb.h"
#include "server/alert/alert_ledger.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// Runs a job that reads the disk; false when it never will.
using RunReads = std::function<bool(std::function<void()>)>;

// Thread-safe; owns itself until OnDone.
class TransitionStream final : public grpc::ServerWriteReactor<v1::WatchTransitionsResponse>,
                               public LedgerFollower,
                               public Drainable,
                               public TickingStream,
                               public std::enable_shared_from_this<TransitionStream> {
 public:
  static TransitionStream* Start(grpc::CallbackServerContext* context, const v1::WatchTransitionsRequest& request,
                                 const Authenticator& authenticator, AlertLedger& ledger, StreamRegistry& streams,
                                 StreamTicker& ticker, RunReads run);

  void OnLedger() override;
  void Drain(const absl::Status& status, bool hard) override;
  void Tick() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  TransitionStream(grpc::CallbackServerContext* context, const Authenticator& authenticator, AlertLedger& ledger,
                   StreamRegistry& streams, StreamTicker& ticker, RunReads run)
      : ledger_(ledger),
        streams_(streams),
        ticker_(ticker),
        run_(std::move(run)),
        guard_(authenticator, context, Right::kRead) {}

  absl::Status Begin(const grpc::CallbackServerContext& context, const v1::WatchTransitionsRequest& request,
                     const Authenticator& authenticator);
  // Reads when there is news, else sends a heartbeat when one is due.
  void Advance();
  void ReadOn();
  void WriteLocked(const std::vector<AlertTransition>& transitions) PB_REQUIRES(mu_);
  void End(const absl::Status& status);

  AlertLedger& ledger_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  const RunReads run_;
  StreamGuard guard_;
  TenantId tenant_ = 0;
  LedgerFilter filter_;
  uint64_t follower_id_ = 0;  // 0: the call was refused
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<TransitionStream> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool news_ PB_GUARDED_BY(mu_) = true;       // perhaps, since the position
  bool heartbeat_ PB_GUARDED_BY(mu_) = true;  // the first one tells the position
  int quiet_ticks_ PB_GUARDED_BY(mu_) = 0;
  int64_t position_ = 0;                                      // of whoever has set reading_ or writing_
  v1::WatchTransitionsResponse response_ PB_GUARDED_BY(mu_);  // the one on its way
};

}  // namespace pulseboard
