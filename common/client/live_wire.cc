#include "common/client/live_wire.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "common/base/clock.h"
#include "common/wire/model.h"

namespace pulseboard::client {

using google::protobuf::util::TimeUtil;

namespace {

void ToProto(const SubscriptionQuery& query, v1::LiveQuery* out) {
  out->set_query_id(query.id);
  out->set_selector(query.selector);
  *out->mutable_backfill() = TimeUtil::NanosecondsToDuration(query.backfill.count());
  out->set_max_points(query.max_points);
}

}  // namespace

v1::UpdateQueries BuildUpdate(const std::vector<SubscriptionQuery>& current,
                              const std::vector<SubscriptionQuery>& wanted) {
  v1::UpdateQueries update;
  for (const SubscriptionQuery& query : wanted) {
    const bool is_there = std::find(current.begin(), current.end(), query) != current.end();
    if (!is_there || wanted == current) ToProto(query, update.add_set_queries());
  }
  for (const SubscriptionQuery& query : current) {
    const auto same_id = [&query](const SubscriptionQuery& other) { return other.id == query.id; };
    if (std::none_of(wanted.begin(), wanted.end(), same_id)) update.add_remove_query_ids(query.id);
  }
  return update;
}

v1::SubscribeRequest BuildRequest(const SubscriberOptions& options, const std::vector<SubscriptionQuery>& queries) {
  v1::SubscribeRequest request;
  for (const SubscriptionQuery& query : queries) ToProto(query, request.add_queries());
  for (const EventSubscription& query : options.event_queries) {
    v1::LiveEventQuery* out = request.add_event_queries();
    out->set_query_id(query.id);
    out->mutable_filter()->set_selector(query.selector);
    out->mutable_filter()->set_min_severity(static_cast<v1::EventSeverity>(query.min_severity));
    *out->mutable_backfill() = TimeUtil::NanosecondsToDuration(query.backfill.count());
  }
  request.set_max_buffer_bytes(options.max_buffer_bytes);
  request.set_max_frames_per_second(options.max_frames_per_second);
  return request;
}

OccurrencesEvent DecodeEvents(const v1::LiveEvents& in) {
  OccurrencesEvent event;
  event.occurrences.reserve(static_cast<size_t>(in.events_size()));
  for (const v1::LiveEvent& one : in.events()) {
    Occurrence& out = event.occurrences.emplace_back();
    out.event_id = one.event().event_id();
    out.time_unix_nanos = TimeUtil::TimestampToNanoseconds(one.event().time());
    out.severity = one.event().severity();
    out.source = one.event().source();
    std::vector<Label> labels;
    for (const auto& [name, value] : one.event().labels()) labels.push_back({name, value});
    out.labels = Labels(std::move(labels));
    out.text = one.event().text();
    out.query_ids.assign(one.query_ids().begin(), one.query_ids().end());
  }
  return event;
}

DefinitionsEvent DecodeDefinitions(const v1::SeriesDefinitions& in, RefMap* refs) {
  DefinitionsEvent event;
  event.definitions.reserve(static_cast<size_t>(in.definitions_size()));
  for (const v1::SeriesDefinition& definition : in.definitions()) {
    SeriesInfo series = FromProto(definition.series());
    (*refs)[definition.ref()] = series.id;
    event.definitions.push_back({std::move(series), {definition.query_ids().begin(), definition.query_ids().end()}});
  }
  return event;
}

absl::StatusOr<std::vector<SeriesSamples>> DecodeFrame(const v1::SampleFrame& in, const RefMap& refs) {
  std::vector<SeriesSamples> out;
  out.reserve(static_cast<size_t>(in.columns_size()));
  for (const v1::SeriesColumns& columns : in.columns()) {
    const auto it = refs.find(columns.ref());
    if (it == refs.end()) {
      return absl::InternalError("the server sent samples of ref " + std::to_string(columns.ref()) +
                                 " without defining it");
    }
    SeriesSamples& series = out.emplace_back();
    series.series = it->second;
    if (!FromProto(columns, &series.samples)) {
      return absl::InternalError("the server sent columns of unequal length");
    }
  }
  return out;
}

int64_t CountSamples(const std::vector<SeriesSamples>& series) {
  int64_t count = 0;
  for (const SeriesSamples& s : series) count += static_cast<int64_t>(s.samples.size());
  return count;
}

FrameTimes DecodeTimes(const v1::FrameTimes& in, int64_t now) {
  return {in.pushed_unix_nanos(), in.received_unix_nanos(), in.committed_unix_nanos(), in.sent_unix_nanos(), now};
}

}  // namespace pulseboard::client
