// ProcessSampler: CPU and memory of processes, put together by name.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pulseboard {

// Not thread-safe.
class ProcessSampler {
 public:
  ProcessSampler(std::string proc_root, size_t max_names) : proc_root_(std::move(proc_root)), max_names_(max_names) {}

  using Ranking = std::vector<std::pair<std::string, double>>;  // largest first
  struct Top {
    Ranking
        cpu_percent;  // of one core, over the time since the last call; empty on the first one. Where fewer are busy,
                      // the idle ones that used most since their start fill it up: the same names from call to call.
    Ranking memory_bytes;  // resident; shared pages count for every process
  };
  // `seconds` since the last call; 0 on the first one.
  Top Sample(double seconds, size_t count);

 private:
  struct Seen {
    int64_t start_ticks = 0;  // tells a process from a later one with the same pid
    int64_t cpu_ticks = 0;
  };

  struct Usage {
    double value = 0;
    double tie_break = 0;
  };
  using UsageByName = std::unordered_map<std::string, Usage>;

  Ranking TakeTop(const UsageByName& by_name, size_t count);

  const std::string proc_root_;
  const size_t max_names_;
  std::unordered_map<int64_t, Seen> last_;
  std::set<std::string> names_;  // ever reported
};

}  // namespace pulseboard
