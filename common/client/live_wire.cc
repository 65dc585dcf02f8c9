#include "common/client/live_wire.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/model.h"

namespace pulseboard::client {

using google::protobuf::util::TimeUtil;

namespace {

void ToProto(const SubscriptionAggregate& aggregate, v1::LiveAggregation* out) {
  *out->mutable_step() = TimeUtil::NanosecondsToDuration(aggregate.step.count());
  out->mutable_aggregate()->set_function(static_cast<v1::AggregateFunction>(aggregate.function));
  out->mutable_aggregate()->set_quantile(aggregate.quantile);
  if (!aggregate.group) return;
  v1::Grouping* group = out->mutable_group();
  group->set_function(static_cast<v1::GroupFunction>(aggregate.group->function));
  group->set_quantile(aggregate.group->quantile);
  group->mutable_labels()->Add(aggregate.group->labels.begin(), aggregate.group->labels.end());
  group->set_without(aggregate.group->without);
}

void ToProto(const SubscriptionQuery& query, v1::LiveQuery* out) {
  out->set_query_id(query.id);
  out->set_selector(query.selector);
  *out->mutable_backfill() = TimeUtil::NanosecondsToDuration(query.backfill.count());
  out->set_max_points(query.max_points);
  if (query.aggregate) ToProto(*query.aggregate, out->mutable_aggregation());
}

void ToProto(const EventSubscription& query, v1::LiveEventQuery* out) {
  out->set_query_id(query.id);
  out->mutable_filter()->set_selector(query.selector);
  out->mutable_filter()->set_min_severity(static_cast<v1::EventSeverity>(query.min_severity));
  out->mutable_filter()->set_text_contains(query.text_contains);
  *out->mutable_backfill() = TimeUtil::NanosecondsToDuration(query.backfill.count());
}

// Calls `set` for each query of `wanted` that is not in `current` as it is (or for all), `remove` for each id that is
// no longer wanted.
template <typename Query, typename Set, typename Remove>
void Compare(const std::vector<Query>& current, const std::vector<Query>& wanted, bool all, const Set& set,
             const Remove& remove) {
  for (const Query& query : wanted) {
    if (all || std::find(current.begin(), current.end(), query) == current.end()) set(query);
  }
  for (const Query& query : current) {
    const auto same_id = [&query](const Query& other) { return other.id == query.id; };
    if (std::none_of(wanted.begin(), wanted.end(), same_id)) remove(query.id);
  }
}

}  // namespace

LineNumber LineTable::Define(uint32_t ref, const SeriesInfo& series, std::vector<std::string> query_ids) {
  std::sort(query_ids.begin(), query_ids.end());
  LineNumber& known = known_[{std::move(query_ids), series.id, series.key}];
  LineNumber& line = by_ref_[ref];
  if (line == 0) line = known != 0 ? known : ++last_;
  known = line;  // a ref is the same line when other queries want it, too
  return line;
}

LineNumber LineTable::Of(uint32_t ref) const {
  const auto known = by_ref_.find(ref);
  return known == by_ref_.end() ? 0 : known->second;
}

v1::UpdateQueries BuildUpdate(const SubscriptionQueries& current, const SubscriptionQueries& wanted) {
  v1::UpdateQueries update;
  const bool all = wanted == current;
  const auto remove = [&update](const std::string& id) { update.add_remove_query_ids(id); };
  Compare(
      current.samples, wanted.samples, all,
      [&update](const SubscriptionQuery& query) { ToProto(query, update.add_set_queries()); }, remove);
  Compare(
      current.events, wanted.events, all,
      [&update](const EventSubscription& query) { ToProto(query, update.add_set_event_queries()); }, remove);
  return update;
}

v1::SubscribeRequest BuildRequest(const SubscriberOptions& options, const SubscriptionQueries& queries) {
  v1::SubscribeRequest request;
  for (const SubscriptionQuery& query : queries.samples) ToProto(query, request.add_queries());
  for (const EventSubscription& query : queries.events) ToProto(query, request.add_event_queries());
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

DefinitionsEvent DecodeDefinitions(const v1::SeriesDefinitions& in, RefMap* refs, LineTable* lines) {
  DefinitionsEvent event;
  event.definitions.reserve(static_cast<size_t>(in.definitions_size()));
  for (const v1::SeriesDefinition& definition : in.definitions()) {
    SeriesInfo series = FromProto(definition.series());
    (*refs)[definition.ref()] = series.id;
    event.definitions.push_back({std::move(series), {definition.query_ids().begin(), definition.query_ids().end()}});
  }
  for (const v1::SeriesDefinition& definition : in.aggregates()) {
    SeriesInfo series = FromProto(definition.series());
    std::vector<std::string> ids(definition.query_ids().begin(), definition.query_ids().end());
    const LineNumber line = lines->Define(definition.ref(), series, ids);
    event.lines.push_back({line, std::move(series), std::move(ids)});
  }
  return event;
}

namespace {

// One entry per column, made by `entry` of the column's ref and samples: false for a ref that was not defined.
template <typename Entry>
absl::Status DecodeColumns(const v1::SampleFrame& in, const Entry& entry) {
  for (const v1::SeriesColumns& columns : in.columns()) {
    SampleColumns samples;
    if (!FromProto(columns, &samples)) return absl::InternalError("the server sent columns of unequal length");
    if (entry(columns.ref(), std::move(samples))) continue;
    return absl::InternalError("the server sent samples of ref " + std::to_string(columns.ref()) +
                               " without defining it");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<SeriesSamples>> DecodeFrame(const v1::SampleFrame& in, const RefMap& refs) {
  std::vector<SeriesSamples> out;
  out.reserve(static_cast<size_t>(in.columns_size()));
  PB_RETURN_IF_ERROR(DecodeColumns(in, [&](uint32_t ref, SampleColumns samples) {
    const auto known = refs.find(ref);
    if (known == refs.end()) return false;
    out.push_back({known->second, std::move(samples)});
    return true;
  }));
  return out;
}

absl::StatusOr<AggregatesEvent> DecodeAggregates(const v1::SampleFrame& in, const LineTable& lines) {
  AggregatesEvent event;
  event.lines.reserve(static_cast<size_t>(in.columns_size()));
  PB_RETURN_IF_ERROR(DecodeColumns(in, [&](uint32_t ref, SampleColumns values) {
    const LineNumber line = lines.Of(ref);
    if (line == 0) return false;
    event.lines.push_back({line, std::move(values)});
    return true;
  }));
  return event;
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
