#include "server/storage/backup_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/sha256.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;

constexpr char kPart[] = "copying.part";
constexpr char kUnpublished[] = ".new";
constexpr int64_t kSyncEveryBytes = 16 << 20;  // small syncs keep the log's from waiting behind a large one
constexpr int64_t kBusyRetryMs = 1000;

absl::Status MakePrivate(const std::string& path, bool is_directory) {
  std::error_code error;
  fs::permissions(path, is_directory ? fs::perms::owner_all : fs::perms::owner_read | fs::perms::owner_write, error);
  return error ? FileError("change mode of " + path, error.value()) : absl::OkStatus();
}

// Names of the backups, readable or not; none when the folder is not there.
absl::StatusOr<std::vector<std::string>> BackupNames(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(directory, error)) return names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    std::error_code ignored;  // what can't be looked at is no backup
    if (CheckBackupName("name", name).ok() && fs::exists(it->path() / kManifestName, ignored)) {
      names.push_back(std::move(name));
    }
  }
  if (error) return FileError("list " + directory, error.value());
  return names;
}

int64_t FileBytes(const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? -1 : static_cast<int64_t>(bytes);
}

}  // namespace

BackupInfo ToBackupInfo(const BackupManifest& manifest) {
  BackupInfo info;
  info.name = manifest.name;
  info.create_unix_nanos = manifest.create_unix_nanos;
  info.commit_sequence = manifest.commit_sequence;
  info.store_id = manifest.store_id;
  info.files = static_cast<int64_t>(manifest.files.size());
  info.bytes = manifest.bytes();
  info.copied_bytes = manifest.copied_bytes;
  return info;
}

absl::StatusOr<BackupList> ListBackupFolder(const std::string& directory) {
  BackupList list;
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> names, BackupNames(directory));
  for (const std::string& name : names) {
    const auto manifest = ReadBackupManifest(directory, name);
    BackupInfo info;
    info.name = name;
    info.damage = StatusMessage(manifest.status());
    list.backups.push_back(manifest.ok() ? ToBackupInfo(*manifest) : std::move(info));
  }
  std::sort(list.backups.begin(), list.backups.end(), [](const BackupInfo& a, const BackupInfo& b) {
    return std::tie(a.create_unix_nanos, a.name) < std::tie(b.create_unix_nanos, b.name);
  });
  std::error_code error;
  for (fs::directory_iterator it(directory + "/files", error), end; !error && it != end; it.increment(error)) {
    list.bytes += std::max<int64_t>(0, FileBytes(it->path()));
  }
  return list;
}

absl::StatusOr<BackupManifest> ReadBackupManifest(const std::string& directory, const std::string& name) {
  PB_RETURN_IF_ERROR(CheckBackupName("name", name));
  const std::string path = directory + "/" + name + "/" + kManifestName;
  std::error_code error;
  if (!fs::exists(path, error)) {
    return MakeError(ErrorReason::kBackupNotFound, "there is no backup '" + name + "' in " + directory,
                     {{"name", name}, {"directory", directory}});
  }
  std::string bytes;
  PB_RETURN_IF_ERROR(VisitFile(path, -1, [&bytes](std::string_view piece) {
                       bytes.append(piece);
                       return absl::OkStatus();
                     }).status());
  PB_ASSIGN_OR_RETURN(BackupManifest manifest, ParseManifest(bytes, path));
  if (manifest.name != name) return BackupDamaged(path, "it belongs to backup '" + manifest.name + "'");
  return manifest;
}

absl::Status CheckBackupFile(const std::string& directory, const BackupFile& file,
                             const std::function<absl::Status(std::string_view)>& visit) {
  const std::string path = directory + "/files/" + file.sha256;
  const std::string named = path + " (" + file.path + ")";
  if (FileBytes(path) != file.bytes) {
    return BackupDamaged(named, "it is missing or not " + std::to_string(file.bytes) + " bytes long");
  }
  Sha256 hash;
  PB_RETURN_IF_ERROR(VisitFile(path, -1, [&](std::string_view piece) {
                       hash.Update(piece);
                       return visit ? visit(piece) : absl::OkStatus();
                     }).status());
  if (hash.FinishHex() != file.sha256) return BackupDamaged(named, "its content does not have the SHA-256 of its name");
  return absl::OkStatus();
}

absl::StatusOr<VerifySummary> VerifyBackupFiles(const std::string& directory, const std::string& name,
                                                int64_t bytes_per_second, const VerifyWatcher& watch) {
  VerifySummary summary;
  const auto find = [&](std::string file, const absl::Status& damage) {
    ++summary.findings;
    VerifyFinding finding;
    finding.family = "backup";
    finding.file = std::move(file);
    finding.description = StatusMessage(damage);
    if (watch.on_finding) watch.on_finding(finding);
  };
  const auto manifest = ReadBackupManifest(directory, name);
  if (HasReason(manifest.status(), ErrorReason::kBackupDamaged)) {
    find(name + "/" + kManifestName, manifest.status());
    return summary;
  }
  PB_RETURN_IF_ERROR(manifest.status());
  Pacer pacer(bytes_per_second);
  VerifyProgress progress;
  progress.total_bytes = manifest->bytes();
  for (const BackupFile& file : manifest->files) {
    progress.place = file.path;
    absl::Status stop;
    const absl::Status checked = CheckBackupFile(directory, file, [&](std::string_view piece) {
      pacer.Spend(static_cast<int64_t>(piece.size()));
      progress.bytes += static_cast<int64_t>(piece.size());
      if (watch.on_progress) stop = watch.on_progress(progress);
      return stop;
    });
    PB_RETURN_IF_ERROR(stop);
    if (!checked.ok()) find("files/" + file.sha256, checked);
    ++summary.files;
  }
  summary.bytes = progress.bytes;
  return summary;
}

absl::StatusOr<std::unique_ptr<BackupWriter>> BackupWriter::Open(const std::string& directory, LogFileSystem* files,
                                                                 int64_t bytes_per_second) {
  std::unique_ptr<BackupWriter> writer(new BackupWriter(directory, files, bytes_per_second));
  PB_RETURN_IF_ERROR(WithContext(writer->Prepare(), "backup folder"));
  return writer;
}

absl::Status BackupWriter::Prepare() {
  for (const std::string& folder : {directory_, directory_ + "/files"}) {
    std::error_code error;
    const bool is_new = !fs::exists(folder, error);
    PB_RETURN_IF_ERROR(files_->CreateDirectory(folder));
    if (is_new) PB_RETURN_IF_ERROR(MakePrivate(folder, true));
  }
  PB_ASSIGN_OR_RETURN(lock_, files_->Lock(directory_ + "/LOCK"));
  if (lock_ == nullptr) {
    return WithRetryAfterMs(
        MakeError(ErrorReason::kStorageBusy, "another process writes into " + directory_, {{"directory", directory_}}),
        kBusyRetryMs);
  }
  std::error_code error;
  fs::remove(PoolPath(kPart), error);
  fs::remove_all(directory_ + "/" + kUnpublished, error);
  if (error) return FileError("remove what an interrupted backup left in " + directory_, error.value());
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> names, BackupNames(directory_));
  for (const std::string& name : names) {
    auto manifest = ReadBackupManifest(directory_, name);
    if (!manifest.ok()) continue;  // nothing can be shared with it
    for (BackupFile& file : manifest->files) {
      if (!file.identity.empty()) known_.insert_or_assign(file.identity, std::move(file));
    }
  }
  return absl::OkStatus();
}

BackupWriter::~BackupWriter() {
  std::error_code error;
  for (const std::string& path : copied_) fs::remove(path, error);
  fs::remove(PoolPath(kPart), error);
}

absl::Status BackupWriter::CheckFree(const std::string& name) const {
  std::error_code error;
  if (!fs::exists(directory_ + "/" + name, error)) return absl::OkStatus();
  return MakeError(ErrorReason::kBackupExists, "there is a '" + name + "' in " + directory_ + " already",
                   {{"name", name}, {"directory", directory_}});
}

bool BackupWriter::PoolHas(std::string_view sha256, int64_t bytes) const {
  return FileBytes(PoolPath(sha256)) == bytes;
}

absl::Status BackupWriter::Add(const Source& source, const std::function<absl::Status(int64_t)>& on_bytes) {
  BackupFile file{source.path, source.bytes, "", source.identity};
  const auto known = source.identity.empty() ? known_.end() : known_.find(source.identity);
  if (known != known_.end() && known->second.bytes == source.bytes && PoolHas(known->second.sha256, source.bytes)) {
    file.sha256 = known->second.sha256;
    PB_RETURN_IF_ERROR(on_bytes(source.bytes));
  } else {
    PB_RETURN_IF_ERROR(Copy(source, on_bytes, &file));
  }
  added_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status BackupWriter::Copy(const Source& source, const std::function<absl::Status(int64_t)>& on_bytes,
                                BackupFile* file) {
  const std::string part = PoolPath(kPart);
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<LogFile> to, files_->Open(part, true));
  PB_RETURN_IF_ERROR(MakePrivate(part, false));
  Sha256 hash;
  int64_t offset = 0;
  int64_t synced = 0;
  PB_ASSIGN_OR_RETURN(const int64_t read, VisitFile(source.file, source.bytes, [&](std::string_view piece) {
                        hash.Update(piece);
                        PB_RETURN_IF_ERROR(to->WriteAt(offset, piece));
                        offset += static_cast<int64_t>(piece.size());
                        if (offset - synced >= kSyncEveryBytes) {
                          PB_RETURN_IF_ERROR(to->Sync());
                          synced = offset;
                        }
                        pacer_.Spend(static_cast<int64_t>(piece.size()));
                        return on_bytes(static_cast<int64_t>(piece.size()));
                      }));
  if (read != source.bytes) {
    return MakeError(ErrorReason::kInternal, source.file + " has " + std::to_string(read) + " bytes instead of " +
                                                 std::to_string(source.bytes));
  }
  PB_RETURN_IF_ERROR(to->Sync());
  file->sha256 = hash.FinishHex();
  if (PoolHas(file->sha256, file->bytes)) return files_->Remove(part);
  PB_RETURN_IF_ERROR(files_->Rename(part, PoolPath(file->sha256)));
  copied_.push_back(PoolPath(file->sha256));
  copied_bytes_ += file->bytes;
  return absl::OkStatus();
}

absl::Status BackupWriter::WriteFile(const std::string& path, std::string_view content) {
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<LogFile> file, files_->Open(path, true));
  PB_RETURN_IF_ERROR(MakePrivate(path, false));
  PB_RETURN_IF_ERROR(file->WriteAt(0, content));
  return file->Sync();
}

absl::StatusOr<BackupInfo> BackupWriter::Publish(BackupManifest manifest) {
  PB_RETURN_IF_ERROR(CheckFree(manifest.name));
  manifest.files = added_;
  manifest.copied_bytes = copied_bytes_;
  const std::string unpublished = directory_ + "/" + kUnpublished;
  PB_RETURN_IF_ERROR(files_->SyncDirectory(directory_ + "/files"));
  PB_RETURN_IF_ERROR(files_->CreateDirectory(unpublished));
  PB_RETURN_IF_ERROR(MakePrivate(unpublished, true));
  PB_RETURN_IF_ERROR(WriteFile(unpublished + "/" + kManifestName, EncodeManifest(manifest)));
  PB_RETURN_IF_ERROR(files_->SyncDirectory(unpublished));
  PB_RETURN_IF_ERROR(files_->Rename(unpublished, directory_ + "/" + manifest.name));
  copied_.clear();  // they belong to a backup now
  PB_RETURN_IF_ERROR(files_->SyncDirectory(directory_));
  if (const auto removed = RemoveUnnamedFiles(); !removed.ok()) {
    PB_LOG(Warning, "storage", "left unneeded backup files error={}", StatusMessage(removed.status()));
  }
  return ToBackupInfo(manifest);
}

absl::Status BackupWriter::RemoveBackup(const std::string& name) {
  // The rename makes it gone at once; what the removal leaves behind goes with the next backup.
  const std::string unpublished = directory_ + "/" + kUnpublished;
  PB_RETURN_IF_ERROR(files_->Rename(directory_ + "/" + name, unpublished));
  PB_RETURN_IF_ERROR(files_->SyncDirectory(directory_));
  std::error_code error;
  fs::remove_all(unpublished, error);
  return error ? FileError("remove " + unpublished, error.value()) : absl::OkStatus();
}

absl::StatusOr<PrunedBackups> BackupWriter::Prune(int32_t keep) {
  PB_ASSIGN_OR_RETURN(const BackupList list, ListBackupFolder(directory_));
  PrunedBackups pruned;
  // One that is not readable is no backup to count on: it is neither kept as one of `keep` nor removed unseen.
  std::vector<std::string> names;
  for (const BackupInfo& backup : list.backups) {
    if (backup.damage.empty()) names.push_back(backup.name);
  }
  const size_t kept = std::min(names.size(), static_cast<size_t>(keep));
  for (size_t i = 0; i + kept < names.size(); ++i) {
    PB_RETURN_IF_ERROR(RemoveBackup(names[i]));
    pruned.names.push_back(names[i]);
  }
  PB_ASSIGN_OR_RETURN(pruned.freed_bytes, RemoveUnnamedFiles());
  return pruned;
}

absl::StatusOr<int64_t> BackupWriter::RemoveUnnamedFiles() {
  std::set<std::string> named;
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> backups, BackupNames(directory_));
  for (const std::string& backup : backups) {
    // What a manifest that is not readable names is not known: nothing may go.
    PB_ASSIGN_OR_RETURN(const BackupManifest manifest, ReadBackupManifest(directory_, backup));
    for (const BackupFile& file : manifest.files) named.insert(file.sha256);
  }
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> present, files_->List(directory_ + "/files"));
  int64_t freed = 0;
  for (const std::string& name : present) {
    if (named.contains(name)) continue;
    freed += std::max<int64_t>(0, FileBytes(PoolPath(name)));
    PB_RETURN_IF_ERROR(files_->Remove(PoolPath(name)));
  }
  return freed;
}

}  // namespace pulseboard
