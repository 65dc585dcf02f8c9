#include "client-qt/ui/latency_meter.h"

#include <algorithm>

namespace pulseboard::qt {

void LatencyMeter::add(qint64 nanos) {
  nanos_[next_] = nanos;
  next_ = (next_ + 1) % kKept;
  count_ = std::min(count_ + 1, kKept);
}

double LatencyMeter::quantileMs(double quantile) const {
  if (count_ == 0) return -1;
  std::array<qint64, kKept> sorted = nanos_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count_);
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(quantile * static_cast<double>(count_ - 1));
  std::nth_element(sorted.begin(), at, end);
  return static_cast<double>(*at) / 1e6;
}

}  // namespace pulseboard::qt
