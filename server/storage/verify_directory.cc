#include "server/storage/verify_directory.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/base/errors.h"
#include "server/storage/block_store.h"
#include "server/storage/log_file.h"
#include "server/storage/meta_keys.h"
#include "server/storage/rocks.h"
#include "server/storage/verify_store.h"

namespace pulseboard {
namespace {

absl::Status OpenLog(const std::string& directory, const Rocks& rocks, std::vector<SuspectSegment>* log) {
  std::string store_id;
  PB_RETURN_IF_ERROR(FromRocks(rocks.Get("meta", kStoreIdKey, &store_id), "read the store's id"));
  LogFileSystem& files = PosixLogFileSystem();
  PB_ASSIGN_OR_RETURN(std::vector<std::string> names, files.List(directory + "/wal"));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::optional<int64_t> commit = ParseSegmentName(name);
    if (!commit) continue;
    PB_ASSIGN_OR_RETURN(SuspectSegment segment, OpenSuspect(&files, directory + "/wal/" + name, *commit, store_id));
    log->push_back(std::move(segment));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifySummary> VerifyDirectory(const std::string& directory, const VerifyWatcher& watch) {
  std::error_code error;
  if (!std::filesystem::exists(directory + "/db/CURRENT", error)) {
    return absl::FailedPreconditionError(directory + " holds no store");
  }
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, PosixLogFileSystem().Lock(directory + "/LOCK"));
  if (lock == nullptr) {
    return absl::FailedPreconditionError(directory + " is in use by another process; ask its server with --server");
  }
  RocksOptions options;
  options.directory = directory + "/db";
  options.read_only = true;
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<Rocks> rocks, Rocks::Open(options));
  BlockStore blocks(rocks.get());
  VerifySource source;
  source.db = rocks->db();
  source.partitions = blocks.Partitions();
  source.tables = rocks->FixedFamilies();
  PB_RETURN_IF_ERROR(OpenLog(directory, *rocks, &source.log));
  return VerifyEverything(std::move(source), watch);
}

}  // namespace pulseboard
