#include "server/alert/alert_board.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/alert/threshold.h"

namespace pulseboard {
namespace {

bool HasWindow(const AlertCondition& c) {
  return c.signal == AlertSignal::kRate || c.signal == AlertSignal::kChange || c.signal == AlertSignal::kPercentChange;
}

Judgement JudgementOf(AlertSeverity severity) {
  return severity == AlertSeverity::kWarning ? Judgement::kWarning : Judgement::kCritical;
}

}  // namespace

bool AlertBoard::Classify(const std::shared_ptr<const SeriesInfo>& series) {
  const bool already = MarkClassified(series->id);
  const auto tenant = by_metric_.find(series->tenant);
  if (tenant == by_metric_.end()) return already;
  for (const std::string_view metric : {std::string_view(series->key.metric), std::string_view()}) {
    const auto rules = tenant->second.find(metric);
    if (rules == tenant->second.end()) continue;
    for (Rule* rule : rules->second) {
      if (rule->selector.Matches(series->key)) Route(rule, series);
    }
  }
  return MarkClassified(series->id);
}

void AlertBoard::Watch(const RuleKey& rule, const std::shared_ptr<const SeriesInfo>& series) {
  Route(&rules_.at(rule), series);
}

void AlertBoard::Route(Rule* rule, const std::shared_ptr<const SeriesInfo>& series) {
  std::vector<Watcher>& watchers = routes_[series->id];
  const auto is_its = [rule](const Watcher& w) { return w.rule == rule; };
  if (std::any_of(watchers.begin(), watchers.end(), is_its)) return;
  watchers.push_back({rule, nullptr});
  infos_[series->id] = series;
}

AlertBoard::Alert* AlertBoard::Make(Rule* rule, const std::shared_ptr<const SeriesInfo>& series, int64_t now,
                                    int64_t wall) {
  if (alerts() >= options_.max_alerts) {
    ++unwatched_;
    return nullptr;
  }
  auto alert = std::make_unique<Alert>();
  alert->number = next_number_++;
  alert->rule = rule;
  alert->series = series;
  alert->machine = AlertMachine(now);
  alert->since_wall = wall;
  alert->value = std::numeric_limits<double>::quiet_NaN();
  const AlertCondition& c = rule->rule->condition;
  if (HasWindow(c)) {
    const bool counts = series->metadata.kind == MetricKind::kCounter;
    alert->window =
        std::make_unique<ChangeWindow>(c.window_ns, counts, static_cast<size_t>(options_.max_window_samples));
    unfilled_.push_back({rule->key, series->id, c.window_ns});
  }
  Alert* made = alert.get();
  by_number_[made->number] = made;
  ++counts_[static_cast<size_t>(AlertState::kOk)];
  rule->alerts[series->id] = std::move(alert);
  return made;
}

void AlertBoard::Take(const WatchedSample& sample, int64_t wall) {
  const auto it = routes_.find(sample.series);
  if (it == routes_.end() || it->second.empty()) return;
  for (Watcher& route : it->second) {
    if (route.alert == nullptr) {
      if (sample.late || sample.time < wall - options_.max_sample_age_ns) continue;
      route.alert = Make(route.rule, infos_.at(sample.series), sample.arrived, wall);
      if (route.alert == nullptr) continue;
    }
    JudgeSample(route.alert, sample, wall);
  }
}

std::optional<double> AlertBoard::Signal(const Alert& alert, double value) {
  const AlertSignal signal = alert.rule->rule->condition.signal;
  if (signal == AlertSignal::kValue) return value;
  const auto change = alert.window->Get();
  if (!change) return std::nullopt;
  if (signal == AlertSignal::kRate) return change->amount / change->seconds;
  if (signal == AlertSignal::kChange) return change->amount;
  // Of nothing there is no percentage: not known.
  if (change->oldest == 0) return std::numeric_limits<double>::quiet_NaN();
  return 100 * change->amount / std::abs(change->oldest);
}

void AlertBoard::JudgeSample(Alert* alert, const WatchedSample& sample, int64_t wall) {
  const AlertRule& rule = *alert->rule->rule;
  const int64_t now = sample.arrived;
  Settle(alert, now, wall);
  const bool is_newest = !sample.late || sample.time == alert->sample_time;
  const bool is_history = sample.time < wall - options_.max_sample_age_ns;
  if (alert->window != nullptr) alert->window->Add(sample.time, sample.value);
  if (alert->window == nullptr && !is_newest) return;
  if (is_history) return;
  if (is_newest) {
    alert->value = sample.value;
    alert->sample_time = sample.time;
    alert->committed = sample.committed_unix_nanos;
  }
  if (!sample.late) {
    alert->cadence.Note(now);
    alert->silent = false;
    const int64_t interval = alert->cadence.interval_ns();
    const bool learnt = alert->cadence.arrivals() == Cadence::kLearnt;
    if (learnt && (interval > 2 * alert->saved_interval || 2 * interval < alert->saved_interval)) {
      alert->saved_interval = interval;
      Note(alert, true, now, wall);
    }
  }
  if (alert->silent) return;  // only late samples came since
  ++judged_;
  Judgement judgement = Judgement::kClear;
  if (rule.condition.signal != AlertSignal::kAbsence) {
    const auto number = Signal(*alert, sample.value);
    if (!number) return Arm(alert);
    judgement = JudgeValue(rule.condition, *number, alert->machine.known());
  }
  const bool is_new = alert->cadence.arrivals() == 1 && !sample.late;
  const bool changed = alert->machine.Judge(rule.timing, now, judgement, &changes_);
  Note(alert, changed || is_new, now, wall);
  Arm(alert);
}

int64_t AlertBoard::SilentFrom(const Alert& alert) const {
  if (alert.silent || alert.cadence.arrivals() == 0) return AlertMachine::kNever;
  const AlertCondition& c = alert.rule->rule->condition;
  if (c.signal == AlertSignal::kAbsence) {
    if (c.absent_for_ns > 0) return alert.cadence.last_ns() + c.absent_for_ns;
    return alert.cadence.silent_from_ns();
  }
  if (alert.cadence.arrivals() < Cadence::kLearnt) return alert.cadence.last_ns() + options_.unlearnt_silence_ns;
  return alert.cadence.silent_from_ns();
}

void AlertBoard::Settle(Alert* alert, int64_t now, int64_t wall) {
  const AlertRule& rule = *alert->rule->rule;
  const int64_t silent_from = SilentFrom(*alert);
  bool changed = false;
  if (silent_from <= now) {
    alert->silent = true;
    const bool absence = rule.condition.signal == AlertSignal::kAbsence;
    const Judgement judgement = absence ? JudgementOf(rule.condition.absence_severity) : Judgement::kUnknown;
    changed = alert->machine.Judge(rule.timing, silent_from, judgement, &changes_);
    // A judgement by a sample is not what this was.
    for (AlertChange& change : changes_) {
      if (change.cause == AlertCause::kSample) change.cause = AlertCause::kTime;
    }
  }
  changed |= alert->machine.Advance(rule.timing, now, &changes_);
  Note(alert, changed, now, wall);
}

void AlertBoard::Note(Alert* alert, bool changed, int64_t now, int64_t wall) {
  for (const AlertChange& change : changes_) Emit(*alert, change, wall - (now - change.time));
  if (!changes_.empty()) {
    --counts_[static_cast<size_t>(changes_.front().from)];
    ++counts_[static_cast<size_t>(changes_.back().to)];
    alert->since_wall = wall - (now - changes_.back().time);
    changes_.clear();
  }
  if (!changed || alert->dirty) return;
  alert->dirty = true;
  dirty_.push_back(alert->number);
}

void AlertBoard::Emit(const Alert& alert, const AlertChange& change, int64_t wall_of_change) {
  AlertTransition t;
  t.tenant = alert.rule->key.first;
  t.rule_id = alert.rule->key.second;
  t.rule_name = alert.rule->rule->name;
  t.rule_revision = alert.rule->rule->revision;
  t.series = alert.series->key;
  t.from = change.from;
  t.to = change.to;
  t.from_severity = change.from_severity;
  t.severity = change.severity;
  t.cause = change.cause;
  t.value = alert.value;
  t.time_unix_nanos = wall_of_change;
  t.since_unix_nanos = wall_of_change - (change.time - change.since);
  t.sample_unix_nanos = alert.sample_time;
  t.committed_unix_nanos = alert.committed;
  output_.transitions.push_back(std::move(t));
}

void AlertBoard::Arm(Alert* alert) {
  const int64_t due = std::min(SilentFrom(*alert), alert->machine.NextEdge(alert->rule->rule->timing));
  // An entry that is too early is put off when it is due: samples put it off all the time.
  if (due >= alert->armed) return;
  alert->armed = due;
  timers_.emplace(due, alert->number);
}

void AlertBoard::Advance(int64_t now, int64_t wall) {
  while (!timers_.empty() && timers_.top().first <= now) {
    const auto [when, number] = timers_.top();
    timers_.pop();
    const auto it = by_number_.find(number);
    if (it == by_number_.end() || it->second->armed != when) continue;
    Alert* alert = it->second;
    alert->armed = AlertMachine::kNever;
    Settle(alert, now, wall);
    Arm(alert);
  }
}

}  // namespace pulseboard
