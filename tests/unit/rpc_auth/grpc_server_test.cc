#include "server/rpc/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/grpc_test.h"

namespace pulseboard {
namespace {

class AlwaysFine final : public grpc::health::v1::Health::CallbackService {
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest*,
                                  grpc::health::v1::HealthCheckResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

absl::StatusOr<std::unique_ptr<GrpcServer>> Start(GrpcServerOptions options,
                                                  const std::optional<TlsKeyPair>& tls = std::nullopt) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(std::make_unique<AlwaysFine>());
  return GrpcServer::Start(options, tls, std::move(services));
}

GrpcServerOptions ListenOn(const std::string& address) {
  GrpcServerOptions options;
  options.listen = address;
  return options;
}

TEST(GrpcServer, TakesAFreePortAndSaysWhich) {
  const auto a = Start(ListenOn("127.0.0.1:0"));
  const auto b = Start(ListenOn("127.0.0.1:0"));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE((*a)->address(), (*b)->address());
  EXPECT_THAT((*a)->address(), ::testing::StartsWith("127.0.0.1:"));
}

TEST(GrpcServer, DoesNotShareItsPort) {
  const auto first = Start(ListenOn("127.0.0.1:0"));
  ASSERT_TRUE(first.ok());
  const auto second = Start(ListenOn((*first)->address()));
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(StatusMessage(second.status()), ::testing::HasSubstr((*first)->address()));
}

TEST(GrpcServer, RefusesABrokenKeyPair) {
  EXPECT_TRUE(absl::IsUnavailable(Start(ListenOn("127.0.0.1:0"), TlsKeyPair{"no", "pem"}).status()));
}

TEST(GrpcServer, RefusesLargeMessages) {
  GrpcServerOptions options = ListenOn("127.0.0.1:0");
  options.max_receive_bytes = 1000;
  const auto server = Start(options);
  ASSERT_TRUE(server.ok());
  const auto stub =
      grpc::health::v1::Health::NewStub(grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  const auto check = [&](size_t bytes) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(std::string(bytes, 'x'));
    grpc::health::v1::HealthCheckResponse response;
    return stub->Check(&context, request, &response).error_code();
  };
  EXPECT_EQ(check(500), grpc::StatusCode::OK);
  EXPECT_EQ(check(2000), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(GrpcServer, ShutsDownTwice) {
  const auto server = Start(ListenOn("127.0.0.1:0"));
  ASSERT_TRUE(server.ok());
  (*server)->Shutdown(std::chrono::milliseconds(10));
  (*server)->Shutdown(std::chrono::milliseconds(10));
}

TEST(HostPort, ReadsNamesAndBothKindsOfAddresses) {
  for (const auto& [text, host, port] : {std::tuple{"localhost:7443", "localhost", 7443},
                                         {"127.0.0.1:0", "127.0.0.1", 0},
                                         {"[::1]:65535", "::1", 65535}}) {
    const auto parsed = ParseHostPort(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
    EXPECT_EQ(FormatHostPort(*parsed), text);
  }
  for (const char* text : {"", "x", ":1", "x:", "x:-1", "x:65536", "x:1x", "::1:80", "[::1]", "[]:1", "x:+1"}) {
    EXPECT_TRUE(HasReason(ParseHostPort(text).status(), ErrorReason::kBadField)) << text;
  }
}

TEST(IsLoopback, TrustsOnlyWhatStaysOnThisMachine) {
  for (const char* host : {"localhost", "127.0.0.1", "127.255.0.9", "::1"}) EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "127.1x", "localhost.evil.org", "",
                           "::ffff:127.0.0.1", "example.org"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace pulseboard
