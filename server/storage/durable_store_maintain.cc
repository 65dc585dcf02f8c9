// Sealing, checkpoints, retention: everything that happens behind the commit path's back.
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

// Chunks of one batch: few long ones or many short ones. Their buffers stay until it is written.
constexpr size_t kChunksPerBatch = 1024;
constexpr int64_t kSamplesPerBatch = 256 << 10;
constexpr size_t kSeriesPerBatch = 4096;
constexpr int64_t kWindowsAheadNanos = 6 * 3600 * kNanosPerSecond;
constexpr int64_t kCloseAfterNanos = kNanosPerHour;
// After a failure: the first, and each time twice as long, up to the last.
constexpr std::chrono::milliseconds kFirstRetry{10};
constexpr std::chrono::milliseconds kLastRetry{640};
// For remembering which rows are not flushed (16 to 28 bytes each).
constexpr int64_t kMaxUnflushedBytes = 8 << 20;
constexpr int64_t kFlushPatienceNanos = kNanosPerSecond;
// Sealing waits for a slice at most.
constexpr int64_t kRollupSliceNanos = 20 * kNanosPerMilli;
// Late samples come in crowds: what they touched is filled again this often.
constexpr int64_t kFillPunchedEveryNanos = 60 * kNanosPerSecond;

}  // namespace

void DurableStore::WakeMaintainer() {
  MutexLock lock(&wake_mu_);
  wake_ = true;
  wake_changed_.NotifyOne();
}

void DurableStore::MaintainLoop() {
  using std::chrono::steady_clock;
  const auto interval = std::chrono::nanoseconds(options_.checkpoint_interval_ns);
  auto next_checkpoint = steady_clock::now() + interval;
  absl::Status status;
  bool more = false;  // to be done at once, though nobody asks
  std::chrono::milliseconds retry = kFirstRetry;
  while (true) {
    {
      const bool failing = !status.ok();
      const auto retry_at = failing ? steady_clock::now() + retry : next_checkpoint;
      retry = failing ? std::min(retry * 2, kLastRetry) : kFirstRetry;
      MutexLock lock(&wake_mu_);
      // After a failure nothing but time helps: further wake-ups wait for the retry.
      while (!stop_maintainer_ && !((wake_ || more) && !failing)) {
        const auto left = std::min(retry_at, next_checkpoint) - steady_clock::now();
        if (left <= steady_clock::duration::zero() || !wake_changed_.WaitFor(&wake_mu_, left)) break;
      }
      if (stop_maintainer_) return;
      wake_ = false;
    }
    more = false;
    const bool recovered = RecoverRocks();
    MutexLock lock(&maintenance_mu_);
    status = recovered ? SealPending() : health_.rocks();
    const bool pressed = status.ok() && RelievePressure();
    if (status.ok() && (pressed || steady_clock::now() >= next_checkpoint)) {
      status = CheckpointLocked(FlushWhen::kDue);
      next_checkpoint = steady_clock::now() + interval;
    }
    if (status.ok() && rollups_->HasWork()) {
      status = WorkOnRollups(kRollupSliceNanos);
      more = rollups_->HasWork();
    }
    if (!status.ok() && recovered) PB_LOG(Error, "storage", "failed maintenance error={}", StatusMessage(status));
    MutexLock commit_lock(&commit_mu_);
    sealing_status_ = status;
    if (status.ok()) health_.SetSealing(status);
    head_room_.NotifyAll();
  }
}

// True when open chunks had to be given up early, to free memory or log.
bool DurableStore::RelievePressure() {
  const bool log_full = wal_->BytesAfter(saved_checkpoint_) > options_.wal_recovery_bytes / 2;
  MutexLock lock(&commit_mu_);
  if (!log_full && head_.bytes() <= PressureBytes()) return false;
  head_.SealOldestHalf();
  return true;
}

absl::Status DurableStore::StallStatus() const {
  const char* why = nullptr;
  if (rocks_->IsWriteStopped()) why = "RocksDB takes no writes until compaction has caught up";
  if (why == nullptr && rocks_->WriteBuffersFull(kFlushPatienceNanos))
    why = "RocksDB's write buffers wait for the disk";
  if (why == nullptr) return absl::OkStatus();
  return MakeError(ErrorReason::kWriteStalled, std::string(why) + ", and the memory for new samples is full");
}

absl::Status DurableStore::SealPending() {
  PB_RETURN_IF_ERROR(FinishDeletes());
  size_t left = 0;
  {
    MutexLock lock(&commit_mu_);
    head_.SealLong(OpenBytes());
    left = head_.sealing_count();
  }
  return SealOldest(left);
}

absl::Status DurableStore::SealOldest(size_t left) {
  // A block never holds what a power cut may still take from the log. (There is no log yet while it is replayed.)
  if (left > 0 && wal_ != nullptr) PB_RETURN_IF_ERROR(wal_->Sync());
  while (left > 0) {
    std::vector<SealingChunkPtr> chunks;
    {
      MutexLock lock(&commit_mu_);
      chunks = head_.Sealing(std::min(left, kChunksPerBatch), kSamplesPerBatch);
    }
    PB_RETURN_IF_ERROR(StallStatus());
    SealStats stats;
    PB_RETURN_IF_ERROR(sealer_->Seal(
        chunks, [this](TenantId tenant) { return RawFloor(tenant); }, &stats));
    // Only now do the samples leave the head: a view sees them there, here or in both, and never nowhere.
    MutexLock lock(&commit_mu_);
    head_.RemoveSealed(chunks);
    counters_.sealed_blocks += stats.blocks;
    counters_.sealed_samples += stats.samples;
    counters_.sealed_bytes += stats.bytes;
    head_room_.NotifyAll();
    left -= chunks.size();
  }
  return absl::OkStatus();
}

// Of the log that recovery may have to read, half is for samples in the head, a quarter for what is sealed and not
// flushed; the rest is for the time that flushing takes.
bool DurableStore::FlushIsDue() const {
  return wal_->BytesAfter(flushed_checkpoint_) - wal_->BytesAfter(saved_checkpoint_) >
             options_.wal_recovery_bytes / 4 ||
         rocks_->unflushed_bytes() > kMaxUnflushedBytes;
}

absl::Status DurableStore::Flush() {
  const int64_t checkpoint = saved_checkpoint_;
  PB_RETURN_IF_ERROR(rocks_->Flush());
  flushed_checkpoint_ = checkpoint;
  return absl::OkStatus();
}

absl::Status DurableStore::CheckpointWhenDue() {
  MutexLock lock(&maintenance_mu_);
  return CheckpointLocked(FlushWhen::kDue);
}

absl::Status DurableStore::Checkpoint() {
  MutexLock lock(&maintenance_mu_);
  PB_RETURN_IF_ERROR(CheckpointLocked(FlushWhen::kNow));
  rollups_->FillPunched();
  while (rollups_->HasWork()) PB_RETURN_IF_ERROR(WorkOnRollups(kRollupSliceNanos));
  return absl::OkStatus();
}

absl::Status DurableStore::CheckpointLocked(FlushWhen when) {
  {
    MutexLock lock(&commit_mu_);
    head_.SealOpenedBefore(options_.clock->MonotonicNanos() - options_.seal_age_ns);
  }
  PB_RETURN_IF_ERROR(SealPending());
  PB_RETURN_IF_ERROR(WriteCheckpoint());
  PurgeSeries();
  if (when == FlushWhen::kNow || FlushIsDue()) PB_RETURN_IF_ERROR(Flush());
  PB_RETURN_IF_ERROR(wal_->Free(flushed_checkpoint_));
  PB_RETURN_IF_ERROR(ForgetDeletes());
  if (const int64_t now = options_.clock->MonotonicNanos(); now >= filled_punched_at_ + kFillPunchedEveryNanos) {
    filled_punched_at_ = now;
    rollups_->FillPunched();
  }
  PB_RETURN_IF_ERROR(TendWindows());
  return ForgetSeries();
}

// Saves what the log tells beside samples, and up to which commit the log is no longer needed once this is flushed.
absl::Status DurableStore::WriteCheckpoint() {
  int64_t checkpoint = 0;
  int64_t newest_time = 0;
  std::vector<SeriesId> series;
  std::vector<ProducerTable::Change> producers;
  std::vector<SeriesId> forgotten;
  {
    MutexLock lock(&commit_mu_);
    const std::optional<int64_t> oldest = head_.OldestCommit();
    checkpoint = oldest ? *oldest - 1 : last_commit_;
    newest_time = newest_time_;
    series = std::exchange(unsaved_series_, {});
    producers = producers_.TakeChanges();
    // Until then the log may have samples of them that need the row.
    for (const auto& [id, last_commit] : forgotten_) {
      if (last_commit <= checkpoint) forgotten.push_back(id);
    }
  }
  if (checkpoint == saved_checkpoint_ && series.empty() && producers.empty() && forgotten.empty() &&
      !blocks_->presence().has_unsaved()) {
    return absl::OkStatus();
  }
  // The log must not be behind what the checkpoint says (it is after buffered commits only).
  absl::Status status = wal_->Sync();
  if (status.ok()) status = SaveSeries(series);
  rocksdb::WriteBatch batch;
  std::string key, value;
  for (const SeriesId id : forgotten) {
    key.clear();
    PutBigEndian(&key, id);
    if (status.ok()) status = FromRocks(batch.Delete(rocks_->fixed("series").get(), key), "forget series");
  }
  const absl::StatusOr<std::vector<Window>> windows = blocks_->presence().Save(&batch);
  status.Update(windows.status());
  for (const ProducerTable::Change& change : producers) {
    key = ProducerTable::Key(change.tenant, change.producer_id);
    const rocksdb::Status put = change.position.sequence == 0 ? batch.Delete(rocks_->fixed("producers").get(), key)
                                                              : batch.Put(rocks_->fixed("producers").get(), key,
                                                                          ProducerTable::Value(change.position));
    if (status.ok()) status = FromRocks(put, "save producer");
  }
  {
    MutexLock lock(&ages_mu_);
    series_ages_.Note(options_.clock->NowUnixNanos(), index_->next_id());
    value = series_ages_.Encode();
  }
  if (status.ok())
    status = FromRocks(batch.Put(rocks_->fixed("meta").get(), kSeriesAgesKey, value), "save ages of series");
  value.clear();
  PutLittleEndian(&value, checkpoint);
  if (status.ok()) status = FromRocks(batch.Put(rocks_->fixed("meta").get(), kCheckpointKey, value), "save checkpoint");
  value.clear();
  PutLittleEndian(&value, newest_time);
  if (status.ok())
    status = FromRocks(batch.Put(rocks_->fixed("meta").get(), kNewestTimeKey, value), "save newest time");
  if (status.ok()) status = rocks_->Write(&batch, "write checkpoint");
  MutexLock lock(&commit_mu_);
  if (status.ok()) {
    saved_checkpoint_ = checkpoint;
    for (const SeriesId id : forgotten) forgotten_.erase(id);
    return status;
  }
  if (windows.ok()) blocks_->presence().Unsave(*windows);
  unsaved_series_.insert(unsaved_series_.end(), series.begin(), series.end());
  producers_.ReturnChanges(std::move(producers));
  return status;
}

// In slices: there may be a million new ones.
absl::Status DurableStore::SaveSeries(std::span<const SeriesId> series) {
  for (size_t at = 0; at < series.size(); at += kSeriesPerBatch) {
    rocksdb::WriteBatch batch;
    std::string key, value;
    for (const SeriesId id : series.subspan(at, std::min(kSeriesPerBatch, series.size() - at))) {
      const SeriesInfoPtr info = index_->Get(id);
      if (info == nullptr) return MakeError(ErrorReason::kInternal, "BUG: no series " + std::to_string(id));
      key.clear();
      value.clear();
      PutBigEndian(&key, id);
      EncodeSeriesInfo(*info, &value);
      PB_RETURN_IF_ERROR(FromRocks(batch.Put(rocks_->fixed("series").get(), key, value), "save series"));
    }
    PB_RETURN_IF_ERROR(rocks_->Write(&batch, "save series"));
  }
  return absl::OkStatus();
}

// The windows of now and of soon exist before the first block needs them; those beyond the retention go.
absl::Status DurableStore::TendWindows() {
  const int64_t now = options_.clock->NowUnixNanos();
  for (const Tier& tier : tiers_) {
    // The first window of a rollup tier comes with its first span: many stores never need one.
    const bool in_use = tier.bucket_ns == kRawBucket || blocks_->Partitions()->Find(tier.bucket_ns, now) != nullptr;
    for (const int64_t time : {now, now + kWindowsAheadNanos}) {
      if (!in_use || !tier.filled) break;
      PB_RETURN_IF_ERROR(blocks_->ForWrite(tier.bucket_ns, time, tier.window_days).status());
    }
    for (const PartitionPtr& ended : blocks_->EndedBy(tier.bucket_ns, DroppedBefore(tier))) {
      PB_RETURN_IF_ERROR(TendWindow(tier, ended, &tier != &tiers_.back()));
    }
    for (const PartitionPtr& over : blocks_->EndedBy(tier.bucket_ns, now - kCloseAfterNanos - options_.seal_age_ns)) {
      if (over->window.end() > DroppedBefore(tier)) PB_RETURN_IF_ERROR(TendOver(tier, over));
    }
  }
  return EnforceRetention();
}

// A window beyond the retention goes, once all that is coarser has been filled over it.
absl::Status DurableStore::TendWindow(const Tier& tier, const PartitionPtr& ended, bool has_coarser) {
  if (has_coarser && tier.filled && !rollups_->IsSwept(ended->window, true)) {
    rollups_->Sweep(ended, true);
    return absl::OkStatus();
  }
  PB_RETURN_IF_ERROR(closer_->Forget(ended->window));  // before: a family of this name may come again
  PB_RETURN_IF_ERROR(blocks_->Drop(ended));
  rollups_->ForgetSweeps(ended->window);
  forget_due_ = true;
  return absl::OkStatus();
}

// A window that has been over for a while is swept once, so that what a restart forgot to fill is found, and compacted.
// One that was written to again is compacted again once that pays: its rewritten blocks are there twice.
absl::Status DurableStore::TendOver(const Tier& tier, const PartitionPtr& over) {
  if (closer_->IsClosed(over->window)) {
    if (!Rocks::NeedsCompaction(over->family)) return absl::OkStatus();
    PB_RETURN_IF_ERROR(closer_->Forget(over->window));
  }
  if (tier.bucket_ns == kRawBucket) {
    if (!rollups_->IsSwept(over->window, false)) {
      rollups_->Sweep(over, false);
      return absl::OkStatus();
    }
  } else {
    for (const PartitionPtr& raw : blocks_->Partitions()->Overlapping(kRawBucket, over->window.range())) {
      if (!closer_->IsClosed(raw->window)) return absl::OkStatus();  // more may be filled from it
    }
  }
  closer_->Close(over->window);
  return absl::OkStatus();
}

absl::Status DurableStore::WorkOnRollups(int64_t budget_ns) {
  PB_RETURN_IF_ERROR(rollups_->Work(budget_ns));
  {
    MutexLock lock(&commit_mu_);
    counters_.rollup_spans = rollups_->stats().written_spans;
    counters_.rollup_bytes = rollups_->stats().written_bytes;
  }
  return rollups_->HasWork() ? absl::OkStatus() : TendWindows();
}

}  // namespace pulseboard
