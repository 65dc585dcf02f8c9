// Events <-> messages.
#pragma once

#include "pulseboard/v1/events.pb.h"
#include "server/events/event.h"

namespace pulseboard {

// A number that is none of the enum becomes one that is refused later.
EventSeverity SeverityFromProto(v1::EventSeverity severity);
void ToProto(const Event& event, v1::Event* out);

}  // namespace pulseboard
