#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <memory>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "server/live/hub.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/live_wire.h"
#include "server/rpc/services.h"
#include "server/rpc/stream_guard.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {
namespace {

struct LiveCallContext {
  const Authenticator& authenticator;
  Hub& hub;
  StreamRegistry& streams;
  StreamTicker& ticker;
};

// One call with a subscription: hands each event to the transport and asks for the next one when it is written. `Base`
// is gRPC's reactor. Thread-safe; owns itself until OnDone. The hub is called without `mu_` held.
template <typename Base>
class LiveReactor : public Base,
                    public LiveSink,
                    public Drainable,
                    public TickingStream,
                    public std::enable_shared_from_this<LiveReactor<Base>> {
 public:
  void Offer(LiveEvent event) override {
    grpc::ByteBuffer bytes = EncodeEvent(event, context_.hub.options().clock->NowUnixNanos());
    MutexLock lock(&mu_);
    if (finished_) return;
    response_.Swap(&bytes);
    this->StartWrite(&response_);
  }

  void End(const absl::Status& status) override {
    MutexLock lock(&mu_);
    if (std::exchange(finished_, true)) return;
    guard_.NoteFinished();
    this->Finish(ToGrpcStatus(status));
  }

  void Drain(const absl::Status& status, bool hard) override {
    const auto subscription = this->subscription();
    if (hard) guard_.Cancel();
    if (hard || subscription == nullptr) {
      End(status);
    } else {
      subscription->Drain(status);
    }
  }

  void Tick() override {
    guard_.CancelIfStuck();
    if (const absl::Status session = guard_.CheckSession(); !session.ok()) {
      // In the second tick a second has passed, and the last frames could not be sent.
      Drain(session, /*hard=*/false);
      if (std::exchange(session_over_, true)) End(session);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      subscription()->Ready();
    } else {
      End(absl::CancelledError("the viewer is gone"));
    }
  }

  void OnCancel() override { End(absl::CancelledError("the viewer cancelled")); }

  void OnDone() override {
    guard_.Forget();
    context_.ticker.Remove(ticker_id_);
    context_.streams.Remove(registry_id_);
    if (const auto subscription = this->subscription()) subscription->Close();
    const auto keep = std::move(self_);  // last line: may destroy *this
  }

 protected:
  LiveReactor(grpc::CallbackServerContext* call, const LiveCallContext& context)
      : context_(context), guard_(context.authenticator, call, Right::kRead) {}

  // Who calls. Once, before anything else; `self` is kept until OnDone.
  absl::StatusOr<Principal> Begin(const grpc::CallbackServerContext& call, std::shared_ptr<LiveReactor> self) {
    self_ = std::move(self);
    PB_ASSIGN_OR_RETURN(const Principal principal, context_.authenticator.Authenticate(call, Right::kRead));
    ticker_id_ = context_.ticker.Add(this->weak_from_this());
    registry_id_ = context_.streams.Add(this->weak_from_this());
    return principal;
  }

  absl::Status Subscribe(const v1::SubscribeRequest& request, TenantId tenant) {
    PB_ASSIGN_OR_RETURN(SubscriptionSpec spec, FromProto(request, tenant));
    PB_ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                        context_.hub.Subscribe(std::move(spec), this->weak_from_this()));
    bool over = false;
    {
      MutexLock lock(&mu_);
      subscription_ = subscription;
      over = finished_;  // drained meanwhile; OnDone may have come and gone
    }
    if (over) {
      subscription->Close();
    } else {
      subscription->Start();
    }
    return absl::OkStatus();
  }

  // Runs `start`, which starts an operation, unless the call was finished: then none may begin.
  template <typename Start>
  void UnlessFinished(const Start& start) {
    MutexLock lock(&mu_);
    if (!finished_) start();
  }

  std::shared_ptr<Subscription> subscription() {
    MutexLock lock(&mu_);
    return subscription_;
  }

 private:
  const LiveCallContext context_;
  StreamGuard guard_;
  uint64_t registry_id_ = 0;
  uint64_t ticker_id_ = 0;
  bool session_over_ = false;  // the ticker's
  std::shared_ptr<LiveReactor> self_;

  Mutex mu_;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::shared_ptr<Subscription> subscription_ PB_GUARDED_BY(mu_);  // set before the first event, stays
  grpc::ByteBuffer response_ PB_GUARDED_BY(mu_);                   // the one on its way
};

absl::Status DoesNotParse(size_t bytes, const std::string& message) {
  return BadField("request", std::to_string(bytes) + " bytes that do not parse",
                  "a pulseboard.v1." + message + ", its strings in UTF-8,");
}

// LiveService.Subscribe.
class SubscribeReactor final : public LiveReactor<grpc::ServerWriteReactor<grpc::ByteBuffer>> {
 public:
  static SubscribeReactor* Start(grpc::CallbackServerContext* call, const grpc::ByteBuffer& request,
                                 const LiveCallContext& context) {
    auto self = std::shared_ptr<SubscribeReactor>(new SubscribeReactor(call, context));
    if (const absl::Status status = self->Open(*call, request, self); !status.ok()) self->End(status);
    return self.get();
  }

 private:
  using LiveReactor::LiveReactor;

  absl::Status Open(const grpc::CallbackServerContext& call, const grpc::ByteBuffer& bytes,
                    std::shared_ptr<SubscribeReactor> self) {
    PB_ASSIGN_OR_RETURN(const Principal principal, Begin(call, std::move(self)));
    grpc::ByteBuffer received(bytes);
    v1::SubscribeRequest request;
    if (!grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&received, &request).ok()) {
      return DoesNotParse(bytes.Length(), "SubscribeRequest");
    }
    return Subscribe(request, principal.tenant);
  }
};

// LiveService.Attach: reads the subscription, then updates, each when the one before was answered.
class AttachReactor final : public LiveReactor<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>> {
 public:
  static AttachReactor* Start(grpc::CallbackServerContext* call, const LiveCallContext& context) {
    auto self = std::shared_ptr<AttachReactor>(new AttachReactor(call, context));
    const absl::StatusOr<Principal> principal = self->Begin(*call, self);
    if (principal.ok()) {
      self->tenant_ = principal->tenant;
      self->ReadNext();
    } else {
      self->End(principal.status());
    }
    return self.get();
  }

  void Offer(LiveEvent event) override {
    const bool answer = std::holds_alternative<LiveUpdated>(event.what);
    LiveReactor::Offer(std::move(event));
    if (answer) ReadNext();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // half-closed, or broken, which OnCancel tells
      if (subscription() == nullptr) End(BadField("message", "", "subscribe, as the first message,"));
      return;
    }
    if (const absl::Status status = TakeMessage(); !status.ok()) End(status);
  }

 private:
  using LiveReactor::LiveReactor;

  absl::Status TakeMessage() {
    const size_t bytes = received_.Length();
    v1::AttachRequest request;
    if (!grpc::SerializationTraits<v1::AttachRequest>::Deserialize(&received_, &request).ok()) {
      return DoesNotParse(bytes, "AttachRequest");
    }
    const auto subscription = this->subscription();
    if (subscription == nullptr && request.has_subscribe()) {
      PB_RETURN_IF_ERROR(Subscribe(request.subscribe(), tenant_));
      ReadNext();
      return absl::OkStatus();
    }
    if (subscription != nullptr && request.has_update()) {
      return Update(*subscription, request.update());
    }
    return BadField("message",
                    request.has_subscribe() ? "subscribe"
                    : request.has_update()  ? "update"
                                            : "nothing",
                    "subscribe, and then only updates,");
  }

  // An update that makes no sense is answered as one that the hub refuses.
  absl::Status Update(Subscription& subscription, const v1::UpdateQueries& request) {
    auto update = FromProto(request);
    if (update.ok()) {
      subscription.Update(*std::move(update));
    } else {
      subscription.Refuse(request.update_id(), update.status());
    }
    return absl::OkStatus();
  }

  void ReadNext() {
    UnlessFinished([this] { StartRead(&received_); });
  }

  TenantId tenant_ = 0;
  grpc::ByteBuffer received_;  // of the read under way
};

// Raw methods: frames are encoded once and shared by many calls.
using LiveBase = v1::LiveService::WithRawCallbackMethod_Subscribe<
    v1::LiveService::WithRawCallbackMethod_Attach<v1::LiveService::Service>>;

class LiveService final : public LiveBase {
 public:
  LiveService(const Authenticator& authenticator, Hub& hub, StreamRegistry& streams)
      : context_{authenticator, hub, streams, ticker_} {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext* call,
                                                        const grpc::ByteBuffer* request) override {
    return SubscribeReactor::Start(call, *request, context_);
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Attach(grpc::CallbackServerContext* call) override {
    return AttachReactor::Start(call, context_);
  }

 private:
  StreamTicker ticker_;
  const LiveCallContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeLiveService(const Authenticator& authenticator, Hub& hub, StreamRegistry& streams) {
  return std::make_unique<LiveService>(authenticator, hub, streams);
}

}  // namespace pulseboard
