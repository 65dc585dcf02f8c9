// The state of one alert as a person would work it out with pencil and paper: one tick of time after the other, a tally
// of ticks per severity, no arithmetic on times. What AlertMachine is compared with.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "server/alert/alert_machine.h"

namespace pulseboard::testing {

class SlowAlertModel {
 public:
  explicit SlowAlertModel(const AlertTiming& timing) : timing_(timing) {}

  // One tick goes by.
  void Tick() {
    ++now_;
    if (judgement_ == Judgement::kUnknown) {
      ++unknown_ticks_;
      if (TakeMissing()) Note(AlertCause::kMissing);
      return;
    }
    for (int level : {0, 1}) {
      if (held_[level] != Bad(level)) ++tally_[level];
    }
    if (Flip()) Note(AlertCause::kTime);
  }

  void Judge(Judgement judgement) {
    if (judgement == judgement_) return;
    judgement_ = judgement;
    if (judgement == Judgement::kUnknown) {
      unknown_ticks_ = 0;
      TakeMissing();
      Note(AlertCause::kMissing);
      return;
    }
    const std::array<bool, 2> before = {Bad(0), Bad(1)};
    last_known_ = judgement;
    policy_took_effect_ = false;
    shows_unknown_ = false;
    for (int level : {0, 1}) {
      if (Bad(level) != before[level]) tally_[level] = 0;
    }
    Flip();
    Note(AlertCause::kSample);
  }

  const std::vector<AlertChange>& changes() const { return changes_; }

 private:
  bool Bad(int level) const {
    if (level == 0) return last_known_ == Judgement::kWarning || last_known_ == Judgement::kCritical;
    return last_known_ == Judgement::kCritical;
  }
  bool Flip() {
    bool any = false;
    for (int level : {0, 1}) {
      const int64_t wait = held_[level] ? timing_.keep_firing_for_ns : timing_.for_ns;
      if (held_[level] != Bad(level) && tally_[level] >= wait) {
        held_[level] = Bad(level);
        any = true;
      }
    }
    return any;
  }
  bool TakeMissing() {
    if (policy_took_effect_ || timing_.missing == MissingDataPolicy::kKeep) return false;
    if (unknown_ticks_ < timing_.missing_for_ns) return false;
    policy_took_effect_ = true;
    if (timing_.missing == MissingDataPolicy::kUnknown) shows_unknown_ = true;
    if (timing_.missing == MissingDataPolicy::kOk) {
      held_ = {false, false};
      last_known_ = Judgement::kClear;
    }
    if (timing_.missing == MissingDataPolicy::kFire) {
      held_[0] = true;
      if (timing_.missing_severity == AlertSeverity::kCritical) held_[1] = true;
      last_known_ = held_[1] ? Judgement::kCritical : Judgement::kWarning;
    }
    return true;
  }
  void Note(AlertCause cause) {
    AlertState state = AlertState::kOk;
    AlertSeverity severity = AlertSeverity::kNone;
    if (held_[0]) severity = AlertSeverity::kWarning;
    if (held_[1]) severity = AlertSeverity::kCritical;
    if (Bad(0)) state = AlertState::kPending;
    if (severity != AlertSeverity::kNone) state = Bad(0) ? AlertState::kFiring : AlertState::kRecovering;
    if (shows_unknown_) state = AlertState::kUnknown;
    if (state == state_ && severity == severity_) return;
    changes_.push_back({state_, state, severity_, severity, cause, now_, since_});
    state_ = state;
    severity_ = severity;
    since_ = now_;
  }

  const AlertTiming timing_;
  int64_t now_ = 0;
  int64_t since_ = 0;
  Judgement judgement_ = Judgement::kClear;
  Judgement last_known_ = Judgement::kClear;
  std::array<bool, 2> held_ = {false, false};
  std::array<int64_t, 2> tally_ = {0, 0};
  int64_t unknown_ticks_ = 0;
  bool policy_took_effect_ = false;
  bool shows_unknown_ = false;
  AlertState state_ = AlertState::kOk;
  AlertSeverity severity_ = AlertSeverity::kNone;
  std::vector<AlertChange> changes_;
};

}  // namespace pulseboard::testing
