// WindowPlan: from which tier the windows of a selection are read, shared by all its series.
//
// A window is exact from rollups as long as none of its edges lies between the first and the last sample of a bucket;
// where one does, that bucket is read from finer tiers, at last from samples (window_reader.h). So any tier is right,
// and the plan only chooses one that pays: the coarsest with four buckets (of an hour or longer: one) from edge to edge
// where the edges are those of buckets too, which then hardly ever have to be divided, and 32 buckets where they are
// not. Windows far apart are read one by one, the time between them not at all. What is older than finer tiers are kept
// comes from coarser ones: there, a bucket counts whole in the windows that hold its last sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/expression/windows.h"
#include "server/query/line_plan.h"
#include "server/storage/tiers.h"

namespace pulseboard::expression {

class WindowPlan {
 public:
  // `tiers`: ascending, as Store::Tiers gives them.
  WindowPlan(const Windows& windows, int64_t now_unix_nanos, int64_t raw_retention_ns,
             std::span<const TierOptions> tiers);

  const Windows& windows() const { return windows_; }
  std::span<const TierOptions> tiers() const { return tiers_; }
  // Bucket length of the tier, kRawBucket for samples.
  int64_t bucket_ns() const { return from_tiers_.bucket_ns; }
  // Bucket length of the finest tier that a time is kept in.
  int64_t FinestKept(int64_t time) const;
  const LinePlan& StepsFor(MetricKind kind) const;
  // All that is read.
  TimeRange readable() const { return readable_; }

 private:
  LinePlan PlanFrom(int64_t bucket_ns, std::span<const TierOptions> tiers) const;
  // The times that the windows need, whole buckets.
  std::vector<TimeRange> Stretches(int64_t bucket_ns, int64_t kept_from) const;

  const Windows windows_;
  const int64_t now_unix_nanos_;
  const int64_t raw_retention_ns_;
  const std::vector<TierOptions> tiers_;
  LinePlan from_tiers_;
  LinePlan from_samples_;
  TimeRange readable_;
};

}  // namespace pulseboard::expression
