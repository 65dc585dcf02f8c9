// Alert rules, alerts and transitions <-> messages.
#pragma once

#include "absl/status/statusor.h"
#include "pulseboard/v1/alert.pb.h"
#include "server/alert/alert_board.h"
#include "server/alert/alert_ledger.h"
#include "server/alert/alert_rule.h"

namespace pulseboard {

// BAD_FIELD for durations that do not fit; everything else is left to ValidateRule. Numbers that are none of an enum
// become ones that it refuses.
absl::StatusOr<AlertRule> FromProto(const v1::AlertRule& rule);
// BAD_FIELD for states and severities that do not exist, BAD_SELECTOR.
absl::StatusOr<LedgerFilter> FromProto(const v1::TransitionFilter& filter);
absl::StatusOr<AlertState> StateFromProto(const std::string& field, int state);

void ToProto(const AlertRule& rule, v1::AlertRule* out);
void ToProto(const AlertStatus& alert, v1::Alert* out);
void ToProto(const AlertTransition& transition, v1::AlertTransition* out);

}  // namespace pulseboard
