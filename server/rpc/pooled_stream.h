// PooledStreamReactor: a server-streamed answer that is read on the query engine's pool.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "server/query/query_engine.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// Reads the messages of a piece on the pool, writes them one by one, and only then reads the next piece: a slow reader
// holds one piece. Thread-safe; owns itself until OnDone.
template <typename Response>
class PooledStreamReactor : public grpc::ServerWriteReactor<Response>,
                            public Drainable,
                            public TickingStream,
                            public std::enable_shared_from_this<PooledStreamReactor<Response>> {
 public:
  void Drain(const absl::Status& status, bool hard) override {
    if (hard) guard_.Cancel();
    End(status);
  }
  void Tick() override {
    guard_.CancelIfStuck();
    if (const absl::Status session = guard_.CheckSession(); !session.ok()) End(session);
    // A reader that takes nothing keeps a view and a place: its time runs out as well.
    if (const absl::Status alive = CheckAlive(); !alive.ok()) End(alive);
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    write_in_flight_ = false;
    messages_.pop_front();
    if (!ok) {
      EndLocked(absl::CancelledError("the reader is gone"));
    } else {
      AdvanceLocked();
    }
  }
  void OnCancel() override { End(absl::CancelledError("the reader cancelled")); }
  void OnDone() override {
    guard_.Forget();
    if (registered_) {
      ticker_.Remove(ticker_id_);
      streams_.Remove(registry_id_);
      MutexLock lock(&mu_);
      // A view that waited for a slow reader is let go of on the pool.
      if (holds_view_ && !reading_) reading_ = ticket_->Run([self = this->shared_from_this()] { self->ReleaseView(); });
    }
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 protected:
  // The arguments outlive the call.
  PooledStreamReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, QueryEngine& engine,
                      StreamRegistry& streams, StreamTicker& ticker)
      : engine_(engine), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kRead) {}

  // On the pool: the messages of the next piece; `last` when there are no more after it.
  virtual absl::Status ReadMessages(std::deque<Response>* out, bool* last) = 0;
  // On the RPC thread, first of all: all messages of a short answer, or why there is none. False: they are to be read
  // on the pool, as if nothing had happened. See QueryEngine::Ticket::TryHere.
  virtual bool ReadHere(QueryHere* /*here*/, std::deque<Response>* /*out*/, absl::Status* /*status*/) { return false; }
  // On the pool, after the last ReadMessages.
  virtual void ReleaseView() = 0;
  // Not OK once the call's time is up.
  virtual absl::Status CheckAlive() const = 0;

  // Fits what every client takes without reading.
  static constexpr size_t kSmallAnswerBytes = 32 << 10;

  // To be called once, right after construction: keeps the reactor alive and begins to read, or ends the call.
  // `admit` checks the request and says whose it is.
  template <typename Admit>
  void Begin(Admit&& admit) {
    self_ = this->shared_from_this();
    const absl::StatusOr<TenantId> tenant = admit();
    const absl::Status status = tenant.ok() ? TakeTicket(*tenant) : tenant.status();
    if (!status.ok()) End(status);
  }
  std::shared_ptr<const Cancellation> cancellation() const { return cancellation_; }
  QueryEngine& engine() const { return engine_; }
  // Of the ticket: for ReadMessages.
  std::shared_ptr<QueryUsage::Call> usage() const { return ticket_->usage(); }

 private:
  static bool IsSmall(const std::deque<Response>& messages) {
    size_t bytes = 0;
    for (const Response& message : messages) bytes += message.ByteSizeLong();
    return bytes < kSmallAnswerBytes;
  }
  static absl::Status ShuttingDown() {
    return MakeError(ErrorReason::kShuttingDown, "the server is shutting down; ask again");
  }
  absl::Status TakeTicket(TenantId tenant) {
    PB_ASSIGN_OR_RETURN(ticket_, engine_.Admit(tenant));
    {
      MutexLock lock(&mu_);
      reading_ = true;  // keeps the ticket, whoever may end the call from here on
    }
    ticker_id_ = ticker_.Add(this->weak_from_this());
    registry_id_ = streams_.Add(this->weak_from_this());
    registered_ = true;
    std::deque<Response> messages;
    absl::Status status;
    const bool read = ticket_->TryHere([&](QueryHere* here) { return ReadHere(here, &messages, &status); });
    MutexLock lock(&mu_);
    reading_ = false;
    if (read) {
      TakePieceLocked(status, std::move(messages), /*last=*/true);
    } else {
      RequestPieceLocked();
    }
    return absl::OkStatus();
  }
  void RequestPieceLocked() PB_REQUIRES(mu_) {
    if (finished_ || reading_) return;
    holds_view_ = true;
    reading_ = ticket_->Run([self = this->shared_from_this()] { self->ReadPiece(); });
    if (!reading_) EndLocked(ShuttingDown());
  }
  void ReadPiece() {
    std::deque<Response> messages;
    bool last = false;
    const absl::Status status = ReadMessages(&messages, &last);
    bool over = false;
    {
      MutexLock lock(&mu_);
      reading_ = false;
      TakePieceLocked(status, std::move(messages), last);
      over = finished_ || last_piece_read_;
      if (over) holds_view_ = false;
    }
    if (over) ReleaseView();  // here, not on an RPC thread
  }
  void TakePieceLocked(const absl::Status& status, std::deque<Response> messages, bool last) PB_REQUIRES(mu_) {
    if (!status.ok()) return EndLocked(status);
    if (finished_) return;
    messages_ = std::move(messages);
    last_piece_read_ = last;
    is_small_ = last && !written_any_ && IsSmall(messages_);
    AdvanceLocked();
  }
  void AdvanceLocked() PB_REQUIRES(mu_) {
    if (finished_ || write_in_flight_ || reading_) return;
    if (!messages_.empty()) {
      write_in_flight_ = true;
      // What follows at once, a message or the status, takes it along: two sends for a small answer. Not the first one,
      // which ends only when the metadata before it was sent; and before the status nothing that a reader who takes his
      // time may not have room for.
      grpc::WriteOptions options;
      const bool followed = messages_.size() > 1 || (last_piece_read_ && is_small_);
      if (std::exchange(written_any_, true) && followed) options.set_buffer_hint();
      if (last_piece_read_ && is_small_ && messages_.size() == 1) {
        // The status goes along at once; EndLocked without a call of its own.
        finished_ = true;
        cancellation_->Cancel();
        guard_.NoteFinished();
        LeaveLocked();
        this->StartWriteAndFinish(&messages_.front(), options, grpc::Status::OK);
        return;
      }
      this->StartWrite(&messages_.front(), options);
    } else if (last_piece_read_) {
      EndLocked(absl::OkStatus());
    } else {
      RequestPieceLocked();
    }
  }
  void End(const absl::Status& status) {
    MutexLock lock(&mu_);
    EndLocked(status);
  }
  void EndLocked(const absl::Status& status) PB_REQUIRES(mu_) {
    if (std::exchange(finished_, true)) return;
    cancellation_->Cancel();
    guard_.NoteFinished();
    LeaveLocked();
    this->Finish(ToGrpcStatus(status));
  }
  // With nothing left to do its place is free at once: the peer may ask again before OnDone.
  void LeaveLocked() PB_REQUIRES(mu_) {
    if (!holds_view_ && !reading_) ticket_ = nullptr;
  }

  QueryEngine& engine_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  std::shared_ptr<QueryEngine::Ticket> ticket_;  // null when the call was refused, or has nothing left to do
  bool registered_ = false;
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<PooledStreamReactor> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool holds_view_ PB_GUARDED_BY(mu_) = false;  // or may: something was read for it on the pool, and there is more
  bool write_in_flight_ PB_GUARDED_BY(mu_) = false;
  bool last_piece_read_ PB_GUARDED_BY(mu_) = false;
  bool written_any_ PB_GUARDED_BY(mu_) = false;
  bool is_small_ PB_GUARDED_BY(mu_) = false;          // the whole answer is one small piece
  std::deque<Response> messages_ PB_GUARDED_BY(mu_);  // of the current piece; the front one is in flight
};

}  // namespace pulseboard
