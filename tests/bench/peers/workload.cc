#include "tests/bench/peers/workload.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pulseboard::bench {
namespace {

constexpr std::array<std::string_view, 4> kRegions = {"eu-central-1", "us-east-1", "us-west-2", "ap-south-1"};

class Walk {
 public:
  explicit Walk(uint64_t series) : state_(Mix(0x5eed + series * 0xD1B54A32D192ED03)), x_(100 * Uniform()) {}
  double Next() { return x_ = std::clamp(x_ + Normal(), 0.0, 100.0); }

 private:
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  double Uniform() { return static_cast<double>(Mix(state_ += 0x9E3779B97F4A7C15) >> 11) * 0x1p-53; }
  double Normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    const double angle = 2 * std::numbers::pi * Uniform();
    has_spare_ = true;
    spare_ = radius * std::sin(angle);
    return radius * std::cos(angle);
  }

  uint64_t state_;
  double x_;
  double spare_ = 0;
  bool has_spare_ = false;
};

double Rounded(double x, Precision precision) {
  if (precision == Precision::kInteger) return std::trunc(x);
  return precision == Precision::kTwoDecimals ? std::round(x * 100) / 100 : x;
}

}  // namespace

std::string_view PrecisionName(Precision precision) {
  if (precision == Precision::kInteger) return "integers";
  return precision == Precision::kTwoDecimals ? "two decimals" : "full doubles";
}

std::string Workload::Name() const {
  const int64_t hours = steps * kWorkloadStepNanos / 3'600'000'000'000;
  return std::to_string(hosts) + " hosts x " + std::to_string(hours) + " h, " + std::string(PrecisionName(precision));
}

Workload MakeWorkload(int hosts, int hours, Precision precision, int64_t start_unix_nanos) {
  Workload out;
  out.precision = precision;
  out.hosts = hosts;
  out.steps = static_cast<int>(hours * 3'600'000'000'000 / kWorkloadStepNanos);
  out.start_unix_nanos = start_unix_nanos;
  out.values.reserve(static_cast<size_t>(out.samples()));
  for (int series = 0; series < hosts * kMetricsPerHost; ++series) {
    Walk walk(static_cast<uint64_t>(series));
    for (int step = 0; step < out.steps; ++step) out.values.push_back(Rounded(walk.Next(), precision));
  }
  return out;
}

std::string HostName(int host) { return "host_" + std::to_string(host); }

std::string_view RegionOf(int host) { return kRegions[static_cast<size_t>(host) % kRegions.size()]; }

}  // namespace pulseboard::bench
