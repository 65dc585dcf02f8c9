#include "server/transfer/metric_family.h"

#include <cmath>

#include "common/base/errors.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

struct Component {
  FamilyType type;
  std::string_view suffix;
  FamilyMember member;
  std::string_view number_label;  // must be there and a number
};

// What each type may consist of; `_created` is common to the last four.
constexpr Component kComponents[] = {
    {FamilyType::kUnknown, "", {}, ""},
    {FamilyType::kGauge, "", {}, ""},
    {FamilyType::kCounter, "_total", {MetricKind::kCounter, kMayHaveExemplar}, ""},
    {FamilyType::kCounter, "_created", {}, ""},
    {FamilyType::kHistogram, "_bucket", {MetricKind::kCounter, kMayHaveExemplar}, "le"},
    {FamilyType::kHistogram, "_count", {MetricKind::kCounter, kAnyValue}, ""},
    {FamilyType::kHistogram, "_sum", {MetricKind::kCounter, kAnyValue}, ""},
    {FamilyType::kHistogram, "_created", {}, ""},
    {FamilyType::kGaugeHistogram, "_bucket", {MetricKind::kGauge, kMayHaveExemplar}, "le"},
    {FamilyType::kGaugeHistogram, "_gcount", {}, ""},
    {FamilyType::kGaugeHistogram, "_gsum", {}, ""},
    {FamilyType::kSummary, "", {}, "quantile"},
    {FamilyType::kSummary, "_count", {MetricKind::kCounter, kAnyValue}, ""},
    {FamilyType::kSummary, "_sum", {MetricKind::kCounter, kAnyValue}, ""},
    {FamilyType::kSummary, "_created", {}, ""},
    {FamilyType::kInfo, "_info", {MetricKind::kGauge, kOne}, ""},
    {FamilyType::kStateSet, "", {MetricKind::kGauge, kZeroOrOne}, ""},
};

const std::string* FindLabel(const SeriesSpelling& series, std::string_view name) {
  for (const auto& [label, value] : series.labels) {
    if (label == name) return &value;
  }
  return nullptr;
}

void NeedLabel(const Component& component, const MetricFamily& family, const SeriesSpelling& series, TextError* error) {
  if (!component.number_label.empty()) {
    const std::string* text = FindLabel(series, component.number_label);
    const std::optional<double> number = text == nullptr ? std::nullopt : ParseValue(*text);
    const bool is_quantile = component.number_label == "quantile";
    if (number && !std::isnan(*number) && (!is_quantile || (*number >= 0 && *number <= 1))) return;
    *error = {1, LineReason::kBadMetadata,
              "samples of '" + Printable(series.metric) + "' need a label " + std::string(component.number_label) +
                  (is_quantile ? " from 0 to 1" : " that is a number")};
  } else if (family.type == FamilyType::kStateSet && FindLabel(series, family.name) == nullptr) {
    *error = {1, LineReason::kBadMetadata, "samples of a stateset need a label of its name, " + Printable(family.name)};
  }
}

}  // namespace

std::optional<FamilyType> ParseFamilyType(std::string_view word) {
  if (word == "unknown" || word == "untyped") return FamilyType::kUnknown;
  if (word == "gauge") return FamilyType::kGauge;
  if (word == "counter") return FamilyType::kCounter;
  if (word == "histogram") return FamilyType::kHistogram;
  if (word == "gaugehistogram") return FamilyType::kGaugeHistogram;
  if (word == "summary") return FamilyType::kSummary;
  if (word == "info") return FamilyType::kInfo;
  if (word == "stateset") return FamilyType::kStateSet;
  return std::nullopt;
}

std::optional<FamilyMember> FindMember(const MetricFamily& family, const SeriesSpelling& series, bool prometheus,
                                       TextError* error) {
  const std::string_view metric = series.metric;
  if (family.name.empty() || !metric.starts_with(family.name)) return std::nullopt;
  const std::string_view suffix = metric.substr(family.name.size());
  std::string expected;
  for (const Component& component : kComponents) {
    if (component.type != family.type) continue;
    if (component.suffix == suffix) {
      NeedLabel(component, family, series, error);
      return component.member;
    }
    expected += (expected.empty() ? "" : ", ") + family.name + std::string(component.suffix);
  }
  if (!suffix.empty()) return std::nullopt;
  if (prometheus && family.type == FamilyType::kCounter) return FamilyMember{MetricKind::kCounter, kAnyValue};
  *error = {1, LineReason::kBadMetadata,
            "'" + Printable(metric) + "' is no sample of its TYPE; " + Printable(expected) + " would be accepted"};
  return FamilyMember{};
}

}  // namespace pulseboard
