#include "server/query/query_usage.h"

#include <algorithm>

namespace pulseboard {

std::shared_ptr<QueryUsage::Call> QueryUsage::Begin(TenantId tenant) {
  return std::shared_ptr<Call>(new Call(*this, tenant));
}

QueryUsage::Call::~Call() {
  MutexLock lock(&usage_.mu_);
  const auto tenant = usage_.tenants_.find(tenant_);
  if (tenant == usage_.tenants_.end()) return;
  for (size_t i = 0; i < kUsageKinds; ++i) tenant->second[i] -= used_[i];
  const auto is_zero = [](int64_t amount) { return amount == 0; };
  if (std::all_of(tenant->second.begin(), tenant->second.end(), is_zero)) usage_.tenants_.erase(tenant);
}

int64_t QueryUsage::Call::Add(UsageKind kind, int64_t amount) {
  const auto at = static_cast<size_t>(kind);
  MutexLock lock(&usage_.mu_);
  used_[at] += amount;
  return usage_.tenants_[tenant_][at] += amount;
}

int64_t QueryUsage::Call::Of(UsageKind kind) const {
  MutexLock lock(&usage_.mu_);
  return used_[static_cast<size_t>(kind)];
}

}  // namespace pulseboard
