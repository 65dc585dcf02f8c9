// FollowingStream: a call that sends what is added to a log of rows. It reads on from its position whenever there is
// news and the last message is written, so it has no queue, and a slow one misses nothing.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {

// Thread-safe; owns itself from Own() until OnDone. The log is called without the stream's mutex held.
template <typename Response>
class FollowingStream : public grpc::ServerWriteReactor<Response>,
                        public Drainable,
                        public TickingStream,
                        public std::enable_shared_from_this<FollowingStream<Response>> {
 public:
  void Drain(const absl::Status& status, bool hard) override {
    if (hard) guard_.Cancel();
    End(status);
  }
  void Tick() override {
    guard_.CancelIfStuck();
    if (const absl::Status session = guard_.CheckSession(); !session.ok()) End(session);
    {
      MutexLock lock(&mu_);
      if (++quiet_ticks_ >= kTicksPerHeartbeat) heartbeat_ = true;
    }
    Advance();  // also when a read was turned away
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the viewer is gone"));
    {
      MutexLock lock(&mu_);
      writing_ = false;
    }
    Advance();
  }
  void OnCancel() override { End(absl::CancelledError("the viewer cancelled")); }
  void OnDone() override {
    guard_.Forget();
    if (begun_) {
      ticker_.Remove(ticker_id_);
      streams_.Remove(registry_id_);
      Unfollow();
    }
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 protected:
  // All outlive the call.
  FollowingStream(grpc::CallbackServerContext* context, const Authenticator& authenticator, StreamRegistry& streams,
                  StreamTicker& ticker)
      : streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kRead) {}

  void Own(std::shared_ptr<FollowingStream> self) { self_ = std::move(self); }
  // Once it follows its log: OnDone will Unfollow.
  void Begin() {
    begun_ = true;
    ticker_id_ = ticker_.Add(this->weak_from_this());
    registry_id_ = streams_.Add(this->weak_from_this());
    Advance();
  }
  // The log has more, perhaps.
  void NoteNews() {
    {
      MutexLock lock(&mu_);
      news_ = true;
    }
    Advance();
  }
  void End(const absl::Status& status) {
    MutexLock lock(&mu_);
    if (std::exchange(finished_, true)) return;
    guard_.NoteFinished();
    this->Finish(ToGrpcStatus(status));
  }

  // Runs `job` where the disk may be read; false when it never will: the next tick tries again.
  virtual bool RunRead(std::function<void()> job) = 0;
  // Adds the rows after the position to `response` and moves the position behind those that were looked at; false when
  // there were none to send. Never called while another call of it, or a write of its last response, is under way.
  virtual absl::StatusOr<bool> ReadRows(Response* response, bool* more) = 0;
  // Says in `response` where it is; alone it is a heartbeat.
  virtual void PutPosition(Response* response) = 0;
  virtual void Unfollow() = 0;

 private:
  static constexpr int kTicksPerHeartbeat = 5;  // of a second

  // Reads when there is news, else sends a heartbeat when one is due.
  void Advance() {
    {
      MutexLock lock(&mu_);
      if (finished_ || writing_ || reading_) return;
      if (!news_) {
        if (heartbeat_) WriteLocked({});
        return;
      }
      news_ = false;
      reading_ = true;
    }
    if (RunRead([self = this->shared_from_this()] { self->ReadOn(); })) return;
    MutexLock lock(&mu_);
    reading_ = false;
    news_ = true;
  }
  void ReadOn() {
    bool more = false;
    Response rows;
    const absl::StatusOr<bool> any = ReadRows(&rows, &more);
    if (!any.ok()) return End(any.status());
    {
      MutexLock lock(&mu_);
      reading_ = false;
      if (more) news_ = true;
      if (!finished_ && *any) WriteLocked(std::move(rows));
    }
    Advance();
  }
  void WriteLocked(Response rows) PB_REQUIRES(mu_) {
    response_ = std::move(rows);
    PutPosition(&response_);
    heartbeat_ = false;
    quiet_ticks_ = 0;
    writing_ = true;
    this->StartWrite(&response_);
  }

  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  bool begun_ = false;  // false: the call was refused
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  std::shared_ptr<FollowingStream> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  bool reading_ PB_GUARDED_BY(mu_) = false;
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool news_ PB_GUARDED_BY(mu_) = true;       // perhaps, since the position
  bool heartbeat_ PB_GUARDED_BY(mu_) = true;  // the first one tells the position
  int quiet_ticks_ PB_GUARDED_BY(mu_) = 0;
  Response response_ PB_GUARDED_BY(mu_);  // the one on its way
};

}  // namespace pulseboard
