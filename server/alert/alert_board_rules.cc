// The half of AlertBoard that is not about samples: rules, restarts, rows and lists.
#include <algorithm>
#include <utility>

#include "server/alert/alert_board.h"

namespace pulseboard {

std::vector<RuleKey> AlertBoard::SetRules(const RuleMap& rules, int64_t now, int64_t wall) {
  for (auto it = rules_.begin(); it != rules_.end();) {
    Rule& rule = it->second;
    const auto next = rules.find(it->first);
    if (next != rules.end() && next->second->judged_since_revision == rule.rule->judged_since_revision) {
      if (next->second != rule.rule) {
        rule.rule = next->second;
        // Its patience may be another now.
        for (const auto& [series, alert] : rule.alerts) {
          Settle(alert.get(), now, wall);
          Arm(alert.get());
        }
      }
      ++it;
      continue;
    }
    EndAll(&rule, now, wall);
    it = rules_.erase(it);
  }
  std::vector<RuleKey> added;
  for (const auto& [key, rule] : rules) {
    if (rules_.contains(key)) continue;
    auto selector = Selector::Parse(rule->condition.selector);
    if (!selector.ok()) continue;  // the book takes none like that
    Rule& made = rules_.emplace(key, Rule{key, rule, *std::move(selector), {}}).first->second;
    if (!rule->enabled) continue;
    by_metric_[key.first][std::string(made.selector.MetricName())].push_back(&made);
    added.push_back(key);
  }
  return added;
}

void AlertBoard::EndAll(Rule* rule, int64_t now, int64_t wall) {
  for (auto& [series, alert] : rule->alerts) End(alert.get(), now, wall);
  rule->alerts.clear();
  if (auto& rules = by_metric_[rule->key.first]; !rules.empty()) {
    std::erase(rules[std::string(rule->selector.MetricName())], rule);
  }
  for (auto& [series, routes] : routes_) std::erase_if(routes, [rule](const Watcher& r) { return r.rule == rule; });
  std::erase_if(infos_, [this](const auto& entry) { return routes_.at(entry.first).empty(); });
}

void AlertBoard::End(Alert* alert, int64_t now, int64_t wall) {
  const AlertMachine& m = alert->machine;
  if (m.state() != AlertState::kOk) {
    Emit(*alert, {m.state(), AlertState::kOk, m.severity(), AlertSeverity::kNone, AlertCause::kRule, now, m.since()},
         wall);
  }
  --counts_[static_cast<size_t>(m.state())];
  output_.states.push_back(
      {alert_rows::EncodeStateKey({alert->rule->key.first, alert->series->id, alert->rule->key.second}), std::nullopt});
  by_number_.erase(alert->number);
}

bool AlertBoard::Restore(const alert_rows::StateKey& key, const alert_rows::StateValue& value,
                         std::shared_ptr<const SeriesInfo> series, int64_t now, int64_t wall) {
  AlertMachine machine;
  if (!AlertMachine::Decode(value.machine, now, &machine)) return false;
  const auto it = rules_.find({key.tenant, key.rule_id});
  if (series != nullptr && it != rules_.end() && it->second.rule->judged_since_revision <= value.rule_revision) {
    Rule& rule = it->second;
    Classify(series);
    std::vector<Watcher>& routes = routes_.at(series->id);
    const auto route = std::find_if(routes.begin(), routes.end(), [&](const Watcher& r) { return r.rule == &rule; });
    Alert* alert = route == routes.end() ? nullptr : Make(&rule, series, now, wall);
    if (alert != nullptr) {
      route->alert = alert;
      --counts_[static_cast<size_t>(AlertState::kOk)];
      ++counts_[static_cast<size_t>(machine.state())];
      alert->machine = machine;
      alert->cadence = Cadence(now, value.interval_ns, std::max(value.arrivals, 1));
      alert->saved_interval = value.interval_ns;
      alert->value = value.value;
      alert->sample_time = value.sample_unix_nanos;
      alert->committed = value.committed_unix_nanos;
      alert->since_wall = value.since_unix_nanos;
      alert->silent = machine.judgement() == Judgement::kUnknown;
      Arm(alert);
      return true;
    }
  }
  output_.states.push_back({alert_rows::EncodeStateKey(key), std::nullopt});
  if (machine.state() == AlertState::kOk) return false;
  AlertTransition t;
  t.tenant = key.tenant;
  t.rule_id = key.rule_id;
  t.rule_name = it != rules_.end() ? it->second.rule->name : "";
  t.rule_revision = value.rule_revision;
  t.series = value.series;
  t.from = machine.state();
  t.from_severity = machine.severity();
  t.cause = AlertCause::kRule;
  t.value = value.value;
  t.time_unix_nanos = wall;
  t.since_unix_nanos = value.since_unix_nanos;
  t.sample_unix_nanos = value.sample_unix_nanos;
  t.committed_unix_nanos = value.committed_unix_nanos;
  output_.transitions.push_back(std::move(t));
  return false;
}

void AlertBoard::FillWindow(const Unfilled& which, const SampleColumns& samples) {
  const auto rule = rules_.find(which.rule);
  if (rule == rules_.end()) return;
  const auto alert = rule->second.alerts.find(which.series);
  if (alert == rule->second.alerts.end() || alert->second->window == nullptr) return;
  ChangeWindow& window = *alert->second->window;
  // What is in there came after; adding the older ones in front of it one by one would move it each time.
  ChangeWindow filled(which.window_ns, alert->second->series->metadata.kind == MetricKind::kCounter,
                      static_cast<size_t>(options_.max_window_samples));
  for (size_t i = 0; i < samples.size(); ++i) filled.Add(samples.times[i], samples.values[i]);
  for (const Sample& sample : window.samples()) filled.Add(sample.time_unix_nanos, sample.value);
  window = std::move(filled);
}

int64_t AlertBoard::NewestJudged(SeriesId series) const {
  const auto it = routes_.find(series);
  if (it == routes_.end()) return 0;
  int64_t newest = 0;
  for (const Watcher& route : it->second) {
    if (route.alert != nullptr) newest = std::max(newest, route.alert->sample_time);
  }
  return newest;
}

std::vector<SeriesId> AlertBoard::WatchedSeries() const {
  std::vector<SeriesId> watched;
  for (const auto& [series, info] : infos_) watched.push_back(series);
  return watched;
}

std::string AlertBoard::RowOf(const Alert& alert) const {
  alert_rows::StateValue value;
  value.rule_revision = alert.rule->rule->revision;
  value.machine = alert.machine.Encode();
  value.since_unix_nanos = alert.since_wall;
  value.value = alert.value;
  value.sample_unix_nanos = alert.sample_time;
  value.committed_unix_nanos = alert.committed;
  value.interval_ns = alert.cadence.interval_ns();
  value.arrivals = alert.cadence.arrivals();
  value.series = alert.series->key;
  return alert_rows::EncodeState(value);
}

AlertOutput AlertBoard::TakeOutput() {
  for (const uint64_t number : std::exchange(dirty_, {})) {
    const auto it = by_number_.find(number);
    if (it == by_number_.end()) continue;
    Alert& alert = *it->second;
    alert.dirty = false;
    output_.states.push_back(
        {alert_rows::EncodeStateKey({alert.rule->key.first, alert.series->id, alert.rule->key.second}), RowOf(alert)});
  }
  return std::exchange(output_, {});
}

void AlertBoard::Visit(TenantId tenant, const std::string& rule_id, SeriesId after,
                       const std::function<bool(const AlertStatus&)>& visit) const {
  for (auto it = rules_.lower_bound({tenant, rule_id}); it != rules_.end() && it->first.first == tenant; ++it) {
    const Rule& rule = it->second;
    const SeriesId first = it->first.second == rule_id ? after : 0;
    for (auto at = rule.alerts.upper_bound(first); at != rule.alerts.end(); ++at) {
      const Alert& a = *at->second;
      if (!visit({tenant, rule.rule, a.series, a.machine.state(), a.machine.severity(), a.since_wall, a.value,
                  a.sample_time})) {
        return;
      }
    }
  }
}

}  // namespace pulseboard
