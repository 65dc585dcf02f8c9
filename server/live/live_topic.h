// LiveTopic: what all subscriptions that ask alike (tenant, selectors, frame rate) share: the series, and the frames
// made of their commits, each made once. Inside the live room.
//
// Commits are collected; a tick makes one frame of them and gives it to all members. The first commit after an idle
// time is sent at once, further ones wait for the next tick. A tick that took long makes the pause after it longer:
// load makes frames larger, never queues longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/labels.h"
#include "common/model/selector.h"
#include "server/live/cadence.h"
#include "server/live/frame_pump.h"
#include "server/live/pending_samples.h"
#include "server/live/ref_table.h"
#include "server/live/topic_member.h"

namespace pulseboard {

struct LiveContext;

// What a topic is known by; equal keys share one topic.
struct TopicKey {
  TenantId tenant = 0;
  int64_t frame_interval_ns = 0;
  std::vector<std::string> selectors;  // canonical texts, ascending, each once
  auto operator<=>(const TopicKey&) const = default;
};

struct TopicSeries {
  std::shared_ptr<const SeriesInfo> info;  // null: the series is gone
  std::vector<int32_t> selectors = {};     // which of the topic's selectors pick it, ascending
  uint32_t ref = 0;                        // see RefTable; set by the topic
};

// Thread-safe; see the lock order in hub.h.
class LiveTopic final : public Pumped, public std::enable_shared_from_this<LiveTopic> {
 public:
  LiveTopic(LiveContext& context, TopicKey key, std::vector<Selector> selectors);
  ~LiveTopic() override;

  const TopicKey& key() const { return key_; }
  const std::vector<Selector>& selectors() const { return selectors_; }  // in the order of the key

  // --- for SubscriptionIndex, under its mutex ---
  // Makes a series known; its ref. Nothing when there are too many: all members then end with QUERY_TOO_BROAD. Before
  // that, those that the store has forgotten go: `unrouted` are such of them as were routed.
  std::optional<uint32_t> AddSeries(const std::shared_ptr<const SeriesInfo>& info, std::vector<int32_t> selectors,
                                    std::vector<SeriesId>* unrouted) PB_EXCLUDES(series_mu_);
  // True the first time.
  bool MarkRouted(SeriesId series) PB_EXCLUDES(series_mu_);
  std::vector<SeriesId> TakeRoutes() PB_EXCLUDES(series_mu_);
  // Rows of the commit being published; guarded by the index's mutex.
  std::vector<PendingRow>& rows_in_commit() { return rows_in_commit_; }
  void AppendCommit(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows) PB_EXCLUDES(mu_);
  void Join(TopicMember* member) PB_EXCLUDES(seal_mu_);
  void Leave(TopicMember* member) PB_EXCLUDES(seal_mu_);
  int64_t users = 0;  // guarded by the index's mutex

  // --- inside the store's commit lock ---
  // Members get all commits up to now as frames; runs `at_cut` before any later one can be given out.
  template <typename AtCut>
  void Cut(const AtCut& at_cut) PB_EXCLUDES(seal_mu_) {
    MutexLock lock(&seal_mu_);
    SealLocked(last_tick_ns_, nullptr);
    at_cut();
  }

  // On a pump thread, about once a second: tells the members which series have fallen silent.
  void SweepCadences() PB_EXCLUDES(seal_mu_);
  // On a pump thread: the tick.
  void Pump() override PB_EXCLUDES(seal_mu_);

  // --- under any lock ---
  // All commits up to the answer were given to the members, if all up to `published` were published before the call.
  int64_t GivenUpTo(int64_t published) const;
  size_t series_count() const { return series_count_.load(std::memory_order_acquire); }
  // A copy of the series numbered `first` (from 0, in the order of their coming) and on, at most `max`.
  std::vector<TopicSeries> SeriesFrom(size_t first, size_t max) const PB_EXCLUDES(series_mu_);
  // The series of this ref; without info when it is none of the topic's.
  TopicSeries SeriesOf(uint32_t ref) const PB_EXCLUDES(series_mu_);
  // Which of the selectors pick the series of this ref; empty when it is none of the topic's.
  std::vector<int32_t> SelectorsOf(uint32_t ref) const PB_EXCLUDES(series_mu_);
  // The ref of one of the topic's series, 0 for others.
  uint32_t RefOf(SeriesId series) const PB_EXCLUDES(series_mu_);
  // Refs of series that have fallen silent by their own cadence and did not come since.
  std::vector<uint32_t> StaleRefs() const PB_EXCLUDES(series_mu_);
  // Those of `refs` for which this still holds.
  std::vector<uint32_t> StillStale(const std::vector<uint32_t>& refs) const PB_EXCLUDES(series_mu_);
  // Appends the rows of `batch` from `begin` to `end` that are of the topic's series. `late` as in CommittedBatch, from
  // `late_at` on, which moves on.
  void Collect(const struct CommittedBatch& batch, size_t begin, size_t end, size_t* late_at, bool only_late,
               std::vector<PendingRow>* rows) const PB_EXCLUDES(series_mu_);

 private:
  void NoteArrivals(std::span<const PendingRow> rows, int64_t now_ns) PB_EXCLUDES(series_mu_);
  // Makes a frame of what is pending and gives it to the members; those that can send at once are added to `ready`.
  void SealLocked(int64_t tick_ns, std::vector<std::shared_ptr<Pumped>>* ready) PB_REQUIRES(seal_mu_);
  // Lets go of series that the store has forgotten; those that were routed are added to `unrouted`.
  void ForgetGoneLocked(std::vector<SeriesId>* unrouted) PB_REQUIRES(series_mu_);

  LiveContext& context_;
  const std::shared_ptr<RefTable> refs_;
  const TopicKey key_;
  const std::vector<Selector> selectors_;
  std::vector<PendingRow> rows_in_commit_;

  Mutex seal_mu_;
  std::vector<TopicMember*> members_ PB_GUARDED_BY(seal_mu_);
  int64_t last_tick_ns_ PB_GUARDED_BY(seal_mu_) = std::numeric_limits<int64_t>::min() / 2;

  Mutex mu_;
  PendingSamples pending_ PB_GUARDED_BY(mu_);
  bool scheduled_ PB_GUARDED_BY(mu_) = false;
  int64_t next_tick_ns_ PB_GUARDED_BY(mu_) = 0;
  std::atomic<int64_t> first_pending_{0};  // oldest commit not given to the members yet; 0: none

  mutable Mutex series_mu_;  // a leaf
  struct Known {
    uint32_t index = 0;
    bool routed = false;
  };
  std::unordered_map<SeriesId, Known> known_ PB_GUARDED_BY(series_mu_);
  std::unordered_map<uint32_t, uint32_t> by_ref_ PB_GUARDED_BY(series_mu_);  // index of each ref
  std::vector<TopicSeries> series_ PB_GUARDED_BY(series_mu_);
  std::vector<Cadence> cadences_ PB_GUARDED_BY(series_mu_);  // of series_
  std::atomic<size_t> series_count_{0};
};

}  // namespace pulseboard
