// SubscriptionIndex: which series go to which topics, and which topic a subscription is of. A series is matched against
// all selectors once, when it is first seen in a commit; from then on a sample costs one look-up and one append per
// topic that wants it, however many subscriptions it has.
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
#include "server/live/live_topic.h"
#include "server/storage/store.h"

namespace pulseboard {

class LiveAggregation;
class LiveSubscription;
struct AggregateQuery;

// Fan-out lists by series. Dense and sparse ids alike: pages of 1,024. Not thread-safe.
class RouteTable {
 public:
  struct Fan {
    LiveTopic* topic = nullptr;
    uint32_t ref = 0;  // the series' in its streams
  };

  // False while the series was never seen.
  bool IsClassified(SeriesId series) const { return Slot(series) != kUnseen; }
  // Null when nobody wants it; `classified` says whether that is known.
  const std::vector<Fan>* Fans(SeriesId series, bool* classified) const;
  void MarkClassified(SeriesId series);
  // Classifies too.
  void Add(SeriesId series, Fan fan);
  void Remove(SeriesId series, const LiveTopic* topic);
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
  // The topic for this key, made when it is new: from then on new series are matched against its selectors. The
  // subscription is its member until Leave or Remove. Null after Remove.
  std::shared_ptr<LiveTopic> Join(LiveSubscription* subscription, const TopicKey& key,
                                  const std::vector<Selector>& selectors) PB_EXCLUDES(mu_);
  void Leave(LiveSubscription* subscription, const std::shared_ptr<LiveTopic>& topic) PB_EXCLUDES(mu_);
  // The same for an aggregated query. Its topic is its own affair.
  std::shared_ptr<LiveAggregation> JoinAggregation(LiveSubscription* subscription, const AggregateQuery& query)
      PB_EXCLUDES(mu_);
  void LeaveAggregation(LiveSubscription* subscription, const std::shared_ptr<LiveAggregation>& aggregation)
      PB_EXCLUDES(mu_);
  // Makes series known to the topic and routes those that were seen already; the others are routed when they are. With
  // each, which of the topic's selectors pick it. False when there are too many.
  bool AddSeries(LiveTopic& topic, const std::vector<TopicSeries>& series) PB_EXCLUDES(mu_);
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
  int64_t topics() const PB_EXCLUDES(mu_);
  std::vector<std::shared_ptr<LiveTopic>> AllTopics() const PB_EXCLUDES(mu_);

 private:
  struct Member {
    std::shared_ptr<LiveSubscription> subscription;
    std::vector<std::shared_ptr<LiveTopic>> topics;  // one, two while the queries change
    std::vector<std::shared_ptr<LiveAggregation>> aggregations;
  };
  // One selector, for all topics that use it.
  struct Choice {
    Selector selector;
    std::vector<std::pair<LiveTopic*, int32_t>> users;  // and which of their selectors it is
  };
  struct TenantChoices {
    std::map<std::string, Choice, std::less<>> by_text;
    std::map<std::string, std::vector<Choice*>, std::less<>> by_metric;  // selectors that fix the metric
    std::vector<Choice*> any_metric;
  };

  void Classify(const std::shared_ptr<const SeriesInfo>& info, const TenantChoices& choices) PB_REQUIRES(mu_);
  // Makes a series known to the topic, and routes it if it is not.
  bool AddLocked(LiveTopic& topic, const std::shared_ptr<const SeriesInfo>& info, std::vector<int32_t> selectors,
                 bool route) PB_REQUIRES(mu_);
  std::shared_ptr<LiveTopic> JoinLocked(TopicMember* member, LiveContext& context, const TopicKey& key,
                                        const std::vector<Selector>& selectors) PB_REQUIRES(mu_);
  void AddSelectors(LiveTopic* topic) PB_REQUIRES(mu_);
  void RemoveSelectors(LiveTopic* topic) PB_REQUIRES(mu_);
  void LeaveLocked(TopicMember* member, const std::shared_ptr<LiveTopic>& topic) PB_REQUIRES(mu_);
  void LeaveLocked(LiveSubscription* subscription, const std::shared_ptr<LiveAggregation>& aggregation)
      PB_REQUIRES(mu_);
  // Ends all members of a topic that has too many series.
  void FailLocked(const LiveTopic* topic) PB_REQUIRES(mu_);

  mutable Mutex mu_;
  std::unordered_map<const LiveSubscription*, Member> members_ PB_GUARDED_BY(mu_);
  std::map<TopicKey, std::shared_ptr<LiveTopic>> topics_ PB_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<LiveAggregation>> aggregations_ PB_GUARDED_BY(mu_);  // by AggregateQuery::key
  std::unordered_map<TenantId, TenantChoices> tenants_ PB_GUARDED_BY(mu_);
  RouteTable routes_ PB_GUARDED_BY(mu_);
  std::vector<LiveTopic*> touched_ PB_GUARDED_BY(mu_);
  std::atomic<int64_t> published_commit_{0};
  std::atomic<int64_t> size_{0};  // of members_
};

}  // namespace pulseboard
