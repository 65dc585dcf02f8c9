// OperationStream: a call whose long work runs on a worker thread and tells of its progress as messages.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"
#include "common/wire/status.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// RESOURCE_EXHAUSTED/STORAGE_BUSY: no worker is free.
inline absl::Status NoWorkerFree() {
  return WithRetryAfterMs(MakeError(ErrorReason::kStorageBusy, "other work on the store is under way"), 1000);
}

// The call ends when its work does: a caller that is gone, a session that was ended and a shutdown make Check() fail,
// at which the work is to stop. Thread-safe; owns itself until OnDone.
template <typename Response>
class OperationStream final : public grpc::ServerWriteReactor<Response>,
                              public Drainable,
                              public TickingStream,
                              public std::enable_shared_from_this<OperationStream<Response>> {
 public:
  // Runs on a worker; its status is the call's.
  using Work = std::function<absl::Status(OperationStream&)>;

  // `refused`: not OK ends the call at once. The other arguments outlive the call.
  static OperationStream* Start(grpc::CallbackServerContext* context, const Authenticator& authenticator, Right right,
                                const absl::Status& refused, WorkerPool& pool, StreamRegistry& streams,
                                StreamTicker& ticker, Work work) {
    std::shared_ptr<OperationStream> self(new OperationStream(context, authenticator, right, streams, ticker));
    self->self_ = self;
    absl::Status status = refused;
    if (status.ok()) {
      self->ticker_id_ = ticker.Add(self);
      self->registry_id_ = streams.Add(self);
      const bool queued = pool.TrySubmit([self, work = std::move(work)] {
        const absl::Status alive = self->Check();
        self->End(alive.ok() ? work(*self) : alive);
      });
      if (!queued) status = NoWorkerFree();
    }
    if (!status.ok()) self->End(status);
    return self.get();
  }

  // Why the work has to stop; OK while it may go on.
  absl::Status Check() {
    MutexLock lock(&mu_);
    return stop_;
  }
  // True once a second: time for a message about progress.
  bool WantsProgress() {
    const auto now = std::chrono::steady_clock::now();
    MutexLock lock(&mu_);
    if (now < next_progress_ || !messages_.empty()) return false;
    next_progress_ = now + std::chrono::seconds(1);
    return true;
  }
  // Messages wait in memory for a slow reader: the caller bounds how many it sends.
  void Send(Response message) {
    MutexLock lock(&mu_);
    if (finished_) return;
    messages_.push_back(std::move(message));
    AdvanceLocked();
  }

  void Drain(const absl::Status& status, bool hard) override {
    Stop(status);
    if (hard) guard_.Cancel();
  }
  void Tick() override {
    guard_.CancelIfStuck();
    const absl::Status session = guard_.CheckSession();
    // What was allowed when it began may take longer than an access token lives.
    if (!session.ok() && !HasReason(session, ErrorReason::kTokenExpired)) Stop(session);
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    writing_ = false;
    messages_.pop_front();
    if (!ok && stop_.ok()) stop_ = absl::CancelledError("the reader is gone");
    AdvanceLocked();
  }
  void OnCancel() override { Stop(absl::CancelledError("the caller cancelled")); }
  void OnDone() override {
    guard_.Forget();
    ticker_.Remove(ticker_id_);
    streams_.Remove(registry_id_);
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 private:
  OperationStream(grpc::CallbackServerContext* context, const Authenticator& authenticator, Right right,
                  StreamRegistry& streams, StreamTicker& ticker)
      : streams_(streams), ticker_(ticker), guard_(authenticator, context, right) {}

  void Stop(const absl::Status& why) {
    MutexLock lock(&mu_);
    if (stop_.ok()) stop_ = why;
    AdvanceLocked();
  }
  void End(const absl::Status& status) {
    MutexLock lock(&mu_);
    end_ = status;
    AdvanceLocked();
  }
  void AdvanceLocked() PB_REQUIRES(mu_) {
    if (finished_ || writing_) return;
    const bool unheard = end_ && !stop_.ok();  // nobody waits for what is left
    if (!messages_.empty() && !unheard) {
      writing_ = true;
      this->StartWrite(&messages_.front());
    } else if (end_) {
      finished_ = true;
      guard_.NoteFinished();
      this->Finish(ToGrpcStatus(*end_));
    }
  }

  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  uint64_t registry_id_ = 0;  // ids begin with 1
  uint64_t ticker_id_ = 0;
  std::shared_ptr<OperationStream> self_;

  Mutex mu_;
  absl::Status stop_ PB_GUARDED_BY(mu_);
  std::optional<absl::Status> end_ PB_GUARDED_BY(mu_);  // the work is over
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::chrono::steady_clock::time_point next_progress_ PB_GUARDED_BY(mu_);
  std::deque<Response> messages_ PB_GUARDED_BY(mu_);  // the front one is in flight while writing_
};

}  // namespace pulseboard
