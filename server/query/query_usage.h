// QueryUsage: what the calls of each tenant that are under way use together, so that limits per tenant can be kept.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include "common/base/mutex.h"
#include "common/model/labels.h"

namespace pulseboard {

enum class UsageKind : uint8_t { kCalls, kSeries, kSamples, kHeldValues, kAnswerBytes };
inline constexpr size_t kUsageKinds = 5;

// Thread-safe.
class QueryUsage {
 public:
  // What one call uses; given back when it is destroyed. The QueryUsage must outlive it. Thread-safe.
  class Call {
   public:
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    // Adds to what the call uses. What all calls of the tenant use of it now.
    int64_t Add(UsageKind kind, int64_t amount);
    // What this call uses.
    int64_t Of(UsageKind kind) const;

   private:
    friend class QueryUsage;
    Call(QueryUsage& usage, TenantId tenant) : usage_(usage), tenant_(tenant) {}
    QueryUsage& usage_;
    const TenantId tenant_;
    std::array<int64_t, kUsageKinds> used_{};  // guarded by the QueryUsage's mutex
  };

  std::shared_ptr<Call> Begin(TenantId tenant);

 private:
  using Amounts = std::array<int64_t, kUsageKinds>;
  mutable Mutex mu_;
  std::map<TenantId, Amounts> tenants_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard
