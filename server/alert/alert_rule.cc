#include "server/alert/alert_rule.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "common/base/errors.h"
#include "common/codec/bytes.h"
#include "common/model/names.h"
#include "common/model/selector.h"

namespace pulseboard {
namespace {

constexpr char kVersion = 1;

// Collects what is wrong.
class RuleCheck {
 public:
  void Add(std::string field, std::string description) {
    violations_.push_back({"rule." + std::move(field), std::move(description)});
  }
  void Text(const std::string& field, const std::string& value, size_t max_bytes, bool required) {
    const bool bad = value.size() > max_bytes || value.find('\0') != std::string::npos || !IsValidUtf8(value) ||
                     (required && value.empty());
    if (!bad) return;
    Add(field, fmt::format("got {} bytes; {} of at most {} bytes without NUL would be accepted", value.size(),
                           required ? "a text that is not empty," : "a text", max_bytes));
  }
  void Nanos(const std::string& field, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    Add(field, fmt::format("got {} s; {} s to {} s would be accepted", Seconds(value), Seconds(least), Seconds(most)));
  }
  template <typename Enum>
  bool OneOf(const std::string& field, Enum value, Enum last, std::string_view expected) {
    if (value > Enum{} && value <= last) return true;
    Add(field, fmt::format("got {}; {} would be accepted", static_cast<int>(value), expected));
    return false;
  }
  absl::Status Result() { return violations_.empty() ? absl::OkStatus() : BadFields(std::move(violations_)); }

 private:
  static double Seconds(int64_t nanos) { return static_cast<double>(nanos) / static_cast<double>(kNanosPerSecond); }
  std::vector<FieldViolation> violations_;
};

bool UsesLow(AlertComparison c) { return c != AlertComparison::kAbove; }
bool UsesHigh(AlertComparison c) { return c != AlertComparison::kBelow; }

// One bound and its recovery bound. `below`: recovery must not be above the bound.
void CheckBound(const std::string& field, bool used, const std::optional<double>& bound,
                const std::optional<double>& recovery, bool below, RuleCheck* check, const std::string& name) {
  const std::string recovery_name = field + ".recovery_" + name;
  if (!used) {
    if (bound) check->Add(field + "." + name, "got a value; none would be accepted with this comparison");
    if (recovery) check->Add(recovery_name, "got a value; none would be accepted with this comparison");
    return;
  }
  if (!bound || !std::isfinite(*bound)) {
    check->Add(field + "." + name, bound ? fmt::format("got {}; a finite number would be accepted", *bound)
                                         : "got nothing; a finite number would be accepted");
    return;
  }
  if (!recovery) return;
  const bool fits = std::isfinite(*recovery) && (below ? *recovery <= *bound : *recovery >= *bound);
  if (fits) return;
  check->Add(recovery_name, fmt::format("got {}; a number {} {} would be accepted", *recovery,
                                        below ? "not above" : "not below", *bound));
}

void CheckBounds(const std::string& field, AlertComparison comparison, const AlertBounds& b, RuleCheck* check) {
  const bool inside = comparison == AlertComparison::kInside;
  // Leaving the bad values leads upwards from a low bound, and out of kInside downwards.
  CheckBound(field, UsesLow(comparison), b.low, b.recovery_low, inside, check, "low");
  CheckBound(field, UsesHigh(comparison), b.high, b.recovery_high, !inside, check, "high");
  if (UsesLow(comparison) && UsesHigh(comparison) && b.low && b.high && *b.low > *b.high) {
    check->Add(field + ".low", fmt::format("got {}; a number not above high ({}) would be accepted", *b.low, *b.high));
  }
  if (comparison == AlertComparison::kOutside && b.recovery_low && b.recovery_high &&
      *b.recovery_low > *b.recovery_high) {
    check->Add(field + ".recovery_low", fmt::format("got {}; a number not above recovery_high ({}) would be accepted",
                                                    *b.recovery_low, *b.recovery_high));
  }
}

// Whether each critical value is bad enough for a warning.
void CheckOrder(AlertComparison comparison, const AlertBounds& warning, const AlertBounds& critical, RuleCheck* check) {
  const bool inside = comparison == AlertComparison::kInside;
  if (UsesHigh(comparison) && warning.high && critical.high &&
      (inside ? *critical.high > *warning.high : *critical.high < *warning.high)) {
    check->Add("condition.critical.high",
               fmt::format("got {}; a number not {} that of the warning ({}) would be accepted", *critical.high,
                           inside ? "above" : "below", *warning.high));
  }
  if (UsesLow(comparison) && warning.low && critical.low &&
      (inside ? *critical.low < *warning.low : *critical.low > *warning.low)) {
    check->Add("condition.critical.low",
               fmt::format("got {}; a number not {} that of the warning ({}) would be accepted", *critical.low,
                           inside ? "below" : "above", *warning.low));
  }
}

void CheckAbsence(const AlertCondition& c, RuleCheck* check) {
  if (c.absent_for_ns != 0) check->Nanos("condition.absent_for", c.absent_for_ns, kMinAbsence, kMaxRuleDelay);
  check->OneOf("condition.absence_severity", c.absence_severity, AlertSeverity::kCritical, "WARNING or CRITICAL");
  if (c.window_ns != 0) check->Add("condition.window", "got a value; none would be accepted with ABSENCE");
  if (c.comparison != AlertComparison::kUnspecified || c.warning || c.critical) {
    check->Add("condition.comparison", "got a comparison or bounds; none would be accepted with ABSENCE");
  }
}

void CheckLevels(const AlertCondition& c, RuleCheck* check) {
  if (c.absent_for_ns != 0) check->Add("condition.absent_for", "got a value; none would be accepted but with ABSENCE");
  if (c.signal == AlertSignal::kValue) {
    if (c.window_ns != 0) check->Add("condition.window", "got a value; none would be accepted with VALUE");
  } else {
    check->Nanos("condition.window", c.window_ns, kMinRuleWindow, kMaxRuleWindow);
  }
  if (!c.warning && !c.critical) {
    check->Add("condition.warning", "got neither warning nor critical; one of them, or both, would be accepted");
  }
  if (!check->OneOf("condition.comparison", c.comparison, AlertComparison::kInside,
                    "ABOVE, BELOW, OUTSIDE or INSIDE")) {
    return;
  }
  if (c.warning) CheckBounds("condition.warning", c.comparison, *c.warning, check);
  if (c.critical) CheckBounds("condition.critical", c.comparison, *c.critical, check);
  if (c.warning && c.critical) CheckOrder(c.comparison, *c.warning, *c.critical, check);
}

void PutBounds(std::string* out, const std::optional<AlertBounds>& bounds) {
  out->push_back(bounds ? 1 : 0);
  if (!bounds) return;
  for (const auto& bound : {bounds->low, bounds->high, bounds->recovery_low, bounds->recovery_high}) {
    out->push_back(bound ? 1 : 0);
    if (bound) PutLittleEndian(out, *bound);
  }
}

std::optional<AlertBounds> TakeBounds(ByteReader* in) {
  if (in->Fixed<char>() == 0) return std::nullopt;
  AlertBounds b;
  for (auto* bound : {&b.low, &b.high, &b.recovery_low, &b.recovery_high}) {
    if (in->Fixed<char>() != 0) *bound = in->Fixed<double>();
  }
  return b;
}

}  // namespace

absl::Status ValidateRule(const AlertRule& rule) {
  RuleCheck check;
  check.Text("name", rule.name, kMaxRuleNameBytes, true);
  check.Text("description", rule.description, kMaxRuleDescriptionBytes, false);
  if (rule.labels.size() > kMaxRuleLabels) {
    check.Add("labels", fmt::format("got {}; at most {} would be accepted", rule.labels.size(), kMaxRuleLabels));
  }
  for (const Label& label : rule.labels) {
    PB_RETURN_IF_ERROR(ValidateLabelName("rule.labels", label.name));
    PB_RETURN_IF_ERROR(ValidateLabelValue("rule.labels", label.value));
  }
  const AlertCondition& c = rule.condition;
  if (check.OneOf("condition.signal", c.signal, AlertSignal::kAbsence,
                  "VALUE, RATE, CHANGE, PERCENT_CHANGE or ABSENCE")) {
    c.signal == AlertSignal::kAbsence ? CheckAbsence(c, &check) : CheckLevels(c, &check);
  }
  const AlertTiming& t = rule.timing;
  check.Nanos("pending_for", t.for_ns, 0, kMaxRuleDelay);
  check.Nanos("keep_firing_for", t.keep_firing_for_ns, 0, kMaxRuleDelay);
  check.Nanos("missing_for", t.missing_for_ns, 0, kMaxRuleDelay);
  check.OneOf("missing", t.missing, MissingDataPolicy::kOk, "KEEP, UNKNOWN, FIRE or OK");
  check.OneOf("missing_severity", t.missing_severity, AlertSeverity::kCritical, "WARNING or CRITICAL");
  PB_RETURN_IF_ERROR(check.Result());
  const auto selector = Selector::Parse(c.selector);
  return selector.ok() ? absl::OkStatus() : WithContext(selector.status(), "rule.condition.selector");
}

std::string EncodeRule(const AlertRule& rule) {
  std::string out(1, kVersion);
  PutZigZag(&out, rule.revision);
  PutZigZag(&out, rule.judged_since_revision);
  PutLengthPrefixed(&out, rule.name);
  PutLengthPrefixed(&out, rule.description);
  PutVarint(&out, rule.labels.size());
  for (const Label& label : rule.labels) {
    PutLengthPrefixed(&out, label.name);
    PutLengthPrefixed(&out, label.value);
  }
  out.push_back(rule.enabled ? 1 : 0);
  const AlertCondition& c = rule.condition;
  PutLengthPrefixed(&out, c.selector);
  out.push_back(static_cast<char>(c.signal));
  PutZigZag(&out, c.window_ns);
  PutZigZag(&out, c.absent_for_ns);
  out.push_back(static_cast<char>(c.comparison));
  PutBounds(&out, c.warning);
  PutBounds(&out, c.critical);
  out.push_back(static_cast<char>(c.absence_severity));
  const AlertTiming& t = rule.timing;
  PutZigZag(&out, t.for_ns);
  PutZigZag(&out, t.keep_firing_for_ns);
  out.push_back(static_cast<char>(t.missing));
  PutZigZag(&out, t.missing_for_ns);
  out.push_back(static_cast<char>(t.missing_severity));
  PutZigZag(&out, rule.created_unix_nanos);
  PutZigZag(&out, rule.changed_unix_nanos);
  PutLengthPrefixed(&out, rule.changed_by);
  return out;
}

bool DecodeRule(std::string_view bytes, AlertRule* rule) {
  ByteReader in(bytes);
  const auto text = [&in] { return std::string(in.LengthPrefixed()); };
  if (in.Fixed<char>() != kVersion) return false;
  rule->revision = in.ZigZag();
  rule->judged_since_revision = in.ZigZag();
  rule->name = text();
  rule->description = text();
  const uint64_t count = in.Varint();
  if (!in.ok() || count > kMaxRuleLabels) return false;
  std::vector<Label> labels(count);
  for (Label& label : labels) {
    label.name = text();
    label.value = text();
  }
  rule->labels = Labels(std::move(labels));
  rule->enabled = in.Fixed<char>() != 0;
  AlertCondition& c = rule->condition;
  c.selector = text();
  c.signal = in.Enum(AlertSignal::kAbsence);
  c.window_ns = in.ZigZag();
  c.absent_for_ns = in.ZigZag();
  c.comparison = in.Enum(AlertComparison::kInside);
  c.warning = TakeBounds(&in);
  c.critical = TakeBounds(&in);
  c.absence_severity = in.Enum(AlertSeverity::kCritical);
  AlertTiming& t = rule->timing;
  t.for_ns = in.ZigZag();
  t.keep_firing_for_ns = in.ZigZag();
  t.missing = in.Enum(MissingDataPolicy::kOk);
  t.missing_for_ns = in.ZigZag();
  t.missing_severity = in.Enum(AlertSeverity::kCritical);
  rule->created_unix_nanos = in.ZigZag();
  rule->changed_unix_nanos = in.ZigZag();
  rule->changed_by = text();
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard
