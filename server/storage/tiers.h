// Tiers: raw samples, and rollups of ever longer buckets, each kept for a time of its own. What is configured, checked
// and laid out. Plain values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace pulseboard {

// The bucket length that stands for raw samples wherever a tier is named by it.
inline constexpr int64_t kRawBucket = 0;
inline constexpr size_t kMaxRollupTiers = 8;

// One rollup tier as configured.
struct TierOptions {
  int64_t bucket_ns = 0;     // divides an hour, or whole hours that divide a day
  int64_t retention_ns = 0;  // a window whose end is older than this is dropped
  bool operator==(const TierOptions&) const = default;
};

// `1m:180d,1h:1825d,1d:7300d`: bucket and retention of each tier, ascending; empty text: no rollups. INVALID_ARGUMENT
// naming the part that does not fit and what would.
absl::StatusOr<std::vector<TierOptions>> ParseTiers(std::string_view text, int64_t raw_retention_ns);
// The same text back.
std::string FormatTiers(std::span<const TierOptions> tiers);
inline constexpr std::string_view kDefaultTiers = "1m:180d,1h:1825d,1d:7300d";
std::vector<TierOptions> DefaultTiers();
// The checks of ParseTiers on values. INVALID_ARGUMENT.
absl::Status CheckTiers(std::span<const TierOptions> tiers, int64_t raw_retention_ns);
// With each retention that is shorter than the finer one's raised to it.
std::vector<TierOptions> RaiseRetentions(std::vector<TierOptions> tiers, int64_t raw_retention_ns);
// `1m`, `6h`, `1d`, `90s`; `raw` for kRawBucket.
std::string TierName(int64_t bucket_ns);
// Longest time for which anything is kept.
inline int64_t LongestRetention(std::span<const TierOptions> tiers, int64_t raw_retention_ns) {
  return tiers.empty() ? raw_retention_ns : std::max(raw_retention_ns, tiers.back().retention_ns);
}

// One tier as laid out on disk; tier 0 is raw.
struct Tier {
  int64_t bucket_ns = kRawBucket;
  int64_t retention_ns = 0;
  int64_t window_days = 1;  // length of new windows
  int64_t span_ns = 0;      // rollups only: time that one span block covers, at most
  int64_t step_ns = 0;      // rollups only: a span that is not over yet is filled in steps of this length
  size_t source = 0;        // rollups only: the tier its buckets are folded from
  bool filled = true;       // false: on disk from an earlier configuration; kept right, no longer added to
};

// Raw and `tiers`, ascending by bucket, with what is `on_disk` and no longer configured in between.
std::vector<Tier> LayOutTiers(int64_t raw_retention_ns, std::span<const TierOptions> tiers,
                              std::span<const int64_t> on_disk);

}  // namespace pulseboard
