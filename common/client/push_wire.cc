#include "common/client/push_wire.h"

#include <string_view>

#include "common/wire/model.h"

namespace pulseboard::client {

std::string RefusalName(v1::RefusalReason reason) {
  std::string name = v1::RefusalReason_Name(reason);
  constexpr std::string_view kPrefix = "REFUSAL_REASON_";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : std::to_string(static_cast<int>(reason));
}

v1::AckMode ToProto(PushAckMode mode) {
  switch (mode) {
    case PushAckMode::kFsynced:
      return v1::ACK_MODE_FSYNCED;
    case PushAckMode::kBuffered:
      return v1::ACK_MODE_BUFFERED;
    case PushAckMode::kServerDefault:
      break;
  }
  return v1::ACK_MODE_UNSPECIFIED;
}

void FillDefinition(uint32_t ref, const DefinedSeries& series, v1::PushSeriesDefinition* out) {
  out->set_ref(ref);
  out->set_metric(series.key.metric);
  for (const Label& label : series.key.labels) {
    v1::Label* l = out->add_labels();
    l->set_name(label.name);
    l->set_value(label.value);
  }
  out->set_kind(pulseboard::ToProto(series.metadata.kind));
  out->set_unit(series.metadata.unit);
  out->set_description(series.metadata.description);
}

void FillColumns(const SpooledBatch& batch, v1::PushStreamRequest* out) {
  const int64_t base = batch.times.front();
  out->set_base_time_unix_nanos(base);
  out->mutable_refs()->Add(batch.series.begin(), batch.series.end());
  out->mutable_values()->Add(batch.values.begin(), batch.values.end());
  auto* offsets = out->mutable_time_offsets_nanos();
  offsets->Reserve(static_cast<int>(batch.size()));
  // Unsigned: offsets between any two times are right modulo 2^64.
  for (const int64_t time : batch.times) {
    offsets->AddAlreadyReserved(static_cast<int64_t>(static_cast<uint64_t>(time) - static_cast<uint64_t>(base)));
  }
}

}  // namespace pulseboard::client
