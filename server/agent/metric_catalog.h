// What the agent measures: every metric's name, kind, unit and sentence for people.
#pragma once

#include <string_view>

#include "common/model/labels.h"

namespace pulseboard {

struct HostMetric {
  std::string_view name;
  MetricKind kind;
  std::string_view unit;  // UCUM
  std::string_view description;
};

namespace host_metrics {

inline constexpr auto kGauge = MetricKind::kGauge;
inline constexpr auto kCounter = MetricKind::kCounter;

inline constexpr HostMetric kCpuUtilization{"system.cpu.utilization", kGauge, "%",
                                            "Share of the time a core spent in a mode."};
inline constexpr HostMetric kCpuUsage{"system.cpu.usage", kGauge, "%",
                                      "Share of the time a core, or all together, was busy."};
inline constexpr HostMetric kMemoryUsage{"system.memory.usage", kGauge, "By", "Memory by what it is used for."};
inline constexpr HostMetric kMemoryUtilization{"system.memory.utilization", kGauge, "%",
                                               "Share of the memory that programs cannot have any more."};
inline constexpr HostMetric kMemoryKernel{
    "system.memory.kernel", kGauge, "By",
    "Memory in the kernel's hands: slab, page tables, dirty and written-back pages."};
inline constexpr HostMetric kSwapUsage{"system.swap.usage", kGauge, "By", "Swap space, used and free."};
inline constexpr HostMetric kLoad{"system.load", kGauge, "1", "Average number of runnable or blocked tasks."};
inline constexpr HostMetric kDiskThroughput{"system.disk.throughput", kGauge, "By/s",
                                            "Bytes read or written per second."};
inline constexpr HostMetric kDiskOperations{"system.disk.operations", kGauge, "1/s",
                                            "Reads or writes completed per second."};
inline constexpr HostMetric kDiskBusy{"system.disk.busy", kGauge, "%", "Share of the time the disk had work."};
inline constexpr HostMetric kDiskLatency{"system.disk.latency", kGauge, "ms",
                                         "Average time of a read or write completed in the last interval."};
inline constexpr HostMetric kDiskQueue{"system.disk.queue", kGauge, "1", "Requests under way."};
inline constexpr HostMetric kFilesystemUtilization{"system.filesystem.utilization", kGauge, "%",
                                                   "Share of the file system that is used, as df shows it."};
inline constexpr HostMetric kFilesystemUsage{"system.filesystem.usage", kGauge, "By",
                                             "Space of the file system: used, and free for programs."};
inline constexpr HostMetric kNetworkThroughput{"system.network.throughput", kGauge, "By/s",
                                               "Bytes received or transmitted per second."};
inline constexpr HostMetric kNetworkPackets{"system.network.packets", kGauge, "1/s",
                                            "Packets received or transmitted per second."};
inline constexpr HostMetric kNetworkIo{"system.network.io", kCounter, "By",
                                       "Bytes received or transmitted since boot."};
inline constexpr HostMetric kNetworkErrors{"system.network.errors", kCounter, "1", "Packets with errors since boot."};
inline constexpr HostMetric kNetworkDropped{"system.network.dropped", kCounter, "1", "Packets dropped since boot."};
inline constexpr HostMetric kSockets{"system.network.sockets", kGauge, "1", "Sockets by protocol and state."};
inline constexpr HostMetric kPressure{
    "system.pressure", kGauge, "%", "Share of the last ten seconds in which some or all tasks waited for a resource."};
inline constexpr HostMetric kContextSwitches{"system.context_switches", kCounter, "1", "Context switches since boot."};
inline constexpr HostMetric kInterrupts{"system.interrupts", kCounter, "1", "Interrupts served since boot."};
inline constexpr HostMetric kProcessesCreated{"system.processes.created", kCounter, "1",
                                              "Processes started since boot."};
inline constexpr HostMetric kProcesses{"system.processes", kGauge, "1", "Tasks running, or blocked on a disk."};
inline constexpr HostMetric kThreads{"system.threads", kGauge, "1", "Threads of all processes."};
inline constexpr HostMetric kPagingFaults{"system.paging.faults", kGauge, "1/s",
                                          "Page faults per second: minor ones are free, major ones read the disk."};
inline constexpr HostMetric kPagingOperations{"system.paging.operations", kGauge, "1/s",
                                              "Pages swapped in or out per second."};
inline constexpr HostMetric kUptime{"system.uptime", kGauge, "s", "Time since boot."};
inline constexpr HostMetric kProcessCpu{"process.cpu.utilization", kGauge, "%",
                                        "CPU of all processes of a name, in percent of one core; the ten largest."};
inline constexpr HostMetric kProcessMemory{"process.memory.usage", kGauge, "By",
                                           "Resident memory of all processes of a name; the ten largest."};

}  // namespace host_metrics
}  // namespace pulseboard
