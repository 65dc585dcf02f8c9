#include "server/storage/window_closer.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

constexpr std::chrono::seconds kRetryInterval{10};

std::string MetaKey(const std::string& family) { return kClosedWindowPrefix + family; }

}  // namespace

WindowCloser::WindowCloser(Rocks* rocks) : rocks_(rocks) {}

WindowCloser::~WindowCloser() {
  {
    MutexLock lock(&mu_);
    stop_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status WindowCloser::Start() {
  const std::string prefix = kClosedWindowPrefix;
  const RowCursor it = rocks_->Iterate("meta");
  {
    MutexLock lock(&mu_);
    for (it->Seek(prefix); it->Valid() && ToView(it->key()).starts_with(prefix); it->Next()) {
      closed_.insert(std::string(ToView(it->key()).substr(prefix.size())));
    }
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "read closed windows"));
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

bool WindowCloser::IsClosed(const Window& window) const {
  MutexLock lock(&mu_);
  return closed_.contains(FamilyName(window));
}

void WindowCloser::Close(const Window& window) {
  MutexLock lock(&mu_);
  if (closed_.contains(FamilyName(window))) return;
  if (std::find(waiting_.begin(), waiting_.end(), window) != waiting_.end()) return;
  waiting_.push_back(window);
  changed_.NotifyAll();
}

absl::Status WindowCloser::Forget(const Window& window) {
  const std::string name = FamilyName(window);
  {
    MutexLock lock(&mu_);
    if (std::find(waiting_.begin(), waiting_.end(), window) != waiting_.end()) dropped_.insert(name);
    if (closed_.erase(name) == 0) return absl::OkStatus();
  }
  rocksdb::WriteBatch batch;
  PB_RETURN_IF_ERROR(FromRocks(batch.Delete(rocks_->fixed("meta").get(), MetaKey(name)), "forget closed window"));
  return rocks_->Write(&batch, "forget closed window " + name);
}

int64_t WindowCloser::closed_count() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(closed_.size());
}

int64_t WindowCloser::waiting_count() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(waiting_.size());
}

void WindowCloser::Loop() {
  while (true) {
    Window window;
    {
      MutexLock lock(&mu_);
      while (waiting_.empty() && !stop_) changed_.Wait(&mu_);
      if (stop_) return;
      window = waiting_.front();
      if (dropped_.erase(FamilyName(window)) > 0) {
        waiting_.pop_front();
        continue;
      }
    }
    const std::string name = FamilyName(window);
    const absl::StatusOr<bool> closed = FlushAndCompact(window);
    MutexLock lock(&mu_);
    if (stop_) return;
    if (closed.ok()) {
      waiting_.pop_front();
      if (dropped_.erase(name) > 0 || !*closed) continue;
      closed_.insert(name);
      PB_LOG(Info, "storage", "closed window family={}", name);
    } else {
      PB_LOG(Error, "storage", "failed closing window family={} error={}", name, StatusMessage(closed.status()));
      changed_.WaitFor(&mu_, kRetryInterval);
    }
  }
}

absl::StatusOr<bool> WindowCloser::FlushAndCompact(const Window& window) {
  const std::string name = FamilyName(window);
  PB_RETURN_IF_ERROR(rocks_->Flush());
  PB_ASSIGN_OR_RETURN(const bool compacted, rocks_->Compact(window, "", ""));
  if (!compacted || stop_) return false;
  rocksdb::WriteBatch batch;
  PB_RETURN_IF_ERROR(FromRocks(batch.Put(rocks_->fixed("meta").get(), MetaKey(name), ""), "remember closed window"));
  PB_RETURN_IF_ERROR(rocks_->Write(&batch, "remember closed window " + name));
  return true;
}

}  // namespace pulseboard
