// ServingState: whether the server, and each of its services, takes calls. What health checks see.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"

namespace pulseboard {

// Thread-safe.
class ServingState {
 public:
  // `services`: full names, e.g. `pulseboard.v1.LiveService`. The empty name stands for the server and is always known.
  // Nothing serves before SetServing(true).
  explicit ServingState(const std::vector<std::string>& services);

  // All services and the server at once. Runs the watchers on the calling thread when something changed.
  void SetServing(bool serving);
  // The same, without `paused`, which does not serve: the server as a whole does, so that nobody is kept from the other
  // services.
  void SetServingBut(const std::string& paused);
  // Nothing for an unknown service.
  std::optional<bool> IsServing(std::string_view service) const;
  std::vector<std::string> Services() const;

  // `on_change` runs on the thread that called SetServing, possibly for a moment after Unwatch: it must hold what it
  // needs. Returns an id for Unwatch.
  uint64_t Watch(std::function<void()> on_change);
  void Unwatch(uint64_t id);

 private:
  const std::vector<std::string> services_;
  mutable Mutex mu_;
  void Set(bool serving, const std::string& paused);

  bool serving_ PB_GUARDED_BY(mu_) = false;
  std::string paused_ PB_GUARDED_BY(mu_);  // empty: none
  uint64_t next_id_ PB_GUARDED_BY(mu_) = 1;
  std::map<uint64_t, std::function<void()>> watchers_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
