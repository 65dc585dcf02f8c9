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
  std::unordered_map<std::string, double> cpu, memory;
  std::unordered_map<int64_t, Seen> seen;
  seen.reserve(last_.size() + 16);
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(proc_root_.c_str()));
  for (const dirent* entry; directory != nullptr && (entry = readdir(directory.get())) != nullptr;) {
    if (!IsNumber(entry->d_name)) continue;
    const std::optional<ProcessStat> stat = ReadStat(dirfd(directory.get()), entry->d_name);
    if (!stat) continue;  // ended in between
    seen[stat->pid] = {stat->start_ticks, stat->cpu_ticks};
    const std::string name = ProcessGroup(stat->name);
    memory[name] += static_cast<double>(stat->resident_pages) * page_bytes;
    const auto before = last_.find(stat->pid);
    const bool known = before != last_.end() && before->second.start_ticks == stat->start_ticks;
    // A process that is new since the last reading used all its time since then.
    const int64_t ticks = stat->cpu_ticks - (known ? before->second.cpu_ticks : 0);
    if (ticks > 0) cpu[name] += static_cast<double>(ticks);
  }
  last_ = std::move(seen);

  Top top;
  if (seconds > 0) {
    for (auto& [name, value] : cpu) value = value / ticks_per_second / seconds * 100;
    top.cpu_percent = TakeTop(std::move(cpu), count);
  }
  std::erase_if(memory, [](const auto& entry) { return entry.second <= 0; });  // kernel threads
  top.memory_bytes = TakeTop(std::move(memory), count);
  return top;
}

ProcessSampler::Ranking ProcessSampler::TakeTop(std::unordered_map<std::string, double> by_name, size_t count) {
  Ranking ranking(by_name.begin(), by_name.end());
  const auto larger = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  const size_t kept = std::min(count, ranking.size());
  std::partial_sort(ranking.begin(), ranking.begin() + static_cast<std::ptrdiff_t>(kept), ranking.end(), larger);
  ranking.resize(kept);
  std::erase_if(ranking, [&](const auto& entry) {
    if (names_.contains(entry.first)) return false;
    if (names_.size() >= max_names_) return true;
    names_.insert(entry.first);
    return false;
  });
  return ranking;
}

}  // namespace pulseboard
