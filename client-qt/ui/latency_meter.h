// LatencyMeter: p50 and p99 of how long data waited between its arrival and its pixels. Plain class.
#pragma once

#include <QtGlobal>
#include <array>
#include <cstddef>

namespace pulseboard::qt {

class LatencyMeter {
 public:
  void add(qint64 nanos);
  // Milliseconds; negative before the first measurement.
  double quantileMs(double quantile) const;
  size_t count() const { return count_; }

 private:
  static constexpr size_t kKept = 1024;
  std::array<qint64, kKept> nanos_{};
  size_t next_ = 0;
  size_t count_ = 0;
};

}  // namespace pulseboard::qt
