// absl::Status <-> grpc::Status with google.rpc details (ErrorInfo, BadRequest, QuotaFailure, RetryInfo).
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace google::rpc {
class Status;
}

namespace pulseboard {

// A status made by common/base/errors.h becomes code + message + google.rpc.Status details; any other gets
// INTERNAL-free treatment: its code is kept and ErrorInfo says INTERNAL.
grpc::Status ToGrpcStatus(const absl::Status& status);
// As it stands within a message.
google::rpc::Status ToRpcStatus(const absl::Status& status);
// The reverse, with detail where the server sent some.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace pulseboard
