// Pacer: keeps background work to a rate, so that it leaves the disk to those who wait for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace pulseboard {

// Not thread-safe. Sleeps on the caller's thread, so only for threads that serve nobody else.
class Pacer {
 public:
  // 0: without limit.
  explicit Pacer(int64_t bytes_per_second)
      : bytes_per_second_(bytes_per_second), free_at_(std::chrono::steady_clock::now()) {}

  // To be called after each piece of work, with its size. What was not used before does not add up to a burst.
  void Spend(int64_t bytes) {
    if (bytes_per_second_ <= 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (free_at_ < now) free_at_ = now;
    free_at_ += std::chrono::nanoseconds(
        static_cast<int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(bytes_per_second_)));
    if (free_at_ - now >= kShortestSleep) std::this_thread::sleep_until(free_at_);
  }

 private:
  static constexpr std::chrono::milliseconds kShortestSleep{1};
  const int64_t bytes_per_second_;
  std::chrono::steady_clock::time_point free_at_;
};

}  // namespace pulseboard
