// Any bytes as a CSV table. The first byte picks the options.
#include "server/transfer/csv_parser.h"
#include "tests/fuzz/transfer_fuzz.h"

namespace pulseboard {
namespace {

int Try(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  testing::ParseBothWays(text, {.quotes = true, .strip_return = true, .max_bytes = 300}, [choice] {
    CsvReadOptions options;
    options.layout = static_cast<CsvLayout>(choice % 3);
    if (choice & 4) options.header = "time,metric,value,label";
    options.time = static_cast<CsvTime>((choice >> 3) % 7);
    if (options.time == CsvTime::kPattern) options.time_pattern = "%Y-%m-%d %H:%M:%E*S";
    if (choice & 64) options.time_zone = "Europe/Berlin";
    auto parser = CsvParser::Make(std::move(options), {.max_labels = 3, .max_series = 20, .max_series_bytes = 10'000});
    if (!parser.ok()) std::abort();
    return *std::move(parser);
  });
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return pulseboard::Try(data, size); }
