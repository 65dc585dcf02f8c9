#include "server/alert/alert_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

using ::testing::HasSubstr;

AlertRule Good() {
  AlertRule rule;
  rule.id = "r1";
  rule.revision = 3;
  rule.name = "CPU busy";
  rule.description = "Someone should look.";
  rule.labels = {{"team", "db"}};
  rule.condition.selector = "cpu{host=\"a\"}";
  rule.condition.comparison = AlertComparison::kAbove;
  rule.condition.warning = AlertBounds{.high = 80, .recovery_high = 75};
  rule.condition.critical = AlertBounds{.high = 95};
  rule.timing = {.for_ns = 5, .keep_firing_for_ns = 6, .missing = MissingDataPolicy::kFire, .missing_for_ns = 7};
  rule.created_unix_nanos = 8;
  rule.changed_unix_nanos = 9;
  rule.changed_by = "anna";
  return rule;
}

TEST(AlertRule, IsReadBackAsItWasWritten) {
  AlertRule absence;
  absence.name = "gone";
  absence.enabled = false;
  absence.condition.selector = "up";
  absence.condition.signal = AlertSignal::kAbsence;
  absence.condition.absent_for_ns = 30 * kNanosPerSecond;
  for (const AlertRule& rule : {Good(), absence}) {
    EXPECT_TRUE(ValidateRule(rule).ok()) << ValidateRule(rule);
    AlertRule again;
    again.id = rule.id;
    const std::string bytes = EncodeRule(rule);
    ASSERT_TRUE(DecodeRule(bytes, &again));
    EXPECT_EQ(again, rule);
    for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodeRule(bytes.substr(0, size), &again));
    EXPECT_FALSE(DecodeRule(bytes + "x", &again));
  }
}

struct BadCase {
  std::string field;
  std::string expected;
  std::function<void(AlertRule*)> change;
};

TEST(AlertRule, NamesWhatIsWrongAndWhatWouldBeAccepted) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<BadCase> cases = {
      {"rule.name", "not empty", [](AlertRule* r) { r->name.clear(); }},
      {"rule.name", "200 bytes", [](AlertRule* r) { r->name = std::string(201, 'x'); }},
      {"rule.description", "4096 bytes", [](AlertRule* r) { r->description = std::string(5'000, 'x'); }},
      {"rule.condition.signal", "ABSENCE", [](AlertRule* r) { r->condition.signal = static_cast<AlertSignal>(77); }},
      {"rule.condition.window", "1 s to 86400 s", [](AlertRule* r) { r->condition.signal = AlertSignal::kRate; }},
      {"rule.condition.window", "none", [](AlertRule* r) { r->condition.window_ns = 5; }},
      {"rule.condition.comparison", "INSIDE", [](AlertRule* r) { r->condition.comparison = {}; }},
      {"rule.condition.warning", "one of them",
       [](AlertRule* r) { r->condition.warning = r->condition.critical = std::nullopt; }},
      {"rule.condition.warning.high", "a finite number", [=](AlertRule* r) { r->condition.warning->high = nan; }},
      {"rule.condition.warning.low", "none", [](AlertRule* r) { r->condition.warning->low = 1; }},
      {"rule.condition.warning.recovery_high", "not above 80",
       [](AlertRule* r) { r->condition.warning->recovery_high = 81; }},
      {"rule.condition.critical.high", "not below", [](AlertRule* r) { r->condition.critical->high = 79; }},
      {"rule.pending_for", "604800 s", [](AlertRule* r) { r->timing.for_ns = -1; }},
      {"rule.missing", "KEEP", [](AlertRule* r) { r->timing.missing = MissingDataPolicy::kUnspecified; }},
      {"rule.condition.comparison", "none", [](AlertRule* r) { r->condition.signal = AlertSignal::kAbsence; }},
  };
  for (const BadCase& c : cases) {
    AlertRule rule = Good();
    c.change(&rule);
    const absl::Status status = ValidateRule(rule);
    ASSERT_TRUE(HasReason(status, ErrorReason::kBadField)) << c.field;
    const auto detail = GetErrorDetail(status);
    const auto& violations = detail->field_violations;
    const auto named = std::find_if(violations.begin(), violations.end(), [&](const auto& v) {
      return v.field == c.field && v.description.find(c.expected) != std::string::npos;
    });
    EXPECT_NE(named, violations.end()) << c.field << " " << c.expected << ": " << status;
  }
  AlertRule rule = Good();
  rule.condition.selector = "cpu{";
  EXPECT_TRUE(HasReason(ValidateRule(rule), ErrorReason::kBadSelector));
}

TEST(AlertRule, SaysAllThatIsWrongAtOnce) {
  AlertRule rule = Good();
  rule.name.clear();
  rule.timing.for_ns = -1;
  EXPECT_EQ(GetErrorDetail(ValidateRule(rule))->field_violations.size(), 2U);
}

}  // namespace
}  // namespace pulseboard
