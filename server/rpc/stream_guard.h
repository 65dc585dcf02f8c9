// What every long-lived call needs besides its own work: a look, once a second, at whether its session still allows it,
// and an end by force when the peer takes no status.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "server/identity/principal.h"

namespace grpc {
class ServerContextBase;
}

namespace pulseboard {

class Authenticator;

// The call's context as long as it may be touched. Thread-safe. Its mutex is a leaf but for the session registry's.
class StreamGuard {
 public:
  StreamGuard(const Authenticator& authenticator, grpc::ServerContextBase* context, Right right)
      : authenticator_(authenticator), right_(right), context_(context) {}

  // OK while the call's access token is good for the right; UNAUTHENTICATED/TOKEN_EXPIRED and the like afterwards.
  absl::Status CheckSession() const;
  // Cancels the call, unless it is done.
  void Cancel();
  // To be called in OnDone: the context goes away.
  void Forget();
  // Notes that the status was handed over; CancelIfStuck() cancels the call when it is still not done a grace time
  // later.
  void NoteFinished();
  void CancelIfStuck();

 private:
  const Authenticator& authenticator_;
  const Right right_;
  mutable Mutex mu_;
  grpc::ServerContextBase* context_ PB_GUARDED_BY(mu_);
  bool finished_ PB_GUARDED_BY(mu_) = false;
  std::chrono::steady_clock::time_point finished_at_ PB_GUARDED_BY(mu_);
};

// A stream that is looked at once a second.
class TickingStream {
 public:
  virtual ~TickingStream() = default;
  // On the ticker's thread. Must not block.
  virtual void Tick() = 0;
};

// Thread-safe. Owns one thread; holds streams weakly.
class StreamTicker {
 public:
  explicit StreamTicker(std::chrono::milliseconds interval = std::chrono::seconds(1));
  ~StreamTicker();
  StreamTicker(const StreamTicker&) = delete;
  StreamTicker& operator=(const StreamTicker&) = delete;

  uint64_t Add(std::weak_ptr<TickingStream> stream);
  void Remove(uint64_t id);

 private:
  void Run();
  std::vector<std::shared_ptr<TickingStream>> Living() PB_EXCLUDES(mu_);

  const std::chrono::milliseconds interval_;
  Mutex mu_;
  CondVar wake_;
  bool stopping_ PB_GUARDED_BY(mu_) = false;
  uint64_t next_id_ PB_GUARDED_BY(mu_) = 1;
  std::unordered_map<uint64_t, std::weak_ptr<TickingStream>> streams_ PB_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace pulseboard
