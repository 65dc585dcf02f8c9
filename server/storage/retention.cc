#include "server/storage/retention.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "common/base/errors.h"
#include "common/base/units.h"
#include "common/codec/bytes.h"

namespace pulseboard {
namespace {

constexpr std::string_view kWanted =
    "`TENANT: raw=7d, 1m=90d, size=20GiB; TENANT: …` with tiers raw, 1m …, durations such as 36h and sizes in KiB, "
    "MiB, GiB or TiB";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// The part before `separator`, trimmed; `text` goes on behind it.
std::string_view Take(std::string_view* text, char separator) {
  const size_t at = text->find(separator);
  const std::string_view part = Trim(text->substr(0, at));
  *text = at == std::string_view::npos ? std::string_view() : text->substr(at + 1);
  return part;
}

bool ParseSetting(std::string_view name, std::string_view value, TenantRetention* tenant) {
  if (name == "size") {
    tenant->max_bytes = ParseBytes(value).value_or(0);
    return tenant->max_bytes > 0;
  }
  const int64_t retention = ParseDuration(value).value_or(0);
  const auto bucket = name == "raw" ? std::optional(kRawBucket) : ParseDuration(name);
  return retention > 0 && bucket && (*bucket > 0 || name == "raw") &&
         tenant->retention_ns.emplace(*bucket, retention).second;
}

}  // namespace

absl::StatusOr<std::map<std::string, TenantRetention>> ParseTenantRetention(std::string_view text) {
  std::map<std::string, TenantRetention> tenants;
  while (!Trim(text).empty()) {
    const std::string_view one = Take(&text, ';');
    if (one.empty()) continue;
    std::string_view settings = one;
    const std::string name(Take(&settings, ':'));
    TenantRetention tenant;
    bool fits = !name.empty() && !Trim(settings).empty();
    while (fits && !Trim(settings).empty()) {
      std::string_view setting = Take(&settings, ',');
      const std::string_view key = Take(&setting, '=');
      fits = ParseSetting(key, Trim(setting), &tenant);
    }
    if (!fits || !tenants.emplace(name, tenant).second) return BadField("tenant_retention", one, kWanted);
  }
  return tenants;
}

void RetentionPolicy::SetForAll(int64_t raw_retention_ns, std::span<const TierOptions> tiers) {
  retention_ns[kRawBucket] = raw_retention_ns;
  for (const TierOptions& tier : tiers) retention_ns[tier.bucket_ns] = tier.retention_ns;
}

int64_t RetentionPolicy::RetentionOf(TenantId tenant, const Tier& tier) const {
  int64_t retention = tier.retention_ns;
  if (const auto it = retention_ns.find(tier.bucket_ns); it != retention_ns.end()) retention = it->second;
  const auto own = tenants.find(tenant);
  if (own == tenants.end()) return retention;
  const auto it = own->second.retention_ns.find(tier.bucket_ns);
  return it == own->second.retention_ns.end() ? retention : std::min(retention, it->second);
}

int64_t WindowUsage::total() const {
  int64_t total = 0;
  for (const auto& [tenant, bytes_of] : bytes) total += bytes_of;
  return total;
}

std::vector<RetentionStep> PlanRetention(const RetentionPolicy& policy, std::span<const Tier> tiers,
                                         std::vector<WindowUsage> windows, int64_t now) {
  std::vector<RetentionStep> steps;
  std::sort(windows.begin(), windows.end(), [](const WindowUsage& a, const WindowUsage& b) {
    return std::make_tuple(a.window.bucket_ns, a.window.start_day) <
           std::make_tuple(b.window.bucket_ns, b.window.start_day);
  });
  const auto drop_all = [&](WindowUsage* usage, RetentionReason reason) {
    steps.push_back({usage->window, std::nullopt, reason, usage->total()});
    usage->bytes.clear();
    usage->window.days = 0;  // gone
  };
  const auto drop_tenant = [&](WindowUsage* usage, TenantId tenant, RetentionReason reason) {
    steps.push_back({usage->window, tenant, reason, usage->bytes[tenant]});
    usage->bytes.erase(tenant);
  };
  for (const Tier& tier : tiers) {
    for (WindowUsage& usage : windows) {
      if (usage.window.bucket_ns != tier.bucket_ns) continue;
      if (usage.window.end() <= now - policy.RetentionOf(0, tier)) drop_all(&usage, RetentionReason::kAge);
      for (const auto& [tenant, own] : policy.tenants) {
        if (!usage.bytes.contains(tenant) || usage.window.end() > now - policy.RetentionOf(tenant, tier)) continue;
        drop_tenant(&usage, tenant, RetentionReason::kTenantAge);
      }
    }
  }
  for (const auto& [tenant, own] : policy.tenants) {
    int64_t total = 0;
    for (const WindowUsage& usage : windows) total += usage.bytes.contains(tenant) ? usage.bytes.at(tenant) : 0;
    for (WindowUsage& usage : windows) {
      if (own.max_bytes == 0 || total <= own.max_bytes) break;
      if (usage.window.end() > now || !usage.bytes.contains(tenant)) continue;
      total -= usage.bytes[tenant];
      drop_tenant(&usage, tenant, RetentionReason::kTenantSize);
    }
  }
  int64_t total = 0;
  for (const WindowUsage& usage : windows) total += usage.total();
  for (WindowUsage& usage : windows) {
    if (policy.max_bytes == 0 || total <= policy.max_bytes) break;
    if (usage.window.days == 0 || usage.window.end() > now) continue;
    total -= usage.total();
    drop_all(&usage, RetentionReason::kStoreSize);
  }
  return steps;
}

bool RetentionFloors::Raise(std::optional<TenantId> tenant, int64_t unix_nanos) {
  const auto [it, is_new] = floors_.emplace(tenant.value_or(0), unix_nanos);
  if (!is_new && it->second >= unix_nanos) return false;
  it->second = unix_nanos;
  return true;
}

int64_t RetentionFloors::Of(TenantId tenant) const {
  int64_t floor = std::numeric_limits<int64_t>::min();
  for (const TenantId who : {TenantId{0}, tenant}) {
    if (const auto it = floors_.find(who); it != floors_.end()) floor = std::max(floor, it->second);
  }
  return floor;
}

std::string RetentionFloors::Encode() const {
  std::string bytes;
  PutVarint(&bytes, floors_.size());
  for (const auto& [tenant, floor] : floors_) {
    PutVarint(&bytes, tenant);
    PutZigZag(&bytes, floor);
  }
  return bytes;
}

bool RetentionFloors::Decode(std::string_view bytes) {
  floors_.clear();
  ByteReader in(bytes);
  for (uint64_t left = in.Varint(); left > 0 && in.ok(); --left) {
    const auto tenant = static_cast<TenantId>(in.Varint());
    floors_[tenant] = in.ZigZag();
  }
  return in.ok() && in.remaining() == 0;
}

}  // namespace pulseboard
