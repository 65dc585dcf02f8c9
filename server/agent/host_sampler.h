// HostSampler: one reading of this machine after another. Rates are over the time between two readings.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/agent/metric_catalog.h"
#include "server/agent/proc_parsers.h"
#include "server/agent/process_sampler.h"

namespace pulseboard {

struct Reading {
  const HostMetric* metric = nullptr;  // of metric_catalog.h, lives for ever
  Labels labels;
  double value = 0;
};

// Collects readings, each with the host's label.
class Readings {
 public:
  using LabelView = std::pair<std::string_view, std::string_view>;

  explicit Readings(std::string host) : host_(std::move(host)) {}
  // A value that is not finite is left out.
  void Add(const HostMetric& metric, std::initializer_list<LabelView> labels, double value);
  std::vector<Reading> Take() { return std::move(readings_); }

 private:
  const std::string host_;
  std::vector<Reading> readings_;
};

struct HostSamplerOptions {
  std::string host;  // label of every reading
  std::string proc_root = "/proc";
  std::string sys_root = "/sys";
  size_t top_processes = 10;
  // Different process names remembered over the sampler's life; names beyond are not reported, so that a machine which
  // makes up names cannot make up series without end.
  size_t max_process_names = 500;
};

// Not thread-safe. A source that is missing or unreadable is left out of the reading.
class HostSampler {
 public:
  explicit HostSampler(HostSamplerOptions options);
  // `monotonic_nanos` must grow. The first reading has no rates.
  std::vector<Reading> Sample(int64_t monotonic_nanos);

 private:
  void SampleKernel(Readings* out);
  void SampleMemory(Readings* out) const;
  void SampleLoad(Readings* out) const;
  void SampleDisks(Readings* out, double seconds);
  void SampleFilesystems(Readings* out) const;
  void SampleNetwork(Readings* out, double seconds);
  void SampleSockets(Readings* out) const;
  void SamplePressure(Readings* out) const;
  void SamplePaging(Readings* out, double seconds);
  void SampleProcesses(Readings* out, double seconds);
  std::optional<std::string> ReadProc(std::string_view name) const;
  bool IsWholeDisk(const std::string& device);

  const HostSamplerOptions options_;
  ProcessSampler processes_;
  int64_t last_nanos_ = 0;
  std::map<std::string, CpuTimes> last_cpus_;
  std::map<std::string, DiskCounters> last_disks_;
  std::map<std::string, NetworkCounters> last_networks_;
  std::map<std::string, int64_t, std::less<>> last_paging_;
  std::map<std::string, bool> whole_disks_;
};

// Content of a small file; nothing when it cannot be read. At most 1 MiB.
std::optional<std::string> ReadSmallFile(const std::string& path);

}  // namespace pulseboard
