// AlertRule: what to watch, when it is bad, and how patient to be. Plain values, and their check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/model/labels.h"
#include "server/alert/alert_machine.h"

namespace pulseboard {

// What is judged of each series that the selector picks. Persisted: never renumber. Numbers equal
// pulseboard.v1.AlertSignal.
enum class AlertSignal : uint8_t {
  kUnspecified = 0,
  kValue = 1,          // each sample
  kRate = 2,           // change per second over `window_ns`; of counters the increase, resets counted
  kChange = 3,         // change over `window_ns`, likewise
  kPercentChange = 4,  // the same in percent of what it was; not of counters
  kAbsence = 5,        // that nothing comes: for `absent_for_ns`, or by the series' own cadence
};

// Which values are bad. Persisted: never renumber. Numbers equal pulseboard.v1.AlertComparison.
enum class AlertComparison : uint8_t {
  kUnspecified = 0,
  kAbove = 1,    // > high
  kBelow = 2,    // < low
  kOutside = 3,  // < low or > high
  kInside = 4,   // >= low and <= high
};

// Where a level begins, and where it ends again: once it began, a value is bad until it has passed the recovery bound
// (reached it, for kAbove, kBelow and kOutside; gone beyond it, for kInside). Without one that is the bound itself.
struct AlertBounds {
  std::optional<double> low = std::nullopt;
  std::optional<double> high = std::nullopt;
  std::optional<double> recovery_low = std::nullopt;
  std::optional<double> recovery_high = std::nullopt;
  bool operator==(const AlertBounds&) const = default;
};

struct AlertCondition {
  std::string selector;
  AlertSignal signal = AlertSignal::kValue;
  int64_t window_ns = 0;                                       // kRate, kChange, kPercentChange
  int64_t absent_for_ns = 0;                                   // kAbsence; 0: by the series' own cadence
  AlertComparison comparison = AlertComparison::kUnspecified;  // but for kAbsence
  std::optional<AlertBounds> warning;                          // one of the two, or both
  std::optional<AlertBounds> critical;
  AlertSeverity absence_severity = AlertSeverity::kCritical;  // kAbsence
  bool operator==(const AlertCondition&) const = default;
};

struct AlertRule {
  std::string id;                     // given by the server
  int64_t revision = 0;               // counts the changes, from 1
  int64_t judged_since_revision = 0;  // the last change that made its alerts begin anew
  std::string name;                   // for people; need not be unique
  std::string description;
  Labels labels;  // of the rule: for routing, silences and lists
  bool enabled = true;
  AlertCondition condition;
  AlertTiming timing;
  int64_t created_unix_nanos = 0;
  int64_t changed_unix_nanos = 0;
  std::string changed_by;  // a user's name
  bool operator==(const AlertRule&) const = default;
};

inline constexpr size_t kMaxRuleNameBytes = 200;
inline constexpr size_t kMaxRuleDescriptionBytes = 4'096;
inline constexpr size_t kMaxRuleLabels = 32;
inline constexpr int64_t kMaxRuleDelay = 7 * kNanosPerDay;  // `for` and its like
inline constexpr int64_t kMinRuleWindow = kNanosPerSecond;
inline constexpr int64_t kMaxRuleWindow = kNanosPerDay;
inline constexpr int64_t kMinAbsence = kNanosPerSecond;

// All that is wrong with it, at once: BAD_FIELD naming fields below `rule`, or BAD_SELECTOR. What the server gives (id,
// revision, times) is not looked at.
absl::Status ValidateRule(const AlertRule& rule);

// Whether alerts judged by `a` may go on under `b`.
inline bool JudgesAlike(const AlertRule& a, const AlertRule& b) {
  return a.enabled == b.enabled && a.condition == b.condition;
}

// As a row of the table `rules` (FORMAT.md). The id is in the key.
std::string EncodeRule(const AlertRule& rule);
bool DecodeRule(std::string_view bytes, AlertRule* rule);

}  // namespace pulseboard
