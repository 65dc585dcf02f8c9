// SelfMetrics: the server's own figures as series `pulseboard.*` of tenant `_system`, through its own store.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/model/labels.h"
#include "server/storage/store.h"

namespace pulseboard {

// One figure. Counters only grow.
struct SelfMetric {
  std::string name;  // without `pulseboard.`
  MetricKind kind = MetricKind::kGauge;
  std::string unit;
  std::string description;
  Labels labels;
  double value = 0;
};
// Appends the present figures of one room. Called on the thread that calls SelfMetrics::Push.
using SelfMetricSource = std::function<void(std::vector<SelfMetric>* out)>;

// Not thread-safe: one thread calls Push. Store and clock must outlive it.
class SelfMetrics {
 public:
  SelfMetrics(Store& store, const Clock& clock);

  void AddSource(SelfMetricSource source) { sources_.push_back(std::move(source)); }
  // Reads all sources and queues one sample of each figure. What the store refuses (a full queue) is dropped and
  // counted in `pulseboard.self_metrics.dropped`: figures about an overload must not add to it.
  void Push();

 private:
  Store& store_;
  const Clock& clock_;
  const std::string host_;
  std::vector<SelfMetricSource> sources_;
  int64_t dropped_ = 0;
};

// What the operating system says about this process: memory, CPU, threads, open files.
SelfMetricSource ProcessMetrics(const Clock& clock);

}  // namespace pulseboard
