#include "common/client/export_text.h"

#include <grpcpp/grpcpp.h>

#include <future>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/client/channel.h"
#include "common/client/session.h"
#include "common/wire/status.h"
#include "pulseboard/v1/transfer.grpc.pb.h"

namespace pulseboard::client {

absl::StatusOr<v1::ExportSummary> ExportText(const std::shared_ptr<grpc::Channel>& channel, TokenSource& tokens,
                                             const v1::ExportRequest& request,
                                             const std::function<absl::Status(std::string_view)>& sink) {
  std::promise<absl::StatusOr<std::string>> promised;
  tokens.FetchToken("", [&promised](const absl::StatusOr<std::string>& token) { promised.set_value(token); });
  PB_ASSIGN_OR_RETURN(const std::string token, promised.get_future().get());
  grpc::ClientContext context;
  AddBearer(&context, token);
  const auto stub = v1::TransferService::NewStub(channel);
  const auto stream = stub->Export(&context, request);
  std::optional<v1::ExportSummary> summary;
  absl::Status written;
  v1::ExportResponse response;
  while (stream->Read(&response)) {
    if (response.has_summary()) summary = response.summary();
    if (response.has_data() && written.ok()) {
      written = sink(response.data());
      if (!written.ok()) context.TryCancel();
    }
  }
  const absl::Status ended = FromGrpcStatus(stream->Finish());
  PB_RETURN_IF_ERROR(written);
  PB_RETURN_IF_ERROR(ended);
  if (!summary) return absl::DataLossError("the server ended the export without its summary: the text is not complete");
  return *std::move(summary);
}

}  // namespace pulseboard::client
