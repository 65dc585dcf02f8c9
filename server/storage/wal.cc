#include "server/storage/wal.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>

#include "common/base/errors.h"
#include "common/base/log.h"

namespace pulseboard {
namespace {

constexpr int64_t kIndexEveryBytes = 256 << 10;
constexpr size_t kRememberedSyncs = 1024;
constexpr size_t kZerosPerWrite = 1 << 20;
constexpr std::chrono::milliseconds kSpaceRetry{200};

uint32_t RandomSalt() {
  std::random_device device;
  return device();
}

void RemoveOrLog(LogFileSystem* files, const std::string& path) {
  if (const absl::Status status = files->Remove(path); !status.ok()) {
    PB_LOG(Warning, "storage", "failed removing spare segment error={}", StatusMessage(status));
  }
}

}  // namespace

Wal::~Wal() {
  {
    MutexLock lock(&wanted_mu_);
    stop_syncing_ = true;
    wanted_changed_.NotifyAll();
  }
  if (syncer_.joinable()) syncer_.join();
  {
    MutexLock lock(&spare_mu_);
    stopping_ = true;
    spare_changed_.NotifyAll();
  }
  if (preparer_.joinable()) preparer_.join();
  MutexLock lock(&spare_mu_);
  if (spare_) RemoveOrLog(options_.files, spare_->path);
}

void Wal::AddToGroup(int64_t commit_sequence, int64_t committed_unix_nanos, const AppendBatch& batch,
                     std::span<const std::shared_ptr<const SeriesInfo>> definitions, std::span<const uint32_t> late) {
  const size_t offset = group_.size();
  ReserveFrame(&group_);
  EncodeWalRecord(commit_sequence, committed_unix_nanos, batch, definitions, late, &group_);
  frames_.push_back({offset, static_cast<uint32_t>(group_.size() - offset - kFrameHeaderBytes), commit_sequence});
}

absl::Status Wal::CommitGroup(AckMode mode) {
  absl::Status status = broken();
  if (status.ok() && frames_.empty()) {
    if (mode == AckMode::kFsynced) status = Sync();  // somebody asks again for what was only buffered
  } else if (status.ok()) {
    absl::StatusOr<SegmentPtr> segment =
        SegmentFor(frames_.front().commit_sequence, static_cast<int64_t>(group_.size()));
    status = segment.ok() ? WriteGroup(*segment, mode) : segment.status();
  }
  group_.clear();
  frames_.clear();
  return status;
}

absl::Status Wal::WriteGroup(const SegmentPtr& segment, AckMode mode) {
  int64_t offset = 0;
  int64_t synced = 0;
  {
    MutexLock lock(&mu_);
    offset = segment->used_bytes;
    synced = segment->synced_bytes;
  }
  for (const PendingFrame& frame : frames_) {
    FinishFrame(group_.data() + frame.offset, FrameType::kCommit, frame.payload_bytes, segment->header.salt, synced);
  }
  absl::Status status = segment->file->WriteAt(offset, group_);
  if (!status.ok()) status = Break(status);
  if (status.ok() && mode == AckMode::kFsynced) {
    status = SyncFile(segment->file.get(), synced == offset ? AtStake::kGroup : AtStake::kCommits);
  }
  if (!status.ok()) {
    AbandonSegment();
    return status;
  }
  bool wants_spare = false;
  {
    MutexLock lock(&mu_);
    for (const PendingFrame& frame : frames_) {
      const int64_t at = offset + static_cast<int64_t>(frame.offset);
      if (segment->index.empty() || at - segment->index.back().second >= kIndexEveryBytes) {
        segment->index.emplace_back(frame.commit_sequence, at);
      }
    }
    segment->used_bytes = offset + static_cast<int64_t>(group_.size());
    if (mode == AckMode::kFsynced) segment->synced_bytes = segment->used_bytes;
    segment->last_commit = frames_.back().commit_sequence;
    wants_spare = segment->used_bytes > segment->file_bytes / 2;
  }
  if (mode == AckMode::kBuffered) WantSync();
  if (wants_spare) {
    MutexLock lock(&spare_mu_);
    if (!spare_ && !spare_wanted_) {
      spare_wanted_ = true;
      spare_changed_.NotifyAll();
    }
  }
  return absl::OkStatus();
}

absl::Status Wal::SyncFile(LogFile* file, AtStake at_stake) {
  MutexLock lock(&sync_mu_);
  // Whoever synced before us may have been told of the loss of our bytes.
  PB_RETURN_IF_ERROR(broken());
  const int64_t start = options_.clock->MonotonicNanos();
  absl::Status status = file->Sync();
  if (status.ok()) {
    RememberSyncTime(options_.clock->MonotonicNanos() - start);
    return status;
  }
  // The kernel has forgotten which pages were lost. A group that nobody was told of may be written anew, elsewhere;
  // commits that were acknowledged as buffered can't be.
  if (at_stake == AtStake::kCommits && HasReason(status, ErrorReason::kDiskFull)) {
    status = MakeError(ErrorReason::kStoreReadOnly, "sync of buffered commits: " + StatusMessage(status),
                       {{"cause", StatusMessage(status)}});
  }
  return Break(status);
}

void Wal::RememberSyncTime(int64_t took_ns) {
  ++sync_count_;
  MutexLock lock(&mu_);
  if (recent_syncs_ns_.size() < kRememberedSyncs) {
    recent_syncs_ns_.push_back(took_ns);
  } else {
    recent_syncs_ns_[next_sync_slot_++ % kRememberedSyncs] = took_ns;
  }
}

// Only "no space" can be retried, in a new file.
absl::Status Wal::Break(const absl::Status& status) {
  if (status.ok() || HasReason(status, ErrorReason::kDiskFull)) return status;
  MutexLock lock(&mu_);
  if (broken_.ok()) broken_ = status;
  return status;
}

absl::Status Wal::broken() const {
  MutexLock lock(&mu_);
  return broken_;
}

// Cuts what a failed group may have left, so that none of it is ever replayed, and lets the next group begin a new
// segment.
void Wal::AbandonSegment() {
  int64_t used = 0;
  {
    MutexLock lock(&mu_);
    used = active_->used_bytes;
  }
  absl::Status cut = active_->file->Truncate(used);
  if (cut.ok()) {
    {
      MutexLock lock(&mu_);
      active_->file_bytes = used;
    }
    cut = Sync();  // it will have a successor: what is buffered in it must get to the disk
  }
  if (!cut.ok()) {
    MutexLock lock(&mu_);
    if (broken_.ok()) broken_ = WithContext(cut, "cut a failed group");
  }
  active_ = nullptr;
  // What looked like space was none: have it proven again before the next group.
  MutexLock lock(&spare_mu_);
  if (spare_) {
    RemoveOrLog(options_.files, spare_->path);
    spare_.reset();
  }
}

void Wal::WatchForSpace() {
  MutexLock lock(&spare_mu_);
  spare_wanted_ = true;
  report_space_ = true;
  spare_changed_.NotifyAll();
}

absl::StatusOr<Wal::SegmentPtr> Wal::SegmentFor(int64_t first_commit, int64_t bytes) {
  if (active_) {
    MutexLock lock(&mu_);
    if (active_->used_bytes + bytes <= active_->file_bytes) return active_;
  }
  // A segment that has a successor is complete on the disk: damage in it is damage, not a torn tail.
  if (active_) PB_RETURN_IF_ERROR(Sync());
  PB_ASSIGN_OR_RETURN(Spare spare, TakeSpare(bytes + static_cast<int64_t>(kSegmentHeaderBytes)));
  PB_ASSIGN_OR_RETURN(active_, StartSegment(std::move(spare), first_commit));
  return active_;
}

absl::StatusOr<Wal::SegmentPtr> Wal::StartSegment(Spare spare, int64_t first_commit) {
  auto segment = std::make_shared<Segment>();
  segment->header = {RandomSalt(), first_commit, options_.store_id};
  segment->path = options_.directory + "/" + SegmentName(first_commit);
  segment->file = std::move(spare.file);
  segment->file_bytes = spare.file_bytes;
  segment->used_bytes = segment->synced_bytes = kSegmentHeaderBytes;
  segment->last_commit = first_commit - 1;
  absl::Status status = segment->file->WriteAt(0, EncodeSegmentHeader(segment->header));
  if (status.ok()) status = segment->file->Sync();
  if (status.ok()) status = options_.files->Rename(spare.path, segment->path);
  if (status.ok()) status = options_.files->SyncDirectory(options_.directory);
  if (!status.ok()) return Break(status);
  MutexLock lock(&mu_);
  // An empty segment of the same name (a start without an append, a failed first group) has just been replaced.
  if (!segments_.empty() && segments_.back()->header.first_commit == first_commit) segments_.pop_back();
  segments_.push_back(segment);
  return segment;
}

absl::StatusOr<Wal::Spare> Wal::MakeSpare(int64_t bytes) {
  Spare spare;
  {
    MutexLock lock(&spare_mu_);
    spare.path = options_.directory + "/" + std::to_string(++spare_number_) + ".spare";
  }
  PB_ASSIGN_OR_RETURN(spare.file, options_.files->Open(spare.path, true));
  const std::string zeros(kZerosPerWrite, '\0');
  absl::Status status;
  for (int64_t at = 0; at < bytes && status.ok(); at += static_cast<int64_t>(zeros.size())) {
    const auto size = static_cast<size_t>(std::min<int64_t>(bytes - at, kZerosPerWrite));
    status = spare.file->WriteAt(at, std::string_view(zeros).substr(0, size));
  }
  if (status.ok()) status = spare.file->Sync();
  if (!status.ok()) {
    RemoveOrLog(options_.files, spare.path);
    return status;
  }
  spare.file_bytes = bytes;
  return spare;
}

absl::StatusOr<Wal::Spare> Wal::TakeSpare(int64_t bytes) {
  {
    MutexLock lock(&spare_mu_);
    while (spare_wanted_ && !spare_ && spare_error_.ok() && !stopping_) spare_changed_.Wait(&spare_mu_);
    if (spare_ && spare_->file_bytes >= bytes) {
      Spare spare = *std::move(spare_);
      spare_.reset();
      return spare;
    }
    // After an error, which may be over by now, this group tries for itself.
  }
  return MakeSpare(std::max(bytes, options_.segment_bytes));
}

void Wal::PrepareLoop() {
  while (true) {
    bool has_spare = false;
    {
      MutexLock lock(&spare_mu_);
      while (!stopping_ && !report_space_ && (!spare_wanted_ || spare_)) spare_changed_.Wait(&spare_mu_);
      if (stopping_) return;
      has_spare = spare_.has_value();
    }
    absl::StatusOr<Spare> made = has_spare ? Spare() : MakeSpare(options_.segment_bytes);
    bool report = false;
    {
      MutexLock lock(&spare_mu_);
      spare_error_ = made.status();
      if (made.ok()) {
        if (!has_spare) spare_ = *std::move(made);
        spare_wanted_ = false;
        report = std::exchange(report_space_, false);
      }
      spare_changed_.NotifyAll();
      if (!spare_error_.ok() && !stopping_) spare_changed_.WaitFor(&spare_mu_, kSpaceRetry);
    }
    if (report && options_.on_space) options_.on_space();
  }
}

absl::Status Wal::Read(int64_t after, int64_t up_to,
                       const std::function<absl::Status(const CommittedBatch&)>& visit) const {
  std::vector<SegmentPtr> segments;
  std::vector<int64_t> starts, limits;
  {
    MutexLock lock(&mu_);
    int64_t oldest = segments_.empty() ? 1 : segments_.front()->header.first_commit;
    // Behind a gap that the reader would have to cross.
    for (const CommitRange& gap : gaps_) {
      if (gap.last > after && gap.first <= up_to) oldest = std::max(oldest, gap.last + 1);
    }
    if (after + 1 < oldest) {
      return MakeError(
          ErrorReason::kResumeTokenExpired,
          "commit " + std::to_string(after + 1) + " is no longer in the log; the oldest is " + std::to_string(oldest),
          {{"oldestCommitSequence", std::to_string(oldest)}});
    }
    for (const SegmentPtr& segment : segments_) {
      if (segment->last_commit <= after || segment->header.first_commit > up_to) continue;
      int64_t start = kSegmentHeaderBytes;
      for (const auto& [commit, offset] : segment->index) {
        if (commit <= after + 1) start = offset;
      }
      segments.push_back(segment);
      starts.push_back(start);
      limits.push_back(segment->used_bytes);
    }
  }
  WalRecord record;
  for (size_t i = 0; i < segments.size(); ++i) {
    FrameReader reader(*segments[i]->file, segments[i]->header.salt, starts[i], limits[i]);
    while (reader.offset() < limits[i]) {
      const int64_t offset = reader.offset();
      PB_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader.Next());
      if (frame && frame->type == FrameType::kGap) continue;
      if (!frame || !DecodeWalRecord(frame->payload, &record)) {
        return Damaged(*segments[i], offset, "a committed record is not readable");
      }
      if (record.commit_sequence > up_to) return absl::OkStatus();
      if (record.commit_sequence > after) PB_RETURN_IF_ERROR(visit(record.View()));
    }
  }
  return absl::OkStatus();
}

absl::Status Wal::Free(int64_t checkpoint) {
  std::vector<SegmentPtr> freed;
  {
    MutexLock lock(&mu_);
    int64_t kept_bytes = 0;
    size_t keep_from = segments_.size();
    // From the newest backwards: all that recovery needs, then up to retain_bytes more.
    while (keep_from > 0) {
      const Segment& segment = *segments_[keep_from - 1];
      const bool needed = segment.last_commit > checkpoint || keep_from == segments_.size();
      if (!needed && kept_bytes + segment.file_bytes > options_.retain_bytes) break;
      if (!needed) kept_bytes += segment.file_bytes;
      --keep_from;
    }
    freed.assign(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(keep_from));
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(keep_from));
  }
  // Oldest first and each removal durable before the next, so that a crash never leaves a hole in the middle.
  for (const SegmentPtr& segment : freed) {
    PB_RETURN_IF_ERROR(options_.files->Remove(segment->path));
    PB_RETURN_IF_ERROR(options_.files->SyncDirectory(options_.directory));
  }
  return absl::OkStatus();
}

absl::Status Wal::Sync() {
  SegmentPtr last;
  int64_t used = 0;
  {
    MutexLock lock(&mu_);
    if (segments_.empty()) return absl::OkStatus();
    last = segments_.back();
    used = last->used_bytes;
    if (last->synced_bytes >= used) return absl::OkStatus();
  }
  PB_RETURN_IF_ERROR(SyncFile(last->file.get(), AtStake::kCommits));
  MutexLock lock(&mu_);
  last->synced_bytes = std::max(last->synced_bytes, used);
  return absl::OkStatus();
}

std::vector<LogPart> Wal::Parts() const {
  MutexLock lock(&mu_);
  std::vector<LogPart> parts;
  parts.reserve(segments_.size());
  for (const SegmentPtr& segment : segments_) {
    parts.push_back({segment->path, segment->used_bytes, segment->header.first_commit, segment->last_commit});
  }
  return parts;
}

bool Wal::synced() const {
  MutexLock lock(&mu_);
  return segments_.empty() || segments_.back()->synced_bytes >= segments_.back()->used_bytes;
}

void Wal::WantSync() {
  MutexLock lock(&wanted_mu_);
  if (std::exchange(sync_wanted_, true)) return;
  wanted_changed_.NotifyAll();
}

// The first buffered commit starts the interval; all that come within it share the sync at its end.
void Wal::SyncLoop() {
  using std::chrono::steady_clock;
  while (true) {
    {
      MutexLock lock(&wanted_mu_);
      while (!sync_wanted_ && !stop_syncing_) wanted_changed_.Wait(&wanted_mu_);
      const auto due = steady_clock::now() + std::chrono::nanoseconds(options_.buffered_sync_interval_ns);
      while (!stop_syncing_) {
        const auto left = due - steady_clock::now();
        if (left <= steady_clock::duration::zero()) break;
        wanted_changed_.WaitFor(&wanted_mu_, left);
      }
      if (stop_syncing_) return;
      sync_wanted_ = false;
    }
    if (const absl::Status status = Sync(); !status.ok()) {
      PB_LOG(Error, "storage", "failed syncing buffered commits error={}", StatusMessage(status));
      if (options_.on_broken) options_.on_broken(status);
      return;
    }
  }
}

int64_t Wal::disk_bytes() const {
  MutexLock lock(&mu_);
  int64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) bytes += segment->file_bytes;
  return bytes;
}

int64_t Wal::BytesAfter(int64_t checkpoint) const {
  MutexLock lock(&mu_);
  int64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) {
    if (segment->last_commit > checkpoint) bytes += segment->used_bytes;
  }
  return bytes;
}

SyncTimes Wal::RecentSyncs() const {
  std::vector<int64_t> sorted;
  {
    MutexLock lock(&mu_);
    sorted = recent_syncs_ns_;
  }
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  return {sorted[sorted.size() / 2], sorted[sorted.size() * 99 / 100]};
}

std::string Wal::RepairHint() const {
  const std::string data = std::filesystem::path(options_.directory).parent_path().string();
  return "; `pulseboardd wal inspect --data " + data + "` tells more, `pulseboardd wal repair --data " + data +
         "` keeps all the rest";
}

absl::Status Wal::Damaged(const Segment& segment, int64_t offset, std::string_view what) const {
  return MakeError(ErrorReason::kBlockCorrupt,
                   "log " + segment.path + " is damaged at offset " + std::to_string(offset) + ": " +
                       std::string(what) + RepairHint(),
                   {{"file", segment.path}, {"offset", std::to_string(offset)}});
}

}  // namespace pulseboard
