#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "common/wire/status.h"
#include "pulseboard/v1/auth.grpc.pb.h"
#include "server/identity/accounts.h"
#include "server/identity/user_rules.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/services.h"
#include "server/rpc/user_wire.h"

namespace pulseboard {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

// Ends the call at once.
ServerUnaryReactor* Answer(CallbackServerContext* context, const absl::Status& status) {
  ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

class AuthService final : public v1::AuthService::CallbackService {
 public:
  AuthService(const Authenticator& authenticator, Accounts& accounts)
      : authenticator_(authenticator), accounts_(accounts) {}

  ServerUnaryReactor* Login(CallbackServerContext* context, const v1::LoginRequest* request,
                            v1::LoginResponse* response) override {
    FieldCheck check;
    check.Required("login", request->login(), kMaxLoginBytes);
    check.RequiredSecret("password", request->password(), kMaxPasswordBytes);
    check.AtMost("tenant", request->tenant(), kMaxTenantNameBytes);
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.Login({request->tenant(), request->login(), Secret(request->password())},
                    [this, reactor, response](absl::StatusOr<LoggedIn> result) { Finish(reactor, result, response); });
    return reactor;
  }

  ServerUnaryReactor* RefreshSession(CallbackServerContext* context, const v1::RefreshSessionRequest* request,
                                     v1::RefreshSessionResponse* response) override {
    FieldCheck check;
    check.RequiredSecret("refresh_token", request->refresh_token(), kMaxTokenBytes);
    if (absl::Status bad = check.Result(); !bad.ok()) return Answer(context, bad);
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.Renew(Secret(request->refresh_token()),
                    [this, reactor, response](absl::StatusOr<LoggedIn> result) { Finish(reactor, result, response); });
    return reactor;
  }

  ServerUnaryReactor* Logout(CallbackServerContext* context, const v1::LogoutRequest*, v1::LogoutResponse*) override {
    const auto principal = authenticator_.AuthenticateAny(*context);
    if (!principal.ok()) return Answer(context, principal.status());
    ServerUnaryReactor* reactor = context->DefaultReactor();
    accounts_.Logout(*principal, [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
    return reactor;
  }

  ServerUnaryReactor* WhoAmI(CallbackServerContext* context, const v1::WhoAmIRequest*,
                             v1::WhoAmIResponse* response) override {
    const auto principal = authenticator_.AuthenticateAny(*context);
    if (!principal.ok()) return Answer(context, principal.status());
    const auto user = accounts_.users().Get(principal->tenant, principal->user_id);
    if (!user.ok()) return Answer(context, user.status());
    ToProto(**user, principal->tenant_name, response->mutable_user());
    ToProto(principal->expire_unix_nanos, response->mutable_access_expire_time());
    return Answer(context, absl::OkStatus());
  }

 private:
  template <typename Response>
  void Finish(ServerUnaryReactor* reactor, const absl::StatusOr<LoggedIn>& result, Response* response) const {
    if (result.ok()) {
      v1::SessionTokens* tokens = response->mutable_tokens();
      tokens->set_access_token(result->tokens.access_token);
      ToProto(result->tokens.access_expire_unix_nanos, tokens->mutable_access_expire_time());
      tokens->set_refresh_token(result->tokens.refresh_token);
      ToProto(result->tokens.refresh_expire_unix_nanos, tokens->mutable_refresh_expire_time());
      ToProto(*result->user, accounts_.tenants().Name(result->user->tenant), response->mutable_user());
    }
    reactor->Finish(ToGrpcStatus(result.status()));
  }

  const Authenticator& authenticator_;
  Accounts& accounts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAuthService(const Authenticator& authenticator, Accounts& accounts) {
  return std::make_unique<AuthService>(authenticator, accounts);
}

}  // namespace pulseboard
