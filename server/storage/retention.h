// Retention: what goes, when and why, as a plan made of plain values, so that a dry run and the real thing are one.
//
// By time: a window goes when its end is older than its tier's retention, or, for one tenant, than that tenant's. By
// size: while a tenant, or the whole store, has more than its limit, windows that are over go: of the finest tier
// first, of a tier the oldest first; the open window never goes. Coarser tiers are filled over a window before it goes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/labels.h"
#include "server/storage/tiers.h"
#include "server/storage/window.h"

namespace pulseboard {

struct TenantRetention {
  std::map<int64_t, int64_t> retention_ns;  // by bucket of the tier (kRawBucket: raw); others as for everybody
  int64_t max_bytes = 0;                    // of all its windows; 0: no limit
  bool operator==(const TenantRetention&) const = default;
};

// `acme: raw=7d, 1m=90d, size=20GiB; other: raw=3d`. INVALID_ARGUMENT naming the part that does not fit and what would.
absl::StatusOr<std::map<std::string, TenantRetention>> ParseTenantRetention(std::string_view text);

struct RetentionPolicy {
  std::map<int64_t, int64_t> retention_ns;  // by bucket of the tier, for everybody; others as the store was opened
  int64_t max_bytes = 0;                    // of all windows of all tenants; 0: no limit
  std::map<TenantId, TenantRetention> tenants;
  bool operator==(const RetentionPolicy&) const = default;

  // For everybody. Buckets that the store does not keep change nothing.
  void SetForAll(int64_t raw_retention_ns, std::span<const TierOptions> tiers);
  // Of one tenant in one tier: the shorter of its own and everybody's.
  int64_t RetentionOf(TenantId tenant, const Tier& tier) const;
};

struct WindowUsage {
  Window window;
  std::map<TenantId, int64_t> bytes;  // tenants that have blocks in it
  int64_t total() const;
};

// Persisted in no place; on the wire by name.
enum class RetentionReason { kAge, kTenantAge, kTenantSize, kStoreSize };

struct RetentionStep {
  Window window;
  std::optional<TenantId> tenant;  // nothing: the window as a whole
  RetentionReason reason = RetentionReason::kAge;
  int64_t bytes = 0;
};

// In the order in which it is to be done. `windows` in any order.
std::vector<RetentionStep> PlanRetention(const RetentionPolicy& policy, std::span<const Tier> tiers,
                                         std::vector<WindowUsage> windows, int64_t now_unix_nanos);

// Up to when raw samples were dropped before their age was due: late ones from before are not taken in again, for they
// would pass for all there was. Plain value.
class RetentionFloors {
 public:
  // Raises the floor; nothing: everybody's. True when it was lower.
  bool Raise(std::optional<TenantId> tenant, int64_t unix_nanos);
  int64_t Of(TenantId tenant) const;
  std::string Encode() const;
  bool Decode(std::string_view bytes);

 private:
  std::map<TenantId, int64_t> floors_;  // 0: everybody's
};

}  // namespace pulseboard
