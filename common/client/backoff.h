// Backoff: how long to wait before the next attempt: exponential, with jitter so that many clients do not come back at
// once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace pulseboard::client {

struct BackoffOptions {
  std::chrono::milliseconds first{200};
  std::chrono::milliseconds last{10'000};
};

// Not thread-safe.
class Backoff {
 public:
  explicit Backoff(BackoffOptions options, uint64_t seed = std::random_device{}())
      : options_(options), next_(options.first), random_(seed) {}

  // Between half of the current step and the step itself; the next step is twice as long, up to the last.
  std::chrono::milliseconds Next() {
    const auto step = std::max<int64_t>(next_.count(), 1);
    next_ = std::min(options_.last, next_ * 2);
    return std::chrono::milliseconds(std::uniform_int_distribution<int64_t>((step + 1) / 2, step)(random_));
  }
  // After progress.
  void Reset() { next_ = options_.first; }

 private:
  const BackoffOptions options_;
  std::chrono::milliseconds next_;
  std::mt19937_64 random_;
};

}  // namespace pulseboard::client
