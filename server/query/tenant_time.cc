#include "server/query/tenant_time.h"

#include <algorithm>
#include <cmath>

namespace pulseboard {

int64_t TenantTime::RemainsOf(const Spent& spent, int64_t now_ns) const {
  const double minutes = static_cast<double>(now_ns - spent.as_of_ns) / static_cast<double>(kNanosPerMinute);
  const double back = std::floor(minutes * static_cast<double>(budget_ns_));
  if (back >= static_cast<double>(spent.worked_ns)) return 0;
  return spent.worked_ns - std::max<int64_t>(0, static_cast<int64_t>(back));
}

void TenantTime::Spend(TenantId tenant, int64_t worked_ns, int64_t now_ns) {
  MutexLock lock(&mu_);
  Spent& spent = tenants_[tenant];
  spent = {RemainsOf(spent, now_ns) + worked_ns, now_ns};
}

int64_t TenantTime::WaitNs(TenantId tenant, int64_t now_ns) {
  MutexLock lock(&mu_);
  const auto it = tenants_.find(tenant);
  if (it == tenants_.end()) return 0;
  const int64_t remains = RemainsOf(it->second, now_ns);
  if (remains == 0) tenants_.erase(it);
  if (remains < budget_ns_) return 0;
  const double budgets = static_cast<double>(remains - budget_ns_) / static_cast<double>(budget_ns_);
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(budgets * static_cast<double>(kNanosPerMinute))));
}

}  // namespace pulseboard
