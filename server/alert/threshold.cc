#include "server/alert/threshold.h"

#include <cmath>

namespace pulseboard {
namespace {

// `holds`: the level held before.
bool IsBad(AlertComparison comparison, const AlertBounds& bounds, double value, bool holds) {
  const auto low = [&] { return holds && bounds.recovery_low ? *bounds.recovery_low : *bounds.low; };
  const auto high = [&] { return holds && bounds.recovery_high ? *bounds.recovery_high : *bounds.high; };
  switch (comparison) {
    case AlertComparison::kAbove:
      return value > high();
    case AlertComparison::kBelow:
      return value < low();
    case AlertComparison::kOutside:
      return value < low() || value > high();
    case AlertComparison::kInside:
      return value >= low() && value <= high();
    case AlertComparison::kUnspecified:
      break;
  }
  return false;
}

}  // namespace

Judgement JudgeValue(const AlertCondition& condition, double value, Judgement before) {
  if (std::isnan(value)) return Judgement::kUnknown;
  const auto bad = [&](const std::optional<AlertBounds>& bounds, Judgement level) {
    return bounds && IsBad(condition.comparison, *bounds, value, before >= level);
  };
  if (bad(condition.critical, Judgement::kCritical)) return Judgement::kCritical;
  // A critical value is a warning too, wherever the bounds of that lie.
  return bad(condition.warning, Judgement::kWarning) ? Judgement::kWarning : Judgement::kClear;
}

}  // namespace pulseboard
