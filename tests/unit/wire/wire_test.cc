#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pulseboard {
namespace {

TEST(WireStatus, EveryReasonMakesTheRoundTrip) {
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    const absl::Status status =
        WithRetryAfterMs(MakeError(info.reason, "what went wrong", {{"a", "1"}, {"b", "2"}}), 1750);
    const grpc::Status wire = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(wire.error_code()), static_cast<int>(info.code));
    const absl::Status back = FromGrpcStatus(wire);
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(StatusMessage(back), "what went wrong");
    const auto detail = GetErrorDetail(back);
    ASSERT_TRUE(detail.has_value());
    EXPECT_EQ(detail->reason, info.reason);
    EXPECT_EQ(detail->metadata, (ErrorMetadata{{"a", "1"}, {"b", "2"}}));
    EXPECT_EQ(detail->retry_after_ms, 1750);
  }
}

TEST(WireStatus, SendsExactlyOneErrorInfoOfOurDomain) {
  google::rpc::Status rich;
  ASSERT_TRUE(rich.ParseFromString(ToGrpcStatus(BadFields({{"f", "d"}, {"g", "e"}})).error_details()));
  int infos = 0;
  int violations = 0;
  for (const auto& any : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (any.UnpackTo(&info)) {
      ++infos;
      EXPECT_EQ(info.domain(), "pulseboard");
      EXPECT_EQ(info.reason(), "BAD_FIELD");
    } else if (any.UnpackTo(&bad)) {
      violations += bad.field_violations_size();
    }
  }
  EXPECT_EQ(infos, 1);
  EXPECT_EQ(violations, 2);
  const auto detail = GetErrorDetail(FromGrpcStatus(ToGrpcStatus(BadFields({{"f", "d"}, {"g", "e"}}))));
  ASSERT_EQ(detail->field_violations.size(), 2u);
  EXPECT_EQ(detail->field_violations[1].description, "e");
}

TEST(WireStatus, OkStaysOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(WireStatus, PlainStatusesKeepTheirCode) {
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(absl::AbortedError("plain")));
  EXPECT_EQ(back.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(HasReason(back, ErrorReason::kInternal));
  const absl::Status foreign = FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no route"));
  EXPECT_EQ(foreign.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(GetErrorDetail(foreign).has_value());
}

TEST(WireStatus, DetailsOfAnotherDomainOrBrokenBytesAreNotTakenForOurs) {
  EXPECT_FALSE(
      GetErrorDetail(FromGrpcStatus(grpc::Status(grpc::StatusCode::INTERNAL, "x", "\xff\xff broken"))).has_value());
  google::rpc::Status rich;
  google::rpc::ErrorInfo info;
  info.set_reason("DISK_FULL");
  info.set_domain("elsewhere");
  rich.add_details()->PackFrom(info);
  const grpc::Status status(grpc::StatusCode::RESOURCE_EXHAUSTED, "x", rich.SerializeAsString());
  EXPECT_FALSE(GetErrorDetail(FromGrpcStatus(status)).has_value());
}

TEST(WireModel, SeriesMakesTheRoundTrip) {
  const SeriesInfo info{42, 1, {"cpu", {{"host", "a"}, {"mode", "b"}}}, {MetricKind::kCounter, "s", "time"}};
  v1::Series proto;
  ToProto(info, &proto);
  const SeriesInfo back = FromProto(proto);
  EXPECT_EQ(back.id, info.id);
  EXPECT_EQ(back.key, info.key);
  EXPECT_EQ(back.metadata, info.metadata);
}

TEST(WireModel, KindsOutsideTheListAreGauges) {
  EXPECT_EQ(FromProto(v1::METRIC_KIND_UNSPECIFIED), MetricKind::kGauge);
  EXPECT_EQ(FromProto(static_cast<v1::MetricKind>(77)), MetricKind::kGauge);
  EXPECT_EQ(FromProto(ToProto(MetricKind::kCounter)), MetricKind::kCounter);
}

TEST(WireModel, ColumnsMakeTheRoundTripFromAnyPart) {
  SampleColumns samples;
  for (int i = 0; i < 10; ++i) samples.push_back(int64_t{1'000'000'000} * i, i * 0.5);
  samples.push_back(std::numeric_limits<int64_t>::max(), -0.0);
  for (size_t first = 0; first < samples.size(); ++first) {
    for (size_t count = 0; first + count <= samples.size(); ++count) {
      v1::SeriesColumns proto;
      ToProto(samples, first, count, 7, &proto);
      EXPECT_EQ(proto.ref(), 7u);
      SampleColumns back;
      ASSERT_TRUE(FromProto(proto, &back));
      EXPECT_EQ(back.times, std::vector<int64_t>(samples.times.begin() + static_cast<std::ptrdiff_t>(first),
                                                 samples.times.begin() + static_cast<std::ptrdiff_t>(first + count)));
    }
  }
}

TEST(WireModel, HostileColumnsAreRefusedOrWrap) {
  v1::SeriesColumns ragged;
  ragged.add_values(1);
  SampleColumns out;
  EXPECT_FALSE(FromProto(ragged, &out));
  EXPECT_TRUE(out.empty());
  v1::SeriesColumns wrapping;
  wrapping.set_first_time_unix_nanos(std::numeric_limits<int64_t>::max());
  wrapping.add_time_deltas_nanos(1);
  wrapping.add_values(1);
  ASSERT_TRUE(FromProto(wrapping, &out));
  EXPECT_EQ(out.times[0], std::numeric_limits<int64_t>::min());
}

}  // namespace
}  // namespace pulseboard
