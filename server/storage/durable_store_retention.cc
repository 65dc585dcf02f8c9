// Retention beyond whole windows of one age: per tenant and by size. retention.h has the plan; here it is carried out.
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

// Keys of one tenant: [TenantKey(tenant), TenantKey(tenant + 1)).
std::string TenantKey(TenantId tenant) {
  std::string key;
  PutBigEndian(&key, tenant);
  return key;
}

}  // namespace

absl::Status DurableStore::LoadRetention() {
  PB_ASSIGN_OR_RETURN(const std::string saved, ReadMeta(kRetentionFloorsKey));
  MutexLock lock(&retention_mu_);
  policy_ = options_.retention;
  if (!saved.empty() && !floors_.Decode(saved)) {
    return MakeError(ErrorReason::kBlockCorrupt, "family meta: row store/retention_floors is not readable");
  }
  return absl::OkStatus();
}

void DurableStore::SetRetention(RetentionPolicy policy) {
  {
    MutexLock lock(&retention_mu_);
    policy_ = std::move(policy);
  }
  WakeMaintainer();
}

RetentionPolicy DurableStore::Retention() const {
  MutexLock lock(&retention_mu_);
  return policy_;
}

int64_t DurableStore::DroppedBefore(const Tier& tier) const {
  MutexLock lock(&retention_mu_);
  return options_.clock->NowUnixNanos() - policy_.RetentionOf(0, tier);
}

int64_t DurableStore::RawFloor(TenantId tenant) const {
  const int64_t now = options_.clock->NowUnixNanos();
  MutexLock lock(&retention_mu_);
  return std::max(now - policy_.RetentionOf(tenant, tiers_.front()), floors_.Of(tenant));
}

DurableStore::ReadFloors DurableStore::FloorsOf(TenantId tenant) const {
  ReadFloors floors;
  const int64_t now = options_.clock->NowUnixNanos();
  MutexLock lock(&retention_mu_);
  floors.raw = floors_.Of(tenant);
  if (!policy_.tenants.contains(tenant)) return floors;
  floors.raw = std::max(floors.raw, now - policy_.RetentionOf(tenant, tiers_.front()));
  // What a tier has no longer can still be derived from a finer one that is kept longer.
  int64_t longest = 0;
  for (const Tier& tier : tiers_) {
    longest = std::max(longest, policy_.RetentionOf(tenant, tier));
    floors.rollups.push_back(now - longest);
  }
  return floors;
}

std::vector<TierOptions> DurableStore::Tiers(TenantId tenant) const {
  std::vector<TierOptions> tiers;
  MutexLock lock(&retention_mu_);
  int64_t longest = 0;
  for (const Tier& tier : tiers_) {
    longest = std::max(longest, policy_.RetentionOf(tenant, tier));
    if (tier.bucket_ns != kRawBucket && tier.filled) tiers.push_back({tier.bucket_ns, longest});
  }
  return tiers;
}

int64_t DurableStore::RawRetention(TenantId tenant) const {
  MutexLock lock(&retention_mu_);
  return policy_.RetentionOf(tenant, tiers_.front());
}

OldestTime DurableStore::OldestAccepted(TenantId tenant) const {
  const int64_t now = options_.clock->NowUnixNanos();
  MutexLock lock(&retention_mu_);
  const int64_t all = policy_.RetentionOf(0, tiers_.front());
  const int64_t own = policy_.RetentionOf(tenant, tiers_.front());
  const int64_t floor = floors_.Of(tenant);
  if (floor > now - own) return {floor, "storage.max_size"};
  return {now - own, own < all ? "storage.tenant_retention" : "storage.raw_retention"};
}

std::vector<WindowUsage> DurableStore::CollectUsage() const {
  std::vector<WindowUsage> usage;
  const std::vector<TenantId> tenants = index_->Tenants();
  for (const PartitionPtr& partition : blocks_->Partitions()->All()) {
    WindowUsage& window = usage.emplace_back();
    window.window = partition->window;
    for (const TenantId tenant : tenants) {
      const std::string from = TenantKey(tenant);
      const std::string to = TenantKey(tenant + 1);
      const rocksdb::Range range(from, to);
      uint64_t bytes = 0;
      rocksdb::SizeApproximationOptions options;
      options.include_memtables = true;
      const rocksdb::Status status =
          DatabaseOf(partition->family)->GetApproximateSizes(options, partition->family.get(), &range, 1, &bytes);
      if (!status.ok()) bytes = 0;  // an estimate: better low than dropping what need not go
      // What was deleted counts for nothing, though its space may take a while to return.
      if (blocks_->presence().MayHaveAny(partition->window, index_->TenantIds(tenant))) {
        window.bytes[tenant] = static_cast<int64_t>(bytes);
      }
    }
  }
  return usage;
}

RetentionPreview DurableStore::PreviewRetention(const RetentionPolicy& policy) const {
  RetentionPreview preview;
  const std::vector<WindowUsage> usage = CollectUsage();
  for (const WindowUsage& window : usage) preview.total_bytes += window.total();
  preview.steps = PlanRetention(policy, tiers_, usage, options_.clock->NowUnixNanos());
  return preview;
}

absl::Status DurableStore::EnforceRetention() {
  const RetentionPolicy policy = Retention();
  if (policy.max_bytes == 0 && policy.tenants.empty()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(blocks_->FindPresence());
  const PartitionSetPtr partitions = blocks_->Partitions();
  for (const RetentionStep& step : PlanRetention(policy, tiers_, CollectUsage(), options_.clock->NowUnixNanos())) {
    if (step.reason == RetentionReason::kAge) continue;  // TendWindows does those
    const PartitionPtr partition = partitions->Find(step.window.bucket_ns, step.window.start());
    const auto tier =
        std::find_if(tiers_.begin(), tiers_.end(), [&](const Tier& t) { return t.bucket_ns == step.window.bucket_ns; });
    if (partition == nullptr || tier == tiers_.end()) continue;
    const bool has_coarser = &*tier != &tiers_.back();
    if (has_coarser && tier->filled && !rollups_->IsSwept(step.window, true)) {
      rollups_->Sweep(partition, true);
      continue;  // the next round finds it swept
    }
    if (tier->bucket_ns == kRawBucket) PB_RETURN_IF_ERROR(RaiseFloor(step.tenant, step.window.end()));
    if (step.tenant) {
      PB_RETURN_IF_ERROR(DropTenant(partition, *step.tenant));
    } else {
      PB_RETURN_IF_ERROR(TendWindow(*tier, partition, has_coarser));
    }
    PB_LOG(Info, "storage", "dropped for retention family={} tenant={} bytes={} reason={}", FamilyName(step.window),
           step.tenant.value_or(0), step.bytes, static_cast<int>(step.reason));
  }
  return absl::OkStatus();
}

absl::Status DurableStore::RaiseFloor(std::optional<TenantId> tenant, int64_t unix_nanos) {
  std::string value;
  {
    MutexLock lock(&retention_mu_);
    if (!floors_.Raise(tenant, unix_nanos)) return absl::OkStatus();
    value = floors_.Encode();
  }
  return PutMeta(kRetentionFloorsKey, value);  // durable before anything is dropped: DropFamily and DropFiles flush
}

absl::Status DurableStore::DropTenant(const PartitionPtr& partition, TenantId tenant) {
  const std::string from = TenantKey(tenant);
  const std::string to = TenantKey(tenant + 1);
  rocksdb::ColumnFamilyHandle* const family = partition->family.get();
  rocksdb::WriteBatch batch;
  PB_RETURN_IF_ERROR(FromRocks(batch.DeleteRange(family, from, to), "drop tenant"));
  PB_RETURN_IF_ERROR(blocks_->presence().Subtract(partition->window, index_->TenantIds(tenant), &batch));
  PB_RETURN_IF_ERROR(rocks_->Write(&batch, "drop tenant"));
  forget_due_ = true;
  // Whole tables at once, the rest in the background.
  PB_RETURN_IF_ERROR(rocks_->DropFiles(partition->family, from, to));
  compactor_->Add(partition->window, from, to);
  return absl::OkStatus();
}

}  // namespace pulseboard
