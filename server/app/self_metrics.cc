#include "server/app/self_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"

namespace pulseboard {
namespace {

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t CountEntries(const char* directory) {
  std::error_code error;
  int64_t count = 0;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) ++count;
  return count;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

SelfMetrics::SelfMetrics(Store& store, const Clock& clock) : store_(store), clock_(clock), host_(HostName()) {}

void SelfMetrics::Push() {
  std::vector<SelfMetric> metrics;
  for (const SelfMetricSource& source : sources_) source(&metrics);
  metrics.push_back({"self_metrics.dropped",
                     MetricKind::kCounter,
                     "1",
                     "Self-metrics that the store refused.",
                     {},
                     static_cast<double>(dropped_)});
  const int64_t now = clock_.NowUnixNanos();
  AppendBatch batch;
  batch.tenant = kSystemTenant;
  batch.ack_mode = AckMode::kBuffered;  // nobody waits for them: no sync for their sake
  batch.received_unix_nanos = now;
  for (const SelfMetric& metric : metrics) {
    std::vector<Label> labels(metric.labels.begin(), metric.labels.end());
    labels.push_back({"host", host_});
    const SeriesKey key{"pulseboard." + metric.name, Labels(std::move(labels))};
    const auto id =
        store_.FindOrCreateSeries(kSystemTenant, key, {metric.kind, metric.unit, metric.description}, nullptr);
    if (!id.ok()) {
      ++dropped_;
      continue;
    }
    batch.series.push_back(*id);
    batch.times.push_back(now);
    batch.values.push_back(metric.value);
  }
  const auto count = static_cast<int64_t>(batch.size());
  const absl::Status queued = store_.Append(std::move(batch), [](const absl::StatusOr<CommitReceipt>& receipt) {
    if (!receipt.ok()) PB_LOG(Warning, "app", "lost self-metrics reason={}", StatusMessage(receipt.status()));
  });
  if (!queued.ok()) dropped_ += count;
}

SelfMetricSource ProcessMetrics(const Clock& clock) {
  struct Before {
    double cpu_seconds;
    int64_t monotonic_nanos;
  };
  auto before = std::make_shared<Before>(Before{CpuSeconds(), clock.MonotonicNanos()});
  return [&clock, before, start = clock.MonotonicNanos()](std::vector<SelfMetric>* out) {
    const double cpu = CpuSeconds();
    const int64_t now = clock.MonotonicNanos();
    const double elapsed = static_cast<double>(now - before->monotonic_nanos) / 1e9;
    const double busy = elapsed > 0 ? (cpu - before->cpu_seconds) / elapsed * 100 : 0;
    *before = {cpu, now};
    const auto gauge = [&](const char* name, const char* unit, const char* description, double value) {
      out->push_back({name, MetricKind::kGauge, unit, description, {}, value});
    };
    gauge("process.memory.resident", "By", "Resident memory of the server.", static_cast<double>(ResidentBytes()));
    gauge("process.cpu.utilization", "%", "CPU of the server; 100 is one core.", busy);
    gauge("process.threads", "1", "Threads of the server.", static_cast<double>(CountEntries("/proc/self/task")));
    gauge("process.open_files", "1", "Open file descriptors.", static_cast<double>(CountEntries("/proc/self/fd")));
    gauge("process.uptime", "s", "Time since the server started.", static_cast<double>(now - start) / 1e9);
    out->push_back({"process.cpu.time", MetricKind::kCounter, "s", "CPU time used by the server.", {}, cpu});
  };
}

}  // namespace pulseboard
