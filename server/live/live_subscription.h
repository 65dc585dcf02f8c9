// LiveSubscription: the state machine of one subscription. Inside the live room; others see Subscription (hub.h).
//
//   opening ──> backfill ──> live <──> catching up
//      └── (resume token) ───────────────┘
//
// From the cut on (inside the store's commit lock) commits are appended to `pending_`, while the worker pool reads what
// came before the cut: the backfill's view, or the log. What was read is sent first. Should `pending_` overflow before
// the reading is done, it is forgotten and the subscription detaches: the log has it all, so the reading goes on from
// the cut in another round, after a new cut. Only a subscription that is live (or has used up its rounds) drops
// samples, and says so by a Gap.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/selector.h"
#include "server/live/hub.h"
#include "server/live/pending_samples.h"
#include "server/live/resume_token.h"
#include "server/query/series_reader.h"

namespace pulseboard {

// What subscriptions share. All of it outlives them, or their use of it: after Hub::Close they are ended.
struct LiveContext {
  const HubOptions& options;
  SubscriptionIndex& index;
  FramePump& pump;
  WorkerPool& readers;
  std::atomic<Store*>& store;
  std::atomic<int64_t> frames{0};
  std::atomic<int64_t> delivered_samples{0};
  std::atomic<int64_t> late_samples{0};
  std::atomic<int64_t> dropped_samples{0};
  std::atomic<int64_t> catch_ups{0};
  std::atomic<int64_t> slow_consumers{0};
  std::atomic<int64_t> buffered_bytes{0};

  const Clock& clock() const { return *options.clock; }
  // How much of `wanted` bytes a subscription may hold now.
  int64_t BufferShare(int64_t wanted) const;
};

// Thread-safe.
class LiveSubscription final : public Subscription, public std::enable_shared_from_this<LiveSubscription> {
 public:
  // `spec` is checked and coerced; `selectors` are its queries' ones, `queries_hash` their hash. `resume_after`: commit
  // to go on after, nothing for a new start.
  LiveSubscription(LiveContext& context, SubscriptionSpec spec, std::vector<Selector> selectors, uint64_t queries_hash,
                   std::optional<ResumePosition> resume_after, std::weak_ptr<LiveSink> sink);
  ~LiveSubscription() override;

  void Start() override;
  void Ready() override;
  void Drain(const absl::Status& status) override;
  void Close() override;

  // Ends with `status` as soon as a pump thread comes by.
  void Fail(const absl::Status& status);
  // Ends with `status` on this thread, now.
  void EndNow(const absl::Status& status);
  // On a pump thread: offers the next event, or ends.
  void Pump();
  // On a pump thread, about once a second: heartbeats and limits of time.
  void Sweep();

  // Lets go of the store's view. Only when no read job can run any more.
  void ReleaseView() { backfill_ = {}; }

  // --- for SubscriptionIndex, under its mutex ---
  TenantId tenant() const { return spec_.tenant; }
  const std::vector<Selector>& selectors() const { return selectors_; }
  // Makes the series known; its ref, or 0 once there are too many (the subscription then ends). `queries`: which it
  // answers.
  uint32_t AddSeries(const std::shared_ptr<const SeriesInfo>& info, const std::vector<int32_t>& queries);
  // True the first time.
  bool MarkRouted(SeriesId series);
  // The routed series, which are forgotten.
  std::vector<SeriesId> TakeRoutes();
  // Rows of the commit being published; guarded by the index's mutex.
  std::vector<PendingRow>& rows_in_commit() { return rows_in_commit_; }
  void AppendLive(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows);

 private:
  enum class Phase { kOpening, kBackfill, kCatchUp, kLive };

  struct Ref {
    uint32_t ref = 0;
    bool routed = false;
  };
  // How much history of a series is wanted.
  struct History {
    SeriesId series = 0;
    uint32_t ref = 0;
    int64_t start = 0;
    int32_t max_points = 0;
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
  };

  // The read job: one step at a time, on the worker pool (live_subscription_reads.cc).
  void RequestReadLocked() PB_REQUIRES(mu_);
  void ReadStep();
  absl::Status Open();
  absl::StatusOr<std::vector<History>> SelectHistories(Store& store);
  absl::Status CutWithView(Store& store, std::vector<History> histories);
  absl::Status CutWithoutView(Store& store);
  void FinishBackfillLocked() PB_REQUIRES(mu_);
  absl::Status ReadBackfill();
  absl::Status FillBackfillChunk(LiveBackfill* chunk);
  size_t AddPiece(size_t max_rows, LiveBackfill* chunk);
  absl::Status BackfillTooBroad() const;
  absl::Status ReadLog();
  absl::Status ReadLogPart(Store& store, int64_t from, int64_t to);
  void CollectRows(const CommittedBatch& batch, std::vector<PendingRow>* rows);
  void AttachAtCut(int64_t commit_sequence);
  size_t ChunkRows() const;
  void StageLocked(LiveEvent event, int64_t bytes) PB_REQUIRES(mu_);

  // Events (live_subscription.cc).
  void ScheduleLocked(int64_t due_ns) PB_REQUIRES(mu_);
  std::optional<LiveEvent> NextEventLocked(int64_t now) PB_REQUIRES(mu_);
  std::optional<LiveEvent> NextLiveEventLocked(int64_t now) PB_REQUIRES(mu_);
  LiveEvent TakeDefinitionsLocked() PB_REQUIRES(mu_);
  LiveEvent TakeSamplesLocked(int64_t now) PB_REQUIRES(mu_);
  LiveEvent ProgressLocked() PB_REQUIRES(mu_);
  // Stages samples, then amends; their tokens say that all up to `position` was sent after the last of them.
  void StageFrameLocked(SplitColumns columns, const LiveTimes& times, int64_t position) PB_REQUIRES(mu_);
  // For an event after which all up to `commit_sequence` was sent.
  std::string TokenLocked(int64_t commit_sequence) PB_REQUIRES(mu_);
  // For samples of commits up to `samples_sequence` whose amends are still to come.
  std::string SamplesTokenLocked(int64_t samples_sequence) const PB_REQUIRES(mu_);
  void ForgetLocked() PB_REQUIRES(mu_);
  bool ended() const;
  int64_t BufferLimit() const { return context_.BufferShare(spec_.max_buffer_bytes); }
  int64_t PendingLimitLocked() const PB_REQUIRES(mu_);
  // Reading goes on while little that was read waits.
  bool WantsReadLocked() const PB_REQUIRES(mu_);
  // Brings `context_.buffered_bytes` up to date; after every change of what is held.
  void AccountLocked() PB_REQUIRES(mu_);

  LiveContext& context_;
  const SubscriptionSpec spec_;
  const std::vector<Selector> selectors_;
  const uint64_t queries_hash_;
  const std::optional<ResumePosition> resume_after_;
  const int64_t frame_interval_ns_;
  const std::weak_ptr<LiveSink> sink_;
  std::vector<PendingRow> rows_in_commit_;
  Backfill backfill_;

  mutable Mutex mu_;
  Phase phase_ PB_GUARDED_BY(mu_) = Phase::kOpening;
  bool started_ PB_GUARDED_BY(mu_) = false;
  bool ended_ PB_GUARDED_BY(mu_) = false;                   // nothing more is offered
  std::optional<absl::Status> failure_ PB_GUARDED_BY(mu_);  // to end with, at once
  std::optional<absl::Status> drain_ PB_GUARDED_BY(mu_);    // to end with, after what is pending
  bool final_progress_sent_ PB_GUARDED_BY(mu_) = false;
  bool in_flight_ PB_GUARDED_BY(mu_) = false;  // an event is with the sink
  bool answered_ PB_GUARDED_BY(mu_) = false;   // the first event was offered
  int64_t in_flight_bytes_ PB_GUARDED_BY(mu_) = 0;
  int64_t accounted_bytes_ PB_GUARDED_BY(mu_) = 0;  // our part of context_.buffered_bytes
  int64_t offered_ns_ PB_GUARDED_BY(mu_) = 0;       // when the last one went there
  int64_t next_frame_ns_ PB_GUARDED_BY(mu_) = 0;    // when the next live frame may go
  int64_t scheduled_ns_ PB_GUARDED_BY(mu_) = std::numeric_limits<int64_t>::max();

  std::unordered_map<SeriesId, Ref> refs_ PB_GUARDED_BY(mu_);
  std::deque<LiveDefinition> undefined_ PB_GUARDED_BY(mu_);  // series not yet defined to the receiver

  bool reading_ PB_GUARDED_BY(mu_) = false;                              // a read job waits or runs
  std::deque<std::pair<LiveEvent, int64_t>> staged_ PB_GUARDED_BY(mu_);  // read, not sent; with their bytes
  int64_t staged_bytes_ PB_GUARDED_BY(mu_) = 0;

  bool attached_ PB_GUARDED_BY(mu_) = false;  // commits are appended to pending_
  int64_t read_to_ PB_GUARDED_BY(mu_) = 0;    // commits read (or skipped) so far
  int64_t token_at_ PB_GUARDED_BY(mu_) = 0;   // commit of the last token that says "all"
  int64_t cut_ PB_GUARDED_BY(mu_) = 0;        // last commit before pending_; reading goes up to here
  int32_t rounds_ PB_GUARDED_BY(mu_) = 0;     // cuts made
  PendingSamples pending_ PB_GUARDED_BY(mu_);
  int64_t dropped_total_ PB_GUARDED_BY(mu_) = 0;
};

}  // namespace pulseboard
