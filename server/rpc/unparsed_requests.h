// Answers requests whose bytes do not parse as every other bad request is answered.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace pulseboard {

// gRPC answers a request that does not parse before the method sees it, by a bare UNIMPLEMENTED. The interceptors made
// here replace that by INVALID_ARGUMENT/BAD_FIELD. Calls that stream requests get none: their methods parse for
// themselves.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeUnparsedRequestInterceptors();

}  // namespace pulseboard
