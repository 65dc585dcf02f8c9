// TenantTime: the time of work that queries of each tenant may take per minute.
//
// What was worked counts against the tenant and comes back evenly, `budget_ns` in a minute. A tenant may so run up its
// budget at once, and on the whole never takes more. Calls that run are not ended: what they take beyond is waited for
// before the next one.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/model/labels.h"

namespace pulseboard {

// Thread-safe.
class TenantTime {
 public:
  explicit TenantTime(int64_t budget_ns) : budget_ns_(budget_ns) {}
  int64_t budget_ns() const { return budget_ns_; }
  // Nanoseconds of work that ended now; `now_ns` is monotonic.
  void Spend(TenantId tenant, int64_t worked_ns, int64_t now_ns);
  // How long until the tenant has time again; 0: it has some.
  int64_t WaitNs(TenantId tenant, int64_t now_ns);

 private:
  struct Spent {
    int64_t worked_ns = 0;
    int64_t as_of_ns = 0;
  };
  // What of it has not come back yet.
  int64_t RemainsOf(const Spent& spent, int64_t now_ns) const;

  const int64_t budget_ns_;  // above 0
  Mutex mu_;
  std::map<TenantId, Spent> tenants_ PB_GUARDED_BY(mu_);  // without those of whom nothing remains
};

}  // namespace pulseboard
