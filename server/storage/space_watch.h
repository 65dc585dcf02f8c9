// SpaceWatch: keeps an eye on the disk's free space, so that writes are refused while checkpoint and compaction still
// have room to work, and are taken again by themselves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "server/storage/log_file.h"

namespace pulseboard {

// Looks about ten times a second, on a thread of its own. Thread-safe.
class SpaceWatch {
 public:
  // `report` runs on the watch's thread (the first time in the constructor): RESOURCE_EXHAUSTED/DISK_FULL when less
  // than `min_free_bytes` are free, OK when an eighth more than that is again. `files` must outlive the watch. A
  // `min_free_bytes` of 0 only measures.
  SpaceWatch(LogFileSystem* files, std::string directory, int64_t min_free_bytes,
             std::function<void(const absl::Status&)> report);
  ~SpaceWatch();

  // At the last look; -1 when it is not known.
  int64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }

 private:
  void Run();
  void Look();

  LogFileSystem* const files_;
  const std::string directory_;
  const int64_t min_free_bytes_;
  const std::function<void(const absl::Status&)> report_;
  std::atomic<int64_t> free_bytes_{-1};
  bool short_ = false;  // as reported last; the watch's thread's
  Mutex mu_;
  CondVar changed_;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace pulseboard
