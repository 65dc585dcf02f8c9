#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "server/live/hub.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/services.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {
namespace {

// One LiveService.Subscribe call: hands each event of its subscription to the transport and asks for the next one when
// it is written. Thread-safe; owns itself until OnDone. The hub is called without `mu_` held.
class SubscribeReactor final : public grpc::ServerWriteReactor<v1::SubscribeResponse>,
                               public LiveSink,
                               public Drainable,
                               public TickingStream,
                               public std::enable_shared_from_this<SubscribeReactor> {
 public:
  static SubscribeReactor* Start(grpc::CallbackServerContext* context, const v1::SubscribeRequest& request,
                                 const Authenticator& authenticator, Hub& hub, StreamRegistry& streams,
                                 StreamTicker& ticker) {
    auto self = std::shared_ptr<SubscribeReactor>(new SubscribeReactor(context, authenticator, hub, streams, ticker));
    self->self_ = self;
    if (const absl::Status status = self->Subscribe(*context, request, authenticator); !status.ok()) self->End(status);
    return self.get();
  }

  void Offer(LiveEvent event) override {
    MutexLock lock(&mu_);
    if (finished_) return;
    response_.Clear();
    ToProto(event, hub_.options().clock->NowUnixNanos(), &response_);
    StartWrite(&response_);
  }

  void End(const absl::Status& status) override {
    MutexLock lock(&mu_);
    if (std::exchange(finished_, true)) return;
    guard_.NoteFinished();
    Finish(ToGrpcStatus(status));
  }

  void Drain(const absl::Status& status, bool hard) override {
    if (hard) {
      guard_.Cancel();
      End(status);
    } else {
      subscription_->Drain(status);
    }
  }

  void Tick() override {
    guard_.CancelIfStuck();
    if (const absl::Status session = guard_.CheckSession(); !session.ok()) {
      if (session_over_) End(session);  // a second has passed, and the last frames could not be sent
      session_over_ = true;
      subscription_->Drain(session);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      subscription_->Ready();
    } else {
      End(absl::CancelledError("the viewer is gone"));
    }
  }

  void OnCancel() override { End(absl::CancelledError("the viewer cancelled")); }

  void OnDone() override {
    guard_.Forget();
    if (subscription_ != nullptr) {
      ticker_.Remove(ticker_id_);
      streams_.Remove(registry_id_);
      subscription_->Close();
    }
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 private:
  SubscribeReactor(grpc::CallbackServerContext* context, const Authenticator& authenticator, Hub& hub,
                   StreamRegistry& streams, StreamTicker& ticker)
      : hub_(hub), streams_(streams), ticker_(ticker), guard_(authenticator, context, Right::kRead) {}

  absl::Status Subscribe(const grpc::CallbackServerContext& context, const v1::SubscribeRequest& request,
                         const Authenticator& authenticator) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator.Authenticate(context, Right::kRead));
    PB_ASSIGN_OR_RETURN(SubscriptionSpec spec, FromProto(request, principal.tenant));
    PB_ASSIGN_OR_RETURN(subscription_, hub_.Subscribe(std::move(spec), weak_from_this()));
    ticker_id_ = ticker_.Add(weak_from_this());
    registry_id_ = streams_.Add(weak_from_this());
    subscription_->Start();
    return absl::OkStatus();
  }

  Hub& hub_;
  StreamRegistry& streams_;
  StreamTicker& ticker_;
  StreamGuard guard_;
  std::shared_ptr<Subscription> subscription_;  // set before the first event; null when the call was refused
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  bool session_over_ = false;  // the ticker's
  std::shared_ptr<SubscribeReactor> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  v1::SubscribeResponse response_ PB_GUARDED_BY(mu_);  // the one on its way
};

class LiveService final : public v1::LiveService::CallbackService {
 public:
  LiveService(const Authenticator& authenticator, Hub& hub, StreamRegistry& streams)
      : authenticator_(authenticator), hub_(hub), streams_(streams) {}

  grpc::ServerWriteReactor<v1::SubscribeResponse>* Subscribe(grpc::CallbackServerContext* context,
                                                             const v1::SubscribeRequest* request) override {
    return SubscribeReactor::Start(context, *request, authenticator_, hub_, streams_, ticker_);
  }

 private:
  const Authenticator& authenticator_;
  Hub& hub_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeLiveService(const Authenticator& authenticator, Hub& hub, StreamRegistry& streams) {
  return std::make_unique<LiveService>(authenticator, hub, streams);
}

}  // namespace pulseboard
