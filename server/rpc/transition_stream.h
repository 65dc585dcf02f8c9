// TransitionStream: one WatchTransitions call.
#pragma once

#include <functional>
#include <memory>

#include "pulseboard/v1/alert.pb.h"
#include "server/alert/alert_ledger.h"
#include "server/rpc/following_stream.h"

namespace pulseboard {

// Runs a job that reads the disk; false when it never will.
using RunReads = std::function<bool(std::function<void()>)>;

// Thread-safe; owns itself until OnDone.
class TransitionStream final : public FollowingStream<v1::WatchTransitionsResponse>, public LedgerFollower {
 public:
  static TransitionStream* Start(grpc::CallbackServerContext* context, const v1::WatchTransitionsRequest& request,
                                 const Authenticator& authenticator, AlertLedger& ledger, StreamRegistry& streams,
                                 StreamTicker& ticker, RunReads run);

  void OnLedger() override { NoteNews(); }

 private:
  TransitionStream(grpc::CallbackServerContext* context, const Authenticator& authenticator, AlertLedger& ledger,
                   StreamRegistry& streams, StreamTicker& ticker, RunReads run)
      : FollowingStream(context, authenticator, streams, ticker), ledger_(ledger), run_(std::move(run)) {}

  absl::Status Watch(const grpc::CallbackServerContext& context, const v1::WatchTransitionsRequest& request,
                     const Authenticator& authenticator);
  bool RunRead(std::function<void()> job) override { return run_(std::move(job)); }
  absl::StatusOr<bool> ReadRows(v1::WatchTransitionsResponse* response, bool* more) override;
  void PutPosition(v1::WatchTransitionsResponse* response) override { response->set_next_sequence(position_); }
  void Unfollow() override { ledger_.Unfollow(follower_id_); }

  AlertLedger& ledger_;
  const RunReads run_;
  TenantId tenant_ = 0;
  LedgerFilter filter_;
  uint64_t follower_id_ = 0;
  int64_t position_ = 0;  // of whoever reads or writes
};

}  // namespace pulseboard
