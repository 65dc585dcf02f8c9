// Any bytes as OpenMetrics or Prometheus text. The first byte picks which.
#include "server/transfer/openmetrics_parser.h"
#include "tests/fuzz/transfer_fuzz.h"

namespace pulseboard {
namespace {

int Try(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool prometheus = (data[0] & 1) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  testing::ParseBothWays(text, {.strip_return = prometheus, .max_bytes = 300}, [prometheus] {
    return std::make_unique<OpenMetricsParser>(
        prometheus ? OpenMetricsParser::Dialect::kPrometheus : OpenMetricsParser::Dialect::kOpenMetrics,
        ParserLimits{.max_labels = 3, .max_series = 20, .max_series_bytes = 10'000});
  });
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return pulseboard::Try(data, size); }
