#include "server/rpc/live_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/errors.h"
#include "common/wire/model.h"
#include "common/wire/status.h"
#include "server/rpc/data_wire.h"
#include "server/rpc/event_wire.h"
#include "server/rpc/query_wire.h"

namespace pulseboard {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

void ToProto(const std::vector<LiveColumn>& columns, v1::SampleFrame* frame) {
  for (const LiveColumn& column : columns) {
    pulseboard::ToProto(column.samples, 0, column.samples.size(), column.ref, frame->add_columns());
  }
}

void ToProto(const LiveDefinition& definition, v1::SeriesDefinition* out) {
  out->set_ref(definition.ref);
  pulseboard::ToProto(*definition.series, out->mutable_series());
  for (const std::string& id : definition.query_ids) out->add_query_ids(id);
}

void EventToProto(const LiveDefinitions& event, v1::SubscribeResponse* out) {
  v1::SeriesDefinitions* definitions = out->mutable_definitions();
  for (const LiveDefinition& one : event.definitions) ToProto(one, definitions->add_definitions());
  for (const LiveDefinition& one : event.aggregates) ToProto(one, definitions->add_aggregates());
}

void EventToProto(const LiveOccurrences& event, v1::SubscribeResponse* out) {
  for (const LiveOccurrences::Occurrence& one : event.occurrences) {
    v1::LiveEvent* to = out->mutable_events()->add_events();
    pulseboard::ToProto(one.event, to->mutable_event());
    for (const std::string& id : one.query_ids) to->add_query_ids(id);
  }
}

void EventToProto(const LiveRestated& event, v1::SubscribeResponse* out) {
  out->mutable_restated()->set_start_time_unix_nanos(event.start_time_unix_nanos);
}

void EventToProto(const LiveBackfill& event, v1::SubscribeResponse* out) {
  ToProto(event.columns, out->mutable_backfill());
}

void EventToProto(const LiveBackfillDone& event, v1::SubscribeResponse* out) {
  out->mutable_backfill_done()->set_commit_sequence(event.commit_sequence);
}

void EventToProto(const LiveGap& event, v1::SubscribeResponse* out) {
  out->mutable_gap()->set_start_time_unix_nanos(event.start_time_unix_nanos);
  out->mutable_gap()->set_end_time_unix_nanos(event.end_time_unix_nanos);
  out->mutable_gap()->set_dropped_sample_count(event.dropped_sample_count);
}

void EventToProto(const LiveUpdated& event, v1::SubscribeResponse* out) {
  out->mutable_updated()->set_update_id(event.update_id);
  if (!event.status.ok()) {
    out->mutable_updated()->mutable_status()->ParseFromString(ToGrpcStatus(event.status).error_details());
  }
}

void EventToProto(const LiveStale& event, v1::SubscribeResponse* out) {
  out->mutable_stale()->mutable_refs()->Add(event.refs.begin(), event.refs.end());
}

void EventToProto(const LiveProgress& event, v1::SubscribeResponse* out) {
  out->mutable_progress()->set_commit_sequence(event.commit_sequence);
  out->mutable_progress()->set_server_time_unix_nanos(event.server_time_unix_nanos);
  out->mutable_progress()->set_dropped_sample_count(event.dropped_sample_count);
  out->mutable_progress()->set_conflated_sample_count(event.conflated_sample_count);
}

// The bytes of a SampleFrame: entries of a repeated field, so frames behind each other are a frame.
std::shared_ptr<const grpc::Slice> EncodeColumns(const std::vector<LiveColumn>& columns) {
  v1::SampleFrame frame;
  ToProto(columns, &frame);
  grpc::Slice slice(frame.ByteSizeLong());
  frame.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return std::make_shared<const grpc::Slice>(std::move(slice));
}

LiveFrame::Conflation ConflationOf(const std::vector<LiveFramePtr>& frames) {
  LiveFrame::Conflation all;
  for (const LiveFramePtr& frame : frames) {
    const LiveFrame::Conflation& one = frame->conflation;
    if (one.left_out_sample_count == 0) continue;
    const bool first = all.left_out_sample_count == 0;
    all.start_time_unix_nanos =
        first ? one.start_time_unix_nanos : std::min(all.start_time_unix_nanos, one.start_time_unix_nanos);
    all.end_time_unix_nanos =
        first ? one.end_time_unix_nanos : std::max(all.end_time_unix_nanos, one.end_time_unix_nanos);
    all.left_out_sample_count += one.left_out_sample_count;
  }
  return all;
}

// What of a message with frames is its own: all fields but the frames.
std::string EncodeRest(const LiveTimes& times, int64_t sent_unix_nanos, const LiveFrame::Conflation& conflation,
                       const std::string& resume_token) {
  v1::SubscribeResponse rest;
  if (times.committed_unix_nanos != 0) {  // not history
    rest.mutable_times()->set_pushed_unix_nanos(times.pushed_unix_nanos);
    rest.mutable_times()->set_received_unix_nanos(times.received_unix_nanos);
    rest.mutable_times()->set_committed_unix_nanos(times.committed_unix_nanos);
    rest.mutable_times()->set_sent_unix_nanos(sent_unix_nanos);
  }
  if (conflation.left_out_sample_count > 0) {
    rest.mutable_conflation()->set_start_time_unix_nanos(conflation.start_time_unix_nanos);
    rest.mutable_conflation()->set_end_time_unix_nanos(conflation.end_time_unix_nanos);
    rest.mutable_conflation()->set_left_out_sample_count(conflation.left_out_sample_count);
  }
  rest.set_resume_token(resume_token);
  return rest.SerializeAsString();
}

// Field `field`, its length, the shared bytes of the columns, the rest.
template <typename Part>
grpc::ByteBuffer EncodeFrames(int field, const std::vector<LiveFramePtr>& frames, const Part& part,
                              const std::string& rest) {
  std::vector<grpc::Slice> slices(1);
  size_t length = 0;
  for (const LiveFramePtr& frame : frames) {
    const SharedColumns& columns = part(*frame);
    if (columns.empty()) continue;
    slices.push_back(*columns.template Encoded<grpc::Slice>(EncodeColumns));
    length += slices.back().size();
  }
  uint8_t head[2 * CodedOutputStream::StaticVarintSize32<UINT32_MAX>::value];
  uint8_t* end = WireFormatLite::WriteTagToArray(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED, head);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(length), end);
  slices.front() = grpc::Slice(head, static_cast<size_t>(end - head));
  slices.emplace_back(rest);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::StatusOr<LiveAggregate> FromProto(const v1::LiveAggregation& in, const std::string& path) {
  LiveAggregate out;
  out.step_ns = ToNanos(in.step()).value_or(-1);
  PB_ASSIGN_OR_RETURN(out.aggregate, AggregateFromProto(path + ".aggregate", in.aggregate()));
  if (!in.has_group()) return out;
  auto group = GroupingFromProto(in.group());
  if (!group.ok()) return WithContext(group.status(), path);
  out.group = *std::move(group);
  return out;
}

// A duration that does not fit becomes -1 ns, which the hub refuses as it does all outside 0 to 400 days.
absl::StatusOr<std::vector<LiveQuerySpec>> QueriesFromProto(
    const std::string& field, const google::protobuf::RepeatedPtrField<v1::LiveQuery>& queries) {
  std::vector<LiveQuerySpec> out;
  for (const v1::LiveQuery& in : queries) {
    const std::string path = field + "[" + std::to_string(out.size()) + "].aggregation";
    LiveQuerySpec& query = out.emplace_back(
        LiveQuerySpec{in.query_id(), in.selector(), ToNanos(in.backfill()).value_or(-1), in.max_points()});
    if (!in.has_aggregation()) continue;
    PB_ASSIGN_OR_RETURN(query.aggregate, FromProto(in.aggregation(), path));
  }
  return out;
}

std::vector<LiveEventQuerySpec> EventQueriesFromProto(
    const google::protobuf::RepeatedPtrField<v1::LiveEventQuery>& queries) {
  std::vector<LiveEventQuerySpec> out;
  for (const v1::LiveEventQuery& in : queries) {
    out.push_back({in.query_id(), in.filter().selector(), SeverityFromProto(in.filter().min_severity()),
                   in.filter().text_contains(), ToNanos(in.backfill()).value_or(-1)});
  }
  return out;
}

}  // namespace

absl::StatusOr<SubscriptionSpec> FromProto(const v1::SubscribeRequest& request, TenantId tenant) {
  SubscriptionSpec spec;
  spec.tenant = tenant;
  spec.resume_token = request.resume_token();
  spec.max_buffer_bytes = request.max_buffer_bytes();
  spec.max_frames_per_second = request.max_frames_per_second();
  PB_ASSIGN_OR_RETURN(spec.queries, QueriesFromProto("queries", request.queries()));
  spec.event_queries = EventQueriesFromProto(request.event_queries());
  return spec;
}

absl::StatusOr<SubscriptionUpdate> FromProto(const v1::UpdateQueries& request) {
  SubscriptionUpdate update;
  update.update_id = request.update_id();
  PB_ASSIGN_OR_RETURN(update.set, QueriesFromProto("set_queries", request.set_queries()));
  update.set_events = EventQueriesFromProto(request.set_event_queries());
  update.remove.assign(request.remove_query_ids().begin(), request.remove_query_ids().end());
  return update;
}

grpc::ByteBuffer EncodeEvent(const LiveEvent& event, int64_t sent_unix_nanos) {
  const auto rest = [&](const auto& what) {
    return EncodeRest(what.times(), sent_unix_nanos, ConflationOf(what.frames), event.resume_token);
  };
  if (const auto* samples = std::get_if<LiveSamples>(&event.what)) {
    return EncodeFrames(
        v1::SubscribeResponse::kSamplesFieldNumber, samples->frames,
        [](const LiveFrame& frame) -> const SharedColumns& { return frame.samples; }, rest(*samples));
  }
  if (const auto* aggregates = std::get_if<LiveAggregates>(&event.what)) {
    return EncodeFrames(
        v1::SubscribeResponse::kAggregatesFieldNumber, aggregates->frames,
        [](const LiveFrame& frame) -> const SharedColumns& { return frame.samples; }, rest(*aggregates));
  }
  if (const auto* amends = std::get_if<LiveAmends>(&event.what)) {
    return EncodeFrames(
        v1::SubscribeResponse::kAmendsFieldNumber, amends->frames,
        [](const LiveFrame& frame) -> const SharedColumns& { return frame.amends; }, rest(*amends));
  }
  v1::SubscribeResponse response;
  std::visit(
      [&response](const auto& what) {
        if constexpr (requires { EventToProto(what, &response); }) EventToProto(what, &response);
      },
      event.what);
  response.set_resume_token(event.resume_token);
  const grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace pulseboard
