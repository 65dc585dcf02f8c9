#include "server/ingest/otlp_attributes.h"

#include <utility>

#include "absl/status/status.h"

namespace pulseboard {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

OtlpAttributeRules::OtlpAttributeRules() : OtlpAttributeRules(*Parse(kDefaultOtlpResourceLabels)) {}

absl::StatusOr<OtlpAttributeRules> OtlpAttributeRules::Parse(std::string_view text) {
  OtlpAttributeRules out{std::vector<Rule>()};
  while (!Trimmed(text).empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = Trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    Rule rule;
    std::string_view key = part;
    if (key.starts_with('-')) {
      rule.takes = false;
      key.remove_prefix(1);
    }
    if (key.ends_with('*')) {
      rule.beginning = true;
      key.remove_suffix(1);
    }
    if ((key.empty() && !rule.beginning) || key.find_first_of("* ") != std::string_view::npos) {
      return absl::InvalidArgumentError("got '" + std::string(part) +
                                        "'; an attribute's key, or its beginning and a '*', either after a '-', would "
                                        "be accepted");
    }
    rule.text = key;
    out.rules_.push_back(std::move(rule));
  }
  return out;
}

bool OtlpAttributeRules::Takes(std::string_view key) const {
  for (const Rule& rule : rules_) {
    if (rule.beginning ? key.starts_with(rule.text) : key == rule.text) return rule.takes;
  }
  return false;
}

}  // namespace pulseboard
