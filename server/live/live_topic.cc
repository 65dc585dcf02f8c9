#include "server/live/live_topic.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "server/live/live_subscription.h"
#include "server/storage/store.h"

namespace pulseboard {
namespace {

// So many rows are made a frame where they commit, before the tick: a frame is to fit into small buffers.
constexpr size_t kMaxPendingRows = 2'048;

}  // namespace

LiveTopic::LiveTopic(LiveContext& context, TopicKey key, std::vector<Selector> selectors)
    : context_(context), refs_(context.refs), key_(std::move(key)), selectors_(std::move(selectors)) {}

LiveTopic::~LiveTopic() {
  MutexLock lock(&series_mu_);
  for (const auto& [series, known] : known_) refs_->Release(series);
}

std::optional<uint32_t> LiveTopic::AddSeries(const std::shared_ptr<const SeriesInfo>& info,
                                             std::vector<int32_t> selectors, std::vector<SeriesId>* unrouted) {
  const auto limit = static_cast<size_t>(context_.options.max_series_per_subscription);
  MutexLock lock(&series_mu_);
  if (const auto it = known_.find(info->id); it != known_.end()) return series_[it->second.index].ref;
  if (known_.size() >= limit) ForgetGoneLocked(unrouted);
  if (known_.size() >= limit) return std::nullopt;
  const auto index = static_cast<uint32_t>(series_.size());
  const uint32_t ref = refs_->Hold(info->id);
  known_[info->id] = {index, false};
  by_ref_[ref] = index;
  series_.push_back({info, std::move(selectors), ref});
  cadences_.emplace_back();
  series_count_.store(series_.size(), std::memory_order_release);
  return ref;
}

void LiveTopic::ForgetGoneLocked(std::vector<SeriesId>* unrouted) {
  const Store* const store = context_.store;
  for (auto it = known_.begin(); it != known_.end();) {
    if (store == nullptr || store->GetSeries(it->first) != nullptr) {
      ++it;
      continue;
    }
    if (it->second.routed) unrouted->push_back(it->first);
    TopicSeries& gone = series_[it->second.index];
    by_ref_.erase(gone.ref);
    gone = {};
    cadences_[it->second.index] = {};
    refs_->Release(it->first);
    it = known_.erase(it);
  }
}

uint32_t LiveTopic::RefOf(SeriesId series) const {
  MutexLock lock(&series_mu_);
  const auto known = known_.find(series);
  return known == known_.end() ? 0 : series_[known->second.index].ref;
}

bool LiveTopic::MarkRouted(SeriesId series) {
  MutexLock lock(&series_mu_);
  const auto it = known_.find(series);
  return it != known_.end() && !std::exchange(it->second.routed, true);
}

std::vector<SeriesId> LiveTopic::TakeRoutes() {
  std::vector<SeriesId> routes;
  MutexLock lock(&series_mu_);
  for (auto& [series, known] : known_) {
    if (std::exchange(known.routed, false)) routes.push_back(series);
  }
  return routes;
}

std::vector<TopicSeries> LiveTopic::SeriesFrom(size_t first, size_t max) const {
  MutexLock lock(&series_mu_);
  if (first >= series_.size()) return {};
  const size_t end = first + std::min(max, series_.size() - first);
  return {series_.begin() + static_cast<ptrdiff_t>(first), series_.begin() + static_cast<ptrdiff_t>(end)};
}

TopicSeries LiveTopic::SeriesOf(uint32_t ref) const {
  MutexLock lock(&series_mu_);
  const auto index = by_ref_.find(ref);
  return index == by_ref_.end() ? TopicSeries() : series_[index->second];
}

std::vector<int32_t> LiveTopic::SelectorsOf(uint32_t ref) const {
  MutexLock lock(&series_mu_);
  const auto index = by_ref_.find(ref);
  return index == by_ref_.end() ? std::vector<int32_t>() : series_[index->second].selectors;
}

void LiveTopic::Collect(const CommittedBatch& batch, size_t begin, size_t end, size_t* late_at, bool only_late,
                        std::vector<PendingRow>* rows) const {
  MutexLock lock(&series_mu_);
  for (size_t i = begin; i < end; ++i) {
    const bool is_late = *late_at < batch.late.size() && batch.late[*late_at] == i;
    if (is_late) ++*late_at;
    if (only_late && !is_late) continue;
    if (const auto known = known_.find(batch.series[i]); known != known_.end()) {
      rows->push_back({series_[known->second.index].ref, is_late, batch.times[i], batch.values[i]});
    }
  }
}

void LiveTopic::Join(TopicMember* member) {
  MutexLock lock(&seal_mu_);
  members_.push_back(member);
}

void LiveTopic::Leave(TopicMember* member) {
  MutexLock lock(&seal_mu_);
  std::erase(members_, member);
}

void LiveTopic::AppendCommit(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows) {
  bool seal_here = false;
  NoteArrivals(rows, context_.clock().MonotonicNanos());
  {
    MutexLock lock(&mu_);
    pending_.Append(commit_sequence, times, rows);
    if (first_pending_.load(std::memory_order_relaxed) == 0) {
      first_pending_.store(commit_sequence, std::memory_order_release);
    }
    if (!std::exchange(scheduled_, true)) {
      context_.pump.Schedule(shared_from_this(), std::max(next_tick_ns_, context_.clock().MonotonicNanos()));
    }
    seal_here = pending_.size() >= kMaxPendingRows;
  }
  if (!seal_here) return;
  MutexLock lock(&seal_mu_);
  SealLocked(last_tick_ns_, nullptr);
}

void LiveTopic::NoteArrivals(std::span<const PendingRow> rows, int64_t now_ns) {
  MutexLock lock(&series_mu_);
  for (const PendingRow& row : rows) {
    if (row.late) continue;
    if (const auto index = by_ref_.find(row.ref); index != by_ref_.end()) cadences_[index->second].Note(now_ns);
  }
}

std::vector<uint32_t> LiveTopic::StaleRefs() const {
  std::vector<uint32_t> refs;
  MutexLock lock(&series_mu_);
  for (size_t i = 0; i < series_.size(); ++i) {
    if (cadences_[i].stale()) refs.push_back(series_[i].ref);
  }
  return refs;
}

std::vector<uint32_t> LiveTopic::StillStale(const std::vector<uint32_t>& refs) const {
  std::vector<uint32_t> out;
  MutexLock lock(&series_mu_);
  for (const uint32_t ref : refs) {
    const auto index = by_ref_.find(ref);
    if (index != by_ref_.end() && cadences_[index->second].stale()) out.push_back(ref);
  }
  return out;
}

void LiveTopic::SweepCadences() {
  std::vector<uint32_t> silent;
  const int64_t now = context_.clock().MonotonicNanos();
  {
    MutexLock lock(&series_mu_);
    for (size_t i = 0; i < series_.size(); ++i) {
      if (cadences_[i].FallsSilent(now)) silent.push_back(series_[i].ref);
    }
  }
  if (silent.empty()) return;
  MutexLock lock(&seal_mu_);
  for (TopicMember* member : members_) member->NoteStale(this, silent);
}

int64_t LiveTopic::GivenUpTo(int64_t published) const {
  const int64_t first_pending = first_pending_.load(std::memory_order_acquire);
  return first_pending == 0 ? published : std::min(published, first_pending - 1);
}

void LiveTopic::SealLocked(int64_t tick_ns, std::vector<std::shared_ptr<Pumped>>* ready) {
  PendingSamples taken;
  {
    MutexLock lock(&mu_);
    if (pending_.empty()) return;
    taken = std::exchange(pending_, {});
  }
  const LiveFramePtr frame = taken.TakeFrame(context_.buffered_bytes);
  ++context_.frames_made;
  for (TopicMember* member : members_) {
    if (member->AppendFrame(this, frame, tick_ns, ready != nullptr)) ready->push_back(member->pumped());
  }
  MutexLock lock(&mu_);
  first_pending_.store(pending_.empty() ? 0 : pending_.first_commit(), std::memory_order_release);
}

void LiveTopic::Pump() {
  const int64_t began = context_.clock().MonotonicNanos();
  std::vector<std::shared_ptr<Pumped>> ready;
  {
    MutexLock lock(&seal_mu_);
    last_tick_ns_ = began;
    SealLocked(began, &ready);
  }
  for (const auto& member : ready) member->Pump();
  const int64_t took = context_.clock().MonotonicNanos() - began;
  if (2 * took > key_.frame_interval_ns) ++context_.widened_ticks;
  MutexLock lock(&mu_);
  next_tick_ns_ = began + std::max(key_.frame_interval_ns, 2 * took);
  scheduled_ = !pending_.empty();
  if (scheduled_) context_.pump.Schedule(shared_from_this(), next_tick_ns_);
}

}  // namespace pulseboard
