// Reading one segment of a log that may be damaged, from one whole record to the next whole record.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/log_file.h"
#include "server/storage/wal_record.h"
#include "server/storage/wal_segment.h"

namespace pulseboard {

// A segment as a scan takes it.
struct SuspectSegment {
  std::string path;
  std::unique_ptr<LogFile> file;
  int64_t file_bytes = 0;
  int64_t named_commit = 0;      // first commit by its name
  std::optional<uint32_t> salt;  // nothing: no record can be told from rubbish
  std::string header_damage;     // what is wrong with the header, if anything
};

// FAILED only when the file can't be read. `store_id`: segments of other stores are damage.
absl::StatusOr<SuspectSegment> OpenSuspect(LogFileSystem* files, const std::string& path, int64_t named_commit,
                                           std::string_view store_id);

// What a scan meets, in the order of the file. Errors end the scan.
class SegmentVisitor {
 public:
  virtual ~SegmentVisitor() = default;
  // A record with the commit after the last one, once OnMissing was told of those between.
  virtual absl::Status OnRecord(const WalRecord& record, std::string_view payload) = 0;
  virtual absl::Status OnGap(const CommitRange& gap) = 0;
  virtual absl::Status OnMissing(const CommitRange& missing) = 0;
  virtual absl::Status OnDamage(int64_t offset, int64_t end, std::string_view what) = 0;
};

// `last_commit`: of the segments before; set to that of this one. `next_commit`: which the next segment begins with;
// nothing when this is the last. Returns the bytes of a torn tail, which is no damage.
absl::StatusOr<int64_t> ScanSegment(const SuspectSegment& segment, std::optional<int64_t> next_commit,
                                    int64_t* last_commit, SegmentVisitor* visitor);

}  // namespace pulseboard
