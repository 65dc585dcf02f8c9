// Requests and answers of the ingest and query services <-> values of the rooms behind them.
#pragma once

#include <grpcpp/server_context.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "pulseboard/v1/ingest.pb.h"
#include "pulseboard/v1/query.pb.h"
#include "server/ingest/intake.h"
#include "server/query/query_engine.h"

namespace pulseboard {

// Nothing when the time does not fit (before 1970, after 2262, nanos out of range).
std::optional<int64_t> ToUnixNanos(const google::protobuf::Timestamp& time);
// The same, BAD_FIELD about `field` when it does not fit.
absl::StatusOr<int64_t> RequireTime(std::string_view field, const google::protobuf::Timestamp& time);
// Nothing when the duration does not fit or its parts are out of range or of different sign.
std::optional<int64_t> ToNanos(const google::protobuf::Duration& duration);
// Time left until the call's deadline; nothing without one.
std::optional<int64_t> RemainingNanos(const grpc::ServerContextBase& context);

// Nothing when it is not said. BAD_FIELD for a mode that does not exist.
absl::StatusOr<std::optional<AckMode>> FromProto(v1::AckMode mode);
// The batch's views live as long as the request. BAD_FIELD for an ack_mode that does not exist.
absl::StatusOr<PushBatch> FromProto(const v1::PushRequest& request);
absl::StatusOr<StreamBatch> FromProto(const v1::PushStreamRequest& request);
void ToProto(const PushReceipt& receipt, v1::PushResponse* out);

absl::StatusOr<RangeRequest> FromProto(const v1::QueryRangeRequest& request, int64_t now_unix_nanos);
absl::StatusOr<ExpressionRequest> FromProto(const v1::QueryExpressionRequest& request, int64_t now_unix_nanos);

}  // namespace pulseboard
