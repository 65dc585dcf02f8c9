// JSON lines: one object per sample, a line each.
#include <cmath>

#include "server/transfer/export_forms.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

}  // namespace

void AppendJsonText(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) {
          out->push_back(c);
        } else {
          out->append("\\u00");
          out->push_back(kHexDigits[static_cast<unsigned char>(c) >> 4]);
          out->push_back(kHexDigits[static_cast<unsigned char>(c) & 15]);
        }
    }
  }
  out->push_back('"');
}

void AppendJsonSeries(const SeriesKey& key, std::string* out) {
  out->append("\"metric\":");
  AppendJsonText(key.metric, out);
  out->append(",\"labels\":{");
  bool first = true;
  for (const Label& label : key.labels) {
    if (!first) out->push_back(',');
    first = false;
    AppendJsonText(label.name, out);
    out->push_back(':');
    AppendJsonText(label.value, out);
  }
  out->push_back('}');
}

void AppendJsonSample(int64_t time_unix_nanos, std::string_view series, double value, std::string* out) {
  out->append("\"time\":\"");
  AppendRfc3339(time_unix_nanos, out);
  out->append("\",").append(series).append(",\"value\":");
  // JSON has no numbers for these.
  if (!std::isfinite(value)) out->push_back('"');
  AppendValue(value, out);
  if (!std::isfinite(value)) out->push_back('"');
  out->append("}\n");
}

void JsonLinesExport::BeginSeries(const SeriesInfo& info, std::string* /*out*/) {
  series_text_.clear();
  AppendJsonSeries(info.key, &series_text_);
}

void JsonLinesExport::AppendSample(int64_t time_unix_nanos, double value, std::string* out) {
  out->push_back('{');
  AppendJsonSample(time_unix_nanos, series_text_, value, out);
}

}  // namespace pulseboard
