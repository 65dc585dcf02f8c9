#include "server/query/expression/series_keys.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/errors.h"

namespace pulseboard::expression {

void SetLabel(std::string_view name, std::string_view value, SeriesKey* key) {
  if (name == kMetricNameLabel) {
    key->metric = value;
    return;
  }
  std::vector<Label> labels(key->labels.begin(), key->labels.end());
  labels.push_back({std::string(name), std::string(value)});
  // Of equal names the last one wins, and an empty one is dropped.
  key->labels = Labels(std::move(labels));
}

SeriesKey KeepLabels(const SeriesKey& key, std::span<const std::string> names) {
  SeriesKey out;
  std::vector<Label> labels;
  for (const std::string& name : names) {
    const std::string_view value = key.Get(name);
    if (name == kMetricNameLabel) {
      out.metric = value;
    } else if (!value.empty()) {
      labels.push_back({name, std::string(value)});
    }
  }
  out.labels = Labels(std::move(labels));
  return out;
}

SeriesKey DropLabels(const SeriesKey& key, std::span<const std::string> names) {
  std::vector<Label> labels;
  for (const Label& label : key.labels) {
    if (std::find(names.begin(), names.end(), label.name) == names.end()) labels.push_back(label);
  }
  return {"", Labels(std::move(labels))};
}

std::string Described(const SeriesKey& key) {
  const std::string text = Printable(key.Format(), 200);
  return text.empty() ? "{}" : text;
}

}  // namespace pulseboard::expression
