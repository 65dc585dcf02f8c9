// The state that a backup takes.
#include <rocksdb/utilities/checkpoint.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <system_error>

#include "common/base/errors.h"
#include "server/storage/durable_store.h"

namespace pulseboard {

namespace fs = std::filesystem;

absl::StatusOr<StoreCut> DurableStore::CutForBackup(const std::string& staging) {
  std::error_code error;
  fs::create_directories(staging + "/wal", error);
  if (error) return FileError("create " + staging, error.value());
  StoreCut cut;
  // What is sealed and what the log begins with must not move apart: no sealing, no checkpoint, no freeing of the log.
  MutexLock lock(&maintenance_mu_);
  const std::shared_ptr<rocksdb::DB> db = rocks_->db();
  rocksdb::Checkpoint* made = nullptr;
  PB_RETURN_IF_ERROR(FromRocks(rocksdb::Checkpoint::Create(db.get(), &made), "begin backup"));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  PB_RETURN_IF_ERROR(Flush());
  // RocksDB's own flush would be of what it picks (see Rocks::FlushLocked): none, please.
  constexpr uint64_t kNoFlush = std::numeric_limits<uint64_t>::max();
  PB_RETURN_IF_ERROR(
      FromRocks(checkpoint->CreateCheckpoint(staging + "/db", kNoFlush), "take RocksDB's state for a backup"));
  {
    MutexLock commit_lock(&commit_mu_);
    cut.commit_sequence = last_commit_;
    cut.log = wal_->Parts();
  }
  for (LogPart& part : cut.log) {
    const std::string to = staging + "/wal/" + fs::path(part.path).filename().string();
    fs::create_hard_link(part.path, to, error);
    if (error) return FileError("link " + part.path + " to " + to, error.value());
    part.path = to;
  }
  return cut;
}

}  // namespace pulseboard
