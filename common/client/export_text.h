// ExportText: reads a text from TransferService.Export.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pulseboard/v1/transfer.pb.h"

namespace grpc {
class Channel;
}

namespace pulseboard::client {

class TokenSource;

// Blocks until the text is complete. `sink` takes it piece by piece on the calling thread; an error of it ends the
// export. Without an OK status the text is not complete. Not retried: a text has one view of the store.
absl::StatusOr<v1::ExportSummary> ExportText(const std::shared_ptr<grpc::Channel>& channel, TokenSource& tokens,
                                             const v1::ExportRequest& request,
                                             const std::function<absl::Status(std::string_view)>& sink);

}  // namespace pulseboard::client
