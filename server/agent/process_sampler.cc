#include "server/agent/process_sampler.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>

#include "server/agent/proc_parsers.h"

namespace pulseboard {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

bool IsNumber(std::string_view name) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  return error == std::errc() && end == name.data() + name.size();
}

// Relative to the open folder and without allocation: this runs once per process and second.
std::optional<ProcessStat> ReadStat(int directory, const char* pid) {
  char path[64];
  char* end = path + std::string_view(pid).copy(path, 32);
  *std::copy_n("/stat", 5, end) = '\0';
  const int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  char buffer[1024];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  close(fd);
  if (size <= 0) return std::nullopt;
  return ParseProcessStat({buffer, static_cast<size_t>(size)});
}

}  // namespace

ProcessSampler::Top ProcessSampler::Sample(double seconds, size_t count) {
  static const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  static const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  UsageByName cpu, memory;
  std::unordered_map<int64_t, Seen> seen;
  seen.reserve(last_.size() + 16);
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(proc_root_.c_str()));
  for (const dirent* entry; directory != nullptr && (entry = readdir(directory.get())) != nullptr;) {
    if (!IsNumber(entry->d_name)) continue;
    const std::optional<ProcessStat> stat = ReadStat(dirfd(directory.get()), entry->d_name);
    if (!stat) continue;  // ended in between
    seen[stat->pid] = {stat->start_ticks, stat->cpu_ticks};
    const std::string name = ProcessGroup(stat->name);
    memory[name].value += static_cast<double>(stat->resident_pages) * page_bytes;
    const auto before = last_.find(stat->pid);
    const bool known = before != last_.end() && before->second.start_ticks == stat->start_ticks;
    // A process that is new since the last reading used all its time since then.
    const int64_t ticks = stat->cpu_ticks - (known ? before->second.cpu_ticks : 0);
    Usage& usage = cpu[name];
    usage.value += static_cast<double>(std::max<int64_t>(ticks, 0));
    usage.tie_break += static_cast<double>(stat->cpu_ticks);
  }
  last_ = std::move(seen);

  Top top;
  if (seconds > 0) {
    for (auto& [name, usage] : cpu) usage.value = usage.value / ticks_per_second / seconds * 100;
    top.cpu_percent = TakeTop(cpu, count);
  }
  std::erase_if(memory, [](const auto& entry) { return entry.second.value <= 0; });  // kernel threads
  top.memory_bytes = TakeTop(memory, count);
  return top;
}

ProcessSampler::Ranking ProcessSampler::TakeTop(const UsageByName& by_name, size_t count) {
  std::vector<std::pair<std::string, Usage>> all(by_name.begin(), by_name.end());
  const auto larger = [](const auto& a, const auto& b) {
    if (a.second.value != b.second.value) return a.second.value > b.second.value;
    if (a.second.tie_break != b.second.tie_break) return a.second.tie_break > b.second.tie_break;
    return a.first < b.first;
  };
  const size_t kept = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(), larger);
  Ranking ranking;
  for (size_t i = 0; i < kept; ++i) ranking.emplace_back(std::move(all[i].first), all[i].second.value);
  std::erase_if(ranking, [&](const auto& entry) {
    if (names_.contains(entry.first)) return false;
    if (names_.size() >= max_names_) return true;
    names_.insert(entry.first);
    return false;
  });
  return ranking;
}

}  // namespace pulseboard
