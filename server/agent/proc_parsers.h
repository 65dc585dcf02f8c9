// Parsers of the kernel's text files: pure functions from a file's content to plain values. The content may be anything
// (cut short, from another kernel, hostile): what cannot be read is left out, nothing is guessed, nothing is thrown.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pulseboard {

// Ticks since boot of one line of /proc/stat, by mode. `user` and `nice` include their guest time, as the kernel counts
// it.
struct CpuTimes {
  std::string cpu;  // "all", "0", "1", …
  int64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  int64_t total() const { return user + nice + system + idle + iowait + irq + softirq + steal; }
};

// /proc/stat
struct KernelStat {
  std::vector<CpuTimes> cpus;
  std::optional<int64_t> context_switches;
  std::optional<int64_t> interrupts;
  std::optional<int64_t> forks;
  std::optional<int64_t> running;
  std::optional<int64_t> blocked;
};
KernelStat ParseKernelStat(std::string_view content);

// /proc/meminfo: bytes by key, e.g. MemTotal. Keys without kB (page counts) keep their number.
std::map<std::string, int64_t, std::less<>> ParseMemInfo(std::string_view content);

// /proc/loadavg
struct LoadAverage {
  double one = 0, five = 0, fifteen = 0;
  std::optional<int64_t> threads;
};
std::optional<LoadAverage> ParseLoadAverage(std::string_view content);

// One line of /proc/diskstats.
struct DiskCounters {
  std::string device;
  int64_t reads = 0, read_bytes = 0, read_ms = 0;
  int64_t writes = 0, written_bytes = 0, write_ms = 0;
  int64_t in_flight = 0;
  int64_t busy_ms = 0;
};
std::vector<DiskCounters> ParseDiskStats(std::string_view content);

// One line of /proc/net/dev.
struct NetworkCounters {
  std::string device;
  int64_t received_bytes = 0, received_packets = 0, receive_errors = 0, receive_drops = 0;
  int64_t sent_bytes = 0, sent_packets = 0, send_errors = 0, send_drops = 0;
};
std::vector<NetworkCounters> ParseNetworkDevices(std::string_view content);

// /proc/pressure/*: percent of the last ten seconds.
struct Pressure {
  std::optional<double> some;
  std::optional<double> full;
};
Pressure ParsePressure(std::string_view content);

// Mounts of /proc/self/mounts that are local disks, one per device (its shortest mount point). Network file systems are
// left out: asking for their size can hang.
struct Mount {
  std::string device;
  std::string mount_point;  // unescaped
  std::string type;
};
std::vector<Mount> ParseLocalMounts(std::string_view content);

// /proc/PID/stat
struct ProcessStat {
  int64_t pid = 0;
  std::string name;       // comm: at most 15 bytes; valid UTF-8, odd bytes replaced
  int64_t cpu_ticks = 0;  // user + system, all threads
  int64_t start_ticks = 0;
  int64_t resident_pages = 0;
};
std::optional<ProcessStat> ParseProcessStat(std::string_view content);

// `key number` lines: /proc/vmstat.
std::map<std::string, int64_t, std::less<>> ParseKeyNumbers(std::string_view content);

// /proc/net/sockstat: `TCP: inuse 5 orphan 0 …` as {"TCP.inuse": 5, …}.
std::map<std::string, int64_t, std::less<>> ParseSockStat(std::string_view content);

// /proc/uptime: seconds since boot.
std::optional<double> ParseUptime(std::string_view content);

// A name under which all processes of a kind go: kernel workers lose what follows the slash.
std::string ProcessGroup(std::string_view name);

}  // namespace pulseboard
