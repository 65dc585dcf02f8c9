// LiveAggregation: the values of one aggregated query, kept up to date for all subscriptions that ask alike.
//
// It is a member of the topic of its selector: each frame says which columns of time have changed. Those are asked anew
// of the QueryEngine, so what is sent is what the history query answers for these columns at some commit, and a late
// sample is nothing special. A value that changes again replaces the one sent before: the newest column is provisional
// until nothing comes for it any more.
//
// Changes are kept as frames, numbered, until all subscriptions have taken them; a slow one
// takes several at once. Instead of a queue that overflows there is a merge: of what waits too long only the newest
// value of each column is kept, so it is never more than the window of the longest backfill.
//
// A refresh that took long puts the next one off by four times its time: reading takes a fifth of a thread at most.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "server/live/aggregate_query.h"
#include "server/live/live_frame.h"
#include "server/live/live_topic.h"
#include "server/live/range_set.h"
#include "server/live/ref_table.h"
#include "server/live/topic_member.h"

namespace pulseboard {

class AggregateReader;
class LiveSubscription;
struct LiveContext;

// Thread-safe; see the lock order in hub.h.
class LiveAggregation final : public TopicMember, public std::enable_shared_from_this<LiveAggregation> {
 public:
  // A series or group that has values.
  struct Line {
    uint32_t ref = 0;
    std::shared_ptr<const SeriesInfo> series;  // id 0: a group
  };
  struct News {
    std::vector<LiveFramePtr> frames;  // values as `samples`; empty: nothing new
    int64_t position = 0;              // number of the last one
  };

  LiveAggregation(LiveContext& context, const AggregateQuery& query);
  ~LiveAggregation() override;

  const AggregateQuery& query() const { return query_; }  // of the first one that asked

  // --- for SubscriptionIndex, under its mutex ---
  void SetTopic(std::shared_ptr<LiveTopic> topic) { topic_ = std::move(topic); }
  const std::shared_ptr<LiveTopic>& topic() const { return topic_; }
  void Join(LiveSubscription* member, int64_t backfill_ns) PB_EXCLUDES(members_mu_);
  // A member looks back this far from now on.
  void Widen(int64_t backfill_ns) PB_EXCLUDES(mu_);
  // True when it was the last one.
  bool Leave(LiveSubscription* member) PB_EXCLUDES(members_mu_);

  // --- for readers ---
  // Reads the columns that overlap `range`.
  absl::StatusOr<std::unique_ptr<AggregateReader>> Open(TimeRange range);
  // The columns of a subscription that begins now and looks back so far, those to come included. `resumed_at`: when it
  // was told last, by the server's clock.
  TimeRange WindowOf(int64_t backfill_ns, int64_t resumed_at_unix_nanos) const;

  // --- for subscriptions, under any lock before mu_ ---
  // The frames after number `position`, but those that were read at a commit up to `known_commit`.
  News NewsAfter(const LiveSubscription* member, int64_t position, int64_t known_commit) PB_EXCLUDES(mu_);
  // Whoever has taken everything up to `position` knows all values as of the answer, a commit. `given`: all up to this
  // commit was given out by the topic, as read before the call.
  int64_t KnownUpTo(int64_t position, int64_t given) const PB_EXCLUDES(mu_);
  bool HasNews(int64_t position) const PB_EXCLUDES(mu_);
  size_t line_count() const PB_EXCLUDES(mu_);
  std::vector<Line> LinesFrom(size_t first, size_t max) const PB_EXCLUDES(mu_);

  // --- TopicMember ---
  bool AppendFrame(const LiveTopic* topic, const LiveFramePtr& frame, int64_t tick_ns, bool pump_follows) override
      PB_EXCLUDES(mu_);
  void NoteStale(const LiveTopic*, const std::vector<uint32_t>&) override {}
  void FailTooManySeries() override PB_EXCLUDES(members_mu_);
  std::shared_ptr<Pumped> pumped() override { return shared_from_this(); }
  void Pump() override PB_EXCLUDES(mu_);

 private:
  friend class AggregateReader;
  // The ref of a line, which is new when it was not seen before.
  uint32_t RefOfLine(const std::shared_ptr<const SeriesInfo>& series) PB_EXCLUDES(mu_);

  void ScheduleLocked() PB_REQUIRES(mu_);
  void SubmitLocked() PB_REQUIRES(mu_);
  // On a reader thread: reads what has changed.
  void Refresh() PB_EXCLUDES(mu_, members_mu_);
  absl::Status RefreshRange(TimeRange range, const LiveTimes& times);
  void KeepLocked(std::vector<LiveColumn> columns, const LiveTimes& times, int64_t commit) PB_REQUIRES(mu_);
  void MergeOldestLocked() PB_REQUIRES(mu_);
  // Forgets what all members have taken.
  void TrimLocked() PB_REQUIRES(mu_);
  int64_t WindowStart(int64_t window_ns) const;
  void FailMembers(const absl::Status& status) PB_EXCLUDES(members_mu_);

  LiveContext& context_;
  const std::shared_ptr<RefTable> refs_;
  const AggregateQuery query_;
  const int64_t look_ahead_ns_;  // a late sample changes columns so far after its own
  std::shared_ptr<LiveTopic> topic_;

  Mutex members_mu_;  // held while members are told
  std::vector<LiveSubscription*> members_ PB_GUARDED_BY(members_mu_);

  mutable Mutex mu_;
  std::map<const LiveSubscription*, int64_t> positions_ PB_GUARDED_BY(mu_);  // of the members that take news
  int64_t window_ns_ PB_GUARDED_BY(mu_) = 0;
  RangeSet dirty_ PB_GUARDED_BY(mu_);          // whole columns
  LiveTimes dirty_times_ PB_GUARDED_BY(mu_);   // of the first frame since the last refresh
  bool scheduled_ PB_GUARDED_BY(mu_) = false;  // a refresh waits or runs
  int64_t next_refresh_ns_ PB_GUARDED_BY(mu_) = 0;
  int64_t computed_to_ PB_GUARDED_BY(mu_) = 0;
  std::deque<std::pair<int64_t, LiveFramePtr>> frames_ PB_GUARDED_BY(mu_);  // with their numbers
  int64_t last_number_ PB_GUARDED_BY(mu_) = 0;
  std::vector<Line> lines_ PB_GUARDED_BY(mu_);
  std::map<std::pair<SeriesId, SeriesKey>, uint32_t> by_key_ PB_GUARDED_BY(mu_);
  std::unordered_map<uint32_t, Sample> newest_ PB_GUARDED_BY(mu_);  // value of each line's newest column
};

// Reads columns of an aggregation, chunk by chunk. Not thread-safe.
class AggregateReader {
 public:
  // The next columns, by the aggregation's refs; may be empty.
  absl::StatusOr<std::vector<LiveColumn>> Next();
  bool done() const { return done_; }
  // The commit as of which all values are. REQUIRES: done().
  int64_t commit() const { return commit_; }
  const std::shared_ptr<LiveAggregation>& aggregation() const { return aggregation_; }

 private:
  friend class LiveAggregation;
  AggregateReader(std::shared_ptr<LiveAggregation> aggregation, std::unique_ptr<ColumnCursor> cursor)
      : aggregation_(std::move(aggregation)), cursor_(std::move(cursor)) {}

  const std::shared_ptr<LiveAggregation> aggregation_;
  const std::unique_ptr<ColumnCursor> cursor_;
  std::unordered_map<uint32_t, uint32_t> refs_;  // the cursor's -> ours
  bool done_ = false;
  int64_t commit_ = 0;
};

}  // namespace pulseboard
