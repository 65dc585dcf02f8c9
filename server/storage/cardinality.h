// Who has how many series: the largest and the fastest growing metrics, labels and label values of a tenant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/labels.h"

namespace pulseboard {

// A label value and the series that carry it.
struct LabelValueSummary {
  std::string value;
  int64_t series_count = 0;
  SeriesId first_series = 0;  // lowest id among them
};

struct SeriesCounts {
  int64_t series = 0;
  int64_t created_last_hour = 0;  // of those
  int64_t created_last_day = 0;
};

enum class CardinalityOrder { kSeries, kCreatedLastHour, kCreatedLastDay };

struct CardinalityEntry {
  std::string label;  // empty for a metric
  std::string value;  // metric name or label value; empty for a label
  SeriesCounts counts;
  int64_t value_count = 0;  // distinct values of a label
};

// Each list has the largest first; equal ones by name.
struct CardinalityReport {
  SeriesCounts total;
  std::vector<CardinalityEntry> metrics;
  std::vector<CardinalityEntry> labels;
  std::vector<CardinalityEntry> label_values;
};

// Keeps the first `limit` of all that is added. Not thread-safe.
class CardinalityTop {
 public:
  CardinalityTop(size_t limit, CardinalityOrder order) : limit_(limit), order_(order) {}
  // False when there is no need to add it: the texts may then stay unmade.
  bool Wants(const SeriesCounts& counts) const;
  void Add(CardinalityEntry entry);
  std::vector<CardinalityEntry> Take();

 private:
  int64_t Weight(const SeriesCounts& counts) const;
  bool Before(const CardinalityEntry& a, const CardinalityEntry& b) const;

  const size_t limit_;
  const CardinalityOrder order_;
  std::vector<CardinalityEntry> heap_;  // the last of the kept ones in front
};

// All three lists at once.
struct CardinalityCounter {
  CardinalityCounter(size_t limit, CardinalityOrder order)
      : metrics(limit, order), labels(limit, order), label_values(limit, order) {}
  SeriesCounts total;
  CardinalityTop metrics;
  CardinalityTop labels;
  CardinalityTop label_values;
};

}  // namespace pulseboard
