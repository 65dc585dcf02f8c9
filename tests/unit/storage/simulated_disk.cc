#include "tests/unit/storage/simulated_disk.h"

#include <algorithm>
#include <utility>

namespace pulseboard {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kSectorBytes = 512;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

// Without doubled and trailing slashes: RocksDB is careless about them.
std::string Normal(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out.push_back(c);
  }
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

absl::Status AsStatus(int error, const std::string& what) {
  return error == 0 ? absl::OkStatus() : FileError(what, error);
}

class SimulatedFile final : public LogFile {
 public:
  SimulatedFile(SimulatedDisk* disk, std::string path, SimulatedDisk::InodePtr inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  absl::Status WriteAt(int64_t offset, std::string_view bytes) override {
    return AsStatus(disk_->WriteInode(inode_.get(), path_, static_cast<size_t>(offset), bytes), "write " + path_);
  }
  absl::Status Sync() override { return AsStatus(disk_->SyncInode(inode_.get(), path_), "sync " + path_); }
  absl::Status Truncate(int64_t size) override {
    return AsStatus(disk_->TruncateInode(inode_.get(), path_, static_cast<size_t>(size)), "truncate " + path_);
  }
  absl::Status ReadAt(int64_t offset, size_t size, std::string* out) const override {
    return AsStatus(disk_->ReadInode(*inode_, path_, static_cast<size_t>(offset), size, out), "read " + path_);
  }
  absl::StatusOr<int64_t> Size() const override {
    size_t size = 0;
    if (const int error = disk_->SizeOf(*inode_, &size); error != 0) return FileError("stat " + path_, error);
    return static_cast<int64_t>(size);
  }

 private:
  SimulatedDisk* const disk_;
  const std::string path_;
  const SimulatedDisk::InodePtr inode_;
};

class SimulatedLock final : public FileLock {
 public:
  SimulatedLock(SimulatedDisk* disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  ~SimulatedLock() override { disk_->ReleaseLock(path_); }
  SimulatedLock(const SimulatedLock&) = delete;
  SimulatedLock& operator=(const SimulatedLock&) = delete;

 private:
  SimulatedDisk* const disk_;
  const std::string path_;
};

}  // namespace

SimulatedDisk::SimulatedDisk() {
  auto root = std::make_shared<Inode>();
  root->is_directory = true;
  MutexLock lock(&mu_);
  live_["/"] = durable_["/"] = std::move(root);
}

SimulatedDisk::~SimulatedDisk() = default;

void SimulatedDisk::CopyFrom(const SimulatedDisk& other) {
  std::map<const Inode*, InodePtr> copies;
  const auto copy = [&copies](const InodePtr& inode) -> InodePtr {
    if (inode == nullptr) return nullptr;
    InodePtr& made = copies[inode.get()];
    if (made == nullptr) made = std::make_shared<Inode>(*inode);
    return made;
  };
  std::map<std::string, InodePtr> live, durable;
  std::vector<PendingChange> pending;
  {
    MutexLock lock(&other.mu_);
    for (const auto& [path, inode] : other.live_) live[path] = copy(inode);
    for (const auto& [path, inode] : other.durable_) durable[path] = copy(inode);
    pending = other.pending_;
    for (PendingChange& change : pending) {
      for (auto& entry : change.entries) entry.second = copy(entry.second);
    }
  }
  MutexLock lock(&mu_);
  live_ = std::move(live);
  durable_ = std::move(durable);
  pending_ = std::move(pending);
}

void SimulatedDisk::Inject(Fault fault) {
  MutexLock lock(&mu_);
  faults_.push_back(std::move(fault));
}

void SimulatedDisk::Heal() {
  MutexLock lock(&mu_);
  faults_.clear();
  faults_hit_ = 0;
  limit_bytes_ = kForEver;
}

int64_t SimulatedDisk::faults_hit() const {
  MutexLock lock(&mu_);
  return faults_hit_;
}

void SimulatedDisk::LimitBytes(int64_t bytes) {
  MutexLock lock(&mu_);
  limit_bytes_ = bytes;
}

int64_t SimulatedDisk::used_bytes() const {
  MutexLock lock(&mu_);
  return UsedBytesLocked();
}

int64_t SimulatedDisk::UsedBytesLocked() const {
  int64_t bytes = 0;
  std::set<const Inode*> seen;
  for (const auto& [path, inode] : live_) {
    if (seen.insert(inode.get()).second) bytes += static_cast<int64_t>(inode->data.size());
  }
  return bytes;
}

int64_t SimulatedDisk::changes() const {
  MutexLock lock(&mu_);
  return changes_;
}

void SimulatedDisk::CutPowerBefore(int64_t change) {
  MutexLock lock(&mu_);
  cut_before_ = change;
}

void SimulatedDisk::CutPower() {
  MutexLock lock(&mu_);
  has_power_ = false;
}

bool SimulatedDisk::has_power() const {
  MutexLock lock(&mu_);
  return has_power_;
}

int SimulatedDisk::Strike(Op op, const std::string& path) const {
  if (has_power_ && op != Op::kRead && changes_++ >= cut_before_) has_power_ = false;
  if (!has_power_) return EIO;
  for (Fault& fault : faults_) {
    if (fault.op != op || path.find(fault.path_part) == std::string::npos) continue;
    if (fault.pass > 0) {
      --fault.pass;
    } else if (fault.times > 0) {
      --fault.times;
      ++faults_hit_;
      return fault.error;
    }
  }
  return 0;
}

void SimulatedDisk::PowerOnWithNothingLost() {
  MutexLock lock(&mu_);
  has_power_ = true;
  cut_before_ = kForEver;
}

void SimulatedDisk::PowerOn(uint64_t seed) {
  std::mt19937_64 random(seed);
  MutexLock lock(&mu_);
  // A file system keeps the changes of one directory in order, but may have written only some of them.
  std::map<std::string, std::vector<PendingChange>> by_directory;
  for (PendingChange& change : pending_) by_directory[change.directory].push_back(std::move(change));
  pending_.clear();
  for (const auto& [directory, changes] : by_directory) {
    size_t kept = random() % (changes.size() + 1);
    if (random() % 4 == 0) kept = 0;
    if (random() % 4 == 0) kept = changes.size();
    for (size_t i = 0; i < kept; ++i) ApplyToDurable(changes[i]);
  }
  DropOrphans();
  live_ = durable_;
  std::set<Inode*> drawn;
  for (const auto& [path, inode] : live_) {
    if (!drawn.insert(inode.get()).second) continue;
    if (path.find("/db/") != std::string::npos) {
      DrawAppended(inode.get(), &random);
    } else {
      DrawInode(inode.get(), &random);
    }
  }
  locks_.clear();
  has_power_ = true;
  cut_before_ = kForEver;
}

void SimulatedDisk::ApplyToDurable(const PendingChange& change) {
  for (const auto& [path, inode] : change.entries) {
    if (inode == nullptr) {
      durable_.erase(path);
    } else {
      durable_[path] = inode;
    }
  }
}

void SimulatedDisk::DropOrphans() {
  // Ascending by path: a directory comes before what is in it.
  for (auto it = durable_.begin(); it != durable_.end();) {
    const auto parent = durable_.find(ParentOf(it->first));
    const bool is_orphan = parent == durable_.end() || !parent->second->is_directory;
    it = is_orphan ? durable_.erase(it) : std::next(it);
  }
}

void SimulatedDisk::DrawAppended(Inode* inode, std::mt19937_64* random) {
  size_t size = inode->durable_size;
  if (inode->data.size() > size && inode->lost_pages.empty()) {
    size += (*random)() % (inode->data.size() - size + 1);
    if ((*random)() % 3 == 0) size = inode->data.size();
  }
  inode->data.resize(size);
  inode->durable_size = size;
  inode->durable_pages.clear();
  inode->lost_pages.clear();
}

void SimulatedDisk::DrawInode(Inode* inode, std::mt19937_64* random) {
  const size_t smaller = std::min(inode->durable_size, inode->data.size());
  const size_t larger = std::max(inode->durable_size, inode->data.size());
  size_t size = smaller + (*random)() % (larger - smaller + 1);
  if ((*random)() % 3 == 0) size = inode->durable_size;
  if ((*random)() % 3 == 0) size = inode->data.size();
  const uint64_t mood = (*random)() % 3;  // of the whole file: pages mostly kept, mostly lost, mixed
  std::string data = inode->data;
  data.resize(larger);
  inode->durable_pages.merge(inode->lost_pages);
  inode->lost_pages.clear();
  for (const auto& [page, durable] : inode->durable_pages) {
    const size_t at = page * kPageBytes;
    if (at >= data.size()) continue;
    const size_t room = std::min(kPageBytes, data.size() - at);
    std::string old = durable;
    old.resize(room);
    const uint64_t luck = (*random)() % 8;
    if (luck == 0) {
      // Torn: some of its sectors are new.
      const size_t sectors = 1 + (*random)() % (kPageBytes / kSectorBytes - 1);
      const size_t kept = std::min(room, sectors * kSectorBytes);
      data.replace(at + kept, room - kept, old, kept, room - kept);
    } else if (luck == 1) {
      const size_t kept = (*random)() % (room + 1);
      data.replace(at + kept, room - kept, old, kept, room - kept);
    } else if (mood == 1 ? luck < 7 : mood == 2 && luck < 5) {
      data.replace(at, room, old);
    }
  }
  data.resize(size);
  inode->data = std::move(data);
  inode->durable_size = inode->data.size();
  inode->durable_pages.clear();
}

void SimulatedDisk::Remember(Inode* inode, size_t from, size_t to) {
  if (from >= to) return;
  for (size_t page = from / kPageBytes; page <= (to - 1) / kPageBytes; ++page) {
    if (inode->durable_pages.contains(page)) continue;
    const size_t at = page * kPageBytes;
    if (const auto lost = inode->lost_pages.find(page); lost != inode->lost_pages.end()) {
      inode->durable_pages.insert(inode->lost_pages.extract(lost));
      continue;
    }
    std::string durable;
    // Pages not remembered yet are as on the disk, except that the file may be shorter now.
    const size_t known = std::min(inode->durable_size, inode->data.size());
    if (at < known) durable = inode->data.substr(at, std::min(kPageBytes, known - at));
    inode->durable_pages.emplace(page, std::move(durable));
  }
}

void SimulatedDisk::ForgetDirty(Inode* inode) {
  inode->lost_pages.merge(inode->durable_pages);
  inode->durable_pages.clear();
}

int SimulatedDisk::OpenInode(const std::string& path_in, bool create, bool truncate, InodePtr* inode) {
  const std::string path = Normal(path_in);
  MutexLock lock(&mu_);
  if (!has_power_) return EIO;
  const auto it = live_.find(path);
  if (it != live_.end()) {
    if (it->second->is_directory) return EISDIR;
    *inode = it->second;
    if (!truncate || it->second->data.empty()) return 0;
    if (const int error = Strike(Op::kTruncate, path); error != 0) return error;
    Remember(it->second.get(), 0, it->second->data.size());
    it->second->data.clear();
    return 0;
  }
  if (!create) return ENOENT;
  if (const int error = Strike(Op::kCreate, path); error != 0) return error;
  if (!live_.contains(ParentOf(path))) return ENOENT;
  *inode = std::make_shared<Inode>();
  ChangeEntries(ParentOf(path), {{path, *inode}});
  return 0;
}

void SimulatedDisk::ChangeEntries(const std::string& directory, std::vector<std::pair<std::string, InodePtr>> entries) {
  for (const auto& [path, inode] : entries) {
    if (inode == nullptr) {
      live_.erase(path);
    } else {
      live_[path] = inode;
    }
  }
  pending_.push_back({directory, std::move(entries)});
}

int SimulatedDisk::WriteInode(Inode* inode, const std::string& path, size_t offset, std::string_view bytes) {
  MutexLock lock(&mu_);
  int error = Strike(Op::kWrite, path);
  if (!has_power_) return error;
  const int64_t growth = static_cast<int64_t>(offset + bytes.size()) - static_cast<int64_t>(inode->data.size());
  if (error == 0 && growth > 0 && limit_bytes_ != kForEver && UsedBytesLocked() + growth > limit_bytes_) {
    error = ENOSPC;
    ++faults_hit_;
  }
  if (error != 0) bytes = bytes.substr(0, bytes.size() / 2);
  Remember(inode, std::min(offset, inode->data.size()), offset + bytes.size());
  if (inode->data.size() < offset + bytes.size()) inode->data.resize(offset + bytes.size());
  inode->data.replace(offset, bytes.size(), bytes);
  return error;
}

int SimulatedDisk::SyncInode(Inode* inode, const std::string& path) {
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kSync, path); error != 0) {
    if (has_power_ && error == EIO) ForgetDirty(inode);
    return error;
  }
  inode->durable_pages.clear();
  inode->durable_size = inode->data.size();
  return 0;
}

int SimulatedDisk::TruncateInode(Inode* inode, const std::string& path, size_t size) {
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kTruncate, path); error != 0) return error;
  Remember(inode, std::min(size, inode->data.size()), std::max(size, inode->data.size()));
  inode->data.resize(size);
  return 0;
}

int SimulatedDisk::ReadInode(const Inode& inode, const std::string& path, size_t offset, size_t size,
                             std::string* out) const {
  out->clear();
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kRead, path); error != 0) return error;
  if (offset < inode.data.size()) out->assign(inode.data, offset, size);
  return 0;
}

int SimulatedDisk::SizeOf(const Inode& inode, size_t* size) const {
  MutexLock lock(&mu_);
  if (!has_power_) return EIO;
  *size = inode.data.size();
  return 0;
}

int SimulatedDisk::RenamePath(const std::string& from_in, const std::string& to_in) {
  const std::string from = Normal(from_in);
  const std::string to = Normal(to_in);
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kRename, to); error != 0) return error;
  const auto it = live_.find(from);
  if (it == live_.end() || !live_.contains(ParentOf(to))) return ENOENT;
  if (ParentOf(from) != ParentOf(to) || it->second->is_directory) return EXDEV;  // nobody here needs it
  ChangeEntries(ParentOf(to), {{to, it->second}, {from, nullptr}});
  return 0;
}

int SimulatedDisk::LinkPath(const std::string& from_in, const std::string& to_in) {
  const std::string from = Normal(from_in);
  const std::string to = Normal(to_in);
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kCreate, to); error != 0) return error;
  const auto it = live_.find(from);
  if (it == live_.end() || !live_.contains(ParentOf(to))) return ENOENT;
  if (live_.contains(to)) return EEXIST;
  ChangeEntries(ParentOf(to), {{to, it->second}});
  return 0;
}

int SimulatedDisk::RemovePath(const std::string& path_in) {
  const std::string path = Normal(path_in);
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kRemove, path); error != 0) return error;
  if (!live_.contains(path)) return ENOENT;
  const auto inside = live_.lower_bound(path + "/");
  if (inside != live_.end() && inside->first.starts_with(path + "/")) return ENOTEMPTY;
  ChangeEntries(ParentOf(path), {{path, nullptr}});
  return 0;
}

int SimulatedDisk::MakeDirectory(const std::string& path_in) {
  const std::string path = Normal(path_in);
  MutexLock lock(&mu_);
  if (const auto it = live_.find(path); it != live_.end()) return it->second->is_directory ? EEXIST : ENOTDIR;
  if (const int error = Strike(Op::kCreate, path); error != 0) return error;
  if (!live_.contains(ParentOf(path))) return ENOENT;
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  ChangeEntries(ParentOf(path), {{path, std::move(inode)}});
  return 0;
}

int SimulatedDisk::ListDirectory(const std::string& path_in, std::vector<std::string>* names) const {
  names->clear();
  const std::string path = Normal(path_in);
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kRead, path); error != 0) return error;
  if (!live_.contains(path)) return ENOENT;
  const std::string prefix = path == "/" ? path : path + "/";
  for (auto it = live_.upper_bound(prefix); it != live_.end() && it->first.starts_with(prefix); ++it) {
    if (it->first.find('/', prefix.size()) == std::string::npos) names->push_back(it->first.substr(prefix.size()));
  }
  return 0;
}

int SimulatedDisk::SyncDirectoryPath(const std::string& path_in) {
  const std::string path = Normal(path_in);
  MutexLock lock(&mu_);
  if (const int error = Strike(Op::kSyncDirectory, path); error != 0) return error;
  if (!live_.contains(path)) return ENOENT;
  for (const PendingChange& change : pending_) {
    if (change.directory == path) ApplyToDurable(change);
  }
  std::erase_if(pending_, [&path](const PendingChange& change) { return change.directory == path; });
  return 0;
}

int SimulatedDisk::Stat(const std::string& path, InodePtr* inode) const {
  MutexLock lock(&mu_);
  if (!has_power_) return EIO;
  const auto it = live_.find(Normal(path));
  if (it == live_.end()) return ENOENT;
  *inode = it->second;
  return 0;
}

bool SimulatedDisk::TakeLock(const std::string& path) {
  MutexLock lock(&mu_);
  return locks_.insert(Normal(path)).second;
}

void SimulatedDisk::ReleaseLock(const std::string& path) {
  MutexLock lock(&mu_);
  locks_.erase(Normal(path));
}

absl::StatusOr<std::unique_ptr<LogFile>> SimulatedDisk::Open(const std::string& path, bool create) {
  InodePtr inode;
  if (const int error = OpenInode(path, create, create, &inode); error != 0) return FileError("open " + path, error);
  return std::unique_ptr<LogFile>(std::make_unique<SimulatedFile>(this, path, std::move(inode)));
}

absl::Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  return AsStatus(RenamePath(from, to), "rename " + from);
}

absl::Status SimulatedDisk::Remove(const std::string& path) { return AsStatus(RemovePath(path), "remove " + path); }

absl::StatusOr<std::vector<std::string>> SimulatedDisk::List(const std::string& directory) {
  std::vector<std::string> names;
  if (const int error = ListDirectory(directory, &names); error != 0) return FileError("list " + directory, error);
  return names;
}

absl::Status SimulatedDisk::CreateDirectory(const std::string& path) {
  const int error = MakeDirectory(path);
  return AsStatus(error == EEXIST ? 0 : error, "create " + path);
}

absl::Status SimulatedDisk::SyncDirectory(const std::string& directory) {
  return AsStatus(SyncDirectoryPath(directory), "sync " + directory);
}

absl::StatusOr<std::unique_ptr<FileLock>> SimulatedDisk::Lock(const std::string& path) {
  if (!TakeLock(path)) return std::unique_ptr<FileLock>();
  return std::unique_ptr<FileLock>(std::make_unique<SimulatedLock>(this, path));
}

void SimulatedDisk::Flip(const std::string& path, size_t offset, char mask) {
  MutexLock lock(&mu_);
  std::string& data = live_.at(Normal(path))->data;
  data.at(offset) = static_cast<char>(data.at(offset) ^ mask);
}

void SimulatedDisk::Zero(const std::string& path, size_t offset, size_t size) {
  MutexLock lock(&mu_);
  std::string& data = live_.at(Normal(path))->data;
  std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(offset), std::min(size, data.size() - offset), '\0');
}

absl::StatusOr<std::string> SimulatedDisk::Contents(const std::string& path) const {
  MutexLock lock(&mu_);
  const auto it = live_.find(Normal(path));
  if (it == live_.end()) return FileError("open " + path, ENOENT);
  return it->second->data;
}

std::vector<std::string> SimulatedDisk::Paths(std::string_view part) const {
  std::vector<std::string> paths;
  MutexLock lock(&mu_);
  for (const auto& [path, inode] : live_) {
    if (!inode->is_directory && path.find(part) != std::string::npos) paths.push_back(path);
  }
  return paths;
}

}  // namespace pulseboard
