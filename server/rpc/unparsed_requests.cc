#include "server/rpc/unparsed_requests.h"

#include <grpcpp/support/interceptor.h>

#include "common/base/errors.h"
#include "common/wire/status.h"

namespace pulseboard {
namespace {

// Our methods never end with it: a code without a word is gRPC's own answer.
bool IsBareUnimplemented(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNIMPLEMENTED && status.error_message().empty() &&
         status.error_details().empty();
}

class UnparsedRequestInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit UnparsedRequestInterceptor(const char* method) : method_(method) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_STATUS) &&
        IsBareUnimplemented(methods->GetSendStatus())) {
      methods->ModifySendStatus(ToGrpcStatus(BadField(
          "request", "bytes that do not parse", "the request message of " + method_ + ", its strings in UTF-8,")));
    }
    methods->Proceed();
  }

 private:
  const std::string method_;
};

class UnparsedRequestInterceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    using Type = grpc::experimental::ServerRpcInfo::Type;
    if (info->type() != Type::UNARY && info->type() != Type::SERVER_STREAMING) return nullptr;
    return new UnparsedRequestInterceptor(info->method());  // owned by gRPC
  }
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeUnparsedRequestInterceptors() {
  return std::make_unique<UnparsedRequestInterceptors>();
}

}  // namespace pulseboard
