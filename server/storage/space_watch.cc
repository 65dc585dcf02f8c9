#include "server/storage/space_watch.h"

#include <chrono>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr std::chrono::milliseconds kLookEvery{100};

}  // namespace

SpaceWatch::SpaceWatch(LogFileSystem* files, std::string directory, int64_t min_free_bytes,
                       std::function<void(const absl::Status&)> report)
    : files_(files), directory_(std::move(directory)), min_free_bytes_(min_free_bytes), report_(std::move(report)) {
  Look();
  thread_ = std::thread([this] { Run(); });
}

SpaceWatch::~SpaceWatch() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void SpaceWatch::Run() {
  while (true) {
    {
      MutexLock lock(&mu_);
      if (!stopping_) changed_.WaitFor(&mu_, kLookEvery);
      if (stopping_) return;
    }
    Look();
  }
}

void SpaceWatch::Look() {
  const absl::StatusOr<int64_t> free = files_->FreeBytes(directory_);
  free_bytes_.store(free.ok() ? *free : -1, std::memory_order_relaxed);
  if (!free.ok()) return;  // whether there is space will show when it is used
  const bool is_short = *free < min_free_bytes_ + (short_ ? min_free_bytes_ / 8 : 0);
  if (is_short == short_) return;
  short_ = is_short;
  if (!is_short) return report_(absl::OkStatus());
  const std::string left = std::to_string(*free);
  const std::string reserve = std::to_string(min_free_bytes_);
  report_(MakeError(ErrorReason::kDiskFull,
                    "the disk of " + directory_ + " has " + left + " bytes free; the last " + reserve +
                        " (storage.min_free_bytes) are kept for checkpoints and compaction",
                    {{"freeBytes", left}, {"minFreeBytes", reserve}, {"setting", "storage.min_free_bytes"}}));
}

}  // namespace pulseboard
