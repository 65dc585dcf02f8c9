// One disk in memory under a whole store: its log (as a LogFileSystem) and RocksDB (simulated_env.h) stand on the same
// files, so that a power cut hits both at one instant.
//
// It is as unkind as POSIX allows. What was written and not synced is, after a power cut, there, not there or torn,
// each 4 KiB page by its own luck; a file's size is the old one, the new one or between; names that were created,
// renamed or removed since their directory was synced are as of some moment since. A synced file that nobody synced the
// directory of may be gone. RocksDB's files (below /db/) are only appended to, and what survives of an append is a
// first part of it: that is what ext4 (ordered), XFS and btrfs do, and RocksDB's manifest relies on it.
//
// After a sync that failed the pages it was about stay unwritten, even though a later sync succeeds: Linux
// forgets which they were.
#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/log_file.h"

namespace pulseboard {

// Thread-safe. Must outlive all that was opened through it.
class SimulatedDisk final : public LogFileSystem {
 public:
  enum class Op { kCreate, kWrite, kSync, kTruncate, kRename, kRemove, kSyncDirectory, kRead };
  static constexpr int64_t kForEver = std::numeric_limits<int64_t>::max();

  // Calls of `op` on paths that contain `path_part` fail: the first `pass` of them go well, then `times` fail. A
  // failing write leaves half of its bytes behind, as a full disk does.
  struct Fault {
    Op op = Op::kWrite;
    std::string path_part;  // empty: any path
    int error = EIO;
    int64_t pass = 0;
    int64_t times = kForEver;
  };

  struct Inode {
    bool is_directory = false;
    std::string data;
    size_t durable_size = 0;
    std::map<size_t, std::string> durable_pages;  // of the pages changed since the last sync: what is on the disk
    std::map<size_t, std::string> lost_pages;     // the same for pages that a failed sync has left behind
  };
  using InodePtr = std::shared_ptr<Inode>;

  SimulatedDisk();
  ~SimulatedDisk() override;
  // Everything as `other` has it now, with nothing open.
  void CopyFrom(const SimulatedDisk& other);

  void Inject(Fault fault);
  void Heal();  // no faults any more, room without limit
  // How many faults have struck since the last Heal.
  int64_t faults_hit() const;
  // Writes that make files larger than this in all fail with ENOSPC.
  void LimitBytes(int64_t bytes);
  int64_t used_bytes() const;

  // Changes to the disk so far: writes, syncs, creations … Reads don't count.
  int64_t changes() const;
  // Before the change numbered `change` (counted as above) the power goes: it and every later call fail with EIO.
  void CutPowerBefore(int64_t change);
  void CutPower();
  bool has_power() const;
  // After the power was cut and everything that was open is closed. Draws what has survived.
  void PowerOn(uint64_t seed);
  // As after a kill -9 instead of a power cut: the operating system has lost nothing.
  void PowerOnWithNothingLost();

  // Damages a file as it lies on the disk.
  void Flip(const std::string& path, size_t offset, char mask);
  void Zero(const std::string& path, size_t offset, size_t size);
  absl::StatusOr<std::string> Contents(const std::string& path) const;
  std::vector<std::string> Paths(std::string_view part) const;

  // LogFileSystem.
  absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path, bool create) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& directory) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // The same in terms of errno, for the Env. 0: done.
  int OpenInode(const std::string& path, bool create, bool truncate, InodePtr* inode);
  int WriteInode(Inode* inode, const std::string& path, size_t offset, std::string_view bytes);
  int SyncInode(Inode* inode, const std::string& path);
  int TruncateInode(Inode* inode, const std::string& path, size_t size);
  int ReadInode(const Inode& inode, const std::string& path, size_t offset, size_t size, std::string* out) const;
  int SizeOf(const Inode& inode, size_t* size) const;
  int RenamePath(const std::string& from, const std::string& to);
  int LinkPath(const std::string& from, const std::string& to);
  int RemovePath(const std::string& path);
  int MakeDirectory(const std::string& path);
  int ListDirectory(const std::string& path, std::vector<std::string>* names) const;
  int SyncDirectoryPath(const std::string& path);
  int Stat(const std::string& path, InodePtr* inode) const;
  bool TakeLock(const std::string& path);
  void ReleaseLock(const std::string& path);

 private:
  // Entries of one directory that changed together; a null inode is a removal.
  struct PendingChange {
    std::string directory;
    std::vector<std::pair<std::string, InodePtr>> entries;
  };

  // The error that hits this call, 0 for none; counts changes.
  int Strike(Op op, const std::string& path) const PB_REQUIRES(mu_);
  void ChangeEntries(const std::string& directory, std::vector<std::pair<std::string, InodePtr>> entries)
      PB_REQUIRES(mu_);
  void ApplyToDurable(const PendingChange& change) PB_REQUIRES(mu_);
  void DrawInode(Inode* inode, std::mt19937_64* random) PB_REQUIRES(mu_);
  void DrawAppended(Inode* inode, std::mt19937_64* random) PB_REQUIRES(mu_);
  void DropOrphans() PB_REQUIRES(mu_);
  int64_t UsedBytesLocked() const PB_REQUIRES(mu_);
  static void Remember(Inode* inode, size_t from, size_t to);
  static void ForgetDirty(Inode* inode);

  mutable Mutex mu_;
  std::map<std::string, InodePtr> live_ PB_GUARDED_BY(mu_);     // by path
  std::map<std::string, InodePtr> durable_ PB_GUARDED_BY(mu_);  // entries that survive for certain
  std::vector<PendingChange> pending_ PB_GUARDED_BY(mu_);
  std::set<std::string> locks_ PB_GUARDED_BY(mu_);
  mutable std::vector<Fault> faults_ PB_GUARDED_BY(mu_);
  mutable int64_t faults_hit_ PB_GUARDED_BY(mu_) = 0;
  mutable int64_t changes_ PB_GUARDED_BY(mu_) = 0;
  mutable bool has_power_ PB_GUARDED_BY(mu_) = true;
  int64_t cut_before_ PB_GUARDED_BY(mu_) = kForEver;
  int64_t limit_bytes_ PB_GUARDED_BY(mu_) = kForEver;
};

}  // namespace pulseboard
