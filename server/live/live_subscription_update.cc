// Other queries on a running subscription.
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"
#include "server/live/subscription_index.h"

namespace pulseboard {
namespace {

constexpr int64_t kEventBytes = 64;

}  // namespace

void LiveSubscription::Update(SubscriptionUpdate update) {
  MutexLock lock(&mu_);
  if (ended_ || failure_) return;
  update_ = std::move(update);
  RequestReadLocked();  // nothing happens before it is live, and then this is looked at
}

void LiveSubscription::Refuse(int64_t update_id, const absl::Status& why) {
  MutexLock lock(&mu_);
  StageLocked({LiveUpdated{update_id, why}, ""}, kEventBytes);
  if (!in_flight_) ScheduleLocked(context_.clock().MonotonicNanos());
}

absl::StatusOr<LiveQuerySetPtr> LiveSubscription::CheckUpdate(const SubscriptionUpdate& update) {
  LiveQuerySetPtr old;
  {
    MutexLock lock(&mu_);
    old = queries_;
  }
  PB_ASSIGN_OR_RETURN(LiveQuerySetPtr queries,
                      Updated(spec_.tenant, *old, update, context_.store.load()->Tiers(spec_.tenant)));
  PB_RETURN_IF_ERROR(queries->CheckServed(context_.queries != nullptr, context_.events != nullptr));
  return queries;
}

absl::Status LiveSubscription::CarryOutUpdate() {
  SubscriptionUpdate update;
  {
    MutexLock lock(&mu_);
    update = *std::exchange(update_, std::nullopt);
  }
  absl::Status status;
  auto queries = CheckUpdate(update);
  if (queries.ok()) {
    const auto old = topic();
    const bool same = old->key() == (*queries)->topic_key;
    const auto topic = same ? old : context_.index.Join(this, (*queries)->topic_key, (*queries)->topic_selectors);
    if (topic == nullptr) return absl::OkStatus();  // ended meanwhile
    const std::vector<Aggregated> before = aggregates();
    Extras extras;
    auto joined = JoinAggregates(*context_.store.load(), **queries, before, &update.set, &extras);
    status = joined.status();
    if (status.ok()) {
      status = SwitchTo(update, *std::move(queries), topic, *joined, std::move(extras));
      LeaveAggregates(status.ok() ? before : *joined, status.ok() ? *joined : before);
    }
    if (!same) context_.index.Leave(this, status.ok() ? old : topic);
  } else {
    status = queries.status();
  }
  if (status.ok()) return absl::OkStatus();
  MutexLock lock(&mu_);
  StageLocked({LiveUpdated{update.update_id, status}, ""}, kEventBytes);
  return absl::OkStatus();
}

absl::Status LiveSubscription::SwitchTo(const SubscriptionUpdate& update, LiveQuerySetPtr queries,
                                        const std::shared_ptr<LiveTopic>& topic,
                                        const std::vector<Aggregated>& aggregates, Extras extras) {
  Store& store = *context_.store.load();
  PB_ASSIGN_OR_RETURN(std::vector<History> histories, SelectHistories(store, *queries, *topic, &update.set));
  PB_RETURN_IF_ERROR(FollowEvents(*queries, nullptr));
  PrepareEventHistory(update.set_events, &extras);
  const auto old = this->topic();
  bool switched = false;
  const auto at_cut = [&](int64_t commit_sequence) {
    switched = true;
    const auto leave = [&] {
      MutexLock lock(&mu_);
      LeaveOldQueriesLocked(update);
    };
    const auto take = [&] {
      MutexLock lock(&mu_);
      TakeNewQueriesLocked(queries, topic, aggregates, commit_sequence);
    };
    if (old != topic) {
      old->Cut(leave);
      topic->Cut(take);
    } else {
      old->Cut([&] {
        leave();
        take();
      });
    }
  };
  extras_ = std::move(extras);
  if (!histories.empty()) {
    const absl::Status status = OpenBackfill(store, std::move(histories), at_cut);
    if (!status.ok() && switched) Fail(status);  // too late to go on as it was
    return switched ? absl::OkStatus() : status;
  }
  store.Cut(at_cut);
  backfill_.started_ns = context_.clock().MonotonicNanos();
  MutexLock lock(&mu_);
  if (!extras_.any()) FinishBackfillLocked();
  return absl::OkStatus();
}

void LiveSubscription::StagePendingLocked() {
  // Definitions come before all: what is staged may be of series that were not defined yet.
  for (auto at = staged_.begin(); HasUndefinedLocked(); ++at) at = staged_.insert(at, {TakeDefinitionsLocked(), 0});
  if (auto gap = pending_.TakeGap()) StageLocked({*gap, ""}, kEventBytes);
  while (!pending_.empty()) {
    auto [first, second] = TakeFramesLocked();
    StageLocked(std::move(first), kEventBytes);
    if (second) StageLocked(*std::move(second), kEventBytes);
  }
}

void LiveSubscription::LeaveOldQueriesLocked(const SubscriptionUpdate& update) {
  if (ended_ || failure_) return;
  StagePendingLocked();
  StageLocked({LiveUpdated{update.update_id, absl::OkStatus()}, ""}, kEventBytes);
  switching_ = true;
  attached_ = false;
}

void LiveSubscription::TakeNewQueriesLocked(LiveQuerySetPtr queries, std::shared_ptr<LiveTopic> topic,
                                            const std::vector<Aggregated>& aggregates, int64_t commit_sequence) {
  if (ended_ || failure_) return;
  aggregates_ = aggregates;
  extras_.last_event_id = event_id_;
  queries_ = std::move(queries);
  topic_ = std::move(topic);
  defined_ = 0;
  rounds_ = 0;
  AttachLocked(commit_sequence);
  // Frames that come from now on wait until the backfill was read.
  phase_ = Phase::kBackfill;
}

}  // namespace pulseboard
