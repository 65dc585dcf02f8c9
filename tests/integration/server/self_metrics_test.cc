// The server's own metrics: for ADMIN, under the tenant `_system`, and for nobody else.
#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/wire/status.h"
#include "pulseboard/v1/query.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

absl::StatusOr<v1::ListMetricsResponse> Metrics(const Login& login, const std::string& tenant) {
  grpc::ClientContext context;
  login.Prepare(&context, tenant);
  v1::ListMetricsResponse response;
  PB_RETURN_IF_ERROR(FromGrpcStatus(v1::QueryService::NewStub(login.channel)->ListMetrics(&context, {}, &response)));
  return response;
}

TEST(SelfMetrics, AreThereForAdminsAndNobodyElse) {
  ServerProcess server({.set = {"server.self_metrics_interval=100ms"}});
  ASSERT_TRUE(server.Start().ok());
  const auto admin = LogInAsAdmin(server);
  ASSERT_TRUE(admin.ok()) << admin.status();
  EXPECT_TRUE(Eventually([&] {
    const auto metrics = Metrics(*admin, "_system");
    return metrics.ok() && metrics->metrics_size() >= 5;
  }));
  const auto metrics = Metrics(*admin, "_system");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  for (const auto& metric : metrics->metrics()) {
    EXPECT_TRUE(metric.name().starts_with("pulseboard.")) << metric.name();
  }
  const auto own = Metrics(*admin, "");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->metrics_size(), 0) << "not in the tenant's own data";

  for (const char* role : {"EDITOR", "VIEWER", "INGEST"}) {
    const auto other = LogInAsNew(server, std::string("u") + role, role);
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(Metrics(*other, "_system").status().code(), absl::StatusCode::kPermissionDenied) << role;
  }
  // A tenant that is not there looks like one that is not one's own.
  EXPECT_EQ(Metrics(*admin, "somebody-else").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(SelfMetrics, KeepMoving) {
  ServerProcess server({.set = {"server.self_metrics_interval=100ms"}});
  ASSERT_TRUE(server.Start().ok());
  const auto admin = LogInAsAdmin(server);
  ASSERT_TRUE(admin.ok()) << admin.status();
  const auto count = [&] {
    const auto stored = QueryRaw(*admin, "{__name__=~\"pulseboard.+\"}", "_system");
    size_t samples = 0;
    if (stored.ok()) {
      for (const auto& [name, columns] : *stored) samples += columns.size();
    }
    return samples;
  };
  ASSERT_TRUE(Eventually([&] { return count() > 0; }));
  const size_t before = count();
  EXPECT_TRUE(Eventually([&] { return count() > before; }));
}

}  // namespace
}  // namespace pulseboard::testing
