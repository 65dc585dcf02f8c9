// What a pusher is told when a limit or the retention refuses samples, and settings that change while the server runs.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <string>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"
#include "google/rpc/error_details.pb.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/storage.grpc.pb.h"
#include "tests/support/client.h"
#include "tests/support/eventually.h"
#include "tests/support/grpc_test.h"
#include "tests/support/process.h"

namespace pulseboard::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kDay = kNanosPerDay;

v1::Sample Row(const std::string& metric, const std::string& request, int64_t age_ns = 0) {
  v1::Sample sample;
  sample.set_metric(metric);
  if (!request.empty()) (*sample.mutable_labels())["request_id"] = request;
  sample.set_value(1);
  const int64_t time = SystemClock().NowUnixNanos() - age_ns;
  sample.mutable_time()->set_seconds(time / kNanosPerSecond);
  return sample;
}

class LimitsTest : public ::testing::Test {
 protected:
  // Settings of [ingest] and [storage], one a line, read again by Reload().
  void Begin(const std::string& settings) {
    WriteSettings(settings);
    server_ = std::make_unique<ServerProcess>(
        ServerProcessOptions{.set = {"server.self_metrics_interval=1h"}, .arguments = {"--config", config_}});
    ASSERT_TRUE(server_->Start().ok());
    auto login = LogInAsAdmin(*server_);
    ASSERT_TRUE(login.ok()) << login.status();
    login_ = *login;
  }
  void WriteSettings(const std::string& settings) { std::ofstream(config_) << settings; }
  // Waits until the server has taken over other settings.
  void Reload(const std::string& settings) {
    const size_t before = Lines("reloaded settings");
    WriteSettings(settings);
    server_->process().Signal(SIGHUP);
    ASSERT_TRUE(Eventually([&] { return Lines("reloaded settings") > before; })) << server_->process().err();
  }
  size_t Lines(const std::string& text) {
    const std::string log = server_->process().out() + server_->process().err();
    size_t count = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }

  absl::Status Push(const std::vector<v1::Sample>& rows, v1::PushResponse* response) {
    v1::PushRequest request;
    for (const v1::Sample& row : rows) *request.add_samples() = row;
    grpc::ClientContext context;
    login_.Prepare(&context);
    return FromGrpcStatus(v1::IngestService::NewStub(login_.channel)->Push(&context, request, response));
  }
  // Whether a sample of that age is taken; else the refusal's message and details.
  bool Takes(int64_t age_ns, std::string* message = nullptr, google::rpc::ErrorInfo* info = nullptr) {
    v1::PushResponse response;
    const absl::Status status = Push({Row("old", "", age_ns)}, &response);
    EXPECT_TRUE(status.ok()) << status;
    if (response.accepted_count() == 1) return true;
    if (message != nullptr) *message = response.refusals(0).message();
    if (info != nullptr && response.limits_size() == 1) response.limits(0).details(0).UnpackTo(info);
    return false;
  }
  absl::StatusOr<v1::PreviewRetentionResponse> Preview(const v1::PreviewRetentionRequest& request) {
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::PreviewRetentionResponse response;
    PB_RETURN_IF_ERROR(
        FromGrpcStatus(v1::StorageService::NewStub(login_.channel)->PreviewRetention(&context, request, &response)));
    return response;
  }
  std::map<std::string, int64_t> DaysKept() {
    grpc::ClientContext context;
    login_.Prepare(&context);
    v1::GetStorageStatusResponse response;
    EXPECT_TRUE(v1::StorageService::NewStub(login_.channel)->GetStorageStatus(&context, {}, &response).ok());
    std::map<std::string, int64_t> days;
    for (const auto& tier : response.tiers()) days[tier.tier()] = tier.retention_nanos() / kDay;
    return days;
  }

  TempDir dir_;
  const std::string config_ = dir_.File("pulseboard.toml");
  std::unique_ptr<ServerProcess> server_;
  Login login_;
};

TEST_F(LimitsTest, APushBeyondTheSeriesLimitNamesTheOffender) {
  Begin("[ingest]\nmax_series_per_metric = 3\n");
  v1::PushResponse response;
  ASSERT_TRUE(Push({Row("http", "1"), Row("http", "2"), Row("http", "3"), Row("http", "4")}, &response).ok());
  EXPECT_EQ(response.accepted_count(), 3);
  ASSERT_EQ(response.limits_size(), 1);
  google::rpc::ErrorInfo info;
  google::rpc::QuotaFailure quota;
  ASSERT_EQ(response.limits(0).details_size(), 2);
  ASSERT_TRUE(response.limits(0).details(0).UnpackTo(&info));
  ASSERT_TRUE(response.limits(0).details(1).UnpackTo(&quota));
  EXPECT_EQ(response.limits(0).code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(info.reason(), "SERIES_LIMIT");
  EXPECT_EQ(info.metadata().at("tenant"), "default");
  EXPECT_EQ(info.metadata().at("metric"), "http");
  EXPECT_EQ(info.metadata().at("label"), "request_id");
  EXPECT_EQ(info.metadata().at("setting"), "ingest.max_series_per_metric");
  EXPECT_EQ(quota.violations(0).subject(), "tenant:default metric:http");
  EXPECT_THAT(response.refusals(0).message(), HasSubstr("label request_id has 3 values"));

  // With nothing to take the call itself says so; nothing was committed, so its sequence is still to be had.
  const absl::Status refused = Push({Row("http", "5"), Row("http", "6")}, &response);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  const auto detail = GetErrorDetail(refused);
  ASSERT_TRUE(detail);
  EXPECT_EQ(detail->reason, ErrorReason::kSeriesLimit);
  EXPECT_EQ(detail->metadata.at("label"), "request_id");
  ASSERT_EQ(detail->quota_violations.size(), 1U);
}

TEST_F(LimitsTest, AStreamBeyondTheSeriesLimitIsToldInItsAcks) {
  Begin("[ingest]\nmax_series_per_tenant = 2\n");
  grpc::ClientContext context;
  login_.Prepare(&context);
  const auto stream = v1::IngestService::NewStub(login_.channel)->PushStream(&context);
  v1::PushStreamRequest request;
  request.set_producer_id("p");
  request.set_sequence(1);
  request.set_base_time_unix_nanos(SystemClock().NowUnixNanos());
  for (uint32_t ref = 1; ref <= 4; ++ref) {
    v1::PushSeriesDefinition* definition = request.add_definitions();
    definition->set_ref(ref);
    definition->set_metric("http");
    v1::Label* label = definition->add_labels();
    label->set_name("user");
    label->set_value("u" + std::to_string(ref));
    request.add_refs(ref);
    request.add_time_offsets_nanos(0);
    request.add_values(1);
  }
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->WritesDone());
  v1::PushStreamResponse ack;
  while (ack.acked_sequence() < 1) ASSERT_TRUE(stream->Read(&ack));
  ASSERT_EQ(ack.limits_size(), 1) << "once, not per sample";
  EXPECT_THAT(ack.limits(0).message(), HasSubstr("ingest.max_series_per_tenant"));
  EXPECT_THAT(ack.limits(0).message(), HasSubstr("label user has 2 values"));
  EXPECT_EQ(ack.refusals_size(), 2);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(LimitsTest, SamplesOlderThanATenantsRetentionAreRefusedAndItMayChange) {
  Begin("[storage]\ntenant_retention = \"default: raw=2d\"\n");
  std::string message;
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(Takes(kDay));
  const int64_t before = SystemClock().NowUnixNanos();
  EXPECT_FALSE(Takes(3 * kDay, &message, &info));
  EXPECT_THAT(message, HasSubstr("the oldest that would be accepted (storage.tenant_retention)"));
  EXPECT_EQ(info.reason(), "SAMPLE_TOO_OLD");
  EXPECT_EQ(info.metadata().at("setting"), "storage.tenant_retention");
  const int64_t oldest = std::stoll(info.metadata().at("oldestTimeUnixNanos"));
  EXPECT_GE(oldest, before - 2 * kDay);
  EXPECT_LE(oldest, SystemClock().NowUnixNanos() - 2 * kDay);

  Reload("[storage]\ntenant_retention = \"default: raw=5d\"\n");
  EXPECT_TRUE(Takes(3 * kDay));
  EXPECT_FALSE(Takes(6 * kDay));
}

TEST_F(LimitsTest, RetentionsOfAllTiersChangeWithoutARestart) {
  Begin("[storage]\nraw_retention = \"10d\"\ntiers = \"1m:100d,1h:1000d\"\n");
  EXPECT_TRUE(Takes(9 * kDay));
  EXPECT_EQ(DaysKept(), (std::map<std::string, int64_t>{{"raw", 10}, {"1m", 100}, {"1h", 1000}}));
  Reload("[storage]\nraw_retention = \"4d\"\ntiers = \"1m:50d,1h:60d\"\n");
  EXPECT_EQ(DaysKept(), (std::map<std::string, int64_t>{{"raw", 4}, {"1m", 50}, {"1h", 60}}));
  std::string message;
  EXPECT_FALSE(Takes(9 * kDay, &message));
  EXPECT_THAT(message, HasSubstr("storage.raw_retention"));
  EXPECT_EQ(Lines("settings wait for a restart"), 0U);

  // What can't be had at once is said, and what can is taken over.
  Reload("[storage]\nraw_retention = \"5d\"\ntiers = \"5m:70d,1h:80d\"\n");
  EXPECT_EQ(Lines("settings wait for a restart changed=[storage.tiers: new tier 5m,storage.tiers: end of tier 1m]"), 1U)
      << server_->process().err();
  EXPECT_EQ(DaysKept(), (std::map<std::string, int64_t>{{"raw", 5}, {"1m", 50}, {"1h", 80}}));
  ASSERT_EQ(server_->Terminate(), 0);
  ASSERT_TRUE(server_->Start().ok());
  EXPECT_EQ(DaysKept(), (std::map<std::string, int64_t>{{"raw", 5}, {"5m", 70}, {"1h", 80}}));
}

TEST_F(LimitsTest, TheDryRunTriesRetentionsOfAllTiers) {
  Begin("[storage]\nraw_retention = \"10d\"\ntiers = \"1m:100d,1h:1000d\"\n");
  ASSERT_TRUE(Takes(9 * kDay));
  ASSERT_TRUE(Takes(0));
  v1::PreviewRetentionRequest request;
  const auto as_it_is = Preview(request);
  ASSERT_TRUE(as_it_is.ok()) << as_it_is.status();
  EXPECT_EQ(as_it_is->steps_size(), 0);
  request.set_tiers("5m:100d");
  EXPECT_TRUE(HasReason(Preview(request).status(), ErrorReason::kBadField));
  request.set_tiers("1m:5d");
  EXPECT_TRUE(HasReason(Preview(request).status(), ErrorReason::kBadField)) << "less than the samples";
  request.set_raw_retention_nanos(5 * kDay);
  EXPECT_TRUE(Preview(request).ok());
}

}  // namespace
}  // namespace pulseboard::testing
