// Aggregated queries of a subscription.
#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/errors.h"
#include "server/live/live_subscription.h"
#include "server/live/subscription_index.h"
#include "server/query/query_engine.h"

namespace pulseboard {

std::vector<LiveSubscription::Aggregated> LiveSubscription::aggregates() const {
  MutexLock lock(&mu_);
  return aggregates_;
}

absl::StatusOr<std::vector<LiveSubscription::Aggregated>> LiveSubscription::JoinAggregates(
    Store& store, const LiveQuerySet& queries, std::vector<Aggregated> before, const std::vector<LiveQuerySpec>* only,
    Extras* extras) {
  std::vector<Aggregated> joined;
  const auto is_set = [&](int32_t number) {
    const std::string& id = queries.queries[static_cast<size_t>(number)].query_id;
    return std::any_of(only->begin(), only->end(), [&id](const LiveQuerySpec& query) { return query.query_id == id; });
  };
  for (const AggregateQuery& query : queries.aggregates) {
    const auto known = std::find_if(before.begin(), before.end(),
                                    [&query](const Aggregated& one) { return one.source->query().key == query.key; });
    if (known != before.end() && std::none_of(query.queries.begin(), query.queries.end(), is_set)) {
      joined.push_back(*known);
      joined.back().defined = 0;
    } else {
      Aggregated one{known != before.end() ? known->source : context_.index.JoinAggregation(this, query)};
      if (one.source == nullptr) break;  // ended meanwhile
      one.source->Widen(query.backfill_ns);
      joined.push_back(std::move(one));
      const int64_t resumed_at = resume_after_ && before.empty() ? resume_after_->time_unix_nanos : 0;
      extras->aggregates.emplace_back(joined.back().source,
                                      joined.back().source->WindowOf(query.backfill_ns, resumed_at));
    }
    joined.back().query_ids = queries.QueryIdsOf(query);
    // As in Open(): a series that appears in between is found by its topic or by this selection.
    std::vector<TopicSeries> series;
    for (const SeriesId id : store.SelectSeries(spec_.tenant, query.selector)) {
      if (auto info = store.GetSeries(id)) series.push_back({std::move(info), {0}});
    }
    if (!context_.index.AddSeries(*joined.back().source->topic(), series)) return TooManySeries();
  }
  return joined;
}

void LiveSubscription::LeaveAggregates(const std::vector<Aggregated>& some, const std::vector<Aggregated>& others) {
  for (const Aggregated& one : some) {
    const bool stays = std::any_of(others.begin(), others.end(),
                                   [&one](const Aggregated& other) { return other.source == one.source; });
    if (!stays) context_.index.LeaveAggregation(this, one.source);
  }
}

absl::Status LiveSubscription::ReadAggregates() {
  const auto& [source, range] = extras_.aggregates.front();
  if (extras_.reader == nullptr) {
    PB_ASSIGN_OR_RETURN(extras_.reader, source->Open(range));
  }
  PB_ASSIGN_OR_RETURN(std::vector<LiveColumn> columns, extras_.reader->Next());
  const int64_t bytes = HeldBytes(columns);
  const bool done = extras_.reader->done();
  const int64_t commit = done ? extras_.reader->commit() : 0;
  {
    MutexLock lock(&mu_);
    if (!columns.empty()) {
      // A chunk may hold two pieces of a line, in order. Counted among what is staged.
      auto frame = std::make_shared<LiveFrame>(std::move(columns), std::vector<LiveColumn>(), LiveTimes(), 0, 0,
                                               context_.unshared_bytes);
      StageLocked({LiveAggregates{{std::move(frame)}}, ""}, bytes);
    }
    for (Aggregated& one : aggregates_) {
      if (one.source != source || !done) continue;
      one.complete = true;
      one.history_commit = commit;
      one.known_to = std::max(one.known_to, commit);
    }
  }
  if (!done) return absl::OkStatus();
  extras_.reader = nullptr;
  extras_.aggregates.pop_front();
  return absl::OkStatus();
}

void LiveSubscription::NoteAggregates() {
  MutexLock lock(&mu_);
  if (ended_ || failure_ || phase_ != Phase::kLive || in_flight_) return;
  ScheduleLocked(context_.clock().MonotonicNanos());
}

bool LiveSubscription::HasAggregateNewsLocked() const {
  return std::any_of(aggregates_.begin(), aggregates_.end(),
                     [](const Aggregated& one) { return one.complete && one.source->HasNews(one.position); });
}

std::optional<LiveEvent> LiveSubscription::TakeAggregatesLocked() {
  LiveAggregates event;
  int64_t values = 0;
  for (Aggregated& one : aggregates_) {
    if (!one.complete) continue;
    LiveAggregation::News news = one.source->NewsAfter(this, one.position, one.history_commit);
    one.position = news.position;
    for (LiveFramePtr& frame : news.frames) {
      values += frame->sample_count;
      event.frames.push_back(std::move(frame));
    }
  }
  if (event.frames.empty()) return std::nullopt;
  context_.delivered_samples += values;
  return LiveEvent{std::move(event), TokenLocked(token_at_)};
}

int64_t LiveSubscription::AggregatesKnownToLocked() {
  int64_t known = std::numeric_limits<int64_t>::max();
  const int64_t published = context_.index.published_commit();
  for (Aggregated& one : aggregates_) {
    // What the topic gave out first: what is given out after is looked for in the aggregation.
    const int64_t given = one.source->topic()->GivenUpTo(published);
    if (one.complete) one.known_to = std::max(one.known_to, one.source->KnownUpTo(one.position, given));
    known = std::min(known, one.known_to);
  }
  return known;
}

}  // namespace pulseboard
