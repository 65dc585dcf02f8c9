#include "server/rpc/serving_state.h"

#include <algorithm>
#include <utility>

namespace pulseboard {

ServingState::ServingState(const std::vector<std::string>& services) : services_(services) {}

void ServingState::SetServing(bool serving) { Set(serving, ""); }

void ServingState::SetServingBut(const std::string& paused) { Set(true, paused); }

void ServingState::Set(bool serving, const std::string& paused) {
  std::vector<std::function<void()>> watchers;
  {
    MutexLock lock(&mu_);
    if (serving_ == serving && paused_ == paused) return;
    serving_ = serving;
    paused_ = paused;
    for (const auto& [id, watcher] : watchers_) watchers.push_back(watcher);
  }
  for (const auto& watcher : watchers) watcher();
}

std::optional<bool> ServingState::IsServing(std::string_view service) const {
  if (!service.empty() && std::find(services_.begin(), services_.end(), service) == services_.end()) {
    return std::nullopt;
  }
  MutexLock lock(&mu_);
  return serving_ && (service.empty() || service != paused_);
}

std::vector<std::string> ServingState::Services() const { return services_; }

uint64_t ServingState::Watch(std::function<void()> on_change) {
  MutexLock lock(&mu_);
  const uint64_t id = next_id_++;
  watchers_.emplace(id, std::move(on_change));
  return id;
}

void ServingState::Unwatch(uint64_t id) {
  MutexLock lock(&mu_);
  watchers_.erase(id);
}

}  // namespace pulseboard
