#include "server/agent/host_sampler.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace pulseboard {
namespace {

using namespace host_metrics;  // NOLINT: the names of metric_catalog.h and nothing else

// Growth of a counter per second; nothing after it was reset.
std::optional<double> Rate(int64_t before, int64_t now, double seconds) {
  if (now < before || seconds <= 0) return std::nullopt;
  return static_cast<double>(now - before) / seconds;
}

}  // namespace

std::optional<std::string> ReadSmallFile(const std::string& path) {
  constexpr size_t kMaxBytes = 1 << 20;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string content;
  char buffer[8192];
  ssize_t size = 0;
  while (content.size() < kMaxBytes && (size = read(fd, buffer, sizeof(buffer))) > 0) {
    content.append(buffer, static_cast<size_t>(size));
  }
  close(fd);
  if (size < 0) return std::nullopt;
  return content;
}

void Readings::Add(const HostMetric& metric, std::initializer_list<LabelView> labels, double value) {
  if (!std::isfinite(value)) return;
  std::vector<Label> all;
  all.reserve(labels.size() + 1);
  all.push_back({"host", host_});
  for (const auto& [name, label_value] : labels) all.push_back({std::string(name), std::string(label_value)});
  readings_.push_back({&metric, Labels(std::move(all)), value});
}

HostSampler::HostSampler(HostSamplerOptions options)
    : options_(std::move(options)), processes_(options_.proc_root, options_.max_process_names) {}

std::optional<std::string> HostSampler::ReadProc(std::string_view name) const {
  return ReadSmallFile(options_.proc_root + "/" + std::string(name));
}

std::vector<Reading> HostSampler::Sample(int64_t monotonic_nanos) {
  const double seconds = last_nanos_ == 0 ? 0 : static_cast<double>(monotonic_nanos - last_nanos_) / 1e9;
  last_nanos_ = monotonic_nanos;
  Readings out(options_.host);
  SampleKernel(&out);
  SampleMemory(&out);
  SampleLoad(&out);
  SampleDisks(&out, seconds);
  SampleFilesystems(&out);
  SampleNetwork(&out, seconds);
  SampleSockets(&out);
  SamplePressure(&out);
  SamplePaging(&out, seconds);
  SampleProcesses(&out, seconds);
  return out.Take();
}

void HostSampler::SampleKernel(Readings* out) {
  const std::optional<std::string> content = ReadProc("stat");
  if (!content) return;
  const KernelStat stat = ParseKernelStat(*content);
  for (const CpuTimes& now : stat.cpus) {
    const auto it = last_cpus_.find(now.cpu);
    const int64_t total = it == last_cpus_.end() ? 0 : now.total() - it->second.total();
    if (total > 0) {
      const CpuTimes& before = it->second;
      // iowait and idle may step back a little: never below nothing.
      const auto share = [&](int64_t from, int64_t to) {
        return std::clamp(100.0 * static_cast<double>(to - from) / static_cast<double>(total), 0.0, 100.0);
      };
      const double idle = share(before.idle + before.iowait, now.idle + now.iowait);
      out->Add(kCpuUsage, {{"cpu", now.cpu}}, 100.0 - idle);
      const auto add = [&](std::string_view mode, int64_t from, int64_t to) {
        out->Add(kCpuUtilization, {{"cpu", now.cpu}, {"mode", mode}}, share(from, to));
      };
      add("user", before.user, now.user);
      add("system", before.system, now.system);
      add("nice", before.nice, now.nice);
      add("iowait", before.iowait, now.iowait);
      add("irq", before.irq, now.irq);
      add("softirq", before.softirq, now.softirq);
      add("steal", before.steal, now.steal);
      add("idle", before.idle, now.idle);
    }
    last_cpus_[now.cpu] = now;
  }
  const auto add = [&](const HostMetric& metric, std::initializer_list<Readings::LabelView> labels,
                       const std::optional<int64_t>& value) {
    if (value) out->Add(metric, labels, static_cast<double>(*value));
  };
  add(kContextSwitches, {}, stat.context_switches);
  add(kInterrupts, {}, stat.interrupts);
  add(kProcessesCreated, {}, stat.forks);
  add(kProcesses, {{"state", "running"}}, stat.running);
  add(kProcesses, {{"state", "blocked"}}, stat.blocked);
}

void HostSampler::SampleMemory(Readings* out) const {
  const std::optional<std::string> content = ReadProc("meminfo");
  if (!content) return;
  const auto memory = ParseMemInfo(*content);
  const auto get = [&](std::string_view key) -> std::optional<double> {
    const auto it = memory.find(key);
    if (it == memory.end()) return std::nullopt;
    return static_cast<double>(it->second);
  };
  const auto total = get("MemTotal"), free = get("MemFree"), available = get("MemAvailable"), buffers = get("Buffers");
  const auto cached = get("Cached"), reclaimable = get("SReclaimable");
  if (total && free && available && buffers && cached) {
    const double cache = *cached + reclaimable.value_or(0);
    out->Add(kMemoryUsage, {{"state", "used"}}, std::max(0.0, *total - *free - *buffers - cache));
    out->Add(kMemoryUsage, {{"state", "cached"}}, cache);
    out->Add(kMemoryUsage, {{"state", "buffers"}}, *buffers);
    out->Add(kMemoryUsage, {{"state", "free"}}, *free);
    out->Add(kMemoryUsage, {{"state", "available"}}, *available);
    out->Add(kMemoryUtilization, {}, std::clamp(100.0 * (1.0 - *available / *total), 0.0, 100.0));
  }
  const std::pair<std::string_view, std::string_view> kernel[] = {
      {"slab", "Slab"}, {"page_tables", "PageTables"}, {"dirty", "Dirty"}, {"writeback", "Writeback"}};
  for (const auto& [state, key] : kernel) {
    if (const auto value = get(key)) out->Add(kMemoryKernel, {{"state", state}}, *value);
  }
  const auto swap_total = get("SwapTotal"), swap_free = get("SwapFree");
  if (swap_total && swap_free) {
    out->Add(kSwapUsage, {{"state", "used"}}, std::max(0.0, *swap_total - *swap_free));
    out->Add(kSwapUsage, {{"state", "free"}}, *swap_free);
  }
}

void HostSampler::SampleLoad(Readings* out) const {
  if (const auto content = ReadProc("loadavg")) {
    if (const auto load = ParseLoadAverage(*content)) {
      out->Add(kLoad, {{"window", "1m"}}, load->one);
      out->Add(kLoad, {{"window", "5m"}}, load->five);
      out->Add(kLoad, {{"window", "15m"}}, load->fifteen);
      if (load->threads) out->Add(kThreads, {}, static_cast<double>(*load->threads));
    }
  }
  if (const auto content = ReadProc("uptime")) {
    if (const auto uptime = ParseUptime(*content)) out->Add(kUptime, {}, *uptime);
  }
}

bool HostSampler::IsWholeDisk(const std::string& device) {
  const auto known = whole_disks_.find(device);
  if (known != whole_disks_.end()) return known->second;
  std::string name = device;
  std::replace(name.begin(), name.end(), '/', '!');  // as sysfs spells cciss/c0d0
  struct stat info {};
  const bool whole = stat((options_.sys_root + "/block/" + name).c_str(), &info) == 0;
  if (whole_disks_.size() < 1000) whole_disks_[device] = whole;
  return whole;
}

void HostSampler::SampleDisks(Readings* out, double seconds) {
  const std::optional<std::string> content = ReadProc("diskstats");
  if (!content) return;
  std::map<std::string, DiskCounters> disks;
  for (DiskCounters& now : ParseDiskStats(*content)) {
    // Partitions are part of their disk; disks that never did anything (idle loop devices) are no news.
    if (now.reads + now.writes == 0 || !IsWholeDisk(now.device)) continue;
    const auto it = last_disks_.find(now.device);
    if (it != last_disks_.end()) {
      const DiskCounters& before = it->second;
      const auto add = [&](const HostMetric& metric, std::string_view direction, int64_t from, int64_t to) {
        if (const auto rate = Rate(from, to, seconds)) {
          out->Add(metric, {{"device", now.device}, {"direction", direction}}, *rate);
        }
      };
      add(kDiskThroughput, "read", before.read_bytes, now.read_bytes);
      add(kDiskThroughput, "write", before.written_bytes, now.written_bytes);
      add(kDiskOperations, "read", before.reads, now.reads);
      add(kDiskOperations, "write", before.writes, now.writes);
      if (const auto busy = Rate(before.busy_ms, now.busy_ms, seconds)) {
        out->Add(kDiskBusy, {{"device", now.device}}, std::min(*busy / 10, 100.0));  // ms per s
      }
      const auto latency = [&](std::string_view direction, int64_t count, int64_t milliseconds) {
        if (count < 0 || milliseconds < 0) return;
        out->Add(kDiskLatency, {{"device", now.device}, {"direction", direction}},
                 count == 0 ? 0 : static_cast<double>(milliseconds) / static_cast<double>(count));
      };
      latency("read", now.reads - before.reads, now.read_ms - before.read_ms);
      latency("write", now.writes - before.writes, now.write_ms - before.write_ms);
    }
    out->Add(kDiskQueue, {{"device", now.device}}, static_cast<double>(now.in_flight));
    std::string device = now.device;
    disks[std::move(device)] = std::move(now);
  }
  last_disks_ = std::move(disks);
}

void HostSampler::SampleFilesystems(Readings* out) const {
  const std::optional<std::string> content = ReadProc("self/mounts");
  if (!content) return;
  for (const Mount& mount : ParseLocalMounts(*content)) {
    struct statvfs info {};
    if (statvfs(mount.mount_point.c_str(), &info) != 0 || info.f_blocks == 0) continue;
    const auto block = static_cast<double>(info.f_frsize);
    const double used = static_cast<double>(info.f_blocks - info.f_bfree) * block;
    const double available = static_cast<double>(info.f_bavail) * block;
    if (used + available <= 0) continue;
    out->Add(kFilesystemUtilization, {{"mount", mount.mount_point}}, 100.0 * used / (used + available));
    out->Add(kFilesystemUsage, {{"mount", mount.mount_point}, {"state", "used"}}, used);
    out->Add(kFilesystemUsage, {{"mount", mount.mount_point}, {"state", "free"}}, available);
  }
}

void HostSampler::SampleNetwork(Readings* out, double seconds) {
  const std::optional<std::string> content = ReadProc("net/dev");
  if (!content) return;
  std::map<std::string, NetworkCounters> networks;
  for (NetworkCounters& now : ParseNetworkDevices(*content)) {
    if (now.received_packets + now.sent_packets == 0) continue;
    const auto add = [&](const HostMetric& metric, std::string_view direction, double value) {
      out->Add(metric, {{"device", now.device}, {"direction", direction}}, value);
    };
    const auto it = last_networks_.find(now.device);
    if (it != last_networks_.end()) {
      const NetworkCounters& before = it->second;
      const auto rate = [&](const HostMetric& metric, std::string_view direction, int64_t from, int64_t to) {
        if (const auto value = Rate(from, to, seconds)) add(metric, direction, *value);
      };
      rate(kNetworkThroughput, "receive", before.received_bytes, now.received_bytes);
      rate(kNetworkThroughput, "transmit", before.sent_bytes, now.sent_bytes);
      rate(kNetworkPackets, "receive", before.received_packets, now.received_packets);
      rate(kNetworkPackets, "transmit", before.sent_packets, now.sent_packets);
    }
    add(kNetworkIo, "receive", static_cast<double>(now.received_bytes));
    add(kNetworkIo, "transmit", static_cast<double>(now.sent_bytes));
    add(kNetworkErrors, "receive", static_cast<double>(now.receive_errors));
    add(kNetworkErrors, "transmit", static_cast<double>(now.send_errors));
    add(kNetworkDropped, "receive", static_cast<double>(now.receive_drops));
    add(kNetworkDropped, "transmit", static_cast<double>(now.send_drops));
    std::string device = now.device;
    networks[std::move(device)] = std::move(now);
  }
  last_networks_ = std::move(networks);
}

void HostSampler::SampleSockets(Readings* out) const {
  const std::optional<std::string> content = ReadProc("net/sockstat");
  if (!content) return;
  const auto counts = ParseSockStat(*content);
  struct Row {
    std::string_view key, protocol, state;
  };
  for (const Row& row : {Row{"TCP.inuse", "tcp", "in_use"}, Row{"TCP.tw", "tcp", "time_wait"},
                         Row{"TCP.orphan", "tcp", "orphan"}, Row{"UDP.inuse", "udp", "in_use"}}) {
    const auto it = counts.find(row.key);
    if (it == counts.end()) continue;
    out->Add(kSockets, {{"protocol", row.protocol}, {"state", row.state}}, static_cast<double>(it->second));
  }
}

void HostSampler::SamplePressure(Readings* out) const {
  for (const std::string_view resource : {"cpu", "memory", "io"}) {
    const std::optional<std::string> content = ReadProc("pressure/" + std::string(resource));
    if (!content) continue;
    const Pressure pressure = ParsePressure(*content);
    if (pressure.some) out->Add(kPressure, {{"resource", resource}, {"kind", "some"}}, *pressure.some);
    if (pressure.full) out->Add(kPressure, {{"resource", resource}, {"kind", "full"}}, *pressure.full);
  }
}

void HostSampler::SamplePaging(Readings* out, double seconds) {
  const std::optional<std::string> content = ReadProc("vmstat");
  if (!content) return;
  auto now = ParseKeyNumbers(*content);
  const auto rate = [&](std::string_view key) -> std::optional<double> {
    const auto from = last_paging_.find(key), to = now.find(key);
    if (from == last_paging_.end() || to == now.end()) return std::nullopt;
    return Rate(from->second, to->second, seconds);
  };
  const auto all = rate("pgfault"), major = rate("pgmajfault"), in = rate("pswpin"), swapped_out = rate("pswpout");
  if (all && major) {
    out->Add(kPagingFaults, {{"kind", "major"}}, *major);
    out->Add(kPagingFaults, {{"kind", "minor"}}, std::max(0.0, *all - *major));
  }
  if (in) out->Add(kPagingOperations, {{"direction", "in"}}, *in);
  if (swapped_out) out->Add(kPagingOperations, {{"direction", "out"}}, *swapped_out);
  last_paging_ = std::move(now);
}

void HostSampler::SampleProcesses(Readings* out, double seconds) {
  const ProcessSampler::Top top = processes_.Sample(seconds, options_.top_processes);
  for (const auto& [name, percent] : top.cpu_percent) out->Add(kProcessCpu, {{"process", name}}, percent);
  for (const auto& [name, bytes] : top.memory_bytes) out->Add(kProcessMemory, {{"process", name}}, bytes);
}

}  // namespace pulseboard
