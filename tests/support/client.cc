#include "tests/support/client.h"

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "pulseboard/v1/user.grpc.pb.h"

namespace pulseboard::testing {

void Login::Prepare(grpc::ClientContext* context, const std::string& tenant) const {
  client::AddBearer(context, session->CurrentToken());
  if (!tenant.empty()) context->AddMetadata("x-pulseboard-tenant", tenant);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenTo(const ServerProcess& server, bool own_connection) {
  client::PinStore pins;
  PB_ASSIGN_OR_RETURN(const client::ServerTrust trust, client::ExamineTrustingFirstUse(server.address(), pins));
  client::ChannelOptions options;
  options.own_connection = own_connection;
  return client::OpenChannel(server.address(), trust, options);
}

absl::StatusOr<Login> LogIn(const ServerProcess& server, const std::string& user, const std::string& password,
                            client::SessionOptions options) {
  Login login;
  PB_ASSIGN_OR_RETURN(login.channel, OpenTo(server));
  login.session = std::make_shared<client::Session>(login.channel, std::move(options));
  PB_RETURN_IF_ERROR(login.session->LoginAndWait({user, password, ""}));
  return login;
}

absl::StatusOr<Login> LogInAsAdmin(const ServerProcess& server) {
  return LogIn(server, "admin", server.admin_password());
}

absl::StatusOr<Login> LogInAsNew(const ServerProcess& server, const std::string& user, const std::string& role) {
  PB_ASSIGN_OR_RETURN(const Login admin, LogInAsAdmin(server));
  v1::CreateUserRequest request;
  v1::CreateUserResponse response;
  request.set_user_name(user);
  request.set_password("password of " + user);
  v1::Role number = v1::ROLE_UNSPECIFIED;
  v1::Role_Parse("ROLE_" + role, &number);
  request.set_role(number);
  grpc::ClientContext context;
  admin.Prepare(&context);
  PB_RETURN_IF_ERROR(FromGrpcStatus(v1::UserService::NewStub(admin.channel)->CreateUser(&context, request, &response)));
  return LogIn(server, user, request.password());
}

absl::StatusOr<SeriesMap> QueryRaw(const Login& login, const std::string& selector, const std::string& tenant) {
  grpc::ClientContext context;
  login.Prepare(&context, tenant);
  v1::QueryRangeRequest request;
  request.set_selector(selector);
  request.mutable_start_time()->set_seconds(0);
  request.mutable_end_time()->set_seconds(9'000'000'000);
  const auto reader = v1::QueryService::NewStub(login.channel)->QueryRange(&context, request);
  SeriesMap out;
  std::map<uint32_t, std::string> names;
  v1::QueryRangeResponse response;
  absl::Status bad;
  while (reader->Read(&response)) {
    if (response.has_definition()) {
      const std::string name = FromProto(response.definition().series()).key.Format();
      names[response.definition().ref()] = name;
      out[name];
    }
    for (const auto& columns : response.samples().columns()) {
      if (!FromProto(columns, &out[names.at(columns.ref())])) bad = absl::InternalError("unequal columns");
    }
  }
  PB_RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
  PB_RETURN_IF_ERROR(bad);
  return out;
}

}  // namespace pulseboard::testing
