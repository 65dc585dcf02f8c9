// Auth, user, health and reflection services on a real socket, over identity in memory.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/auth.grpc.pb.h"
#include "pulseboard/v1/user.grpc.pb.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/health_service.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/services.h"
#include "server/rpc/serving_state.h"
#include "server/rpc/stream_registry.h"
#include "tests/support/grpc_test.h"
#include "tests/support/identity_world.h"

namespace pulseboard::testing {

inline constexpr char kAdminPassword[] = "the admin's password";

struct RpcWorld {
  using Metadata = std::multimap<std::string, std::string>;

  RpcWorld() {
    EXPECT_TRUE(CreateFirstAdmin(*identity.users, Secret(kAdminPassword)).ok());
    Listen();
  }
  ~RpcWorld() {
    streams.DrainAll(/*hard=*/true);
    server.reset();
  }

  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  }
  static Metadata Bearer(const std::string& token) { return {{"authorization", "Bearer " + token}}; }

  // One unary call; the status with all details.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(Stub* stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Metadata& metadata, const std::type_identity_t<Request>& request, Response* response) {
    grpc::ClientContext context;
    SetDeadline(&context);
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    return FromGrpcStatus((stub->*method)(&context, request, response));
  }

  // The access token of a new session.
  std::string LogIn(const std::string& login, const std::string& password) {
    v1::LoginRequest request;
    request.set_login(login);
    request.set_password(password);
    v1::LoginResponse response;
    const absl::Status status = Call(auth.get(), &v1::AuthService::Stub::Login, {}, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response.tokens().access_token();
  }
  std::string LogInAsAdmin() { return LogIn("admin", kAdminPassword); }

  IdentityWorld identity;
  StreamRegistry streams;
  std::vector<std::string> services = {"pulseboard.v1.AuthService", "pulseboard.v1.UserService",
                                       "grpc.health.v1.Health"};
  Authenticator authenticator{*identity.sessions};
  ServingState serving{services};
  std::unique_ptr<GrpcServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::AuthService::Stub> auth;
  std::unique_ptr<v1::UserService::Stub> users;

 private:
  void Listen() {
    std::vector<std::unique_ptr<grpc::Service>> made;
    made.push_back(MakeAuthService(authenticator, *identity.accounts));
    made.push_back(MakeUserService(authenticator, *identity.accounts));
    made.push_back(MakeHealthService(serving, streams));
    made.push_back(MakeReflectionService(services, streams));
    made.push_back(MakeReflectionAlphaService(services, streams));
    GrpcServerOptions options;
    options.listen = "127.0.0.1:0";
    server = GrpcServer::Start(options, std::nullopt, std::move(made)).value();
    channel = grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials());
    auth = v1::AuthService::NewStub(channel);
    users = v1::UserService::NewStub(channel);
  }
};

}  // namespace pulseboard::testing
