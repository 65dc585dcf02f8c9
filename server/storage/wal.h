// The write-ahead log: segment files `<first commit>.wal` of framed commit records. FORMAT.md has the bytes.
//
// One thread appends groups of records: one write and, when one of its batches wants it, one fdatasync per group. Two
// threads of the log's own: one prepares the next segment ahead of time, because writing zeros first makes later syncs
// twice as fast, one syncs what no group synced. Any thread may read what was committed.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "server/storage/log_file.h"
#include "server/storage/store.h"
#include "server/storage/wal_record.h"
#include "server/storage/wal_segment.h"

namespace pulseboard {

struct WalOptions {
  std::string directory;
  std::string store_id;  // kStoreIdBytes
  int64_t segment_bytes = 64 << 20;
  int64_t retain_bytes = 256 << 20;
  int64_t buffered_sync_interval_ns = 100 * kNanosPerMilli;
  const Clock* clock = &SystemClock();
  LogFileSystem* files = &PosixLogFileSystem();
  // Runs on the log's own thread: what WatchForSpace asked for has come true.
  std::function<void()> on_space;
  // Runs on the log's own thread: a sync in the background failed, the log takes nothing any more.
  std::function<void(const absl::Status&)> on_broken;
};

struct WalRecovery {
  int64_t last_commit = 0;  // of the log, 0 for an empty one
  int64_t replayed_samples = 0;
  int64_t truncated_bytes = 0;  // torn tail
};

// The readable part of one segment's file.
struct LogPart {
  std::string path;
  int64_t bytes = 0;
  int64_t first_commit = 0;
  int64_t last_commit = 0;  // first_commit - 1 when empty
};

// Durations of recent syncs, for Stats.
struct SyncTimes {
  int64_t p50_ns = 0;
  int64_t p99_ns = 0;
};

// Thread-safe except where said.
class Wal {
 public:
  using Visit = std::function<absl::Status(const WalRecord&)>;

  // Checks every segment, calls `replay` for each record after `checkpoint`, cuts a torn tail. DATA_LOSS/BLOCK_CORRUPT
  // with metadata `file` and `offset` when acknowledged records are damaged or missing.
  static absl::StatusOr<std::unique_ptr<Wal>> Open(WalOptions options, int64_t checkpoint, const Visit& replay,
                                                   WalRecovery* recovery);
  ~Wal();

  // The next three: the committer's thread only. A group is made of AddToGroup calls, then CommitGroup writes it.
  // Commit sequences ascend without holes. `late`: as in CommittedBatch.
  void AddToGroup(int64_t commit_sequence, int64_t committed_unix_nanos, const AppendBatch& batch,
                  std::span<const std::shared_ptr<const SeriesInfo>> definitions, std::span<const uint32_t> late);
  int64_t group_bytes() const { return static_cast<int64_t>(group_.size()); }
  // kFsynced: the group and all before it is on the disk afterwards. kBuffered: the system has it, a sync follows by
  // itself. On an error nothing of the group will be replayed. DISK_FULL: may work again, see WatchForSpace.
  // STORE_READ_ONLY: never.
  absl::Status CommitGroup(AckMode mode);
  // Everything committed is on the disk.
  bool synced() const;
  // Calls on_space once, as soon as there is room for a segment.
  void WatchForSpace();

  // See Store::ReadCommits.
  absl::Status Read(int64_t after, int64_t up_to,
                    const std::function<absl::Status(const CommittedBatch&)>& visit) const;
  // Removes segments that hold nothing after `checkpoint`, except a tail of retain_bytes.
  absl::Status Free(int64_t checkpoint);
  // Makes everything appended durable. After an error the log takes nothing any more.
  absl::Status Sync();

  // Ascending. The bytes stay as they are until Free removes the file; a segment without commits may be replaced
  // before.
  std::vector<LogPart> Parts() const;
  int64_t disk_bytes() const;
  // Bytes of segments that hold commits after `checkpoint`.
  int64_t BytesAfter(int64_t checkpoint) const;
  int64_t sync_count() const { return sync_count_.load(); }
  SyncTimes RecentSyncs() const;

 private:
  struct Segment {
    std::string path;
    SegmentHeader header;
    std::unique_ptr<LogFile> file;
    int64_t file_bytes = 0;
    int64_t used_bytes = 0;                          // readable: header and whole records
    int64_t synced_bytes = 0;                        // on the disk for certain
    int64_t last_commit = 0;                         // first_commit - 1 when empty
    std::vector<std::pair<int64_t, int64_t>> index;  // sparse: commit, offset of its frame
  };
  using SegmentPtr = std::shared_ptr<Segment>;
  // A file of zeros, not yet a segment.
  struct Spare {
    std::string path;
    std::unique_ptr<LogFile> file;
    int64_t file_bytes = 0;
  };
  struct PendingFrame {
    size_t offset;  // in group_
    uint32_t payload_bytes;
    int64_t commit_sequence;
  };

  explicit Wal(WalOptions options) : options_(std::move(options)) {}

  absl::Status Recover(int64_t checkpoint, const Visit& replay, WalRecovery* recovery);
  // Null for one without content, which only the last may be.
  absl::StatusOr<SegmentPtr> OpenSegment(const std::string& name, bool is_last);
  absl::Status RemoveBlank(const std::string& name, int64_t last_commit);
  // Reads one segment to its end, which it sets.
  absl::Status RecoverSegment(const SegmentPtr& segment, int64_t checkpoint, const Visit& replay,
                              WalRecovery* recovery);
  absl::Status PassGap(const SegmentPtr& segment, const Frame& frame, int64_t checkpoint);
  absl::Status JudgeEnd(const Segment& segment, std::optional<int64_t> next_first_commit) const;
  absl::Status CutTail(const SegmentPtr& segment, WalRecovery* recovery);
  absl::Status Damaged(const Segment& segment, int64_t offset, std::string_view what) const;
  std::string RepairHint() const;

  absl::StatusOr<SegmentPtr> SegmentFor(int64_t first_commit, int64_t bytes);
  absl::StatusOr<SegmentPtr> StartSegment(Spare spare, int64_t first_commit);
  absl::Status WriteGroup(const SegmentPtr& segment, AckMode mode);
  // What a failed sync puts at stake: only a group that nobody was told of, or commits that were acknowledged.
  enum class AtStake { kGroup, kCommits };
  absl::Status SyncFile(LogFile* file, AtStake at_stake) PB_EXCLUDES(sync_mu_, mu_);
  void RememberSyncTime(int64_t took_ns);
  void AbandonSegment();
  // Remembers a failure after which the log can't be trusted, and passes it on.
  absl::Status Break(const absl::Status& status);
  absl::Status broken() const;
  void WantSync();
  void SyncLoop();

  absl::StatusOr<Spare> MakeSpare(int64_t bytes);
  absl::StatusOr<Spare> TakeSpare(int64_t bytes);
  void PrepareLoop();

  const WalOptions options_;

  // The committer's own.
  std::string group_;
  std::vector<PendingFrame> frames_;
  SegmentPtr active_;  // null before the first append and after a failed one

  // One sync at a time: the kernel tells a write error to one of the callers only, and all must know. Before mu_.
  Mutex sync_mu_;
  mutable Mutex mu_;
  absl::Status broken_ PB_GUARDED_BY(mu_);              // set once the log can't be trusted any more
  std::deque<SegmentPtr> segments_ PB_GUARDED_BY(mu_);  // ascending; also guards each segment's sizes and index
  std::vector<CommitRange> gaps_ PB_GUARDED_BY(mu_);    // ascending; commits that no segment has
  std::vector<int64_t> recent_syncs_ns_ PB_GUARDED_BY(mu_);
  size_t next_sync_slot_ PB_GUARDED_BY(mu_) = 0;
  std::atomic<int64_t> sync_count_{0};

  Mutex spare_mu_;
  CondVar spare_changed_;
  std::optional<Spare> spare_ PB_GUARDED_BY(spare_mu_);
  bool spare_wanted_ PB_GUARDED_BY(spare_mu_) = false;
  bool report_space_ PB_GUARDED_BY(spare_mu_) = false;
  absl::Status spare_error_ PB_GUARDED_BY(spare_mu_);
  int64_t spare_number_ PB_GUARDED_BY(spare_mu_) = 0;
  bool stopping_ PB_GUARDED_BY(spare_mu_) = false;
  std::thread preparer_;

  Mutex wanted_mu_;
  CondVar wanted_changed_;
  bool sync_wanted_ PB_GUARDED_BY(wanted_mu_) = false;
  bool stop_syncing_ PB_GUARDED_BY(wanted_mu_) = false;
  std::thread syncer_;
};

}  // namespace pulseboard
