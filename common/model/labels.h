// Labels and SeriesKey: what a series is called. Plain values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pulseboard {

struct Label {
  std::string name;
  std::string value;
  auto operator<=>(const Label&) const = default;
};

// Ascending by name, each name at most once, no empty values. Not thread-safe.
class Labels {
 public:
  Labels() = default;
  // Sorts, drops empty values; of equal names the last one given wins.
  explicit Labels(std::vector<Label> labels);
  Labels(std::initializer_list<Label> labels) : Labels(std::vector<Label>(labels)) {}

  // Empty when there is no such label.
  std::string_view Get(std::string_view name) const;
  bool empty() const { return labels_.empty(); }
  size_t size() const { return labels_.size(); }
  auto begin() const { return labels_.begin(); }
  auto end() const { return labels_.end(); }
  auto operator<=>(const Labels&) const = default;

 private:
  std::vector<Label> labels_;
};

// The label name under which selectors see the metric name.
inline constexpr std::string_view kMetricNameLabel = "__name__";

// Identity of a series within its tenant.
struct SeriesKey {
  std::string metric;
  Labels labels;

  // `kMetricNameLabel` gives the metric name.
  std::string_view Get(std::string_view label_name) const;
  // `metric{a="x",b="y"}`, values escaped; Selector::Parse reads it back.
  std::string Format() const;
  // Canonical bytes, equal exactly for equal keys: for hashing, maps and storage. Decode returns false on other bytes.
  std::string Encode() const;
  static bool Decode(std::string_view bytes, SeriesKey* key);
  auto operator<=>(const SeriesKey&) const = default;
};

// Positive, unique in the store across tenants, never used again.
using SeriesId = uint64_t;
// Positive; 1 is `default`, 2 is `_system`.
using TenantId = uint32_t;
inline constexpr TenantId kDefaultTenant = 1;
inline constexpr TenantId kSystemTenant = 2;

// Persisted: never renumber.
// kCounter: a cumulative count; kDelta: each sample is the increase since the one before.
enum class MetricKind : uint8_t { kUnspecified = 0, kGauge = 1, kCounter = 2, kDelta = 3 };

struct SeriesMetadata {
  MetricKind kind = MetricKind::kGauge;
  std::string unit;         // UCUM spelling
  std::string description;  // one sentence
  bool operator==(const SeriesMetadata&) const = default;
};

struct SeriesInfo {
  SeriesId id = 0;
  TenantId tenant = 0;
  SeriesKey key;
  SeriesMetadata metadata;
};

}  // namespace pulseboard
