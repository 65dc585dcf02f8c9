// Reads and checks everything in a store at one state: tables, log, blocks, and rollups against what they were made of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/storage/block_store.h"
#include "server/storage/operations.h"
#include "server/storage/rocks.h"
#include "server/storage/wal_scan.h"

namespace pulseboard {

struct VerifySource {
  std::shared_ptr<rocksdb::DB> db;     // the instance that all of the following is of
  std::unique_ptr<Snapshot> snapshot;  // null: nobody writes
  PartitionSetPtr partitions;
  std::vector<std::pair<std::string, FamilyPtr>> tables;  // the fixed families
  std::vector<SuspectSegment> log;                        // ascending; as far as it was written at the state
  int64_t bytes_per_second = 0;                           // 0: as fast as it goes
};

// Damage is a finding; an error is the watcher's, or that reading was not possible at all. Memory: about 100 bytes per
// series.
absl::StatusOr<VerifySummary> VerifyEverything(VerifySource source, const VerifyWatcher& watch);

}  // namespace pulseboard
