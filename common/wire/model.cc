#include "common/wire/model.h"

#include <utility>
#include <vector>

namespace pulseboard {

void ToProto(const SeriesInfo& info, v1::Series* out) {
  out->set_series_id(static_cast<int64_t>(info.id));
  out->set_metric(info.key.metric);
  for (const Label& label : info.key.labels) {
    v1::Label* l = out->add_labels();
    l->set_name(label.name);
    l->set_value(label.value);
  }
  out->set_kind(ToProto(info.metadata.kind));
  out->set_unit(info.metadata.unit);
  out->set_description(info.metadata.description);
}

SeriesInfo FromProto(const v1::Series& in) {
  SeriesInfo info;
  info.id = static_cast<SeriesId>(in.series_id());
  info.key.metric = in.metric();
  std::vector<Label> labels;
  labels.reserve(static_cast<size_t>(in.labels_size()));
  for (const v1::Label& label : in.labels()) labels.push_back({label.name(), label.value()});
  info.key.labels = Labels(std::move(labels));
  info.metadata = {FromProto(in.kind()), in.unit(), in.description()};
  return info;
}

v1::MetricKind ToProto(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return v1::METRIC_KIND_COUNTER;
    case MetricKind::kDelta:
      return v1::METRIC_KIND_DELTA;
    default:
      return v1::METRIC_KIND_GAUGE;
  }
}

MetricKind FromProto(v1::MetricKind kind) {
  switch (kind) {
    case v1::METRIC_KIND_COUNTER:
      return MetricKind::kCounter;
    case v1::METRIC_KIND_DELTA:
      return MetricKind::kDelta;
    default:
      return MetricKind::kGauge;
  }
}

void ToProto(const SampleColumns& samples, size_t first, size_t count, uint32_t ref, v1::SeriesColumns* out) {
  out->set_ref(ref);
  if (count == 0) return;
  out->set_first_time_unix_nanos(samples.times[first]);
  auto* deltas = out->mutable_time_deltas_nanos();
  auto* values = out->mutable_values();
  deltas->Reserve(static_cast<int>(count));
  values->Reserve(static_cast<int>(count));
  int64_t previous = samples.times[first];
  for (size_t i = first; i < first + count; ++i) {
    deltas->AddAlreadyReserved(samples.times[i] - previous);
    values->AddAlreadyReserved(samples.values[i]);
    previous = samples.times[i];
  }
}

bool FromProto(const v1::SeriesColumns& in, SampleColumns* out) {
  if (in.time_deltas_nanos_size() != in.values_size()) return false;
  out->reserve(out->size() + static_cast<size_t>(in.values_size()));
  // Unsigned arithmetic: hostile deltas wrap instead of overflowing.
  auto time = static_cast<uint64_t>(in.first_time_unix_nanos());
  for (int i = 0; i < in.values_size(); ++i) {
    time += static_cast<uint64_t>(in.time_deltas_nanos(i));
    out->push_back(static_cast<int64_t>(time), in.values(i));
  }
  return true;
}

}  // namespace pulseboard
