#include <grpcpp/grpcpp.h>

#include <memory>

#include "common/wire/status.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "server/ingest/intake.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/push_stream.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

// PushStream is a raw method: gRPC would take a message that does not parse for the end of the stream.
using IngestBase = v1::IngestService::WithRawCallbackMethod_PushStream<
    v1::IngestService::WithCallbackMethod_Push<v1::IngestService::Service>>;

class IngestService final : public IngestBase {
 public:
  IngestService(const Authenticator& authenticator, Intake& intake, StreamRegistry& streams)
      : authenticator_(authenticator), intake_(intake), streams_(streams) {}

  grpc::ServerUnaryReactor* Push(grpc::CallbackServerContext* context, const v1::PushRequest* request,
                                 v1::PushResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto principal = authenticator_.Authenticate(*context, Right::kPush);
    if (!principal.ok()) {
      reactor->Finish(ToGrpcStatus(principal.status()));
      return reactor;
    }
    const auto done = [reactor, response](const absl::StatusOr<PushReceipt>& receipt) {
      if (receipt.ok()) ToProto(*receipt, response);
      reactor->Finish(ToGrpcStatus(receipt.status()));
    };
    const absl::StatusOr<PushBatch> batch = FromProto(*request);
    const absl::Status status = batch.ok() ? intake_.Push(principal->tenant, *batch, done) : batch.status();
    if (!status.ok()) reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* PushStream(
      grpc::CallbackServerContext* context) override {
    return PushStreamReactor::Start(context, authenticator_, intake_, streams_, ticker_);
  }

 private:
  const Authenticator& authenticator_;
  Intake& intake_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIngestService(const Authenticator& authenticator, Intake& intake,
                                                 StreamRegistry& streams) {
  return std::make_unique<IngestService>(authenticator, intake, streams);
}

}  // namespace pulseboard
