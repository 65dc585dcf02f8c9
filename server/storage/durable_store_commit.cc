// From Append to AppendDone.
#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"

namespace pulseboard {
namespace {

// Bounds the latency of what is queued behind a group.
constexpr int64_t kMaxGroupBytes = 16 << 20;
// A log record's length must stay far from its format's limit.
constexpr int64_t kMaxBatchBytes = 256 << 20;
constexpr int64_t kBacklogRetryAfterMs = 100;
constexpr int64_t kRequestOverheadBytes = 256;
constexpr std::chrono::milliseconds kHeadRoomCheck{100};

int64_t RequestBytes(const AppendBatch& batch) {
  return kRequestOverheadBytes + static_cast<int64_t>(batch.producer_id.size()) +
         static_cast<int64_t>(batch.size() * (sizeof(SeriesId) + sizeof(int64_t) + sizeof(double)));
}

}  // namespace

absl::Status DurableStore::Append(AppendBatch batch, AppendDone done) {
  if (batch.times.size() != batch.size() || batch.values.size() != batch.size()) {
    return MakeError(ErrorReason::kInternal, "BUG: columns of unequal length");
  }
  PB_RETURN_IF_ERROR(health_.Check());
  if (batch.visit == nullptr) batch.visit = index_->BeginVisit();
  Request request;
  request.bytes = RequestBytes(batch);
  if (request.bytes > kMaxBatchBytes) {
    return BadField("batch", std::to_string(request.bytes) + " bytes", "at most " + std::to_string(kMaxBatchBytes));
  }
  request.batch = std::move(batch);
  request.done = std::move(done);
  MutexLock lock(&queue_mu_);
  if (closing_) return MakeError(ErrorReason::kShuttingDown, "the store is closing");
  if (queue_bytes_ > 0 && queue_bytes_ + request.bytes > options_.append_queue_bytes) {
    return WithRetryAfterMs(MakeError(ErrorReason::kIngestBacklogFull,
                                      "append queue holds " + std::to_string(queue_bytes_) + " bytes of at most " +
                                          std::to_string(options_.append_queue_bytes),
                                      {{"queueBytes", std::to_string(queue_bytes_)},
                                       {"maxQueueBytes", std::to_string(options_.append_queue_bytes)}}),
                            kBacklogRetryAfterMs);
  }
  queue_bytes_ += request.bytes;
  queue_.push_back(std::move(request));
  queue_changed_.NotifyOne();
  return absl::OkStatus();
}

void DurableStore::CommitLoop() {
  Group group;
  while (TakeGroup(&group)) {
    WaitForHeadRoom();
    CommitGroup(&group);
    Complete(std::exchange(group, Group()));
  }
}

bool DurableStore::TakeGroup(Group* group) {
  MutexLock lock(&queue_mu_);
  while (queue_.empty() && !closing_) queue_changed_.Wait(&queue_mu_);
  if (queue_.empty()) return false;
  // At worst each sample opens a chunk in a series of its own.
  const int64_t max_bytes = std::min(kMaxGroupBytes, MaxGrowth() / Head::kWorstGrowth);
  int64_t bytes = 0;
  size_t count = 0;
  while (count < queue_.size() && (count == 0 || bytes + queue_[count].bytes <= max_bytes)) {
    bytes += queue_[count++].bytes;
  }
  if (count == queue_.size()) {
    *group = std::exchange(queue_, Group());
    return true;
  }
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  group->assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return true;
}

void DurableStore::WaitForHeadRoom() {
  while (health_.Check().ok()) {
    {
      MutexLock lock(&commit_mu_);
      if (head_.bytes() <= FullBytes()) return;
      // Waiting helps only as long as sealing works: otherwise writers are told.
      if (!sealing_status_.ok()) health_.SetSealing(sealing_status_);
    }
    WakeMaintainer();
    MutexLock lock(&commit_mu_);
    if (head_.bytes() > FullBytes()) head_room_.WaitFor(&commit_mu_, kHeadRoomCheck);
  }
}

void DurableStore::CommitGroup(Group* group) {
  MutexLock group_lock(&group_mu_);
  absl::Status status = health_.Check();
  if (status.ok()) {
    int64_t next_commit = 0;
    {
      MutexLock lock(&commit_mu_);
      next_commit = last_commit_ + 1;
    }
    GroupProducers producers;
    AckMode mode = AckMode::kBuffered;
    for (Request& request : *group) {
      AddToLog(&request, &next_commit, &producers);
      if (request.result.ok() && request.batch.ack_mode == AckMode::kFsynced) mode = AckMode::kFsynced;
    }
    status = wal_->CommitGroup(mode);
    if (!status.ok()) {
      health_.SetLog(status);
      if (HasReason(status, ErrorReason::kDiskFull)) wal_->WatchForSpace();
    }
  }
  if (!status.ok()) {
    FailGroup(group, StoreHealth::AsRefusal(status));
    return;
  }
  newest_.Accept();
  const bool fsynced = wal_->synced();
  bool needs_sealing = false;
  for (Request& request : *group) {
    if (request.in_log) Apply(&request);
  }
  {
    MutexLock lock(&commit_mu_);
    for (Request& request : *group) {
      if (!request.result.ok()) continue;
      request.result->fsynced = fsynced;
      if (!fsynced) ++counters_.buffered_batches;
      if (request.result->duplicate) {
        request.result->commit_sequence = last_commit_;
        ++counters_.duplicate_batches;
      }
    }
    needs_sealing = head_.sealing_count() > 0 || head_.HasLongBeyond(OpenBytes()) || head_.bytes() > PressureBytes();
  }
  if (needs_sealing) WakeMaintainer();
}

void DurableStore::AddToLog(Request* request, int64_t* next_commit, GroupProducers* producers) {
  const AppendBatch& batch = request->batch;
  if (!batch.producer_id.empty()) {
    const auto [it, inserted] = producers->try_emplace({batch.tenant, batch.producer_id}, 0);
    if (inserted) it->second = ProducerPosition(batch.tenant, batch.producer_id);
    if (batch.sequence <= it->second) {
      request->result = CommitReceipt{0, /*duplicate=*/true, /*fsynced=*/false};
      return;
    }
    it->second = batch.sequence;
  }
  std::vector<SeriesInfoPtr> definitions;
  if (!CollectDefinitions(request, &definitions)) {
    request->result =
        MakeError(ErrorReason::kInternal, "BUG: a batch names a series that does not exist in its tenant");
    return;
  }
  request->in_log = true;
  request->commit_sequence = (*next_commit)++;
  for (const SeriesId id : request->new_series) newest_.AddNew(id);
  newest_.Judge(
      batch.series, batch.times, [this](SeriesId series) { return NewestSealedTime(series); }, &request->late);
  wal_->AddToGroup(request->commit_sequence, options_.clock->NowUnixNanos(), batch, definitions, request->late);
}

// Finds the series whose definition no record before this one carries. False for an unknown series.
bool DurableStore::CollectDefinitions(Request* request, std::vector<SeriesInfoPtr>* definitions) {
  for (const SeriesId id : request->batch.series) {
    if (id < defined_.size() && defined_[static_cast<size_t>(id)]) continue;
    SeriesInfoPtr info = index_->Get(id);
    if (info == nullptr || info->tenant != request->batch.tenant) {
      for (const SeriesId taken : request->new_series) defined_[static_cast<size_t>(taken)] = false;
      request->new_series.clear();
      return false;
    }
    index_->Revive(id);  // it may have been forgotten since the pusher found it
    if (id >= defined_.size()) defined_.resize(static_cast<size_t>(id) * 2 + 64);
    defined_[static_cast<size_t>(id)] = true;
    request->new_series.push_back(id);
    definitions->push_back(std::move(info));
  }
  return true;
}

int64_t DurableStore::NewestSealedTime(SeriesId series) const {
  const absl::StatusOr<std::optional<Sample>> sealed = LatestFromBlocks(series);
  if (!sealed.ok()) {
    // A damaged block must not stop what is new from being stored.
    PB_LOG(Error, "storage", "took for empty series={} error={}", series, StatusMessage(sealed.status()));
    return NewestTimes::kNone;
  }
  return *sealed ? (*sealed)->time_unix_nanos : NewestTimes::kNone;
}

void DurableStore::FailGroup(Group* group, const absl::Status& status) {
  newest_.Reject();
  for (Request& request : *group) {
    for (const SeriesId id : request.new_series) defined_[static_cast<size_t>(id)] = false;
    // A duplicate of something in this very group has nothing durable to point to either: all fail.
    request.in_log = false;
    request.result = status;
  }
}

void DurableStore::Apply(Request* request) {
  const AppendBatch& batch = request->batch;
  CommittedBatch committed;
  committed.commit_sequence = request->commit_sequence;
  committed.tenant = batch.tenant;
  committed.series = batch.series;
  committed.times = batch.times;
  committed.values = batch.values;
  committed.pushed_unix_nanos = batch.pushed_unix_nanos;
  committed.received_unix_nanos = batch.received_unix_nanos;
  committed.committed_unix_nanos = options_.clock->NowUnixNanos();
  committed.late = request->late;
  const int64_t now = options_.clock->MonotonicNanos();

  MutexLock lock(&commit_mu_);
  for (const SeriesId id : request->new_series) head_.AddNewSeries(id);
  for (const SeriesId id : request->new_series) forgotten_.erase(id);
  unsaved_series_.insert(unsaved_series_.end(), request->new_series.begin(), request->new_series.end());
  head_.Apply(request->commit_sequence, now, batch.series, batch.times, batch.values);
  for (const int64_t time : batch.times) newest_time_ = std::max(newest_time_, time);
  counters_.late_samples += static_cast<int64_t>(request->late.size());
  if (!batch.producer_id.empty()) {
    producers_.Advance(batch.tenant, batch.producer_id, {batch.sequence, request->commit_sequence});
  }
  last_commit_ = request->commit_sequence;
  ++counters_.committed_batches;
  counters_.committed_samples += static_cast<int64_t>(batch.size());
  if (observer_ != nullptr) observer_->OnCommit(committed);
  request->result = CommitReceipt{request->commit_sequence, /*duplicate=*/false, /*fsynced=*/false};
}

void DurableStore::Complete(Group group) {
  MutexLock lock(&done_mu_);
  done_.push_back(std::move(group));
  done_changed_.NotifyOne();
}

void DurableStore::CompletionLoop() {
  while (true) {
    Group group;
    {
      MutexLock lock(&done_mu_);
      while (done_.empty() && !done_closing_) done_changed_.Wait(&done_mu_);
      if (done_.empty()) return;
      group = std::move(done_.front());
      done_.pop_front();
    }
    int64_t bytes = 0;
    for (Request& request : group) {
      if (request.done) request.done(request.result);
      bytes += request.bytes;
    }
    MutexLock lock(&queue_mu_);
    queue_bytes_ -= bytes;
  }
}

int64_t DurableStore::ProducerPosition(TenantId tenant, std::string_view producer_id) const {
  MutexLock lock(&commit_mu_);
  return producers_.Find(tenant, producer_id);
}

}  // namespace pulseboard
