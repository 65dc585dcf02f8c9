// Writes a log segment anew from what a scan finds whole in it. Part of wal_repair.h.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "server/storage/wal_scan.h"

namespace pulseboard {

// For one segment: Begin, the visitor's calls, Finish. Not thread-safe.
class SegmentRewriter final : public SegmentVisitor {
 public:
  // `directory`: the store's.
  SegmentRewriter(LogFileSystem* files, std::string directory, std::string store_id)
      : files_(files), directory_(std::move(directory)), wal_(directory_ + "/wal"), store_id_(std::move(store_id)) {}

  // Samples of these series are left out of records after `checkpoint`: nothing says what they are samples of.
  void LeaveOut(std::set<SeriesId> series, int64_t checkpoint) {
    left_out_ = std::move(series);
    checkpoint_ = checkpoint;
  }
  // Half-written files of an interrupted repair.
  absl::Status RemoveLeftovers();
  // Copies [offset, end) of a segment to a new file, durably, and returns its path.
  absl::StatusOr<std::string> Quarantine(const std::string& segment, int64_t offset, int64_t end);

  absl::Status Begin(int64_t first_commit);
  absl::Status OnRecord(const WalRecord& record, std::string_view payload) override;
  absl::Status OnGap(const CommitRange& gap) override;
  absl::Status OnMissing(const CommitRange& missing) override { return OnGap(missing); }
  absl::Status OnDamage(int64_t, int64_t, std::string_view) override { return absl::OkStatus(); }
  // Puts the new segment in the place of `replaced` (a file name; empty: of none), in one step and durably. A segment
  // that has kept nothing and has no commits of its own just goes.
  absl::Status Finish(const std::string& replaced);

 private:
  absl::Status AddFrame(FrameType type, std::string_view payload);
  absl::Status Flush();

  LogFileSystem* const files_;
  const std::string directory_;
  const std::string wal_;
  const std::string store_id_;
  std::set<SeriesId> left_out_;
  int64_t checkpoint_ = 0;

  std::string path_;  // while it is being written
  std::unique_ptr<LogFile> file_;
  SegmentHeader header_;
  std::string buffer_;  // not yet written
  int64_t written_ = 0;
  int64_t frames_ = 0;
};

}  // namespace pulseboard
