#include "server/rpc/alert_wire.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "common/base/errors.h"
#include "server/rpc/data_wire.h"

namespace pulseboard {
namespace {

using google::protobuf::util::TimeUtil;

// A number that is none of the enum becomes one that is refused later.
template <typename Enum>
Enum EnumFromProto(int number, Enum last) {
  const bool known = number >= 0 && number <= static_cast<int>(last);
  return known ? static_cast<Enum>(number) : static_cast<Enum>(UINT8_MAX);
}

AlertSeverity SeverityOrCritical(int number) {
  return number == 0 ? AlertSeverity::kCritical : EnumFromProto(number, AlertSeverity::kCritical);
}

absl::Status TakeDuration(const std::string& field, bool given, const google::protobuf::Duration& in, int64_t* out) {
  if (!given) return absl::OkStatus();
  const auto nanos = ToNanos(in);
  if (!nanos) {
    return BadField("rule." + field, std::to_string(in.seconds()) + " s + " + std::to_string(in.nanos()) + " ns",
                    "a duration of up to 7 days");
  }
  *out = *nanos;
  return absl::OkStatus();
}

AlertBounds BoundsFromProto(const v1::AlertBounds& in) {
  AlertBounds out;
  if (in.has_low()) out.low = in.low();
  if (in.has_high()) out.high = in.high();
  if (in.has_recovery_low()) out.recovery_low = in.recovery_low();
  if (in.has_recovery_high()) out.recovery_high = in.recovery_high();
  return out;
}

void BoundsToProto(const AlertBounds& in, v1::AlertBounds* out) {
  if (in.low) out->set_low(*in.low);
  if (in.high) out->set_high(*in.high);
  if (in.recovery_low) out->set_recovery_low(*in.recovery_low);
  if (in.recovery_high) out->set_recovery_high(*in.recovery_high);
}

template <typename Message>
void SeriesToProto(const SeriesKey& series, Message* out) {
  out->set_metric(series.metric);
  for (const Label& label : series.labels) (*out->mutable_labels())[label.name] = label.value;
}

}  // namespace

absl::StatusOr<AlertRule> FromProto(const v1::AlertRule& in) {
  AlertRule rule;
  rule.id = in.rule_id();
  rule.revision = in.revision();
  rule.name = in.name();
  rule.description = in.description();
  std::vector<Label> labels;
  for (const auto& [name, value] : in.labels()) labels.push_back({name, value});
  rule.labels = Labels(std::move(labels));
  rule.enabled = !in.disabled();
  const v1::AlertCondition& from = in.condition();
  AlertCondition& c = rule.condition;
  c.selector = from.selector();
  c.signal = EnumFromProto(from.signal(), AlertSignal::kAbsence);
  c.comparison = EnumFromProto(from.comparison(), AlertComparison::kInside);
  PB_RETURN_IF_ERROR(TakeDuration("condition.window", from.has_window(), from.window(), &c.window_ns));
  PB_RETURN_IF_ERROR(TakeDuration("condition.absent_for", from.has_absent_for(), from.absent_for(), &c.absent_for_ns));
  if (from.has_warning()) c.warning = BoundsFromProto(from.warning());
  if (from.has_critical()) c.critical = BoundsFromProto(from.critical());
  c.absence_severity = SeverityOrCritical(from.absence_severity());
  AlertTiming& t = rule.timing;
  PB_RETURN_IF_ERROR(TakeDuration("pending_for", in.has_pending_for(), in.pending_for(), &t.for_ns));
  PB_RETURN_IF_ERROR(
      TakeDuration("keep_firing_for", in.has_keep_firing_for(), in.keep_firing_for(), &t.keep_firing_for_ns));
  PB_RETURN_IF_ERROR(TakeDuration("missing_for", in.has_missing_for(), in.missing_for(), &t.missing_for_ns));
  t.missing = in.missing() == v1::MISSING_DATA_POLICY_UNSPECIFIED ? MissingDataPolicy::kUnknown
                                                                  : EnumFromProto(in.missing(), MissingDataPolicy::kOk);
  t.missing_severity = SeverityOrCritical(in.missing_severity());
  return rule;
}

absl::StatusOr<AlertState> StateFromProto(const std::string& field, int state) {
  if (state >= v1::ALERT_STATE_OK && state <= v1::ALERT_STATE_UNKNOWN) return static_cast<AlertState>(state);
  return BadField(field, std::to_string(state), "OK, PENDING, FIRING, RECOVERING or UNKNOWN");
}

absl::StatusOr<LedgerFilter> FromProto(const v1::TransitionFilter& in) {
  LedgerFilter filter;
  filter.rule_id = in.rule_id();
  if (!in.selector().empty()) {
    PB_ASSIGN_OR_RETURN(filter.series, Selector::Parse(in.selector()));
  }
  for (const int state : in.to()) {
    PB_ASSIGN_OR_RETURN(const AlertState to, StateFromProto("filter.to", state));
    filter.to.push_back(to);
  }
  if (in.min_severity() < 0 || in.min_severity() > v1::ALERT_SEVERITY_CRITICAL) {
    return BadField("filter.min_severity", std::to_string(in.min_severity()), "WARNING or CRITICAL");
  }
  filter.min_severity = static_cast<AlertSeverity>(in.min_severity());
  return filter;
}

void ToProto(const AlertRule& rule, v1::AlertRule* out) {
  out->set_rule_id(rule.id);
  out->set_revision(rule.revision);
  out->set_name(rule.name);
  out->set_description(rule.description);
  for (const Label& label : rule.labels) (*out->mutable_labels())[label.name] = label.value;
  out->set_disabled(!rule.enabled);
  const AlertCondition& c = rule.condition;
  v1::AlertCondition* to = out->mutable_condition();
  to->set_selector(c.selector);
  to->set_signal(static_cast<v1::AlertSignal>(c.signal));
  if (c.window_ns != 0) *to->mutable_window() = TimeUtil::NanosecondsToDuration(c.window_ns);
  if (c.absent_for_ns != 0) *to->mutable_absent_for() = TimeUtil::NanosecondsToDuration(c.absent_for_ns);
  to->set_comparison(static_cast<v1::AlertComparison>(c.comparison));
  if (c.warning) BoundsToProto(*c.warning, to->mutable_warning());
  if (c.critical) BoundsToProto(*c.critical, to->mutable_critical());
  if (c.signal == AlertSignal::kAbsence) to->set_absence_severity(static_cast<v1::AlertSeverity>(c.absence_severity));
  const AlertTiming& t = rule.timing;
  *out->mutable_pending_for() = TimeUtil::NanosecondsToDuration(t.for_ns);
  *out->mutable_keep_firing_for() = TimeUtil::NanosecondsToDuration(t.keep_firing_for_ns);
  out->set_missing(static_cast<v1::MissingDataPolicy>(t.missing));
  *out->mutable_missing_for() = TimeUtil::NanosecondsToDuration(t.missing_for_ns);
  out->set_missing_severity(static_cast<v1::AlertSeverity>(t.missing_severity));
  *out->mutable_create_time() = TimeUtil::NanosecondsToTimestamp(rule.created_unix_nanos);
  *out->mutable_update_time() = TimeUtil::NanosecondsToTimestamp(rule.changed_unix_nanos);
  out->set_updated_by(rule.changed_by);
}

void ToProto(const AlertStatus& alert, v1::Alert* out) {
  out->set_rule_id(alert.rule->id);
  out->set_rule_name(alert.rule->name);
  SeriesToProto(alert.series->key, out);
  out->set_state(static_cast<v1::AlertState>(alert.state));
  out->set_severity(static_cast<v1::AlertSeverity>(alert.severity));
  *out->mutable_since() = TimeUtil::NanosecondsToTimestamp(alert.since_unix_nanos);
  out->set_value(alert.value);
  if (alert.sample_unix_nanos != 0) {
    *out->mutable_sample_time() = TimeUtil::NanosecondsToTimestamp(alert.sample_unix_nanos);
  }
}

void ToProto(const AlertTransition& t, v1::AlertTransition* out) {
  out->set_sequence(t.sequence);
  out->set_rule_id(t.rule_id);
  out->set_rule_name(t.rule_name);
  out->set_rule_revision(t.rule_revision);
  SeriesToProto(t.series, out);
  out->set_from(static_cast<v1::AlertState>(t.from));
  out->set_to(static_cast<v1::AlertState>(t.to));
  out->set_from_severity(static_cast<v1::AlertSeverity>(t.from_severity));
  out->set_severity(static_cast<v1::AlertSeverity>(t.severity));
  out->set_cause(static_cast<v1::AlertCause>(t.cause));
  out->set_value(t.value);
  *out->mutable_time() = TimeUtil::NanosecondsToTimestamp(t.time_unix_nanos);
  *out->mutable_since() = TimeUtil::NanosecondsToTimestamp(t.since_unix_nanos);
  if (t.sample_unix_nanos == 0) return;
  *out->mutable_sample_time() = TimeUtil::NanosecondsToTimestamp(t.sample_unix_nanos);
  *out->mutable_commit_time() = TimeUtil::NanosecondsToTimestamp(t.committed_unix_nanos);
}

}  // namespace pulseboard
