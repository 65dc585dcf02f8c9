// Series as text: `metric{label="value"}`, or `{"any metric",label="value"}` as in Prometheus 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/labels.h"
#include "server/transfer/import_batch.h"

namespace pulseboard {

// A series as spelled; not judged yet.
struct SeriesSpelling {
  std::string metric;
  std::vector<std::pair<std::string, std::string>> labels;
};

// What is wrong with a line, and where.
struct TextError {
  size_t column = 0;  // byte, from 1
  LineReason reason = LineReason::kUnspecified;
  std::string message;
};

struct SeriesTextRules {
  bool spaces = false;          // blanks around names, signs and values (Prometheus 0.0.4)
  bool trailing_comma = false;  // `{a="b",}` (the same)
  bool labels_only = false;     // braces without a metric (exemplars)
};

// Where the spelling at the start of `text` ends: after its closing brace, or after its name. No judgement.
size_t SeriesTextLength(std::string_view text, const SeriesTextRules& rules);

// Reads the spelling that begins at `*at` and moves `*at` behind it. False with the error.
bool ParseSeriesText(std::string_view text, const SeriesTextRules& rules, size_t* at, SeriesSpelling* out,
                     TextError* error);
// Whether the names and values are allowed. `column`: where the series stands.
bool CheckSpelling(const SeriesSpelling& spelling, int32_t max_labels, size_t column, TextError* error);

// True when the name may stand unquoted in OpenMetrics.
bool IsOpenMetricsName(std::string_view name);
// As ParseSeriesText reads it back. `quote_names`: those that OpenMetrics does not allow, as it wants it.
void AppendSeriesText(const SeriesKey& key, bool quote_names, std::string* out);
// A name that may stand unquoted as it is, another in quotes.
void AppendOpenMetricsName(std::string_view name, std::string* out);
// `\`, `"` and line breaks escaped.
void AppendEscaped(std::string_view text, std::string* out);

}  // namespace pulseboard
