// What OpenMetrics says about a metric family, and which samples fit it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/model/labels.h"
#include "server/transfer/series_text.h"

namespace pulseboard {

enum class FamilyType { kUnknown, kGauge, kCounter, kHistogram, kGaugeHistogram, kSummary, kInfo, kStateSet };

// Nothing for another word. `untyped` is Prometheus' unknown.
std::optional<FamilyType> ParseFamilyType(std::string_view word);

// What the samples of a series have to keep to. Kept as flags with the cached series.
enum SampleRule : uint32_t {
  kAnyValue = 0,
  kMayHaveExemplar = 1,
  kZeroOrOne = 2,  // stateset
  kOne = 4,        // info
};

// The `# TYPE`, `# HELP` and `# UNIT` of one family. A value.
struct MetricFamily {
  std::string name;
  FamilyType type = FamilyType::kUnknown;
  std::string unit;
  std::string help;
  bool has_type = false;
  bool has_help = false;
  bool has_unit = false;
};

// What a sample is within its family.
struct FamilyMember {
  MetricKind kind = MetricKind::kGauge;
  uint32_t rules = kAnyValue;  // SampleRule
};

// How a sample of this series fits the family: its part of it; nothing when its name belongs to another family. With
// `error` set (and true returned by has_value) it belongs here but must not be: a counter without `_total`, a bucket
// without `le` …  `prometheus`: counters are called as they like.
std::optional<FamilyMember> FindMember(const MetricFamily& family, const SeriesSpelling& series, bool prometheus,
                                       TextError* error);

}  // namespace pulseboard
