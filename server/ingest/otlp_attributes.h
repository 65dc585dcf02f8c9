// OtlpAttributeRules: which attributes of a resource become labels. Plain value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace pulseboard {

// What tells one source of series from others stays; what describes the process or the machine, and changes with every
// restart or upgrade without being another source, does not.
inline constexpr std::string_view kDefaultOtlpResourceLabels = "host.name,-host.*,-os.*,-process.*,-telemetry.*,*";

class OtlpAttributeRules {
 public:
  // `host.name,-host.*,*`: keys, or beginnings of keys with a `*`; a `-` leaves out. The first that fits a key decides;
  // a key that none fits is left out. INVALID_ARGUMENT naming the part that makes no sense.
  static absl::StatusOr<OtlpAttributeRules> Parse(std::string_view text);
  OtlpAttributeRules();  // the default

  bool Takes(std::string_view key) const;

 private:
  struct Rule {
    std::string text;
    bool beginning = false;
    bool takes = true;
  };
  explicit OtlpAttributeRules(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  std::vector<Rule> rules_;
};

}  // namespace pulseboard
