// Events in a subscription: history page by page, then whatever comes, read on from a position.
#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/worker_pool.h"
#include "server/live/live_subscription.h"

namespace pulseboard {
namespace {

int64_t BytesOf(const LiveOccurrences& event) {
  size_t bytes = 0;
  for (const auto& one : event.occurrences) bytes += one.event.bytes();
  return static_cast<int64_t>(bytes);
}

}  // namespace

absl::Status LiveSubscription::FollowEvents(const LiveQuerySet& queries, Extras* extras) {
  if (queries.event_queries.empty()) return absl::OkStatus();
  {
    MutexLock lock(&mu_);
    if (follower_id_ != 0) return absl::OkStatus();
  }
  EventLog& events = *context_.events.load();
  PB_ASSIGN_OR_RETURN(const uint64_t follower, events.Follow(spec_.tenant, weak_from_this()));
  // Whatever comes from here on is told of.
  int64_t position = events.last_id();
  if (resume_after_ && extras != nullptr) {
    if (resume_after_->event_id > position) {
      events.Unfollow(follower);
      return MakeError(ErrorReason::kResumeTokenExpired,
                       "event " + std::to_string(resume_after_->event_id) + " is not in this store; subscribe anew",
                       {{"newestEventId", std::to_string(position)}});
    }
    position = resume_after_->event_id;
  }
  bool over = false;
  {
    MutexLock lock(&mu_);
    over = ended_;
    if (!over) follower_id_ = follower;
    event_id_ = position;
    event_news_ = true;
  }
  if (over) events.Unfollow(follower);
  if (extras == nullptr || resume_after_) return absl::OkStatus();
  PrepareEventHistory(queries.event_queries, extras);
  extras->last_event_id = position;
  return absl::OkStatus();
}

void LiveSubscription::UnfollowEvents() {
  uint64_t follower = 0;
  {
    MutexLock lock(&mu_);
    follower = std::exchange(follower_id_, 0);
  }
  if (follower != 0) context_.events.load()->Unfollow(follower);
}

void LiveSubscription::PrepareEventHistory(const std::vector<LiveEventQuerySpec>& queries, Extras* extras) const {
  int64_t longest = 0;
  for (const LiveEventQuerySpec& query : queries) {
    if (query.backfill_ns > 0) extras->event_ids.push_back(query.query_id);
    longest = std::max(longest, query.backfill_ns);
  }
  extras->events.range = {context_.clock().NowUnixNanos() - longest, kAllTime.end};
  extras->events.page_size = kMaxEventPage;
}

absl::Status LiveSubscription::ReadEventHistory() {
  LiveQuerySetPtr queries;
  {
    MutexLock lock(&mu_);
    queries = queries_;
  }
  PB_ASSIGN_OR_RETURN(EventPage page, context_.events.load()->List(spec_.tenant, extras_.events));
  std::erase_if(page.events, [this](const Event& event) { return event.id > extras_.last_event_id; });
  extras_.events.page_token = page.next_page_token;
  MutexLock lock(&mu_);
  StageEventsLocked(*queries, page.events, &extras_.event_ids);
  if (page.next_page_token.empty()) extras_.event_ids.clear();
  return absl::OkStatus();
}

void LiveSubscription::StageEventsLocked(const LiveQuerySet& queries, const std::vector<Event>& events,
                                         const std::vector<std::string>* only) {
  LiveOccurrences out;
  for (const Event& event : events) {
    std::vector<std::string> ids = queries.QueryIdsOf(event);
    if (only != nullptr) {
      std::erase_if(ids,
                    [only](const std::string& id) { return std::find(only->begin(), only->end(), id) == only->end(); });
    }
    if (!ids.empty()) out.occurrences.push_back({event, std::move(ids)});
  }
  if (out.occurrences.empty()) return;
  const int64_t bytes = BytesOf(out);
  const std::string token = phase_ == Phase::kLive ? SamplesTokenLocked(token_at_) : "";
  StageLocked({std::move(out), token}, bytes);
}

void LiveSubscription::OnEvents() {
  MutexLock lock(&mu_);
  event_news_ = true;
  RequestEventsLocked();
}

void LiveSubscription::RequestEventsLocked() {
  if (ended_ || failure_ || reading_events_ || phase_ != Phase::kLive || follower_id_ == 0) return;
  if (!staged_.empty() && staged_bytes_ >= BufferLimit() / 4) return;  // asked again when that was sent
  event_news_ = false;
  // When the readers' queue is full, the next event or message asks again.
  reading_events_ = context_.readers.TrySubmit([self = shared_from_this()] { self->ReadEvents(); });
  if (!reading_events_) event_news_ = true;
}

void LiveSubscription::ReadEvents() {
  static const EventFilter all{};
  LiveQuerySetPtr queries;
  int64_t position = 0;
  {
    MutexLock lock(&mu_);
    queries = queries_;
    position = event_id_;
  }
  bool more = false;
  const auto events = context_.events.load()->ReadAfter(spec_.tenant, all, &position, &more);
  if (!events.ok()) Fail(events.status());
  MutexLock lock(&mu_);
  reading_events_ = false;
  if (ended_ || failure_) return;
  // With other queries since, or history under way, it is read once more then.
  if (queries != queries_ || phase_ != Phase::kLive) {
    event_news_ = true;
  } else {
    event_id_ = position;
    StageEventsLocked(*queries, *events, nullptr);
    event_news_ |= more;
    if (!staged_.empty() && !in_flight_) ScheduleLocked(context_.clock().MonotonicNanos());
  }
  if (event_news_) RequestEventsLocked();
}

}  // namespace pulseboard
