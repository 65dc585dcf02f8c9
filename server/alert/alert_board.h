// AlertBoard: all alerts of all rules, in memory: which series are watched by which rules, the machine of each, and
// what is due next. Pure: samples and times go in, transitions and rows of states come out. No I/O, no clock, no
// threads.
//
// Time is alert time: nanoseconds on a time line that goes on only while the server runs (AlertTimeline), so that
// neither a step of the wall clock nor a time during which nobody watched lets a clock run out.
//
// What a sample costs: one look-up of its series, and a comparison per rule that watches it. Timers are a heap with at
// most one live entry per alert, which is looked at when it is due and put off by as much as samples came since.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/model/selector.h"
#include "server/alert/alert_machine.h"
#include "server/alert/alert_rows.h"
#include "server/alert/change_window.h"
#include "server/alert/rule_book.h"
#include "server/live/cadence.h"
#include "server/storage/table.h"

namespace pulseboard {

struct AlertBoardOptions {
  int64_t max_alerts = 1'000'000;       // alert.max_alerts: of all rules together; further series are not watched
  int64_t max_window_samples = 10'000;  // alert.max_window_samples: held per alert
  int64_t unlearnt_silence_ns = 300 * kNanosPerSecond;  // alert.unlearnt_silence: missing, before a cadence is known
  int64_t max_sample_age_ns = 300 * kNanosPerSecond;    // alert.max_sample_age: older ones are history
};

// One sample, as committed.
struct WatchedSample {
  SeriesId series = 0;
  int64_t time = 0;  // its own, unix nanoseconds
  double value = 0;
  int64_t committed_unix_nanos = 0;
  int64_t arrived = 0;  // alert time
  bool late = false;    // not newer than the newest of its series
};

struct AlertStatus {
  TenantId tenant = 0;
  RulePtr rule;
  std::shared_ptr<const SeriesInfo> series;
  AlertState state = AlertState::kOk;
  AlertSeverity severity = AlertSeverity::kNone;
  int64_t since_unix_nanos = 0;
  double value = 0;
  int64_t sample_unix_nanos = 0;
};

// What is to be written, then told.
struct AlertOutput {
  std::vector<AlertTransition> transitions;  // without sequence
  std::vector<Table::Change> states;
  bool empty() const { return transitions.empty() && states.empty(); }
};

// Thread-compatible.
class AlertBoard {
 public:
  explicit AlertBoard(AlertBoardOptions options) : options_(options) {}

  // Takes over a set of rules: alerts of rules that went, or judge differently now, end (to OK, for kRule). The rules
  // whose series have to be looked for.
  std::vector<RuleKey> SetRules(const RuleMap& rules, int64_t now, int64_t wall);
  // The selector of a rule that SetRules named.
  const Selector& SelectorOf(const RuleKey& rule) const { return rules_.at(rule).selector; }

  bool IsClassified(SeriesId series) const { return routes_.contains(series); }
  // Matches a series against all rules of its tenant that could mean its metric, anew when it was before. Whether one
  // watches it.
  bool Classify(const std::shared_ptr<const SeriesInfo>& series);
  // The series is one that SelectorOf(rule) picks. It counts as classified from now on, so its other rules must have
  // been, or will be, told too.
  void Watch(const RuleKey& rule, const std::shared_ptr<const SeriesInfo>& series);
  // All rules that pick the series were told of it. Whether there is one.
  bool MarkClassified(SeriesId series) { return !routes_[series].empty(); }

  // REQUIRES: its series is classified. `wall`: now, unix nanoseconds.
  void Take(const WatchedSample& sample, int64_t wall);
  // All edges up to `now`.
  void Advance(int64_t now, int64_t wall);
  // When Advance has something to do; kNever.
  int64_t NextEdge() const { return timers_.empty() ? AlertMachine::kNever : timers_.top().first; }

  // An alert as it was before a restart (`series` null: the store has forgotten it); `now` counts as the time of its
  // last sample, so that the pushers have time to come back. False when its rule is gone or judges differently: then it
  // ends, with a transition to OK when it was not.
  bool Restore(const alert_rows::StateKey& key, const alert_rows::StateValue& value,
               std::shared_ptr<const SeriesInfo> series, int64_t now, int64_t wall);
  // Alerts whose window lacks what was before them. Each is named once.
  struct Unfilled {
    RuleKey rule;
    SeriesId series = 0;
    int64_t window_ns = 0;
  };
  std::vector<Unfilled> TakeUnfilled() { return std::exchange(unfilled_, {}); }
  void FillWindow(const Unfilled& which, const SampleColumns& samples);
  // The time of the sample judged last; 0 when the series is not watched.
  int64_t NewestJudged(SeriesId series) const;
  std::vector<SeriesId> WatchedSeries() const;

  // What has come out since the last time.
  AlertOutput TakeOutput();

  // Calls `visit` for alerts of the tenant after (rule_id, series), in that order, until it returns false.
  void Visit(TenantId tenant, const std::string& rule_id, SeriesId after,
             const std::function<bool(const AlertStatus&)>& visit) const;
  int64_t alerts() const { return static_cast<int64_t>(by_number_.size()); }
  int64_t in_state(AlertState state) const { return counts_[static_cast<size_t>(state)]; }
  int64_t judged() const { return judged_; }
  int64_t unwatched() const { return unwatched_; }

 private:
  struct Rule;
  struct Alert {
    uint64_t number = 0;
    Rule* rule = nullptr;
    std::shared_ptr<const SeriesInfo> series;
    AlertMachine machine;
    Cadence cadence;
    std::unique_ptr<ChangeWindow> window;
    bool silent = false;  // judged so since its last sample
    bool dirty = false;   // its row is to be written
    int64_t saved_interval = 0;
    int64_t armed = AlertMachine::kNever;
    double value = 0;
    int64_t sample_time = 0;
    int64_t committed = 0;
    int64_t since_wall = 0;
  };
  struct Rule {
    RuleKey key;
    RulePtr rule;
    Selector selector;
    std::map<SeriesId, std::unique_ptr<Alert>> alerts;
  };
  struct Watcher {
    Rule* rule = nullptr;
    Alert* alert = nullptr;  // null before the first sample
  };

  void Route(Rule* rule, const std::shared_ptr<const SeriesInfo>& series);
  Alert* Make(Rule* rule, const std::shared_ptr<const SeriesInfo>& series, int64_t now, int64_t wall);
  void JudgeSample(Alert* alert, const WatchedSample& sample, int64_t wall);
  // The number that the rule judges; nothing while its window does not reach back enough.
  static std::optional<double> Signal(const Alert& alert, double value);
  int64_t SilentFrom(const Alert& alert) const;
  // Edges of one alert up to `now`.
  void Settle(Alert* alert, int64_t now, int64_t wall);
  void Arm(Alert* alert);
  void Note(Alert* alert, bool changed, int64_t now, int64_t wall);
  void Emit(const Alert& alert, const AlertChange& change, int64_t wall_of_change);
  void End(Alert* alert, int64_t now, int64_t wall);
  void EndAll(Rule* rule, int64_t now, int64_t wall);
  std::string RowOf(const Alert& alert) const;

  const AlertBoardOptions options_;
  std::map<RuleKey, Rule> rules_;
  std::map<TenantId, std::map<std::string, std::vector<Rule*>, std::less<>>> by_metric_;  // "": of any metric
  std::unordered_map<SeriesId, std::vector<Watcher>> routes_;              // also those that nobody watches, with none
  std::unordered_map<SeriesId, std::shared_ptr<const SeriesInfo>> infos_;  // of those that are watched
  uint64_t next_number_ = 1;
  std::unordered_map<uint64_t, Alert*> by_number_;
  using Timer = std::pair<int64_t, uint64_t>;  // when, alert
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<uint64_t> dirty_;
  std::vector<Unfilled> unfilled_;
  AlertOutput output_;
  std::vector<AlertChange> changes_;  // scratch
  std::array<int64_t, 6> counts_ = {};
  int64_t judged_ = 0;
  int64_t unwatched_ = 0;
};

}  // namespace pulseboard
