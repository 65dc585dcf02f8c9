#include "server/live/subscription_index.h"

#include <algorithm>

#include "server/live/live_subscription.h"

namespace pulseboard {
namespace {

constexpr size_t kRowsKept = 1'024;  // capacity kept between commits, per subscription

}  // namespace

uint32_t RouteTable::Slot(SeriesId series) const {
  const auto page = pages_.find(series / kPageSize);
  return page == pages_.end() ? kUnseen : (*page->second)[series % kPageSize];
}

uint32_t* RouteTable::MutableSlot(SeriesId series) {
  std::unique_ptr<Page>& page = pages_[series / kPageSize];
  if (page == nullptr) page = std::make_unique<Page>(Page{});
  return &(*page)[series % kPageSize];
}

const std::vector<RouteTable::Fan>* RouteTable::Fans(SeriesId series, bool* classified) const {
  const uint32_t slot = Slot(series);
  *classified = slot != kUnseen;
  return slot < kFirstList ? nullptr : &lists_[slot - kFirstList];
}

void RouteTable::MarkClassified(SeriesId series) {
  uint32_t* slot = MutableSlot(series);
  if (*slot == kUnseen) *slot = kNobody;
}

void RouteTable::Add(SeriesId series, Fan fan) {
  uint32_t* slot = MutableSlot(series);
  if (*slot < kFirstList) {
    if (free_lists_.empty()) {
      free_lists_.push_back(static_cast<uint32_t>(lists_.size()));
      lists_.emplace_back();
    }
    *slot = kFirstList + free_lists_.back();
    free_lists_.pop_back();
    ++routed_series_;
  }
  lists_[*slot - kFirstList].push_back(fan);
}

void RouteTable::Remove(SeriesId series, const LiveSubscription* subscription) {
  uint32_t* slot = MutableSlot(series);
  if (*slot < kFirstList) return;
  std::vector<Fan>& fans = lists_[*slot - kFirstList];
  std::erase_if(fans, [subscription](const Fan& fan) { return fan.subscription == subscription; });
  if (!fans.empty()) return;
  fans = {};
  free_lists_.push_back(*slot - kFirstList);
  *slot = kNobody;
  --routed_series_;
}

bool SubscriptionIndex::Add(const std::shared_ptr<LiveSubscription>& subscription, int32_t max) {
  MutexLock lock(&mu_);
  if (members_.size() >= static_cast<size_t>(std::max(0, max))) return false;
  members_[subscription.get()].subscription = subscription;
  size_ = static_cast<int64_t>(members_.size());
  return true;
}

void SubscriptionIndex::AddSelectors(LiveSubscription* subscription) {
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end() || member->second.has_selectors) return;
  member->second.has_selectors = true;
  TenantTopics& topics = tenants_[subscription->tenant()];
  const std::vector<Selector>& selectors = subscription->selectors();
  for (size_t i = 0; i < selectors.size(); ++i) {
    const auto [it, is_new] = topics.by_text.try_emplace(selectors[i].Format());
    Topic& topic = it->second;
    if (is_new) {
      topic.selector = selectors[i];
      const std::string_view metric = selectors[i].MetricName();
      (metric.empty() ? topics.any_metric : topics.by_metric[std::string(metric)]).push_back(&topic);
    }
    topic.users.emplace_back(subscription, static_cast<int32_t>(i));
  }
}

void SubscriptionIndex::RemoveSelectors(LiveSubscription* subscription) {
  const auto tenant = tenants_.find(subscription->tenant());
  if (tenant == tenants_.end()) return;
  TenantTopics& topics = tenant->second;
  for (const Selector& selector : subscription->selectors()) {
    const auto it = topics.by_text.find(selector.Format());
    if (it == topics.by_text.end()) continue;
    Topic& topic = it->second;
    std::erase_if(topic.users, [subscription](const auto& user) { return user.first == subscription; });
    if (!topic.users.empty()) continue;
    if (const std::string_view metric = selector.MetricName(); metric.empty()) {
      std::erase(topics.any_metric, &topic);
    } else if (const auto list = topics.by_metric.find(metric); list != topics.by_metric.end()) {
      std::erase(list->second, &topic);
      if (list->second.empty()) topics.by_metric.erase(list);
    }
    topics.by_text.erase(it);
  }
  if (topics.by_text.empty()) tenants_.erase(tenant);
}

void SubscriptionIndex::AddRoutes(LiveSubscription* subscription,
                                  const std::vector<std::pair<SeriesId, uint32_t>>& refs) {
  MutexLock lock(&mu_);
  if (!members_.contains(subscription)) return;
  for (const auto& [series, ref] : refs) {
    // A series not seen yet is left to Classify, which asks all selectors; one seen meanwhile may be routed already.
    if (routes_.IsClassified(series) && subscription->MarkRouted(series)) routes_.Add(series, {subscription, ref});
  }
}

void SubscriptionIndex::Remove(LiveSubscription* subscription) {
  std::shared_ptr<LiveSubscription> keep;  // may be the last owner: freed without the lock
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return;
  for (const SeriesId series : subscription->TakeRoutes()) routes_.Remove(series, subscription);
  if (member->second.has_selectors) RemoveSelectors(subscription);
  keep = std::move(member->second.subscription);
  members_.erase(member);
  size_ = static_cast<int64_t>(members_.size());
}

void SubscriptionIndex::Classify(const std::shared_ptr<const SeriesInfo>& info, const TenantTopics& topics) {
  routes_.MarkClassified(info->id);
  std::map<LiveSubscription*, std::vector<int32_t>> wanted;  // by whom, for which queries
  const auto ask = [&](const Topic* topic) {
    if (!topic->selector.Matches(info->key)) return;
    for (const auto& [subscription, query] : topic->users) wanted[subscription].push_back(query);
  };
  for (const Topic* topic : topics.any_metric) ask(topic);
  if (const auto list = topics.by_metric.find(info->key.metric); list != topics.by_metric.end()) {
    for (const Topic* topic : list->second) ask(topic);
  }
  for (const auto& [subscription, queries] : wanted) {
    const uint32_t ref = subscription->AddSeries(info, queries);
    if (ref != 0 && subscription->MarkRouted(info->id)) routes_.Add(info->id, {subscription, ref});
  }
}

void SubscriptionIndex::Publish(const CommittedBatch& batch, const Store* store) {
  MutexLock lock(&mu_);
  const auto tenant = tenants_.find(batch.tenant);
  if (store != nullptr && tenant != tenants_.end()) {
    touched_.clear();
    auto late = batch.late.begin();
    for (size_t i = 0; i < batch.series.size(); ++i) {
      const SeriesId series = batch.series[i];
      const bool is_late = late != batch.late.end() && *late == i;
      if (is_late) ++late;
      bool classified = false;
      const std::vector<RouteTable::Fan>* fans = routes_.Fans(series, &classified);
      if (!classified) {
        if (const auto info = store->GetSeries(series)) Classify(info, tenant->second);
        fans = routes_.Fans(series, &classified);
      }
      if (fans == nullptr) continue;
      for (const RouteTable::Fan& fan : *fans) {
        std::vector<PendingRow>& rows = fan.subscription->rows_in_commit();
        if (rows.empty()) touched_.push_back(fan.subscription);
        rows.push_back({fan.ref, is_late, batch.times[i], batch.values[i]});
      }
    }
    const LiveTimes times{batch.pushed_unix_nanos, batch.received_unix_nanos, batch.committed_unix_nanos};
    for (LiveSubscription* subscription : touched_) {
      std::vector<PendingRow>& rows = subscription->rows_in_commit();
      subscription->AppendLive(batch.commit_sequence, times, rows);
      rows.clear();
      if (rows.capacity() > kRowsKept) rows = {};
    }
  }
  published_commit_.store(batch.commit_sequence, std::memory_order_release);
}

std::vector<std::shared_ptr<LiveSubscription>> SubscriptionIndex::All() const {
  MutexLock lock(&mu_);
  std::vector<std::shared_ptr<LiveSubscription>> all;
  all.reserve(members_.size());
  for (const auto& [pointer, member] : members_) all.push_back(member.subscription);
  return all;
}

int64_t SubscriptionIndex::routed_series() const {
  MutexLock lock(&mu_);
  return routes_.routed_series();
}

}  // namespace pulseboard
