// AlertMachine: the state of one alert. A pure value, stepped by what is judged and by time; live evaluation and
// backtests use it alike.
//
// Each severity is held by itself. One begins to be held when the judgement was at least this severe for `for_ns`
// without interruption, and ends when it was less severe for `keep_firing_for_ns` without interruption. The state shown
// follows: FIRING with the highest severity held, RECOVERING when one is held and the judgement is clear, PENDING when
// none is held and the judgement is not clear, else OK.
//
// While the judgement is unknown all clocks stand still: nothing begins or ends to fire on time that nobody saw. After
// `missing_for_ns` of that the rule's policy takes effect. On return of the data the clocks go on where they stood,
// unless the judgement is another now.
//
// Edges that fall due by time have the time at which they fell due, so it does not matter how often Advance is called.
// An edge that is due comes before a judgement of the same time. Time never goes back: an earlier one counts as the
// last.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "server/alert/transition.h"

namespace pulseboard {

// What a condition says at a moment. Ascending from kClear on. Persisted: never renumber.
enum class Judgement : uint8_t { kUnknown = 0, kClear = 1, kWarning = 2, kCritical = 3 };

// What a rule makes of missing data. Persisted: never renumber. Numbers equal pulseboard.v1.MissingDataPolicy.
enum class MissingDataPolicy : uint8_t {
  kUnspecified = 0,
  kKeep = 1,     // shows what it showed
  kUnknown = 2,  // UNKNOWN; it is remembered what fired
  kFire = 3,     // fires at once
  kOk = 4,       // counts as clear at once
};

struct AlertTiming {
  int64_t for_ns = 0;
  int64_t keep_firing_for_ns = 0;
  MissingDataPolicy missing = MissingDataPolicy::kUnknown;
  int64_t missing_for_ns = 0;                                 // unknown for so long before the policy takes effect
  AlertSeverity missing_severity = AlertSeverity::kCritical;  // of kFire; what fires higher stays
  bool operator==(const AlertTiming&) const = default;
};

struct AlertChange {
  AlertState from = AlertState::kOk;
  AlertState to = AlertState::kOk;
  AlertSeverity from_severity = AlertSeverity::kNone;
  AlertSeverity severity = AlertSeverity::kNone;  // highest held; kNone of OK and PENDING
  AlertCause cause = AlertCause::kUnspecified;
  int64_t time = 0;   // when
  int64_t since = 0;  // when `from` began
  bool operator==(const AlertChange&) const = default;
};

// Thread-compatible. Times are nanoseconds of one time line that the caller chooses.
class AlertMachine {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  AlertMachine() = default;
  // OK, judged clear.
  explicit AlertMachine(int64_t now) : now_(now), since_(now) {}

  // Time goes on to `now` and the condition is judged anew. Appends what changed, in order. True when anything but time
  // went on: Encode gives other bytes than before.
  bool Judge(const AlertTiming& timing, int64_t now, Judgement judgement, std::vector<AlertChange>* changes);
  // Time alone goes on. The same otherwise.
  bool Advance(const AlertTiming& timing, int64_t now, std::vector<AlertChange>* changes);
  // When Advance would do something next; kNever when only a judgement could.
  int64_t NextEdge(const AlertTiming& timing) const;

  AlertState state() const { return shown_.state; }
  AlertSeverity severity() const { return shown_.severity; }
  int64_t since() const { return since_; }
  Judgement judgement() const { return judgement_; }
  // The last judgement that was not unknown, or what missing data was made to count as.
  Judgement known() const { return known_; }

  // All of it but the last time seen, as bytes: equal as long as nothing but time went on.
  std::string Encode() const;
  // Time goes on at `now`. False when the bytes are no machine.
  static bool Decode(std::string_view bytes, int64_t now, AlertMachine* machine);

 private:
  struct Shown {
    AlertState state = AlertState::kOk;
    AlertSeverity severity = AlertSeverity::kNone;
    bool operator==(const Shown&) const = default;
  };
  struct Level {
    bool held = false;
    int64_t clock = 0;  // when the judgement came to the other side of `held`; only while it is there
  };
  static constexpr std::array kSeverities = {AlertSeverity::kWarning, AlertSeverity::kCritical};

  // Whether what is known calls for this severity.
  bool Wants(size_t level) const {
    return static_cast<size_t>(known_) >= static_cast<size_t>(Judgement::kWarning) + level;
  }
  int64_t LevelEdge(const AlertTiming& timing, size_t level) const;
  int64_t MissingEdge(const AlertTiming& timing) const;
  void FlipDueLevels(const AlertTiming& timing, int64_t time);
  void MissData(const AlertTiming& timing);
  void TakeIn(int64_t now, Judgement judgement);
  Shown Current() const;
  void Show(AlertCause cause, int64_t time, std::vector<AlertChange>* changes);

  int64_t now_ = 0;
  int64_t since_ = 0;
  Shown shown_;
  Judgement judgement_ = Judgement::kClear;
  Judgement known_ = Judgement::kClear;  // the last that was not unknown, or what missing data counts as
  bool missing_ = false;                 // the policy for missing data is in effect
  bool unknown_shown_ = false;           // and it is kUnknown
  int64_t unknown_since_ = 0;            // while judgement_ is kUnknown
  std::array<Level, 2> levels_;
};

}  // namespace pulseboard
