// What operators do to the labels of a series. `__name__` is the metric name everywhere.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/model/labels.h"

namespace pulseboard::expression {

// Sets a label, or takes it away when the value is empty.
void SetLabel(std::string_view name, std::string_view value, SeriesKey* key);
// Only the labels named.
SeriesKey KeepLabels(const SeriesKey& key, std::span<const std::string> names);
// Without the labels named and without the metric name.
SeriesKey DropLabels(const SeriesKey& key, std::span<const std::string> names);
// For messages: `a{b="c"}`, printable, cut when long; `{}` for no labels at all.
std::string Described(const SeriesKey& key);

}  // namespace pulseboard::expression
