// The one source of time for everything that decides by it. Injected, so that tests move time themselves.
#pragma once

#include <atomic>
#include <cstdint>

namespace pulseboard {

inline constexpr int64_t kNanosPerMicro = 1'000;
inline constexpr int64_t kNanosPerMilli = 1'000'000;
inline constexpr int64_t kNanosPerSecond = 1'000'000'000;
inline constexpr int64_t kNanosPerMinute = 60 * kNanosPerSecond;
inline constexpr int64_t kNanosPerHour = 60 * kNanosPerMinute;
inline constexpr int64_t kNanosPerDay = 24 * kNanosPerHour;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time: nanoseconds since the Unix epoch, UTC. May jump in either direction.
  virtual int64_t NowUnixNanos() const = 0;
  // Never goes back; origin is arbitrary. For durations and deadlines.
  virtual int64_t MonotonicNanos() const = 0;
};

// The machine's clock. Lives for ever.
const Clock& SystemClock();

// A clock that stands still until moved. Wall and monotonic time can be moved apart, as after an NTP step.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t start_unix_nanos) : wall_(start_unix_nanos), monotonic_(0) {}
  int64_t NowUnixNanos() const override { return wall_.load(); }
  int64_t MonotonicNanos() const override { return monotonic_.load(); }
  void Advance(int64_t nanos) {
    wall_ += nanos;
    monotonic_ += nanos;
  }
  void StepWall(int64_t nanos) { wall_ += nanos; }

 private:
  std::atomic<int64_t> wall_;
  std::atomic<int64_t> monotonic_;
};

}  // namespace pulseboard
