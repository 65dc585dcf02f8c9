#include "server/rpc/stream_registry.h"

#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

absl::Status ShuttingDown() {
  return MakeError(ErrorReason::kShuttingDown, "the server is shutting down; reconnect and resume with the last token");
}

}  // namespace

uint64_t StreamRegistry::Add(std::weak_ptr<Drainable> stream) {
  bool draining = false;
  uint64_t id = 0;
  {
    MutexLock lock(&mu_);
    id = next_id_++;
    draining = draining_;
    streams_.emplace(id, stream);
  }
  if (draining) {
    if (auto living = stream.lock()) living->Drain(ShuttingDown(), /*hard=*/false);
  }
  return id;
}

void StreamRegistry::Remove(uint64_t id) {
  MutexLock lock(&mu_);
  streams_.erase(id);
  if (streams_.empty()) empty_.NotifyAll();
}

bool StreamRegistry::WaitUntilEmpty(std::chrono::nanoseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  MutexLock lock(&mu_);
  while (!streams_.empty()) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left.count() <= 0) return false;
    empty_.WaitFor(&mu_, left);
  }
  return true;
}

void StreamRegistry::DrainAll(bool hard) {
  {
    MutexLock lock(&mu_);
    draining_ = true;
  }
  for (const auto& stream : Living()) stream->Drain(ShuttingDown(), hard);
}

int64_t StreamRegistry::size() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(streams_.size());
}

std::vector<std::shared_ptr<Drainable>> StreamRegistry::Living() const {
  std::vector<std::shared_ptr<Drainable>> living;
  MutexLock lock(&mu_);
  living.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) {
    if (auto locked = stream.lock()) living.push_back(std::move(locked));
  }
  return living;
}

}  // namespace pulseboard
