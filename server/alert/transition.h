// AlertTransition: one change of the state of one alert, as the ledger keeps it and observers are told of it. Plain
// values.
//
// An alert is one rule for one series: (tenant, rule_id, series). Its states, and what a person should make of them:
//   OK          known to be fine
//   PENDING     the condition holds, not yet for the rule's `for`
//   FIRING      it held for `for`; `severity` says which level
//   RECOVERING  fires still, but the condition does not hold any more, not yet for `keep_firing_for`
//   UNKNOWN     no data: neither fine nor firing. Whoever was told that it fires must not be told that it is resolved
// So only a transition to OK resolves, and one from UNKNOWN back to FIRING is no new alert.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/model/labels.h"

namespace pulseboard {

// Persisted: never renumber. Numbers equal pulseboard.v1.AlertState.
enum class AlertState : uint8_t {
  kUnspecified = 0,
  kOk = 1,
  kPending = 2,
  kFiring = 3,
  kRecovering = 4,
  kUnknown = 5,
};

// Persisted: never renumber; ascending. Numbers equal pulseboard.v1.AlertSeverity.
enum class AlertSeverity : uint8_t { kNone = 0, kWarning = 1, kCritical = 2 };

// Why it changed. Persisted: never renumber. Numbers equal pulseboard.v1.AlertCause.
enum class AlertCause : uint8_t {
  kUnspecified = 0,
  kSample = 1,   // a sample was committed
  kTime = 2,     // `for`, `keep_firing_for` or an absence ran out
  kMissing = 3,  // no sample came, and the rule's policy for missing data took effect
  kRule = 4,     // the rule was changed, switched off or deleted: the alert began anew, or ended
};

struct AlertTransition {
  int64_t sequence = 0;  // its number in the ledger: ascending in the order of the transitions, none is given twice
  TenantId tenant = 0;
  std::string rule_id;
  std::string rule_name;      // as it was then
  int64_t rule_revision = 0;  // by which it was judged
  SeriesKey series;
  AlertState from = AlertState::kOk;
  AlertState to = AlertState::kOk;
  AlertSeverity from_severity = AlertSeverity::kNone;
  AlertSeverity severity = AlertSeverity::kNone;  // of `to`; of kUnknown: what it had when the data stopped
  AlertCause cause = AlertCause::kUnspecified;
  double value = 0;                  // judged last; NaN when there was none
  int64_t time_unix_nanos = 0;       // when it changed, by the server's clock
  int64_t since_unix_nanos = 0;      // when `from` began
  int64_t sample_unix_nanos = 0;     // time of the sample judged last; 0: none
  int64_t committed_unix_nanos = 0;  // when that sample was committed; 0: none. Latency is counted from here
  bool operator==(const AlertTransition&) const = default;
};

// Receives transitions once they are durable, each once while the server runs, ascending by `sequence`. After a restart
// the observer asks the ledger for what came after the last sequence that it has dealt with (AlertLedger::ReadAfter).
class TransitionObserver {
 public:
  virtual ~TransitionObserver() = default;
  // On the alert writer's thread, one call at a time: be quick, do not wait and do not call the alert engine.
  virtual void OnTransitions(std::span<const AlertTransition> transitions) noexcept = 0;
};

// `OK`, `FIRING` …
constexpr std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kOk:
      return "OK";
    case AlertState::kPending:
      return "PENDING";
    case AlertState::kFiring:
      return "FIRING";
    case AlertState::kRecovering:
      return "RECOVERING";
    case AlertState::kUnknown:
      return "UNKNOWN";
    case AlertState::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

}  // namespace pulseboard
