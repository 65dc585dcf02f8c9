// The data of the peers' benchmark: TSBS cpu-only as ../shared/bench/peers makes it. H hosts x 10 gauges, one sample
// per 10 s, each series its own walk x0 = U(0,100), x += N(0,1), clamped to 0..100. The random numbers are written out
// (splitmix64, Box-Muller), so every build makes the same values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pulseboard::bench {

inline constexpr int kMetricsPerHost = 10;
inline constexpr int64_t kWorkloadStepNanos = 10'000'000'000;
inline constexpr std::array<std::string_view, kMetricsPerHost> kCpuMetrics = {
    "usage_user", "usage_system",  "usage_idle",  "usage_nice",  "usage_iowait",
    "usage_irq",  "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice"};

// TSBS truncates to integers; monitoring agents round to two decimals; ratios have all their digits.
enum class Precision { kInteger, kTwoDecimals, kFull };
std::string_view PrecisionName(Precision precision);

// Immutable once made.
struct Workload {
  Precision precision = Precision::kInteger;
  int hosts = 0;
  int steps = 0;
  int64_t start_unix_nanos = 0;
  std::vector<double> values;  // by series, then step

  int64_t samples() const { return int64_t{1} * hosts * kMetricsPerHost * steps; }
  double At(int host, int metric, int step) const { return SeriesValues(host, metric)[step]; }
  const double* SeriesValues(int host, int metric) const {
    return values.data() + (static_cast<int64_t>(host) * kMetricsPerHost + metric) * steps;
  }
  int64_t Time(int step) const { return start_unix_nanos + step * kWorkloadStepNanos; }
  int64_t end_unix_nanos() const { return Time(steps); }
  std::string Name() const;  // "100 hosts x 24 h, two decimals"
};

Workload MakeWorkload(int hosts, int hours, Precision precision, int64_t start_unix_nanos);

std::string HostName(int host);
std::string_view RegionOf(int host);

}  // namespace pulseboard::bench
