// Opening a log: what is whole, what is torn, what is damaged.
#include <algorithm>
#include <filesystem>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/wal.h"

namespace pulseboard {
namespace {

constexpr std::string_view kSpareSuffix = ".spare";
constexpr int64_t kIndexEveryBytes = 256 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<Wal>> Wal::Open(WalOptions options, int64_t checkpoint, const Visit& replay,
                                               WalRecovery* recovery) {
  PB_RETURN_IF_ERROR(options.files->CreateDirectory(options.directory));
  PB_RETURN_IF_ERROR(options.files->SyncDirectory(std::filesystem::path(options.directory).parent_path().string()));
  std::unique_ptr<Wal> wal(new Wal(std::move(options)));
  PB_RETURN_IF_ERROR(wal->Recover(checkpoint, replay, recovery));
  wal->preparer_ = std::thread([raw = wal.get()] { raw->PrepareLoop(); });
  wal->syncer_ = std::thread([raw = wal.get()] { raw->SyncLoop(); });
  MutexLock lock(&wal->spare_mu_);
  wal->spare_wanted_ = true;
  wal->spare_changed_.NotifyAll();
  return wal;
}

absl::Status Wal::Recover(int64_t checkpoint, const Visit& replay, WalRecovery* recovery) {
  PB_ASSIGN_OR_RETURN(std::vector<std::string> names, options_.files->List(options_.directory));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name.ends_with(kSpareSuffix)) PB_RETURN_IF_ERROR(options_.files->Remove(options_.directory + "/" + name));
  }
  std::erase_if(names, [](const std::string& name) { return !ParseSegmentName(name); });

  std::vector<SegmentPtr> segments;
  std::string blank;
  for (size_t i = 0; i < names.size(); ++i) {
    PB_ASSIGN_OR_RETURN(SegmentPtr segment, OpenSegment(names[i], i + 1 == names.size()));
    if (segment) {
      segments.push_back(std::move(segment));
    } else {
      blank = names[i];
    }
  }
  if (segments.empty() && checkpoint == 0) return RemoveBlank(blank, 0);
  if (segments.empty() || segments.front()->header.first_commit > checkpoint + 1) {
    const std::string found = segments.empty() ? "nothing" : SegmentName(segments.front()->header.first_commit);
    return MakeError(ErrorReason::kBlockCorrupt,
                     "log " + options_.directory + " must begin at or before commit " + std::to_string(checkpoint + 1) +
                         " but begins with " + found + RepairHint(),
                     {{"file", options_.directory}, {"offset", "0"}});
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    const SegmentPtr& segment = segments[i];
    if (i > 0 && segment->header.first_commit != segments[i - 1]->last_commit + 1) {
      return Damaged(*segment, 0, "does not follow commit " + std::to_string(segments[i - 1]->last_commit));
    }
    PB_RETURN_IF_ERROR(RecoverSegment(segment, checkpoint, replay, recovery));
    std::optional<int64_t> next;
    if (i + 1 < segments.size()) next = segments[i + 1]->header.first_commit;
    PB_RETURN_IF_ERROR(JudgeEnd(*segment, next));
  }
  recovery->last_commit = segments.back()->last_commit;
  if (recovery->last_commit < checkpoint) {
    return Damaged(*segments.back(), segments.back()->used_bytes,
                   "ends with commit " + std::to_string(recovery->last_commit) + ", but commit " +
                       std::to_string(checkpoint) + " was on the disk");
  }
  PB_RETURN_IF_ERROR(RemoveBlank(blank, recovery->last_commit));
  PB_RETURN_IF_ERROR(CutTail(segments.back(), recovery));
  MutexLock lock(&mu_);
  segments_.assign(segments.begin(), segments.end());
  return absl::OkStatus();
}

// A segment without content has its name, and that tells how far the log reached.
absl::Status Wal::RemoveBlank(const std::string& name, int64_t last_commit) {
  if (name.empty()) return absl::OkStatus();
  Segment segment;
  segment.path = options_.directory + "/" + name;
  const int64_t first_commit = *ParseSegmentName(name);
  if (first_commit <= last_commit + 1) return options_.files->Remove(segment.path);
  return Damaged(segment, 0,
                 "commits " + std::to_string(last_commit + 1) + " to " + std::to_string(first_commit - 1) +
                     " were before it and are missing");
}

absl::StatusOr<Wal::SegmentPtr> Wal::OpenSegment(const std::string& name, bool is_last) {
  auto segment = std::make_shared<Segment>();
  segment->path = options_.directory + "/" + name;
  PB_ASSIGN_OR_RETURN(segment->file, options_.files->Open(segment->path, false));
  PB_ASSIGN_OR_RETURN(segment->file_bytes, segment->file->Size());
  std::string bytes;
  PB_RETURN_IF_ERROR(segment->file->ReadAt(0, kSegmentHeaderBytes, &bytes));
  const std::optional<SegmentHeader> header = DecodeSegmentHeader(bytes);
  if (!header) {
    // Its name became visible before its header did: nothing was written behind it.
    PB_ASSIGN_OR_RETURN(const int64_t content_end, EndOfContent(*segment->file, 0, segment->file_bytes));
    if (!is_last || content_end != 0) return Damaged(*segment, 0, "the header is not readable by this version");
    return SegmentPtr();
  }
  segment->header = *header;
  if (SegmentName(header->first_commit) != name) return Damaged(*segment, 0, "the header belongs to another segment");
  if (header->store_id != options_.store_id) return Damaged(*segment, 0, "the segment belongs to another store");
  segment->used_bytes = kSegmentHeaderBytes;
  segment->last_commit = header->first_commit - 1;
  return segment;
}

absl::Status Wal::RecoverSegment(const SegmentPtr& segment, int64_t checkpoint, const Visit& replay,
                                 WalRecovery* recovery) {
  FrameReader reader(*segment->file, segment->header.salt, kSegmentHeaderBytes, segment->file_bytes);
  WalRecord record;
  while (true) {
    PB_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader.Next());
    if (!frame) return absl::OkStatus();
    if (frame->type == FrameType::kGap) {
      PB_RETURN_IF_ERROR(PassGap(segment, *frame, checkpoint));
      continue;
    }
    if (!DecodeWalRecord(frame->payload, &record)) return Damaged(*segment, frame->offset, "a record does not decode");
    if (record.commit_sequence != segment->last_commit + 1) {
      return Damaged(*segment, frame->offset,
                     "commit " + std::to_string(record.commit_sequence) + " stands where " +
                         std::to_string(segment->last_commit + 1) + " belongs");
    }
    if (record.commit_sequence > checkpoint) {
      PB_RETURN_IF_ERROR(replay(record));
      recovery->replayed_samples += static_cast<int64_t>(record.batch.size());
    }
    if (segment->index.empty() || frame->offset - segment->index.back().second >= kIndexEveryBytes) {
      segment->index.emplace_back(record.commit_sequence, frame->offset);
    }
    segment->last_commit = record.commit_sequence;
    segment->used_bytes = frame->end();
  }
}

absl::Status Wal::PassGap(const SegmentPtr& segment, const Frame& frame, int64_t checkpoint) {
  const std::optional<CommitRange> gap = DecodeGap(frame.payload);
  if (!gap || gap->first != segment->last_commit + 1) return Damaged(*segment, frame.offset, "a gap is misplaced");
  if (gap->last > checkpoint) {
    PB_LOG(Warning, "storage", "passed log gap left by a repair file={} first_commit={} last_commit={}", segment->path,
           gap->first, gap->last);
  }
  segment->last_commit = gap->last;
  segment->used_bytes = frame.end();
  MutexLock lock(&mu_);
  gaps_.push_back(*gap);
  return absl::OkStatus();
}

// Reading stopped at used_bytes. That is the end, or a torn tail, unless something proves that more was on the disk.
absl::Status Wal::JudgeEnd(const Segment& segment, std::optional<int64_t> next_first_commit) const {
  const int64_t end = segment.used_bytes;
  if (next_first_commit) {
    if (*next_first_commit == segment.last_commit + 1) return absl::OkStatus();
    return Damaged(segment, end, "the records up to commit " + std::to_string(*next_first_commit - 1) + " are missing");
  }
  for (int64_t at = end;;) {
    FrameReader search(*segment.file, segment.header.salt, at, segment.file_bytes);
    PB_ASSIGN_OR_RETURN(const std::optional<Frame> later, search.FindNext());
    if (!later) return absl::OkStatus();
    if (later->synced_before > end) {
      return Damaged(segment, end, "unreadable, but later records prove that it was on the disk");
    }
    at = later->end() - 1;
  }
}

absl::Status Wal::CutTail(const SegmentPtr& segment, WalRecovery* recovery) {
  PB_ASSIGN_OR_RETURN(const int64_t content_end,
                      EndOfContent(*segment->file, segment->used_bytes, segment->file_bytes));
  recovery->truncated_bytes = content_end - segment->used_bytes;
  if (recovery->truncated_bytes > 0) {
    PB_LOG(Warning, "storage", "cut torn log tail file={} offset={} bytes={} last_commit={}", segment->path,
           segment->used_bytes, recovery->truncated_bytes, segment->last_commit);
  }
  // Records read back may not have been synced before the crash; whoever sees them now must be able to rely on them.
  PB_RETURN_IF_ERROR(segment->file->Truncate(segment->used_bytes));
  PB_RETURN_IF_ERROR(segment->file->Sync());
  segment->file_bytes = segment->synced_bytes = segment->used_bytes;
  return absl::OkStatus();
}

}  // namespace pulseboard
