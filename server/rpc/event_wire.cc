#include "server/rpc/event_wire.h"

#include <google/protobuf/util/time_util.h>

namespace pulseboard {

using google::protobuf::util::TimeUtil;

EventSeverity SeverityFromProto(v1::EventSeverity severity) {
  const bool known = severity >= v1::EVENT_SEVERITY_UNSPECIFIED && severity <= v1::EVENT_SEVERITY_CRITICAL;
  return known ? static_cast<EventSeverity>(severity) : static_cast<EventSeverity>(UINT8_MAX);
}

void ToProto(const Event& event, v1::Event* out) {
  out->set_event_id(event.id);
  *out->mutable_time() = TimeUtil::NanosecondsToTimestamp(event.time_unix_nanos);
  out->set_severity(static_cast<v1::EventSeverity>(event.severity));
  out->set_source(event.source);
  for (const Label& label : event.labels) (*out->mutable_labels())[label.name] = label.value;
  out->set_text(event.text);
  *out->mutable_receive_time() = TimeUtil::NanosecondsToTimestamp(event.received_unix_nanos);
}

}  // namespace pulseboard
