// LiveSubscription: the state machine of one subscription. Inside the live room; others see Subscription (hub.h).
//
//   opening ──> backfill ──> live <──> catching up
//      └── (resume token) ───────────────┘
//
// From the cut on (inside the store's commit lock) the topic's frames are appended to `pending_`, while the worker pool
// reads what came before the cut: the backfill's view, or the log. What was read is sent first. Should `pending_`
// overflow before the reading is done, it is forgotten and the subscription detaches: the log has it all, so the
// reading goes on from the cut in another round, after a new cut. Only a subscription that is live (or has used up its
// rounds) conflates or drops samples, and says so.
//
// Aggregated queries and events have positions instead of queues: NoteAggregates and OnEvents say that there is news,
// which is taken when the receiver can (live_subscription_aggregates.cc, live_subscription_events.cc). Their history is
// read before that of the samples (`extras_`).
//
// A late sample may replace one of the few that the receiver has of a pixel column. So the columns of late samples are
// told anew, as amends: from a view of some commit, once all frames up to it are on their way
// (live_subscription_redraw.cc). Until then tokens stay before the late samples.
//
// A log that does not reach back to the resume token is no end: what the receiver has of the time since is restated
// from the store (LiveRestated), as far as samples are kept.
//
// Other queries (Update) are another topic: at one cut the subscription gets the last frame of the old topic and the
// first of the new one; what is pending then, the LiveUpdated and the backfill of the changed queries go through
// `staged_`, in this order.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/selector.h"
#include "server/events/event_log.h"
#include "server/live/frame_pump.h"
#include "server/live/frame_queue.h"
#include "server/live/hub.h"
#include "server/live/live_aggregation.h"
#include "server/live/live_topic.h"
#include "server/live/query_set.h"
#include "server/live/range_set.h"
#include "server/live/ref_table.h"
#include "server/live/resume_token.h"
#include "server/query/series_reader.h"

namespace pulseboard {

// Cuts of one opening, restatement or update; afterwards overflow is conflated and dropped, so that it comes to an end.
inline constexpr int32_t kMaxCatchUpRounds = 8;

// What subscriptions share. All of it outlives them, or their use of it: after Hub::Close they are ended.
struct LiveContext {
  const HubOptions& options;
  SubscriptionIndex& index;
  FramePump& pump;
  WorkerPool& readers;
  std::atomic<Store*>& store;
  std::atomic<QueryEngine*>& queries;  // may be null, as the next one; then no subscription needs it
  std::atomic<EventLog*>& events;
  std::shared_ptr<RefTable> refs;
  std::atomic<int64_t> frames_made{0};
  std::atomic<int64_t> widened_ticks{0};
  std::atomic<int64_t> frames{0};
  std::atomic<int64_t> delivered_samples{0};
  std::atomic<int64_t> late_samples{0};
  std::atomic<int64_t> dropped_samples{0};
  std::atomic<int64_t> conflated_samples{0};
  std::atomic<int64_t> catch_ups{0};
  std::atomic<int64_t> slow_consumers{0};
  std::atomic<int64_t> buffered_bytes{0};
  std::atomic<int64_t> unshared_bytes{0};  // of frames that are counted among what is staged; nobody reads it

  const Clock& clock() const { return *options.clock; }
  // How much of `wanted` bytes a subscription may hold now.
  int64_t BufferShare(int64_t wanted) const;
};

// Thread-safe.
class LiveSubscription final : public Subscription,
                               public TopicMember,
                               public EventFollower,
                               public std::enable_shared_from_this<LiveSubscription> {
 public:
  // `spec` is coerced, `queries` are its ones. `resume_after`: position to go on after, nothing for a new start.
  LiveSubscription(LiveContext& context, SubscriptionSpec spec, LiveQuerySetPtr queries,
                   std::optional<ResumePosition> resume_after, std::weak_ptr<LiveSink> sink);
  ~LiveSubscription() override;

  void Start() override;
  void Ready() override;
  void Update(SubscriptionUpdate update) override;
  void Refuse(int64_t update_id, const absl::Status& why) override;
  void Drain(const absl::Status& status) override;
  void Close() override;

  // Ends with `status` as soon as a pump thread comes by.
  void Fail(const absl::Status& status);
  // Ends with `status` on this thread, now.
  void EndNow(const absl::Status& status);
  // On a pump thread: offers the next event, or ends.
  void Pump() override;
  // On a pump thread, about once a second: heartbeats and limits of time.
  void Sweep();

  // Lets go of the store's view. Only when no read job can run any more.
  void ReleaseView() {
    backfill_ = {};
    extras_ = {};
  }

  // --- for SubscriptionIndex, LiveTopic, LiveAggregation and EventLog ---
  LiveContext& context() const { return context_; }
  void FailTooManySeries() override;
  bool AppendFrame(const LiveTopic* topic, const LiveFramePtr& frame, int64_t tick_ns, bool pump_follows) override;
  void NoteStale(const LiveTopic* topic, const std::vector<uint32_t>& refs) override;
  std::shared_ptr<Pumped> pumped() override { return shared_from_this(); }
  // One of the aggregations has news, under its members_mu_.
  void NoteAggregates();
  void OnEvents() override;

 private:
  enum class Phase { kOpening, kBackfill, kCatchUp, kLive };

  // How much history of a series is wanted.
  struct History {
    SeriesId series = 0;
    uint32_t ref = 0;
    TimeRange range = {0, kAllTime.end};
    int64_t width = 0;  // of its pixel columns, which begin at multiples of it; 0: all samples
  };
  // Reading position in the backfill; only touched by the read job.
  struct Backfill {
    std::unique_ptr<ReadView> view;
    std::vector<History> histories;
    size_t next = 0;
    std::unique_ptr<SeriesReader> reader;  // of the history before `next`
    uint32_t ref = 0;                      // of the reader's series
    SampleColumns ready;                   // read, not staged yet
    size_t ready_at = 0;
    int64_t now_unix_nanos = 0;
    int64_t started_ns = 0;
    int64_t scanned_samples = 0;
    bool done() const { return reader == nullptr && next == histories.size() && ready_at == ready.size(); }
  };

  // History of aggregated queries and events; only touched by the read job.
  struct Extras {
    std::deque<std::pair<std::shared_ptr<LiveAggregation>, TimeRange>> aggregates;
    std::unique_ptr<AggregateReader> reader;  // of the front
    std::vector<std::string> event_ids;       // of the event queries to be read; empty: none
    EventListRequest events;                  // the next page
    int64_t last_event_id = 0;                // later ones are no history
    bool any() const { return !aggregates.empty() || !event_ids.empty(); }
  };
  // One aggregated query of the subscription.
  struct Aggregated {
    std::shared_ptr<LiveAggregation> source;
    std::vector<std::string> query_ids = {};
    size_t defined = 0;          // so many of its lines were defined to the receiver
    bool complete = false;       // its history was read
    int64_t position = 0;        // news up to here were taken
    int64_t history_commit = 0;  // commit that the history was read at
    int64_t known_to = 0;        // the receiver has all values as of this commit
  };

  // The read job: one step at a time, on the worker pool (live_subscription_reads.cc).
  void RequestReadLocked() PB_REQUIRES(mu_);
  void ReadStep();
  absl::Status ReadPhase(Phase phase, bool updates, bool redraws);
  absl::Status Open();
  // Makes the series of `queries` known to `topic`; the histories of those queries whose ids are in `only` (null: all).
  absl::StatusOr<std::vector<History>> SelectHistories(Store& store, const LiveQuerySet& queries, LiveTopic& topic,
                                                       const std::vector<LiveQuerySpec>* only);
  // The log no longer has what `cause` says: all from some time before the last token on is read from the store.
  absl::Status Restate(Store& store, const absl::Status& cause);
  std::shared_ptr<LiveTopic> topic() const;
  // Opens the view of the histories; `at_cut` runs inside the commit lock.
  absl::Status OpenBackfill(Store& store, std::vector<History> histories, const std::function<void(int64_t)>& at_cut);
  absl::Status CutWithoutView(Store& store);
  void FinishBackfillLocked() PB_REQUIRES(mu_);
  absl::Status ReadBackfill();
  absl::Status FillBackfillChunk(LiveBackfill* chunk);
  size_t AddPiece(size_t max_rows, LiveBackfill* chunk);
  LineRequest LineOf(const History& history) const;
  absl::Status BackfillTooBroad() const;
  absl::Status ReadLog();
  absl::Status ReadLogPart(Store& store, int64_t from, int64_t to);
  void CollectRows(const CommittedBatch& batch, const LiveTopic& topic, std::vector<PendingRow>* rows);
  void AttachAtCut(int64_t commit_sequence);
  void AttachLocked(int64_t commit_sequence) PB_REQUIRES(mu_);

  // Aggregated queries (live_subscription_aggregates.cc). Joins those of `queries`; those that are kept from `before`
  // and not among `only` (null: all) go on, the others get their history read.
  absl::StatusOr<std::vector<Aggregated>> JoinAggregates(Store& store, const LiveQuerySet& queries,
                                                         std::vector<Aggregated> before,
                                                         const std::vector<LiveQuerySpec>* only, Extras* extras);
  // Leaves those of `some` that are not in `others`.
  void LeaveAggregates(const std::vector<Aggregated>& some, const std::vector<Aggregated>& others);
  std::vector<Aggregated> aggregates() const;
  absl::Status ReadAggregates();
  bool HasAggregateNewsLocked() const PB_REQUIRES(mu_);
  std::optional<LiveEvent> TakeAggregatesLocked() PB_REQUIRES(mu_);
  // The smallest commit as of which all aggregated values were sent.
  int64_t AggregatesKnownToLocked() PB_REQUIRES(mu_);

  // Columns told anew (live_subscription_redraw.cc).
  void NoteRedrawsLocked(const std::vector<LiveFramePtr>& frames) PB_REQUIRES(mu_);
  // One is due, or will be: then the pump comes by.
  bool RedrawDueLocked() PB_REQUIRES(mu_);
  absl::Status Redraw();
  std::vector<History> TakeRedraws();
  void CutForRedraw(int64_t commit_sequence);
  absl::Status ReadRedraw();
  // Those columns could not be read: the receiver learns that it lacks them.
  void GiveUpRedrawLocked(const std::vector<History>& histories) PB_REQUIRES(mu_);
  void FinishRedrawLocked() PB_REQUIRES(mu_);
  // All up to here is sent but late samples whose columns are to be told anew.
  int64_t RedrawnToLocked() const PB_REQUIRES(mu_);

  // Events (live_subscription_events.cc).
  absl::Status FollowEvents(const LiveQuerySet& queries, Extras* extras);
  void PrepareEventHistory(const std::vector<LiveEventQuerySpec>& queries, Extras* extras) const;
  absl::Status ReadEventHistory();
  void RequestEventsLocked() PB_REQUIRES(mu_);
  void ReadEvents();
  void StageEventsLocked(const LiveQuerySet& queries, const std::vector<Event>& events,
                         const std::vector<std::string>* only) PB_REQUIRES(mu_);
  void UnfollowEvents();

  // Other queries (live_subscription_update.cc).
  absl::Status CarryOutUpdate();
  absl::StatusOr<LiveQuerySetPtr> CheckUpdate(const SubscriptionUpdate& update);
  absl::Status SwitchTo(const SubscriptionUpdate& update, LiveQuerySetPtr queries,
                        const std::shared_ptr<LiveTopic>& topic, const std::vector<Aggregated>& aggregates,
                        Extras extras);
  // All that is defined and pending follows what is staged.
  void StagePendingLocked() PB_REQUIRES(mu_);
  void LeaveOldQueriesLocked(const SubscriptionUpdate& update) PB_REQUIRES(mu_);
  void TakeNewQueriesLocked(LiveQuerySetPtr queries, std::shared_ptr<LiveTopic> topic,
                            const std::vector<Aggregated>& aggregates, int64_t commit_sequence) PB_REQUIRES(mu_);
  size_t ChunkRows() const;
  void StageLocked(LiveEvent event, int64_t bytes) PB_REQUIRES(mu_);

  // Events (live_subscription.cc).
  void ScheduleLocked(int64_t due_ns) PB_REQUIRES(mu_);
  std::optional<LiveEvent> NextEventLocked(int64_t now) PB_REQUIRES(mu_);
  void BecomeLiveLocked() PB_REQUIRES(mu_);
  std::optional<LiveEvent> NextLiveEventLocked(int64_t now) PB_REQUIRES(mu_);
  bool HasUndefinedLocked() const PB_REQUIRES(mu_);
  LiveEvent TakeDefinitionsLocked() PB_REQUIRES(mu_);
  // Samples, then amends when there are; what of it is an event of its own comes second.
  std::pair<LiveEvent, std::optional<LiveEvent>> TakeFramesLocked() PB_REQUIRES(mu_);
  // When the pending frames may go.
  int64_t FrameDueLocked() const PB_REQUIRES(mu_);
  LiveEvent TakeSamplesLocked() PB_REQUIRES(mu_);
  int64_t PixelWidthLocked(uint32_t ref) const PB_REQUIRES(mu_);
  LiveEvent ProgressLocked() PB_REQUIRES(mu_);
  // Samples, then amends; their tokens say that all up to `position` was sent after the last of them.
  std::pair<LiveEvent, std::optional<LiveEvent>> FrameEventsLocked(std::vector<LiveFramePtr> frames, int64_t position)
      PB_REQUIRES(mu_);
  // For an event after which all up to `commit_sequence` was sent.
  std::string TokenLocked(int64_t commit_sequence) PB_REQUIRES(mu_);
  // For samples of commits up to `samples_sequence` whose amends are still to come.
  std::string SamplesTokenLocked(int64_t samples_sequence) PB_REQUIRES(mu_);
  void ForgetLocked() PB_REQUIRES(mu_);
  absl::Status TooManySeries() const;
  bool ended() const;
  int64_t BufferLimit() const { return context_.BufferShare(spec_.max_buffer_bytes); }
  int64_t PendingLimitLocked() const PB_REQUIRES(mu_);
  // Reading goes on while little that was read waits; an update waits until it is live.
  bool WantsReadLocked() PB_REQUIRES(mu_);
  // Brings `context_.buffered_bytes` up to date; after every change of what is held.
  void AccountLocked() PB_REQUIRES(mu_);

  LiveContext& context_;
  const SubscriptionSpec spec_;
  const std::optional<ResumePosition> resume_after_;
  const int64_t frame_interval_ns_;
  const std::weak_ptr<LiveSink> sink_;
  const int64_t ends_ns_;  // when it is too old
  Backfill backfill_;
  Extras extras_;

  mutable Mutex mu_;
  Phase phase_ PB_GUARDED_BY(mu_) = Phase::kOpening;
  bool started_ PB_GUARDED_BY(mu_) = false;
  bool ended_ PB_GUARDED_BY(mu_) = false;                   // nothing more is offered
  std::optional<absl::Status> failure_ PB_GUARDED_BY(mu_);  // to end with, at once
  std::optional<absl::Status> drain_ PB_GUARDED_BY(mu_);    // to end with, after what is pending
  bool final_progress_sent_ PB_GUARDED_BY(mu_) = false;
  bool in_flight_ PB_GUARDED_BY(mu_) = false;       // an event is with the sink
  bool answered_ PB_GUARDED_BY(mu_) = false;        // the first event was offered
  int64_t accounted_bytes_ PB_GUARDED_BY(mu_) = 0;  // our part of context_.buffered_bytes
  int64_t offered_ns_ PB_GUARDED_BY(mu_) = 0;       // when the last one went there
  int64_t next_frame_ns_ PB_GUARDED_BY(mu_) = 0;    // when the next live frame may go
  int64_t last_tick_ns_ PB_GUARDED_BY(mu_) = 0;     // of the newest frame
  int64_t scheduled_ns_ PB_GUARDED_BY(mu_) = std::numeric_limits<int64_t>::max();

  LiveQuerySetPtr queries_ PB_GUARDED_BY(mu_);
  std::shared_ptr<LiveTopic> topic_ PB_GUARDED_BY(mu_);  // null until opening
  size_t defined_ PB_GUARDED_BY(mu_) = 0;                // so many of the topic's series were defined to the receiver
  std::vector<Aggregated> aggregates_ PB_GUARDED_BY(mu_);
  uint64_t follower_id_ PB_GUARDED_BY(mu_) = 0;  // in the event log; 0: none
  int64_t event_id_ PB_GUARDED_BY(mu_) = 0;      // events up to here were staged
  bool event_news_ PB_GUARDED_BY(mu_) = false;   // perhaps, since then
  bool reading_events_ PB_GUARDED_BY(mu_) = false;
  std::optional<SubscriptionUpdate> update_ PB_GUARDED_BY(mu_);  // to be carried out once live
  bool switching_ PB_GUARDED_BY(mu_) = false;  // a LiveUpdated is staged: definitions are for after it

  bool reading_ PB_GUARDED_BY(mu_) = false;                              // a read job waits or runs
  std::deque<std::pair<LiveEvent, int64_t>> staged_ PB_GUARDED_BY(mu_);  // read, not sent; with their bytes
  int64_t staged_bytes_ PB_GUARDED_BY(mu_) = 0;

  // By ref and width: columns to be told anew, of commits after `redraw_after_`.
  std::map<std::pair<uint32_t, int64_t>, RangeSet> redraw_ PB_GUARDED_BY(mu_);
  int64_t redraw_after_ PB_GUARDED_BY(mu_) = 0;
  std::optional<int64_t> redrawing_after_ PB_GUARDED_BY(mu_);  // of the ones being read
  int64_t redraw_began_ns_ PB_GUARDED_BY(mu_) = 0;
  int64_t next_redraw_ns_ PB_GUARDED_BY(mu_) = 0;

  bool attached_ PB_GUARDED_BY(mu_) = false;   // commits are appended to pending_
  int64_t read_to_ PB_GUARDED_BY(mu_) = 0;     // commits read (or skipped) so far
  int64_t token_at_ PB_GUARDED_BY(mu_) = 0;    // commit of the last token that says "all"
  int64_t samples_at_ PB_GUARDED_BY(mu_) = 0;  // the same but for late samples
  int64_t sent_time_ PB_GUARDED_BY(mu_) = 0;   // by the server's clock: all that committed before was sent, or read
  int64_t cut_ PB_GUARDED_BY(mu_) = 0;         // last commit before pending_; reading goes up to here
  int32_t rounds_ PB_GUARDED_BY(mu_) = 0;      // cuts made
  FrameQueue pending_ PB_GUARDED_BY(mu_);
  std::vector<uint32_t> stale_ PB_GUARDED_BY(mu_);  // to be told once all frames are sent
  int64_t dropped_total_ PB_GUARDED_BY(mu_) = 0;
  int64_t conflated_total_ PB_GUARDED_BY(mu_) = 0;
};

}  // namespace pulseboard
