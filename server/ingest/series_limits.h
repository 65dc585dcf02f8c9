// SeriesLimits: whether a tenant or a metric may have one more series and, when it may not, who uses them up. A flood
// of refused series costs two counters each: the offender is looked for once per kFindEvery, among the newest series.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "server/storage/store.h"

namespace pulseboard {

// A limit that was met. Immutable.
struct SeriesOverflow {
  std::string subject;      // whose: `tenant:default metric:http.requests`
  absl::Status status;      // RESOURCE_EXHAUSTED/SERIES_LIMIT: the limit, who uses it up, what to do; a QuotaViolation
  int64_t found_at_ns = 0;  // monotonic
};

// Thread-safe. Store and clock must outlive it.
class SeriesLimits {
 public:
  // Series looked at for the offender.
  static constexpr size_t kSampledSeries = 1'024;
  static constexpr int64_t kFindEvery = 5 * kNanosPerSecond;
  // Limits whose finding is remembered; beyond it all are looked for anew.
  static constexpr size_t kMaxRemembered = 1'000;

  SeriesLimits(const Store& store, const Clock& clock, int64_t max_per_tenant, int64_t max_per_metric,
               std::function<std::string(TenantId)> tenant_name)
      : store_(store),
        clock_(clock),
        max_per_tenant_(max_per_tenant),
        max_per_metric_(max_per_metric),
        tenant_name_(std::move(tenant_name)) {}

  // Null: one more series of the metric is allowed.
  std::shared_ptr<const SeriesOverflow> Check(TenantId tenant, const std::string& metric) const;

 private:
  // `metric` empty: of the tenant as a whole.
  std::shared_ptr<const SeriesOverflow> Describe(TenantId tenant, const std::string& metric) const;
  std::shared_ptr<const SeriesOverflow> Find(TenantId tenant, const std::string& metric) const;

  const Store& store_;
  const Clock& clock_;
  const int64_t max_per_tenant_;
  const int64_t max_per_metric_;
  const std::function<std::string(TenantId)> tenant_name_;
  mutable Mutex mu_;  // held while looking: the others of a flood wait for one finding
  mutable std::map<std::pair<TenantId, std::string>, std::shared_ptr<const SeriesOverflow>> found_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
