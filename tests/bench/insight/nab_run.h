// The shipped anomaly detector over a folder laid out as the Numenta Anomaly Benchmark's data.
#pragma once

#include <filesystem>

#include "absl/status/status.h"

namespace pulseboard {

// Reads every DATA/<category>/<name>.csv[.gz] (columns timestamp, value), runs one fresh detector over each and writes
// OUT/<category>/<name>.csv (columns timestamp, value, anomaly_score), one row per row read. Prints the threshold, what
// was raised in each file, and what a sample cost.
absl::Status RunNab(const std::filesystem::path& data, const std::filesystem::path& out);

}  // namespace pulseboard
