#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/worker_pool.h"
#include "common/wire/status.h"
#include "pulseboard/v1/storage.grpc.pb.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/operation_stream.h"
#include "server/rpc/services.h"
#include "server/rpc/storage_wire.h"
#include "server/storage/store.h"

namespace pulseboard {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr int kWorkers = 2;  // a long operation, and a look at the status beside it
constexpr size_t kMaxQueuedCalls = 16;
constexpr int64_t kMaxFindingsSent = 1000;
constexpr int32_t kMaxKeptBackups = 100'000;

// One line when an operation begins and one when it ends, with who asked.
class Audit {
 public:
  Audit(const Principal& who, std::string what)
      : user_(who.user_name), tenant_(who.tenant_name), what_(std::move(what)) {
    PB_LOG(Info, "audit", "began {} user={} tenant={}", what_, user_, tenant_);
  }
  void End(const absl::Status& status, const std::string& result) const {
    if (status.ok()) {
      PB_LOG(Info, "audit", "ended {} user={} tenant={} {}", what_, user_, tenant_, result);
    } else {
      PB_LOG(Warning, "audit", "failed {} user={} tenant={} error={}", what_, user_, tenant_, StatusMessage(status));
    }
  }

 private:
  const std::string user_;
  const std::string tenant_;
  const std::string what_;
};

// A watcher that sends findings and progress as the events of `Response`.
template <typename Response>
VerifyWatcher WatchVerification(OperationStream<Response>* stream) {
  VerifyWatcher watch;
  watch.on_progress = [stream](const VerifyProgress& progress) {
    if (stream->WantsProgress()) {
      Response message;
      ToProto(progress, message.mutable_progress());
      stream->Send(std::move(message));
    }
    return stream->Check();
  };
  watch.on_finding = [stream, sent = int64_t{0}](const VerifyFinding& finding) mutable {
    if (sent++ >= kMaxFindingsSent) return;
    Response message;
    ToProto(finding, message.mutable_finding());
    stream->Send(std::move(message));
  };
  return watch;
}

template <typename Response>
absl::Status SendSummary(const absl::StatusOr<VerifySummary>& summary, const Audit& audit,
                         OperationStream<Response>* stream) {
  audit.End(summary.status(), summary.ok() ? "findings=" + std::to_string(summary->findings) : "");
  PB_RETURN_IF_ERROR(summary.status());
  Response message;
  ToProto(*summary, message.mutable_summary());
  stream->Send(std::move(message));
  return absl::OkStatus();
}

class StorageService final : public v1::StorageService::CallbackService {
 public:
  StorageService(const Authenticator& authenticator, const TenantRegistry& tenants, Store& store,
                 StreamRegistry& streams)
      : authenticator_(authenticator),
        tenants_(tenants),
        store_(store),
        operations_(store.operations()),
        streams_(streams),
        pool_(kWorkers, kMaxQueuedCalls) {}

  ServerUnaryReactor* GetStorageStatus(CallbackServerContext* context, const v1::GetStorageStatusRequest* request,
                                       v1::GetStorageStatusResponse* response) override {
    return Run(context, "status", [this, request, response](const Audit& audit, const Principal&) {
      const auto status = operations_.Status(request->count_samples());
      if (status.ok()) ToProto(*status, tenants_, response);
      audit.End(status.status(), "");
      return status.status();
    });
  }

  ServerUnaryReactor* PreviewRetention(CallbackServerContext* context, const v1::PreviewRetentionRequest* request,
                                       v1::PreviewRetentionResponse* response) override {
    return Run(context, "preview of retention",
               [this, request, response](const Audit& audit, const Principal&) -> absl::Status {
                 const auto policy = Apply(*request, tenants_, store_);
                 if (policy.ok()) ToProto(store_.PreviewRetention(*policy), tenants_, response);
                 audit.End(policy.status(), "");
                 return policy.status();
               });
  }

  grpc::ServerWriteReactor<v1::CreateBackupResponse>* CreateBackup(CallbackServerContext* context,
                                                                   const v1::CreateBackupRequest* request) override {
    return Stream<v1::CreateBackupResponse>(
        context, "backup name=" + Printable(request->name()),
        [this, name = request->name()](const Audit& audit, OperationStream<v1::CreateBackupResponse>& stream) {
          const auto made = operations_.CreateBackup(name, [&stream](const BackupProgress& progress) {
            if (stream.WantsProgress()) {
              v1::CreateBackupResponse message;
              ToProto(progress, message.mutable_progress());
              stream.Send(std::move(message));
            }
            return stream.Check();
          });
          audit.End(made.status(), made.ok() ? "made=" + made->name : "");
          PB_RETURN_IF_ERROR(made.status());
          v1::CreateBackupResponse message;
          ToProto(*made, message.mutable_backup());
          stream.Send(std::move(message));
          return absl::OkStatus();
        });
  }

  ServerUnaryReactor* ListBackups(CallbackServerContext* context, const v1::ListBackupsRequest*,
                                  v1::ListBackupsResponse* response) override {
    return Run(context, "list of backups", [this, response](const Audit& audit, const Principal&) {
      const auto list = operations_.ListBackups();
      audit.End(list.status(), "");
      PB_RETURN_IF_ERROR(list.status());
      for (const BackupInfo& backup : list->backups) ToProto(backup, response->add_backups());
      response->set_byte_count(list->bytes);
      return absl::OkStatus();
    });
  }

  ServerUnaryReactor* PruneBackups(CallbackServerContext* context, const v1::PruneBackupsRequest* request,
                                   v1::PruneBackupsResponse* response) override {
    const int32_t keep = request->keep();
    return Run(context, "pruning of backups keep=" + std::to_string(keep),
               [this, keep, response](const Audit& audit, const Principal&) -> absl::Status {
                 if (keep < 1 || keep > kMaxKeptBackups) return BadField("keep", std::to_string(keep), "1 to 100,000");
                 const auto pruned = operations_.PruneBackups(keep);
                 audit.End(pruned.status(), pruned.ok() ? "removed=" + std::to_string(pruned->names.size()) : "");
                 PB_RETURN_IF_ERROR(pruned.status());
                 for (const std::string& name : pruned->names) response->add_removed_names(name);
                 response->set_freed_byte_count(pruned->freed_bytes);
                 return absl::OkStatus();
               });
  }

  grpc::ServerWriteReactor<v1::VerifyBackupResponse>* VerifyBackup(CallbackServerContext* context,
                                                                   const v1::VerifyBackupRequest* request) override {
    return Stream<v1::VerifyBackupResponse>(
        context, "verification of backup name=" + Printable(request->name()),
        [this, name = request->name()](const Audit& audit, OperationStream<v1::VerifyBackupResponse>& stream) {
          return SendSummary(operations_.VerifyBackup(name, WatchVerification(&stream)), audit, &stream);
        });
  }

  grpc::ServerWriteReactor<v1::VerifyStoreResponse>* VerifyStore(CallbackServerContext* context,
                                                                 const v1::VerifyStoreRequest*) override {
    return Stream<v1::VerifyStoreResponse>(
        context, "verification", [this](const Audit& audit, OperationStream<v1::VerifyStoreResponse>& stream) {
          return SendSummary(operations_.Verify(WatchVerification(&stream)), audit, &stream);
        });
  }

  ServerUnaryReactor* DeleteSamples(CallbackServerContext* context, const v1::DeleteSamplesRequest* request,
                                    v1::DeleteSamplesResponse* response) override {
    const std::string what = "deleting selector=" + Printable(request->selector()) +
                             " from=" + std::to_string(request->start_time().seconds()) +
                             " to=" + std::to_string(request->end_time().seconds()) +
                             (request->dry_run() ? " dry_run" : "");
    return Run(context, what, [this, request, response](const Audit& audit, const Principal& who) -> absl::Status {
      PB_ASSIGN_OR_RETURN(const DeleteRequest wanted, FromProto(*request, who.tenant));
      const auto deleted = operations_.Delete(wanted);
      audit.End(deleted.status(), deleted.ok() ? "samples=" + std::to_string(deleted->samples) : "");
      PB_RETURN_IF_ERROR(deleted.status());
      response->set_series_count(deleted->series);
      response->set_sample_count(deleted->samples);
      response->set_commit_sequence(deleted->commit_sequence);
      return absl::OkStatus();
    });
  }

 private:
  using UnaryWork = std::function<absl::Status(const Audit&, const Principal&)>;

  // A unary call whose work runs on the pool; request and response live until it is answered.
  ServerUnaryReactor* Run(CallbackServerContext* context, std::string what, UnaryWork work) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto principal = authenticator_.Authenticate(*context, Right::kManageStorage);
    absl::Status status = principal.status();
    if (status.ok()) {
      const bool queued =
          pool_.TrySubmit([reactor, who = *principal, what = std::move(what), work = std::move(work)]() mutable {
            const Audit audit(who, std::move(what));
            reactor->Finish(ToGrpcStatus(work(audit, who)));
          });
      if (queued) return reactor;
      status = NoWorkerFree();
    }
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  template <typename Response, typename Work>
  OperationStream<Response>* Stream(CallbackServerContext* context, std::string what, Work work) {
    const auto principal = authenticator_.Authenticate(*context, Right::kManageStorage);
    return OperationStream<Response>::Start(context, authenticator_, Right::kManageStorage, principal.status(), pool_,
                                            streams_, ticker_,
                                            [who = principal.ok() ? *principal : Principal(), what = std::move(what),
                                             work = std::move(work)](OperationStream<Response>& stream) {
                                              const Audit audit(who, what);
                                              return work(audit, stream);
                                            });
  }

  const Authenticator& authenticator_;
  const TenantRegistry& tenants_;
  Store& store_;
  StoreOperations& operations_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
  WorkerPool pool_;  // last: its threads use the rest
};

}  // namespace

std::unique_ptr<grpc::Service> MakeStorageService(const Authenticator& authenticator, const TenantRegistry& tenants,
                                                  Store& store, StreamRegistry& streams) {
  return std::make_unique<StorageService>(authenticator, tenants, store, streams);
}

}  // namespace pulseboard
