#include "server/rpc/stream_guard.h"

#include <grpcpp/server_context.h>

#include <utility>

#include "server/rpc/authenticator.h"

namespace pulseboard {
namespace {

// Time a peer has to take the status of a finished call.
constexpr std::chrono::seconds kFinishGrace(2);

}  // namespace

absl::Status StreamGuard::CheckSession() const {
  MutexLock lock(&mu_);
  if (context_ == nullptr) return absl::OkStatus();
  return authenticator_.Authenticate(*context_, right_).status();
}

void StreamGuard::Cancel() {
  MutexLock lock(&mu_);
  if (context_ != nullptr) context_->TryCancel();
}

void StreamGuard::Forget() {
  MutexLock lock(&mu_);
  context_ = nullptr;
}

void StreamGuard::NoteFinished() {
  MutexLock lock(&mu_);
  finished_ = true;
  finished_at_ = std::chrono::steady_clock::now();
}

void StreamGuard::CancelIfStuck() {
  MutexLock lock(&mu_);
  if (context_ == nullptr || !finished_ || std::chrono::steady_clock::now() - finished_at_ < kFinishGrace) return;
  context_->TryCancel();
}

StreamTicker::StreamTicker(std::chrono::milliseconds interval) : interval_(interval), thread_([this] { Run(); }) {}

StreamTicker::~StreamTicker() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

uint64_t StreamTicker::Add(std::weak_ptr<TickingStream> stream) {
  MutexLock lock(&mu_);
  const uint64_t id = next_id_++;
  streams_.emplace(id, std::move(stream));
  return id;
}

void StreamTicker::Remove(uint64_t id) {
  MutexLock lock(&mu_);
  streams_.erase(id);
}

std::vector<std::shared_ptr<TickingStream>> StreamTicker::Living() {
  std::vector<std::shared_ptr<TickingStream>> living;
  MutexLock lock(&mu_);
  living.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) {
    if (auto locked = stream.lock()) living.push_back(std::move(locked));
  }
  return living;
}

void StreamTicker::Run() {
  while (true) {
    {
      MutexLock lock(&mu_);
      const auto next = std::chrono::steady_clock::now() + interval_;
      while (!stopping_) {
        const auto left = next - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds::zero() || !wake_.WaitFor(&mu_, left)) break;
      }
      if (stopping_) return;
    }
    for (const auto& stream : Living()) stream->Tick();
  }
}

}  // namespace pulseboard
