// SubscriptionIndex: which series go to which subscriptions. A series is matched against all selectors once, when it is
// first seen in a commit; from then on a sample costs one look-up and one append per subscription that wants it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/selector.h"
#include "server/storage/store.h"

namespace pulseboard {

class LiveSubscription;

// Fan-out lists by series. Dense and sparse ids alike: pages of 1,024. Not thread-safe.
class RouteTable {
 public:
  struct Fan {
    LiveSubscription* subscription;
    uint32_t ref;
  };

  // False while the series was never seen.
  bool IsClassified(SeriesId series) const { return Slot(series) != kUnseen; }
  // Null when nobody wants it; `classified` says whether that is known.
  const std::vector<Fan>* Fans(SeriesId series, bool* classified) const;
  void MarkClassified(SeriesId series);
  // Classifies too.
  void Add(SeriesId series, Fan fan);
  void Remove(SeriesId series, const LiveSubscription* subscription);
  int64_t routed_series() const { return routed_series_; }

 private:
  static constexpr uint32_t kUnseen = 0;
  static constexpr uint32_t kNobody = 1;
  static constexpr uint32_t kFirstList = 2;
  static constexpr size_t kPageSize = 1'024;
  using Page = std::array<uint32_t, kPageSize>;

  uint32_t Slot(SeriesId series) const;
  uint32_t* MutableSlot(SeriesId series);

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  std::vector<std::vector<Fan>> lists_;
  std::vector<uint32_t> free_lists_;
  int64_t routed_series_ = 0;
};

// Thread-safe. See the lock order in hub.h.
class SubscriptionIndex {
 public:
  // False when `max` are in already.
  bool Add(const std::shared_ptr<LiveSubscription>& subscription, int32_t max) PB_EXCLUDES(mu_);
  // From now on new series are matched against its selectors too. No-op after Remove.
  void AddSelectors(LiveSubscription* subscription) PB_EXCLUDES(mu_);
  // Routes series that it wants and that were seen already; the others are routed when they are. No-op after Remove.
  void AddRoutes(LiveSubscription* subscription, const std::vector<std::pair<SeriesId, uint32_t>>& refs)
      PB_EXCLUDES(mu_);
  void Remove(LiveSubscription* subscription) PB_EXCLUDES(mu_);

  // Hands the rows of a commit to all who want them.
  void Publish(const CommittedBatch& batch, const Store* store) PB_EXCLUDES(mu_);
  // All commits up to this one were handed out. May be read under a subscription's lock: then what is handed out is in
  // there.
  int64_t published_commit() const { return published_commit_.load(std::memory_order_acquire); }

  std::vector<std::shared_ptr<LiveSubscription>> All() const PB_EXCLUDES(mu_);
  // May be read under any lock.
  int64_t size() const { return size_.load(std::memory_order_relaxed); }
  int64_t routed_series() const PB_EXCLUDES(mu_);

 private:
  struct Member {
    std::shared_ptr<LiveSubscription> subscription;
    bool has_selectors = false;
  };
  // One selector, for all subscriptions that use it.
  struct Topic {
    Selector selector;
    std::vector<std::pair<LiveSubscription*, int32_t>> users;  // and which of their queries it is
  };
  struct TenantTopics {
    std::map<std::string, Topic, std::less<>> by_text;
    std::map<std::string, std::vector<Topic*>, std::less<>> by_metric;  // selectors that fix the metric
    std::vector<Topic*> any_metric;
  };

  void Classify(const std::shared_ptr<const SeriesInfo>& info, const TenantTopics& topics) PB_REQUIRES(mu_);
  void RemoveSelectors(LiveSubscription* subscription) PB_REQUIRES(mu_);

  mutable Mutex mu_;
  std::unordered_map<const LiveSubscription*, Member> members_ PB_GUARDED_BY(mu_);
  std::unordered_map<TenantId, TenantTopics> tenants_ PB_GUARDED_BY(mu_);
  RouteTable routes_ PB_GUARDED_BY(mu_);
  std::vector<LiveSubscription*> touched_ PB_GUARDED_BY(mu_);
  std::atomic<int64_t> published_commit_{0};
  std::atomic<int64_t> size_{0};  // of members_
};

}  // namespace pulseboard
