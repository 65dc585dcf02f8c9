#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/unit/rpc_auth/rpc_world.h"

namespace pulseboard {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::Eventually;
using testing::RpcWorld;

TEST(HealthService, ChecksServerAndServices) {
  RpcWorld world;
  const auto stub = Health::NewStub(world.channel);
  const auto check = [&](const std::string& service) {
    grpc::ClientContext context;
    RpcWorld::SetDeadline(&context);
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, request, &response);
    return status.ok() ? HealthCheckResponse::ServingStatus_Name(response.status()) : status.error_message();
  };
  EXPECT_EQ(check(""), "NOT_SERVING");
  world.serving.SetServing(true);
  EXPECT_EQ(check(""), "SERVING");
  EXPECT_EQ(check("pulseboard.v1.AuthService"), "SERVING");
  EXPECT_EQ(check("pulseboard.v1.Nothing"), "unknown service");
}

TEST(HealthService, ListsAll) {
  RpcWorld world;
  const auto stub = Health::NewStub(world.channel);
  grpc::ClientContext context;
  RpcWorld::SetDeadline(&context);
  grpc::health::v1::HealthListResponse response;
  ASSERT_TRUE(stub->List(&context, {}, &response).ok());
  EXPECT_EQ(response.statuses_size(), static_cast<int>(world.services.size()) + 1);
  EXPECT_TRUE(response.statuses().contains("pulseboard.v1.UserService"));
}

TEST(HealthService, WatchesChanges) {
  RpcWorld world;
  const auto stub = Health::NewStub(world.channel);
  grpc::ClientContext context;
  RpcWorld::SetDeadline(&context);
  const auto stream = stub->Watch(&context, {});
  HealthCheckResponse response;
  for (const bool serving : {false, true, false, true}) {
    world.serving.SetServing(serving);
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.status(), serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  }
  context.TryCancel();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return world.streams.size() == 0; }));
  world.serving.SetServing(false);  // nobody is left to be told
}

TEST(HealthService, KeepsWatchingAnUnknownService) {
  RpcWorld world;
  const auto stub = Health::NewStub(world.channel);
  grpc::ClientContext context;
  RpcWorld::SetDeadline(&context);
  HealthCheckRequest request;
  request.set_service("not.Here");
  const auto stream = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  world.streams.DrainAll(/*hard=*/false);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(HealthService, EndsWatchesThatBeginWhileDraining) {
  RpcWorld world;
  world.streams.DrainAll(/*hard=*/false);
  const auto stub = Health::NewStub(world.channel);
  grpc::ClientContext context;
  RpcWorld::SetDeadline(&context);
  const auto stream = stub->Watch(&context, {});
  HealthCheckResponse response;
  while (stream->Read(&response)) EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_TRUE(HasReason(FromGrpcStatus(stream->Finish()), ErrorReason::kShuttingDown));
}

}  // namespace
}  // namespace pulseboard
