#include "server/storage/wal_scan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

// One pass over one segment.
class Scan {
 public:
  Scan(const SuspectSegment& segment, std::optional<int64_t> next_commit, int64_t* last_commit, SegmentVisitor* visitor)
      : segment_(segment), next_commit_(next_commit), last_(last_commit), visitor_(visitor) {}

  absl::StatusOr<int64_t> Run() {
    PB_RETURN_IF_ERROR(Miss(segment_.named_commit));
    *last_ = std::max(*last_, segment_.named_commit - 1);
    int64_t at = std::min<int64_t>(kSegmentHeaderBytes, segment_.file_bytes);
    if (!segment_.header_damage.empty()) {
      PB_ASSIGN_OR_RETURN(const int64_t content_end, EndOfContent(*segment_.file, 0, segment_.file_bytes));
      // Its name became visible before its header did, and the power went: nothing was written behind it.
      if (content_end == 0 && !next_commit_) return 0;
      PB_RETURN_IF_ERROR(visitor_->OnDamage(0, at, segment_.header_damage));
    }
    while (segment_.salt) {
      FrameReader reader(*segment_.file, *segment_.salt, at, segment_.file_bytes);
      PB_ASSIGN_OR_RETURN(const std::optional<int64_t> end, TakeRun(&reader));
      at = reader.offset();
      if (end) continue;  // a frame that does not fit was passed
      PB_ASSIGN_OR_RETURN(const std::optional<Frame> later, NextProven(&reader));
      if (!later) break;
      PB_RETURN_IF_ERROR(visitor_->OnDamage(at, later->offset, "no readable record"));
      at = later->offset;
    }
    return Finish(at);
  }

 private:
  // Takes frames one after the other. Something when the last one stood where it must not; nothing at bytes that are no
  // frame.
  absl::StatusOr<std::optional<int64_t>> TakeRun(FrameReader* reader) {
    while (true) {
      PB_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader->Next());
      if (!frame) return std::optional<int64_t>();
      PB_ASSIGN_OR_RETURN(const bool fits, Take(*frame));
      if (fits) continue;
      PB_RETURN_IF_ERROR(visitor_->OnDamage(frame->offset, frame->end(), "a record that does not belong here"));
      return std::optional<int64_t>(frame->end());
    }
  }

  absl::StatusOr<bool> Take(const Frame& frame) {
    if (frame.type == FrameType::kGap) {
      const std::optional<CommitRange> gap = DecodeGap(frame.payload);
      if (!gap) return false;
      PB_ASSIGN_OR_RETURN(const bool belongs, BelongsHere(frame.offset, *gap));
      if (!belongs) return false;
      PB_RETURN_IF_ERROR(Miss(gap->first));
      PB_RETURN_IF_ERROR(visitor_->OnGap(*gap));
      *last_ = gap->last;
      return true;
    }
    if (!DecodeWalRecord(frame.payload, &record_)) return false;
    const int64_t commit = record_.commit_sequence;
    PB_ASSIGN_OR_RETURN(const bool belongs, BelongsHere(frame.offset, {commit, commit}));
    if (!belongs) return false;
    PB_RETURN_IF_ERROR(Miss(commit));
    PB_RETURN_IF_ERROR(visitor_->OnRecord(record_, frame.payload));
    *last_ = commit;
    return true;
  }

  bool Fits(const CommitRange& commits) const {
    return commits.first > *last_ && (!next_commit_ || commits.last < *next_commit_);
  }

  // A jump in the numbers may be a hole, or a record that stands before its place and must not cost all those it has
  // passed: from the first jump on, the longest ascending list of what is whole decides.
  absl::StatusOr<bool> BelongsHere(int64_t offset, const CommitRange& commits) {
    if (!Fits(commits)) return false;
    if (!in_place_ && commits.first > *last_ + 1) PB_RETURN_IF_ERROR(FindInPlace(offset));
    return !in_place_ || in_place_->contains(offset);
  }

  absl::Status FindInPlace(int64_t from) {
    struct Link {
      int64_t offset = 0;
      std::optional<size_t> before;
    };
    std::vector<Link> links;
    std::vector<std::pair<int64_t, size_t>> ends;  // by length of list: the least commit one can end with, and its link
    WalRecord record;
    for (std::optional<int64_t> at = from; at;) {
      FrameReader reader(*segment_.file, *segment_.salt, *at, segment_.file_bytes);
      PB_ASSIGN_OR_RETURN(std::optional<Frame> frame, reader.Next());
      if (!frame) {
        PB_ASSIGN_OR_RETURN(frame, reader.FindNext());
        at = frame ? std::optional(frame->offset) : std::nullopt;
        continue;
      }
      at = frame->end();
      std::optional<CommitRange> commits;
      if (frame->type == FrameType::kGap) {
        commits = DecodeGap(frame->payload);
      } else if (DecodeWalRecord(frame->payload, &record)) {
        commits = {record.commit_sequence, record.commit_sequence};
      }
      if (!commits || !Fits(*commits)) continue;
      const auto longer = std::partition_point(ends.begin(), ends.end(),
                                               [&commits](const auto& end) { return end.first < commits->first; });
      links.push_back({frame->offset, longer == ends.begin() ? std::nullopt : std::optional((longer - 1)->second)});
      const std::pair end(commits->last, links.size() - 1);
      if (longer == ends.end()) {
        ends.push_back(end);
      } else if (end < *longer) {
        *longer = end;
      }
    }
    in_place_.emplace();
    for (std::optional<size_t> link = ends.empty() ? std::nullopt : std::optional(ends.back().second); link;) {
      in_place_->insert(links[*link].offset);
      link = links[*link].before;
    }
    return absl::OkStatus();
  }

  absl::Status Miss(int64_t next) {
    if (next <= *last_ + 1) return absl::OkStatus();
    return visitor_->OnMissing({*last_ + 1, next - 1});
  }

  // The next frame behind bytes that are none. In the last segment a later frame counts only if it (or one behind it)
  // says that these bytes had been on the disk: else all of it is a torn tail, as recovery sees it.
  absl::StatusOr<std::optional<Frame>> NextProven(FrameReader* reader) {
    PB_ASSIGN_OR_RETURN(std::optional<Frame> first, reader->FindNext());
    if (!first || next_commit_) return first;
    const int64_t hole = reader->offset();
    const int64_t found = first->offset;
    for (int64_t at = found; first->synced_before <= hole;) {
      FrameReader search(*segment_.file, *segment_.salt, at, segment_.file_bytes);
      PB_ASSIGN_OR_RETURN(first, search.FindNext());
      if (!first) return first;
      at = first->offset;
    }
    FrameReader again(*segment_.file, *segment_.salt, found - 1, segment_.file_bytes);
    return again.FindNext();
  }

  absl::StatusOr<int64_t> Finish(int64_t at) {
    PB_ASSIGN_OR_RETURN(const int64_t content_end, EndOfContent(*segment_.file, at, segment_.file_bytes));
    const bool follows = !next_commit_ || *next_commit_ == *last_ + 1;
    if (content_end > at && !(follows && segment_.salt)) {
      PB_RETURN_IF_ERROR(visitor_->OnDamage(at, content_end, "no readable record"));
      at = content_end;
    }
    if (next_commit_) {
      PB_RETURN_IF_ERROR(Miss(*next_commit_));
      *last_ = std::max(*last_, *next_commit_ - 1);
    }
    return content_end - at;
  }

  const SuspectSegment& segment_;
  const std::optional<int64_t> next_commit_;
  int64_t* const last_;
  SegmentVisitor* const visitor_;
  std::optional<std::set<int64_t>> in_place_;  // offsets of frames to take; nothing before the first jump
  WalRecord record_;
};

}  // namespace

absl::StatusOr<SuspectSegment> OpenSuspect(LogFileSystem* files, const std::string& path, int64_t named_commit,
                                           std::string_view store_id) {
  SuspectSegment segment;
  segment.path = path;
  segment.named_commit = named_commit;
  PB_ASSIGN_OR_RETURN(segment.file, files->Open(path, false));
  PB_ASSIGN_OR_RETURN(segment.file_bytes, segment.file->Size());
  std::string bytes;
  PB_RETURN_IF_ERROR(segment.file->ReadAt(0, kSegmentHeaderBytes, &bytes));
  const std::optional<SegmentHeader> header = DecodeSegmentHeader(bytes);
  if (!header) {
    segment.header_damage = "the header is not readable";
    PB_ASSIGN_OR_RETURN(segment.salt, FindSalt(*segment.file, segment.file_bytes));
  } else if (header->store_id != store_id) {
    segment.header_damage = "the segment belongs to another store";
  } else {
    segment.salt = header->salt;
    if (header->first_commit != named_commit) segment.header_damage = "the header belongs to another segment";
  }
  return segment;
}

absl::StatusOr<int64_t> ScanSegment(const SuspectSegment& segment, std::optional<int64_t> next_commit,
                                    int64_t* last_commit, SegmentVisitor* visitor) {
  return Scan(segment, next_commit, last_commit, visitor).Run();
}

}  // namespace pulseboard
