// Threshold: judges a number by the bounds of a rule. Plain functions.
#pragma once

#include "server/alert/alert_machine.h"
#include "server/alert/alert_rule.h"

namespace pulseboard {

// `before`: how the number before was judged; a level that held then holds until its recovery bound is passed.
// kUnknown when `value` is no number. The rule must be valid, and no absence.
Judgement JudgeValue(const AlertCondition& condition, double value, Judgement before);

}  // namespace pulseboard
