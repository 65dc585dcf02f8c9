#include <grpcpp/grpcpp.h>

#include <memory>

#include "pulseboard/v1/transfer.grpc.pb.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/export_stream.h"
#include "server/rpc/import_stream.h"
#include "server/rpc/services.h"

namespace pulseboard {
namespace {

// Import is a raw method: gRPC would take a message that does not parse for the end of the stream.
using TransferBase = v1::TransferService::WithRawCallbackMethod_Import<
    v1::TransferService::WithCallbackMethod_Export<v1::TransferService::Service>>;

class TransferService final : public TransferBase {
 public:
  TransferService(const Authenticator& authenticator, Importer& importer, const Exporter& exporter,
                  StreamRegistry& streams)
      : authenticator_(authenticator), importer_(importer), exporter_(exporter), streams_(streams) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Import(grpc::CallbackServerContext* context) override {
    return ImportReactor::Start(context, authenticator_, importer_, streams_, ticker_);
  }
  grpc::ServerWriteReactor<v1::ExportResponse>* Export(grpc::CallbackServerContext* context,
                                                       const v1::ExportRequest* request) override {
    return ExportReactor::Start(context, *request, authenticator_, exporter_, streams_, ticker_);
  }

 private:
  const Authenticator& authenticator_;
  Importer& importer_;
  const Exporter& exporter_;
  StreamRegistry& streams_;
  StreamTicker ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTransferService(const Authenticator& authenticator, Importer& importer,
                                                   const Exporter& exporter, StreamRegistry& streams) {
  return std::make_unique<TransferService>(authenticator, importer, exporter, streams);
}

}  // namespace pulseboard
