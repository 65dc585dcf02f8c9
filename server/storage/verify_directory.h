// Verification of a data directory that no server has open.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/storage/operations.h"

namespace pulseboard {

// Changes nothing. FAILED_PRECONDITION when the directory is in use or holds no store; DATA_LOSS/BLOCK_CORRUPT when
// RocksDB can't even be opened.
absl::StatusOr<VerifySummary> VerifyDirectory(const std::string& directory, const VerifyWatcher& watch);

}  // namespace pulseboard
