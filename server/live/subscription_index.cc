#include "server/live/subscription_index.h"

#include <algorithm>

#include "server/live/live_aggregation.h"
#include "server/live/live_subscription.h"
#include "server/live/live_topic.h"

namespace pulseboard {
namespace {

constexpr size_t kRowsKept = 1'024;  // capacity kept between commits, per topic

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

void RouteTable::Remove(SeriesId series, const LiveTopic* topic) {
  uint32_t* slot = MutableSlot(series);
  if (*slot < kFirstList) return;
  std::vector<Fan>& fans = lists_[*slot - kFirstList];
  std::erase_if(fans, [topic](const Fan& fan) { return fan.topic == topic; });
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

std::shared_ptr<LiveTopic> SubscriptionIndex::Join(LiveSubscription* subscription, const TopicKey& key,
                                                   const std::vector<Selector>& selectors) {
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return nullptr;
  const auto topic = JoinLocked(subscription, subscription->context(), key, selectors);
  member->second.topics.push_back(topic);
  return topic;
}

std::shared_ptr<LiveTopic> SubscriptionIndex::JoinLocked(TopicMember* member, LiveContext& context, const TopicKey& key,
                                                         const std::vector<Selector>& selectors) {
  std::shared_ptr<LiveTopic>& topic = topics_[key];
  if (topic == nullptr) {
    topic = std::make_shared<LiveTopic>(context, key, selectors);
    AddSelectors(topic.get());
  }
  ++topic->users;
  topic->Join(member);
  return topic;
}

std::shared_ptr<LiveAggregation> SubscriptionIndex::JoinAggregation(LiveSubscription* subscription,
                                                                    const AggregateQuery& query) {
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return nullptr;
  std::shared_ptr<LiveAggregation>& aggregation = aggregations_[query.key];
  if (aggregation == nullptr) {
    aggregation = std::make_shared<LiveAggregation>(subscription->context(), query);
    const TopicKey key{query.tenant, query.frame_interval_ns, {query.selector.Format()}};
    aggregation->SetTopic(JoinLocked(aggregation.get(), subscription->context(), key, {query.selector}));
  }
  aggregation->Join(subscription, query.backfill_ns);
  member->second.aggregations.push_back(aggregation);
  return aggregation;
}

void SubscriptionIndex::LeaveAggregation(LiveSubscription* subscription,
                                         const std::shared_ptr<LiveAggregation>& aggregation) {
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return;
  auto& aggregations = member->second.aggregations;
  const auto it = std::find(aggregations.begin(), aggregations.end(), aggregation);
  if (it == aggregations.end()) return;
  aggregations.erase(it);
  LeaveLocked(subscription, aggregation);
}

void SubscriptionIndex::LeaveLocked(LiveSubscription* subscription,
                                    const std::shared_ptr<LiveAggregation>& aggregation) {
  if (!aggregation->Leave(subscription)) return;
  LeaveLocked(aggregation.get(), aggregation->topic());
  aggregations_.erase(aggregation->query().key);
}

void SubscriptionIndex::Leave(LiveSubscription* subscription, const std::shared_ptr<LiveTopic>& topic) {
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return;
  std::vector<std::shared_ptr<LiveTopic>>& topics = member->second.topics;
  const auto it = std::find(topics.begin(), topics.end(), topic);
  if (it == topics.end()) return;
  topics.erase(it);
  LeaveLocked(subscription, topic);
}

void SubscriptionIndex::LeaveLocked(TopicMember* member, const std::shared_ptr<LiveTopic>& topic) {
  topic->Leave(member);
  if (--topic->users > 0) return;
  for (const SeriesId series : topic->TakeRoutes()) routes_.Remove(series, topic.get());
  RemoveSelectors(topic.get());
  topics_.erase(topic->key());
}

void SubscriptionIndex::AddSelectors(LiveTopic* topic) {
  TenantChoices& choices = tenants_[topic->key().tenant];
  const std::vector<Selector>& selectors = topic->selectors();
  for (size_t i = 0; i < selectors.size(); ++i) {
    const auto [it, is_new] = choices.by_text.try_emplace(selectors[i].Format());
    Choice& choice = it->second;
    if (is_new) {
      choice.selector = selectors[i];
      const std::string_view metric = selectors[i].MetricName();
      (metric.empty() ? choices.any_metric : choices.by_metric[std::string(metric)]).push_back(&choice);
    }
    choice.users.emplace_back(topic, static_cast<int32_t>(i));
  }
}

void SubscriptionIndex::RemoveSelectors(LiveTopic* topic) {
  const auto tenant = tenants_.find(topic->key().tenant);
  if (tenant == tenants_.end()) return;
  TenantChoices& choices = tenant->second;
  for (const Selector& selector : topic->selectors()) {
    const auto it = choices.by_text.find(selector.Format());
    if (it == choices.by_text.end()) continue;
    Choice& choice = it->second;
    std::erase_if(choice.users, [topic](const auto& user) { return user.first == topic; });
    if (!choice.users.empty()) continue;
    if (const std::string_view metric = selector.MetricName(); metric.empty()) {
      std::erase(choices.any_metric, &choice);
    } else if (const auto list = choices.by_metric.find(metric); list != choices.by_metric.end()) {
      std::erase(list->second, &choice);
      if (list->second.empty()) choices.by_metric.erase(list);
    }
    choices.by_text.erase(it);
  }
  if (choices.by_text.empty()) tenants_.erase(tenant);
}

bool SubscriptionIndex::AddLocked(LiveTopic& topic, const std::shared_ptr<const SeriesInfo>& info,
                                  std::vector<int32_t> selectors, bool route) {
  std::vector<SeriesId> unrouted;
  const std::optional<uint32_t> ref = topic.AddSeries(info, std::move(selectors), &unrouted);
  for (const SeriesId gone : unrouted) routes_.Remove(gone, &topic);
  if (!ref) return false;
  if (route && topic.MarkRouted(info->id)) routes_.Add(info->id, {&topic, *ref});
  return true;
}

bool SubscriptionIndex::AddSeries(LiveTopic& topic, const std::vector<TopicSeries>& series) {
  MutexLock lock(&mu_);
  return std::all_of(series.begin(), series.end(), [&](const TopicSeries& one) PB_REQUIRES(mu_) {
    // A series not seen yet is left to Classify, which asks all selectors; one seen meanwhile may be routed already. A
    // topic without users was taken out of the routes.
    return AddLocked(topic, one.info, one.selectors, topic.users > 0 && routes_.IsClassified(one.info->id));
  });
}

void SubscriptionIndex::Remove(LiveSubscription* subscription) {
  Member keep;  // may be the last owner: freed without the lock
  MutexLock lock(&mu_);
  const auto member = members_.find(subscription);
  if (member == members_.end()) return;
  for (const auto& topic : member->second.topics) LeaveLocked(subscription, topic);
  for (const auto& aggregation : member->second.aggregations) LeaveLocked(subscription, aggregation);
  keep = std::move(member->second);
  members_.erase(member);
  size_ = static_cast<int64_t>(members_.size());
}

void SubscriptionIndex::FailLocked(const LiveTopic* topic) {
  for (const auto& [pointer, member] : members_) {
    for (const auto& used : member.topics) {
      if (used.get() == topic) member.subscription->FailTooManySeries();
    }
  }
  for (const auto& [key, aggregation] : aggregations_) {
    if (aggregation->topic().get() == topic) aggregation->FailTooManySeries();
  }
}

void SubscriptionIndex::Classify(const std::shared_ptr<const SeriesInfo>& info, const TenantChoices& choices) {
  routes_.MarkClassified(info->id);
  std::map<LiveTopic*, std::vector<int32_t>> wanted;  // by whom, for which selectors
  const auto ask = [&](const Choice* choice) {
    if (!choice->selector.Matches(info->key)) return;
    for (const auto& [topic, selector] : choice->users) wanted[topic].push_back(selector);
  };
  for (const Choice* choice : choices.any_metric) ask(choice);
  if (const auto list = choices.by_metric.find(info->key.metric); list != choices.by_metric.end()) {
    for (const Choice* choice : list->second) ask(choice);
  }
  for (auto& [topic, selectors] : wanted) {
    std::sort(selectors.begin(), selectors.end());
    if (!AddLocked(*topic, info, std::move(selectors), /*route=*/true)) FailLocked(topic);
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
        std::vector<PendingRow>& rows = fan.topic->rows_in_commit();
        if (rows.empty()) touched_.push_back(fan.topic);
        rows.push_back({fan.ref, is_late, batch.times[i], batch.values[i]});
      }
    }
    const LiveTimes times{batch.pushed_unix_nanos, batch.received_unix_nanos, batch.committed_unix_nanos};
    for (LiveTopic* topic : touched_) {
      std::vector<PendingRow>& rows = topic->rows_in_commit();
      topic->AppendCommit(batch.commit_sequence, times, rows);
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

std::vector<std::shared_ptr<LiveTopic>> SubscriptionIndex::AllTopics() const {
  MutexLock lock(&mu_);
  std::vector<std::shared_ptr<LiveTopic>> all;
  all.reserve(topics_.size());
  for (const auto& [key, topic] : topics_) all.push_back(topic);
  return all;
}

int64_t SubscriptionIndex::topics() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(topics_.size());
}

int64_t SubscriptionIndex::routed_series() const {
  MutexLock lock(&mu_);
  return routes_.routed_series();
}

}  // namespace pulseboard
