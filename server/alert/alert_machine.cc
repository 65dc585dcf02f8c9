#include "server/alert/alert_machine.h"

#include <algorithm>

#include "common/codec/bytes.h"

namespace pulseboard {
namespace {

constexpr char kVersion = 1;

int64_t After(int64_t time, int64_t length) {
  int64_t sum = 0;
  return __builtin_add_overflow(time, length, &sum) ? AlertMachine::kNever : sum;
}

}  // namespace

bool AlertMachine::Judge(const AlertTiming& timing, int64_t now, Judgement judgement,
                         std::vector<AlertChange>* changes) {
  const bool advanced = Advance(timing, now, changes);
  if (judgement == judgement_) return advanced;
  TakeIn(now_, judgement);
  if (judgement == Judgement::kUnknown) {
    // Without a time of its own the policy takes effect at once.
    if (MissingEdge(timing) <= now_) MissData(timing);
    Show(AlertCause::kMissing, now_, changes);
    return true;
  }
  FlipDueLevels(timing, now_);
  Show(AlertCause::kSample, now_, changes);
  return true;
}

bool AlertMachine::Advance(const AlertTiming& timing, int64_t now, std::vector<AlertChange>* changes) {
  now = std::max(now, now_);
  bool changed = false;
  for (int64_t edge = NextEdge(timing); edge <= now; edge = NextEdge(timing)) {
    now_ = std::max(now_, edge);
    changed = true;
    if (judgement_ == Judgement::kUnknown) {
      MissData(timing);
      Show(AlertCause::kMissing, now_, changes);
    } else {
      FlipDueLevels(timing, now_);
      Show(AlertCause::kTime, now_, changes);
    }
  }
  now_ = now;
  return changed;
}

int64_t AlertMachine::NextEdge(const AlertTiming& timing) const {
  if (judgement_ == Judgement::kUnknown) return MissingEdge(timing);
  return std::min(LevelEdge(timing, 0), LevelEdge(timing, 1));
}

int64_t AlertMachine::LevelEdge(const AlertTiming& timing, size_t level) const {
  const Level& l = levels_[level];
  if (l.held == Wants(level)) return kNever;
  return After(l.clock, l.held ? timing.keep_firing_for_ns : timing.for_ns);
}

int64_t AlertMachine::MissingEdge(const AlertTiming& timing) const {
  if (missing_ || timing.missing == MissingDataPolicy::kKeep) return kNever;
  return After(unknown_since_, timing.missing_for_ns);
}

void AlertMachine::FlipDueLevels(const AlertTiming& timing, int64_t time) {
  for (size_t i = 0; i < levels_.size(); ++i) {
    if (LevelEdge(timing, i) <= time) levels_[i].held = !levels_[i].held;
  }
}

void AlertMachine::MissData(const AlertTiming& timing) {
  missing_ = true;
  if (timing.missing == MissingDataPolicy::kUnknown) {
    unknown_shown_ = true;
    return;
  }
  const bool fires = timing.missing == MissingDataPolicy::kFire;
  known_ = Judgement::kClear;
  for (size_t i = 0; i < levels_.size(); ++i) {
    levels_[i].held = fires && (levels_[i].held || kSeverities[i] <= timing.missing_severity);
    if (levels_[i].held)
      known_ = kSeverities[i] == AlertSeverity::kWarning ? Judgement::kWarning : Judgement::kCritical;
  }
}

void AlertMachine::TakeIn(int64_t now, Judgement judgement) {
  const bool was_unknown = judgement_ == Judgement::kUnknown;
  judgement_ = judgement;
  if (judgement == Judgement::kUnknown) {
    unknown_since_ = now;
    return;
  }
  const std::array<bool, 2> wanted = {Wants(0), Wants(1)};
  known_ = judgement;
  missing_ = false;
  unknown_shown_ = false;
  for (size_t i = 0; i < levels_.size(); ++i) {
    if (Wants(i) != wanted[i]) {
      levels_[i].clock = now;
    } else if (was_unknown) {
      levels_[i].clock += now - unknown_since_;
    }
  }
}

AlertMachine::Shown AlertMachine::Current() const {
  AlertSeverity severity = AlertSeverity::kNone;
  for (size_t i = 0; i < levels_.size(); ++i) {
    if (levels_[i].held) severity = kSeverities[i];
  }
  if (unknown_shown_) return {AlertState::kUnknown, severity};
  const bool clear = known_ == Judgement::kClear;
  if (severity == AlertSeverity::kNone) return {clear ? AlertState::kOk : AlertState::kPending, severity};
  return {clear ? AlertState::kRecovering : AlertState::kFiring, severity};
}

void AlertMachine::Show(AlertCause cause, int64_t time, std::vector<AlertChange>* changes) {
  const Shown current = Current();
  if (current == shown_) return;
  changes->push_back({shown_.state, current.state, shown_.severity, current.severity, cause, time, since_});
  shown_ = current;
  since_ = time;
}

std::string AlertMachine::Encode() const {
  std::string out(1, kVersion);
  PutZigZag(&out, since_);
  out.push_back(static_cast<char>(judgement_));
  out.push_back(static_cast<char>(known_));
  out.push_back(static_cast<char>((missing_ ? 1 : 0) | (unknown_shown_ ? 2 : 0) | (levels_[0].held ? 4 : 0) |
                                  (levels_[1].held ? 8 : 0)));
  PutZigZag(&out, unknown_since_);
  for (const Level& level : levels_) PutZigZag(&out, level.clock);
  return out;
}

bool AlertMachine::Decode(std::string_view bytes, int64_t now, AlertMachine* machine) {
  ByteReader in(bytes);
  if (in.Fixed<char>() != kVersion) return false;
  AlertMachine m;
  m.since_ = in.ZigZag();
  const auto judgement = in.Fixed<uint8_t>();
  const auto known = in.Fixed<uint8_t>();
  const auto flags = in.Fixed<uint8_t>();
  m.unknown_since_ = in.ZigZag();
  for (Level& level : m.levels_) level.clock = in.ZigZag();
  constexpr auto kMost = static_cast<uint8_t>(Judgement::kCritical);
  if (!in.ok() || in.remaining() != 0 || judgement > kMost || known > kMost || known == 0 || flags > 15) return false;
  m.judgement_ = static_cast<Judgement>(judgement);
  m.known_ = static_cast<Judgement>(known);
  m.missing_ = (flags & 1) != 0;
  m.unknown_shown_ = (flags & 2) != 0;
  m.levels_[0].held = (flags & 4) != 0;
  m.levels_[1].held = (flags & 8) != 0;
  m.now_ = now;
  m.shown_ = m.Current();
  *machine = m;
  return true;
}

}  // namespace pulseboard
