#include "tests/bench/peers/payloads.h"

#include <snappy-c.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

#include "common/codec/bytes.h"

namespace pulseboard::bench {
namespace {

template <typename Number>
void PutNumber(std::string* out, Number value) {
  char text[32];
  out->append(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

struct Part {
  int first_step, steps, first_host, hosts;
};

Frames CutIntoFrames(const Workload& workload, FrameShape shape, const std::function<std::string(const Part&)>& body) {
  Frames frames;
  for (int step = 0; step < workload.steps; step += shape.steps) {
    for (int host = 0; host < workload.hosts; host += shape.hosts) {
      const Part part = {step, std::min(shape.steps, workload.steps - step), host,
                         std::min(shape.hosts, workload.hosts - host)};
      frames.push_back({body(part), int64_t{1} * part.steps * part.hosts * kMetricsPerHost});
    }
  }
  return frames;
}

constexpr int64_t kNanosPerMilli = 1'000'000;

// Protobuf, by hand: a field of bytes.
void PutField(std::string* out, int tag, std::string_view bytes) {
  out->push_back(static_cast<char>(tag << 3 | 2));
  PutLengthPrefixed(out, bytes);
}

std::string RemoteWriteBody(const Workload& workload, const Part& part) {
  std::string request, series, label, sample;
  for (int host = part.first_host; host < part.first_host + part.hosts; ++host) {
    for (int metric = 0; metric < kMetricsPerHost; ++metric) {
      series.clear();
      const std::pair<std::string, std::string> labels[] = {
          {"__name__", "cpu_" + std::string(kCpuMetrics[static_cast<size_t>(metric)])},
          {"hostname", HostName(host)},
          {"region", std::string(RegionOf(host))}};
      for (const auto& [name, value] : labels) {
        label.clear();
        PutField(&label, 1, name);
        PutField(&label, 2, value);
        PutField(&series, 1, label);
      }
      for (int step = part.first_step; step < part.first_step + part.steps; ++step) {
        sample.assign(1, '\x09');
        PutLittleEndian(&sample, workload.At(host, metric, step));
        sample.push_back('\x10');
        PutVarint(&sample, static_cast<uint64_t>(workload.Time(step) / kNanosPerMilli));
        PutField(&series, 2, sample);
      }
      PutField(&request, 1, series);
    }
  }
  std::string packed(snappy_max_compressed_length(request.size()), '\0');
  size_t size = packed.size();
  snappy_compress(request.data(), request.size(), packed.data(), &size);
  packed.resize(size);
  return packed;
}

}  // namespace

Frames InfluxLines(const Workload& workload, FrameShape shape) {
  return CutIntoFrames(workload, shape, [&workload](const Part& part) {
    std::string body;
    for (int step = part.first_step; step < part.first_step + part.steps; ++step) {
      for (int host = part.first_host; host < part.first_host + part.hosts; ++host) {
        body += "cpu,hostname=" + HostName(host) + ",region=";
        body += RegionOf(host);
        for (int metric = 0; metric < kMetricsPerHost; ++metric) {
          body += metric == 0 ? ' ' : ',';
          body += kCpuMetrics[static_cast<size_t>(metric)];
          body += '=';
          PutNumber(&body, workload.At(host, metric, step));
          if (workload.precision == Precision::kInteger) body += 'i';
        }
        body += ' ';
        PutNumber(&body, workload.Time(step));
        body += '\n';
      }
    }
    return body;
  });
}

Frames VictoriaColumns(const Workload& workload, FrameShape shape) {
  return CutIntoFrames(workload, shape, [&workload](const Part& part) {
    std::string body;
    for (int host = part.first_host; host < part.first_host + part.hosts; ++host) {
      for (int metric = 0; metric < kMetricsPerHost; ++metric) {
        body += "{\"metric\":{\"__name__\":\"cpu_";
        body += kCpuMetrics[static_cast<size_t>(metric)];
        body += "\",\"hostname\":\"" + HostName(host) + "\",\"region\":\"";
        body += RegionOf(host);
        body += "\"},\"values\":[";
        for (int i = 0; i < part.steps; ++i) {
          if (i > 0) body += ',';
          PutNumber(&body, workload.At(host, metric, part.first_step + i));
        }
        body += "],\"timestamps\":[";
        for (int i = 0; i < part.steps; ++i) {
          if (i > 0) body += ',';
          PutNumber(&body, workload.Time(part.first_step + i) / kNanosPerMilli);
        }
        body += "]}\n";
      }
    }
    return body;
  });
}

Frames RemoteWrite(const Workload& workload, FrameShape shape) {
  return CutIntoFrames(workload, shape, [&workload](const Part& part) { return RemoteWriteBody(workload, part); });
}

std::string VictoriaColumnsLine(const std::string& metric, const std::vector<int64_t>& times_unix_nanos,
                                const std::vector<double>& values) {
  std::string body = "{\"metric\":{\"__name__\":\"" + metric + "\"},\"values\":[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) body += ',';
    PutNumber(&body, values[i]);
  }
  body += "],\"timestamps\":[";
  for (size_t i = 0; i < times_unix_nanos.size(); ++i) {
    if (i > 0) body += ',';
    PutNumber(&body, times_unix_nanos[i] / kNanosPerMilli);
  }
  return body + "]}\n";
}

}  // namespace pulseboard::bench
