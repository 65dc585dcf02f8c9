#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"
#include "common/wire/status.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.grpc.pb.h"
#include "server/ingest/intake.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/otlp_wire.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

// Requests that wait for a thread; beyond, clients are told to come again.
constexpr size_t kMaxQueuedExports = 64;
constexpr int kThreads = 1;

// One Export: its batches are under way at once, and it is answered when the last one is done. Thread-safe.
class ExportCall : public std::enable_shared_from_this<ExportCall> {
 public:
  ExportCall(TenantId tenant, PointHistory* history, grpc::ServerUnaryReactor* reactor,
             otlp::ExportMetricsServiceResponse* response)
      : tenant_(tenant), reactor_(reactor), response_(response), points_(tenant, history) {}

  // On a thread that may read from disk.
  void Run(Intake& intake, const otlp::ExportMetricsServiceRequest& request) {
    size_t batches = 0;
    {
      MutexLock lock(&mu_);
      FromProto(request, intake.options().otlp_resource_labels, &points_);
      batches = points_.batches().size();
      pending_ = batches + 1;  // one for this
    }
    for (size_t i = 0; i < batches; ++i) {
      const absl::Status status = intake.Push(
          tenant_, BatchOf(i),
          [self = shared_from_this(), i](const absl::StatusOr<PushReceipt>& receipt) { self->Done(i, receipt); });
      if (!status.ok()) Done(i, status);
    }
    MutexLock lock(&mu_);
    FinishIfLastLocked();
  }

 private:
  // Batches do not change while they are under way.
  const PushBatch& BatchOf(size_t i) {
    MutexLock lock(&mu_);
    return points_.batches()[i];
  }
  void Done(size_t batch, const absl::StatusOr<PushReceipt>& receipt) {
    MutexLock lock(&mu_);
    if (receipt.ok()) {
      points_.NoteRefusals(batch, receipt->refusals);
    } else if (HasReason(receipt.status(), ErrorReason::kSeriesLimit)) {
      points_.NoteAllRefused(batch, StatusMessage(receipt.status()));  // of this batch, others may have been taken
    } else {
      status_.Update(receipt.status());
    }
    FinishIfLastLocked();
  }
  void FinishIfLastLocked() PB_REQUIRES(mu_) {
    if (--pending_ > 0) return;
    if (status_.ok() && points_.refused_points() > 0) {
      response_->mutable_partial_success()->set_rejected_data_points(points_.refused_points());
      response_->mutable_partial_success()->set_error_message(points_.messages());
    }
    reactor_->Finish(ToGrpcStatus(status_));
  }

  const TenantId tenant_;
  grpc::ServerUnaryReactor* const reactor_;
  otlp::ExportMetricsServiceResponse* const response_;
  Mutex mu_;
  OtlpPoints points_ PB_GUARDED_BY(mu_);
  size_t pending_ PB_GUARDED_BY(mu_) = 0;
  absl::Status status_ PB_GUARDED_BY(mu_);
};

class MetricsService final : public otlp::MetricsService::CallbackService {
 public:
  MetricsService(const Authenticator& authenticator, Intake& intake)
      : authenticator_(authenticator), intake_(intake), pool_(kThreads, kMaxQueuedExports) {}

  grpc::ServerUnaryReactor* Export(grpc::CallbackServerContext* context,
                                   const otlp::ExportMetricsServiceRequest* request,
                                   otlp::ExportMetricsServiceResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (const absl::Status status = Begin(*context, request, response, reactor); !status.ok()) {
      reactor->Finish(ToGrpcStatus(status));
    }
    return reactor;
  }

 private:
  absl::Status Begin(const grpc::CallbackServerContext& context, const otlp::ExportMetricsServiceRequest* request,
                     otlp::ExportMetricsServiceResponse* response, grpc::ServerUnaryReactor* reactor) {
    PB_ASSIGN_OR_RETURN(const Principal principal, authenticator_.Authenticate(context, Right::kPush));
    // Request and response live until the call is finished.
    auto call = std::make_shared<ExportCall>(principal.tenant, &history_, reactor, response);
    const bool queued = pool_.TrySubmit([this, call, request] { call->Run(intake_, *request); });
    if (queued) return absl::OkStatus();
    const std::string limit = std::to_string(kMaxQueuedExports);
    return WithRetryAfterMs(
        MakeError(ErrorReason::kIngestBacklogFull, limit + " OTLP requests are waiting, the most this server keeps",
                  {{"limit", limit}}),
        intake_.options().backlog_retry_ms);
  }

  const Authenticator& authenticator_;
  Intake& intake_;
  PointHistory history_;
  WorkerPool pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeMetricsService(const Authenticator& authenticator, Intake& intake) {
  return std::make_unique<MetricsService>(authenticator, intake);
}

}  // namespace pulseboard
