#include "server/agent/proc_parsers.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "common/model/names.h"

namespace pulseboard {
namespace {

constexpr std::string_view kBlank = " \t";

// Cuts the next line off `content`.
std::string_view TakeLine(std::string_view* content) {
  const size_t end = content->find('\n');
  const std::string_view line = content->substr(0, end);
  content->remove_prefix(end == std::string_view::npos ? content->size() : end + 1);
  return line;
}

// Cuts the next word off `line`; empty at the end.
std::string_view TakeWord(std::string_view* line) {
  const size_t begin = line->find_first_not_of(kBlank);
  if (begin == std::string_view::npos) {
    *line = {};
    return {};
  }
  const size_t end = line->find_first_of(kBlank, begin);
  const std::string_view word = line->substr(begin, end == std::string_view::npos ? end : end - begin);
  line->remove_prefix(end == std::string_view::npos ? line->size() : end);
  return word;
}

// The kernel counts unsigned; what does not fit is cut at the largest int64.
std::optional<int64_t> Number(std::string_view word) {
  if (word.empty()) return std::nullopt;
  if (word.front() == '-') {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  return static_cast<int64_t>(std::min(value, kMax));
}

std::optional<double> Decimal(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, std::chars_format::fixed);
  if (word.empty() || error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// Up to N numbers at the start of `line`; returns how many there were.
template <size_t N>
size_t TakeNumbers(std::string_view line, std::array<int64_t, N>* out) {
  for (size_t i = 0; i < N; ++i) {
    const std::optional<int64_t> number = Number(TakeWord(&line));
    if (!number) return i;
    (*out)[i] = *number;
  }
  return N;
}

int64_t Times(int64_t value, int64_t factor) {
  int64_t product = 0;
  return __builtin_mul_overflow(value, factor, &product) ? std::numeric_limits<int64_t>::max() : product;
}

std::optional<CpuTimes> ParseCpuLine(std::string_view name, std::string_view rest) {
  CpuTimes cpu;
  cpu.cpu = name == "cpu" ? "all" : std::string(name.substr(3));
  if (cpu.cpu != "all" && !Number(cpu.cpu)) return std::nullopt;
  std::array<int64_t, 8> n{};
  if (TakeNumbers(rest, &n) < 4) return std::nullopt;  // the later modes came with later kernels
  // No machine is up for 2^55 ticks; such numbers would overflow the sum.
  for (const int64_t ticks : n) {
    if (ticks < 0 || ticks > (int64_t{1} << 55)) return std::nullopt;
  }
  cpu.user = n[0];
  cpu.nice = n[1];
  cpu.system = n[2];
  cpu.idle = n[3];
  cpu.iowait = n[4];
  cpu.irq = n[5];
  cpu.softirq = n[6];
  cpu.steal = n[7];
  return cpu;
}

// \040 and its like, as the kernel writes blanks in mount points.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto octal = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool IsLocalDisk(std::string_view type, std::string_view mount_point) {
  static constexpr std::string_view kTypes[] = {"ext2", "ext3", "ext4",  "xfs",      "btrfs",    "zfs",
                                                "f2fs", "vfat", "exfat", "bcachefs", "reiserfs", "jfs"};
  if (type == "overlay") return mount_point == "/";  // a container's root
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

}  // namespace

KernelStat ParseKernelStat(std::string_view content) {
  KernelStat stat;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    const std::string_view name = TakeWord(&line);
    if (name.starts_with("cpu")) {
      if (std::optional<CpuTimes> cpu = ParseCpuLine(name, line)) stat.cpus.push_back(*std::move(cpu));
    } else if (name == "ctxt") {
      stat.context_switches = Number(TakeWord(&line));
    } else if (name == "intr") {
      stat.interrupts = Number(TakeWord(&line));
    } else if (name == "processes") {
      stat.forks = Number(TakeWord(&line));
    } else if (name == "procs_running") {
      stat.running = Number(TakeWord(&line));
    } else if (name == "procs_blocked") {
      stat.blocked = Number(TakeWord(&line));
    }
  }
  return stat;
}

std::map<std::string, int64_t, std::less<>> ParseMemInfo(std::string_view content) {
  std::map<std::string, int64_t, std::less<>> out;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    std::string_view key = TakeWord(&line);
    if (key.size() < 2 || key.back() != ':') continue;
    key.remove_suffix(1);
    const std::optional<int64_t> number = Number(TakeWord(&line));
    if (!number || *number < 0) continue;
    out[std::string(key)] = TakeWord(&line) == "kB" ? Times(*number, 1024) : *number;
  }
  return out;
}

std::optional<LoadAverage> ParseLoadAverage(std::string_view content) {
  std::string_view line = TakeLine(&content);
  const std::optional<double> one = Decimal(TakeWord(&line));
  const std::optional<double> five = Decimal(TakeWord(&line));
  const std::optional<double> fifteen = Decimal(TakeWord(&line));
  if (!one || !five || !fifteen) return std::nullopt;
  LoadAverage load{*one, *five, *fifteen, std::nullopt};
  const std::string_view tasks = TakeWord(&line);
  if (const size_t slash = tasks.find('/'); slash != std::string_view::npos) {
    load.threads = Number(tasks.substr(slash + 1));
  }
  return load;
}

std::vector<DiskCounters> ParseDiskStats(std::string_view content) {
  constexpr int64_t kSectorBytes = 512;  // whatever the disk's own sector size: the kernel's unit here
  std::vector<DiskCounters> out;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    if (!Number(TakeWord(&line)) || !Number(TakeWord(&line))) continue;  // major, minor
    const std::string_view name = TakeWord(&line);
    std::array<int64_t, 10> n{};
    if (name.empty() || TakeNumbers(line, &n) < n.size()) continue;
    out.push_back(
        {std::string(name), n[0], Times(n[2], kSectorBytes), n[3], n[4], Times(n[6], kSectorBytes), n[7], n[8], n[9]});
  }
  return out;
}

std::vector<NetworkCounters> ParseNetworkDevices(std::string_view content) {
  std::vector<NetworkCounters> out;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    const size_t colon = line.rfind(':');  // names may hold colons (aliases), numbers do not
    if (colon == std::string_view::npos) continue;
    std::string_view left = line.substr(0, colon);
    const std::string_view name = TakeWord(&left);
    std::array<int64_t, 16> n{};
    if (name.empty() || TakeNumbers(line.substr(colon + 1), &n) < 12) continue;
    out.push_back({std::string(name), n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11]});
  }
  return out;
}

Pressure ParsePressure(std::string_view content) {
  Pressure pressure;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    const std::string_view kind = TakeWord(&line);
    const std::string_view average = TakeWord(&line);
    if (!average.starts_with("avg10=")) continue;
    const std::optional<double> percent = Decimal(average.substr(6));
    if (kind == "some") pressure.some = percent;
    if (kind == "full") pressure.full = percent;
  }
  return pressure;
}

std::vector<Mount> ParseLocalMounts(std::string_view content) {
  std::map<std::string, Mount> by_device;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    Mount mount;
    mount.device = Unescape(TakeWord(&line));
    mount.mount_point = Unescape(TakeWord(&line));
    mount.type = std::string(TakeWord(&line));
    if (!mount.mount_point.starts_with('/') || !IsLocalDisk(mount.type, mount.mount_point)) continue;
    const auto [it, fresh] = by_device.try_emplace(mount.device, mount);
    if (!fresh && mount.mount_point.size() < it->second.mount_point.size()) it->second = mount;
  }
  std::vector<Mount> out;
  for (auto& [device, mount] : by_device) out.push_back(std::move(mount));
  return out;
}

std::optional<ProcessStat> ParseProcessStat(std::string_view content) {
  // pid (comm) state …: comm may hold blanks and brackets, so it ends at the last bracket.
  const size_t open = content.find('(');
  const size_t close = content.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  std::string_view head = content.substr(0, open);
  const std::optional<int64_t> pid = Number(TakeWord(&head));
  if (!pid) return std::nullopt;
  ProcessStat stat;
  stat.pid = *pid;
  stat.name = std::string(content.substr(open + 1, std::min<size_t>(close - open - 1, 64)));
  if (!IsValidUtf8(stat.name) || stat.name.find('\0') != std::string::npos) {
    for (char& c : stat.name) {
      if (c <= 0x1f || c == 0x7f) c = '?';  // negative: outside ASCII
    }
  }
  if (stat.name.empty()) stat.name = "?";
  std::string_view rest = TakeLine(&(content = content.substr(close + 1)));
  TakeWord(&rest);  // state
  std::array<int64_t, 21> n{};
  if (TakeNumbers(rest, &n) < n.size()) return std::nullopt;
  // Field numbers of proc(5) minus 4: utime 14, stime 15, starttime 22, rss 24.
  if (__builtin_add_overflow(n[10], n[11], &stat.cpu_ticks) || stat.cpu_ticks < 0) return std::nullopt;
  stat.start_ticks = n[18];
  stat.resident_pages = std::max<int64_t>(n[20], 0);
  return stat;
}

std::map<std::string, int64_t, std::less<>> ParseKeyNumbers(std::string_view content) {
  std::map<std::string, int64_t, std::less<>> out;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    const std::string_view key = TakeWord(&line);
    const std::optional<int64_t> number = Number(TakeWord(&line));
    if (!key.empty() && number) out[std::string(key)] = *number;
  }
  return out;
}

std::map<std::string, int64_t, std::less<>> ParseSockStat(std::string_view content) {
  std::map<std::string, int64_t, std::less<>> out;
  while (!content.empty()) {
    std::string_view line = TakeLine(&content);
    std::string_view protocol = TakeWord(&line);
    if (protocol.size() < 2 || protocol.back() != ':') continue;
    protocol.remove_suffix(1);
    for (;;) {
      const std::string_view key = TakeWord(&line);
      const std::optional<int64_t> number = Number(TakeWord(&line));
      if (key.empty() || !number) break;
      out[std::string(protocol) + "." + std::string(key)] = *number;
    }
  }
  return out;
}

std::optional<double> ParseUptime(std::string_view content) {
  std::string_view line = TakeLine(&content);
  return Decimal(TakeWord(&line));
}

std::string ProcessGroup(std::string_view name) {
  // kworker/0:1-events, ksoftirqd/1, migration/0
  if (const size_t slash = name.find('/'); slash != std::string_view::npos && slash > 0) name = name.substr(0, slash);
  return std::string(name);
}

}  // namespace pulseboard
