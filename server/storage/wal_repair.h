// Looking through a damaged log, and making a log of all that is whole in it. For operators, on a store that no server
// has open: `pulseboardd wal inspect|repair`.
//
// A repair keeps every record that can be read. Segments with damage are written anew without it, each replaced in one
// step, so that an interrupted repair is simply done again. Where commits are missing the new segment says so (a gap,
// FORMAT.md): commits keep their numbers. Bytes that are left out are copied to `quarantine/` in the store's directory
// first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/storage/log_file.h"
#include "server/storage/store.h"
#include "server/storage/wal_segment.h"

namespace rocksdb {
class Env;
}

namespace pulseboard {

struct WalDamage {
  std::string file;
  int64_t offset = 0;
  int64_t end = 0;  // behind the last byte
  std::string what;
  std::string quarantine;  // the copy a repair made
};

struct WalSegmentReport {
  std::string file;
  int64_t file_bytes = 0;
  int64_t first_commit = 0;  // as the name says
  int64_t last_commit = 0;   // first_commit - 1 when there is none
  int64_t records = 0;
  int64_t samples = 0;
  bool needs_rewriting = false;
};

struct WalReport {
  int64_t checkpoint = 0;  // commits up to here are sealed: none of their samples is in need of the log
  std::vector<WalSegmentReport> segments;
  std::vector<WalDamage> damage;
  std::vector<CommitRange> missing;   // commits that should be there and are not, without those of `declared`
  std::vector<CommitRange> declared;  // gaps left by earlier repairs
  // Samples of records after damage whose series was defined in it, and those series: a repair has to leave them out.
  int64_t orphan_samples = 0;
  std::vector<SeriesId> orphan_series;
  int64_t torn_bytes = 0;  // behind the last record; cut at every start, nothing of it was acknowledged
  bool repaired = false;

  bool is_whole() const { return damage.empty() && missing.empty() && orphan_samples == 0; }
};

struct WalRepairOptions {
  std::string directory;  // the store's
  LogFileSystem* files = &PosixLogFileSystem();
  rocksdb::Env* env = nullptr;  // null: the machine's own
};

// Changes nothing. FAILED_PRECONDITION when a server has the store open; errors of RocksDB, without which nobody knows
// what the log must hold.
absl::StatusOr<WalReport> InspectWal(const WalRepairOptions& options);
// The report is of what was found; afterwards the log is whole. Does nothing to one that is whole already.
absl::StatusOr<WalReport> RepairWal(const WalRepairOptions& options);

}  // namespace pulseboard
