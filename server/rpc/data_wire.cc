#include "server/rpc/data_wire.h"

#include <chrono>
#include <limits>
#include <string>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"

namespace pulseboard {
namespace {

constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / kNanosPerSecond;

}  // namespace

absl::StatusOr<std::optional<AckMode>> FromProto(v1::AckMode mode) {
  switch (mode) {
    case v1::ACK_MODE_UNSPECIFIED:
      return std::optional<AckMode>();
    case v1::ACK_MODE_FSYNCED:
      return std::optional<AckMode>(AckMode::kFsynced);
    case v1::ACK_MODE_BUFFERED:
      return std::optional<AckMode>(AckMode::kBuffered);
    default:
      return BadField("ack_mode", std::to_string(static_cast<int>(mode)), "ACK_MODE_FSYNCED or ACK_MODE_BUFFERED");
  }
}

std::optional<int64_t> ToUnixNanos(const google::protobuf::Timestamp& time) {
  if (time.seconds() < 0 || time.seconds() >= kMaxSeconds) return std::nullopt;
  if (time.nanos() < 0 || time.nanos() >= kNanosPerSecond) return std::nullopt;
  return time.seconds() * kNanosPerSecond + time.nanos();
}

absl::StatusOr<int64_t> RequireTime(std::string_view field, const google::protobuf::Timestamp& time) {
  if (const auto nanos = ToUnixNanos(time)) return *nanos;
  return BadField(field, std::to_string(time.seconds()) + " s + " + std::to_string(time.nanos()) + " ns",
                  "1970-01-01 to 2262-04-11 with 0 to 999,999,999 nanos");
}

std::optional<int64_t> ToNanos(const google::protobuf::Duration& duration) {
  if (duration.seconds() <= -kMaxSeconds || duration.seconds() >= kMaxSeconds) return std::nullopt;
  if (duration.nanos() <= -kNanosPerSecond || duration.nanos() >= kNanosPerSecond) return std::nullopt;
  if ((duration.seconds() > 0 && duration.nanos() < 0) || (duration.seconds() < 0 && duration.nanos() > 0)) {
    return std::nullopt;
  }
  return duration.seconds() * kNanosPerSecond + duration.nanos();
}

std::optional<int64_t> RemainingNanos(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - std::chrono::system_clock::now()).count();
}

absl::StatusOr<PushBatch> FromProto(const v1::PushRequest& request) {
  PushBatch batch;
  PB_ASSIGN_OR_RETURN(batch.ack_mode, FromProto(request.ack_mode()));
  batch.producer_id = request.producer_id();
  batch.sequence = request.sequence();
  batch.samples.reserve(static_cast<size_t>(request.samples_size()));
  for (const v1::Sample& in : request.samples()) {
    PushSample& sample = batch.samples.emplace_back();
    sample.series.metric = in.metric();
    for (const auto& [name, value] : in.labels()) sample.series.labels.emplace_back(name, value);
    sample.series.kind = FromProto(in.kind());
    sample.series.unit = in.unit();
    sample.series.description = in.description();
    sample.value = in.value();
    if (!in.has_time()) continue;
    const std::optional<int64_t> time = ToUnixNanos(in.time());
    sample.time_is = time ? PushSample::TimeIs::kGiven : PushSample::TimeIs::kNotRepresentable;
    sample.time_unix_nanos = time.value_or(0);
  }
  return batch;
}

absl::StatusOr<StreamBatch> FromProto(const v1::PushStreamRequest& request) {
  StreamBatch batch;
  PB_ASSIGN_OR_RETURN(batch.ack_mode, FromProto(request.ack_mode()));
  batch.producer_id = request.producer_id();
  batch.sequence = request.sequence();
  batch.definitions.reserve(static_cast<size_t>(request.definitions_size()));
  for (const v1::PushSeriesDefinition& in : request.definitions()) {
    StreamDefinition& definition = batch.definitions.emplace_back();
    definition.ref = in.ref();
    definition.series.metric = in.metric();
    for (const v1::Label& label : in.labels()) definition.series.labels.emplace_back(label.name(), label.value());
    definition.series.kind = FromProto(in.kind());
    definition.series.unit = in.unit();
    definition.series.description = in.description();
  }
  batch.base_time_unix_nanos = request.base_time_unix_nanos();
  batch.refs = {request.refs().data(), static_cast<size_t>(request.refs_size())};
  batch.time_offsets_nanos = {request.time_offsets_nanos().data(),
                              static_cast<size_t>(request.time_offsets_nanos_size())};
  batch.values = {request.values().data(), static_cast<size_t>(request.values_size())};
  batch.pushed_unix_nanos = request.pushed_unix_nanos();
  return batch;
}

void ToProto(const PushReceipt& receipt, v1::PushResponse* out) {
  out->set_accepted_count(receipt.accepted_count);
  for (const SampleRefusal& refusal : receipt.refusals.detailed()) {
    v1::SampleRefusal* to = out->add_refusals();
    to->set_sample_index(refusal.sample_index);
    to->set_reason(static_cast<v1::RefusalReason>(refusal.reason));
    to->set_message(refusal.message);
    to->set_sequence(receipt.sequence);
  }
  for (size_t i = 0; i < kRefusalReasonCount; ++i) {
    const int64_t count = receipt.refusals.count(static_cast<RefusalReason>(i));
    if (count == 0) continue;
    v1::RefusalCount* to = out->add_refusal_counts();
    to->set_reason(static_cast<v1::RefusalReason>(i));
    to->set_count(count);
  }
  for (const RefusalLimit& limit : receipt.refusals.limits()) *out->add_limits() = ToRpcStatus(limit.status);
  out->set_duplicate(receipt.duplicate);
  out->set_commit_sequence(receipt.commit_sequence);
  out->set_ack_mode(receipt.fsynced ? v1::ACK_MODE_FSYNCED : v1::ACK_MODE_BUFFERED);
}

absl::StatusOr<RangeRequest> FromProto(const v1::QueryRangeRequest& request, int64_t now_unix_nanos) {
  RangeRequest range;
  range.selector = request.selector();
  range.max_points = request.max_points();
  if (!request.has_start_time()) return BadField("start_time", "", "the first instant of the range");
  PB_ASSIGN_OR_RETURN(range.range.start, RequireTime("start_time", request.start_time()));
  range.range.end = now_unix_nanos;
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(range.range.end, RequireTime("end_time", request.end_time()));
  }
  return range;
}

absl::StatusOr<ExpressionRequest> FromProto(const v1::QueryExpressionRequest& request, int64_t now_unix_nanos) {
  ExpressionRequest out;
  out.expression = request.expression();
  out.max_points = request.max_points();
  out.end = now_unix_nanos;
  if (request.has_end_time()) {
    PB_ASSIGN_OR_RETURN(out.end, RequireTime("end_time", request.end_time()));
  }
  out.start = out.end;
  if (request.has_start_time()) {
    PB_ASSIGN_OR_RETURN(out.start, RequireTime("start_time", request.start_time()));
  }
  if (!request.has_step()) return out;
  const std::optional<int64_t> step = ToNanos(request.step());
  if (!step || *step <= 0) {
    return BadField("step",
                    std::to_string(request.step().seconds()) + " s + " + std::to_string(request.step().nanos()) + " ns",
                    "a positive duration");
  }
  if (request.max_points() != 0) {
    return BadField("max_points", std::to_string(request.max_points()), "none beside step");
  }
  out.step_ns = *step;
  return out;
}

}  // namespace pulseboard
