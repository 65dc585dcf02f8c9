// The data as request bodies that each server understands, made before anything is measured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/peers/workload.h"

namespace pulseboard::bench {

struct Frame {
  std::string body;
  int64_t samples = 0;
};
using Frames = std::vector<Frame>;

// A frame covers `steps` times of `hosts` hosts; frames go in time order.
struct FrameShape {
  int steps = 1;
  int hosts = 1;
};

// InfluxDB lines of ten fields; integers carry their `i` as TSBS writes them.
Frames InfluxLines(const Workload& workload, FrameShape shape);
// VictoriaMetrics /api/v1/import: one JSON line per series with columns of values and times.
Frames VictoriaColumns(const Workload& workload, FrameShape shape);
// Prometheus remote write, snappy, `steps` samples per TimeSeries.
Frames RemoteWrite(const Workload& workload, FrameShape shape);

// For streams of other metrics: one VictoriaMetrics import line.
std::string VictoriaColumnsLine(const std::string& metric, const std::vector<int64_t>& times_unix_nanos,
                                const std::vector<double>& values);

}  // namespace pulseboard::bench
