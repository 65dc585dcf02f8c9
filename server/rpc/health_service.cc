#include "server/rpc/health_service.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/wire/status.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/rpc/serving_state.h"
#include "server/rpc/stream_registry.h"

namespace pulseboard {
namespace {

namespace hv1 = grpc::health::v1;
using grpc::CallbackServerContext;

hv1::HealthCheckResponse::ServingStatus ToProto(std::optional<bool> serving) {
  if (!serving) return hv1::HealthCheckResponse::SERVICE_UNKNOWN;
  return *serving ? hv1::HealthCheckResponse::SERVING : hv1::HealthCheckResponse::NOT_SERVING;
}

// One Watch call. Sends the present state and then each other one; states passed through while a write was under way
// are left out. Owned by itself until OnDone; watcher and registry hold it weakly.
class WatchCall final : public grpc::ServerWriteReactor<hv1::HealthCheckResponse>, public Drainable {
 public:
  static WatchCall* Start(CallbackServerContext* context, ServingState& state, StreamRegistry& streams,
                          std::string service) {
    std::shared_ptr<WatchCall> call(new WatchCall(context, state, streams, std::move(service)));
    {
      MutexLock lock(&call->mu_);
      call->self_ = call;
    }
    const std::weak_ptr<WatchCall> weak = call;
    const uint64_t watch_id = state.Watch([weak] {
      if (auto living = weak.lock()) living->Send();
    });
    {
      MutexLock lock(&call->mu_);
      call->watch_id_ = watch_id;
    }
    call->stream_id_ = streams.Add(weak);
    call->Send();
    return call.get();
  }

  void Drain(const absl::Status& status, bool hard) override {
    MutexLock lock(&mu_);
    if (hard && context_ != nullptr) context_->TryCancel();
    last_status_ = ToGrpcStatus(status);
    PumpLocked();
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) FinishLocked(grpc::Status::CANCELLED);
    PumpLocked();
  }
  void OnCancel() override {
    MutexLock lock(&mu_);
    FinishLocked(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    streams_.Remove(stream_id_);
    std::shared_ptr<WatchCall> last;  // goes after the lock: it may destroy *this
    {
      MutexLock lock(&mu_);
      state_.Unwatch(watch_id_);
      context_ = nullptr;
      last = std::move(self_);
    }
  }

 private:
  WatchCall(CallbackServerContext* context, ServingState& state, StreamRegistry& streams, std::string service)
      : state_(state), streams_(streams), service_(std::move(service)), context_(context) {}

  void Send() {
    MutexLock lock(&mu_);
    PumpLocked();
  }
  void PumpLocked() PB_REQUIRES(mu_) {
    if (finished_ || writing_) return;
    const auto now = ToProto(state_.IsServing(service_));
    if (sent_ == now) {
      if (last_status_) FinishLocked(*last_status_);
      return;
    }
    sent_ = now;
    writing_ = true;
    response_.set_status(now);
    StartWrite(&response_);
  }
  void FinishLocked(const grpc::Status& status) PB_REQUIRES(mu_) {
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

  ServingState& state_;
  StreamRegistry& streams_;
  const std::string service_;
  uint64_t stream_id_ = 0;
  Mutex mu_;
  CallbackServerContext* context_ PB_GUARDED_BY(mu_);
  uint64_t watch_id_ PB_GUARDED_BY(mu_) = 0;
  std::shared_ptr<WatchCall> self_ PB_GUARDED_BY(mu_);
  bool writing_ PB_GUARDED_BY(mu_) = false;
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::optional<grpc::Status> last_status_ PB_GUARDED_BY(mu_);  // set: end with it once the present state is sent
  std::optional<hv1::HealthCheckResponse::ServingStatus> sent_ PB_GUARDED_BY(mu_);
  hv1::HealthCheckResponse response_ PB_GUARDED_BY(mu_);
};

class HealthService final : public hv1::Health::CallbackService {
 public:
  HealthService(ServingState& state, StreamRegistry& streams) : state_(state), streams_(streams) {}

  grpc::ServerUnaryReactor* Check(CallbackServerContext* context, const hv1::HealthCheckRequest* request,
                                  hv1::HealthCheckResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const std::optional<bool> serving = state_.IsServing(request->service());
    response->set_status(ToProto(serving));
    reactor->Finish(serving ? grpc::Status::OK : grpc::Status(grpc::StatusCode::NOT_FOUND, "unknown service"));
    return reactor;
  }
  grpc::ServerWriteReactor<hv1::HealthCheckResponse>* Watch(CallbackServerContext* context,
                                                            const hv1::HealthCheckRequest* request) override {
    return WatchCall::Start(context, state_, streams_, request->service());
  }
  grpc::ServerUnaryReactor* List(CallbackServerContext* context, const hv1::HealthListRequest*,
                                 hv1::HealthListResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    (*response->mutable_statuses())[""].set_status(ToProto(state_.IsServing("")));
    for (const std::string& service : state_.Services()) {
      (*response->mutable_statuses())[service].set_status(ToProto(state_.IsServing(service)));
    }
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  ServingState& state_;
  StreamRegistry& streams_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHealthService(ServingState& state, StreamRegistry& streams) {
  return std::make_unique<HealthService>(state, streams);
}

}  // namespace pulseboard
