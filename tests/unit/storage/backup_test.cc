// Backups of a real store: made while it works, shared between them, interrupted at every step, damaged, restored.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "server/storage/backup_folder.h"
#include "server/storage/backup_manifest.h"
#include "server/storage/durable_store.h"
#include "server/storage/operations.h"
#include "server/storage/restore.h"
#include "server/storage/table.h"
#include "tests/unit/storage/faulty_files.h"
#include "tests/unit/storage/store_fixture.h"

namespace pulseboard {
namespace {

namespace fs = std::filesystem;

class BackupTest : public StoreTest {
 protected:
  BackupTest() {
    options_.backup_directory = dir_.path() + "/backups";
    options_.backup_rate = 0;
    options_.verify_rate = 0;
  }

  // The log's and the backups' files can be made to fail.
  void OpenFaulty() {
    store_.reset();
    auto opened = DurableStore::Open(options_, nullptr, &files_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }

  BackupInfo Backup(const std::string& name, const BackupWatcher& watch = nullptr) {
    clock_.Advance(kNanosPerSecond);
    auto made = store_->operations().CreateBackup(name, watch);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *made : BackupInfo{};
  }

  // Goes on with the restored backup.
  void OpenRestored(const std::string& backup) {
    const std::string target = dir_.path() + "/restored" + std::to_string(++crashes_);
    auto restored = RestoreBackup(backup, target, nullptr);
    ASSERT_TRUE(restored.ok()) << restored.status();
    options_.directory = target;
    Open();
  }

  std::vector<std::string> Names() {
    auto list = store_->operations().ListBackups();
    EXPECT_TRUE(list.ok()) << list.status();
    std::vector<std::string> names;
    for (const BackupInfo& backup : list->backups) names.push_back(backup.name + (backup.damage.empty() ? "" : "!"));
    return names;
  }

  std::vector<VerifyFinding> Check(const std::string& name) {
    std::vector<VerifyFinding> findings;
    VerifyWatcher watch;
    watch.on_finding = [&findings](const VerifyFinding& finding) { findings.push_back(finding); };
    auto summary = store_->operations().VerifyBackup(name, watch);
    EXPECT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary.ok() ? summary->findings : -1, static_cast<int64_t>(findings.size()));
    return findings;
  }

  std::set<std::string> Pool() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(options_.backup_directory + "/files")) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  // A series with samples in blocks, in the head, and both.
  Points Fill() {
    Points points;
    for (int i = 0; i < 2'000; ++i) points.emplace_back(kStart + i * kNanosPerSecond, i * 0.5);
    EXPECT_TRUE(Push(Series("m"), {points.begin(), points.begin() + 1'500}).ok());
    SealAll();
    EXPECT_TRUE(Push(Series("m"), {points.begin() + 1'500, points.end()}).ok());
    return points;
  }

  FaultyFiles files_;
};

TEST_F(BackupTest, RestoresWhatWasCommittedBeforeIt) {
  Open();
  const Points points = Fill();
  AppendBatch tracked = Batch(Series("other"), {{kStart, 7}});
  tracked.producer_id = "p";
  tracked.sequence = 41;
  ASSERT_TRUE(Push(tracked).ok());
  ASSERT_TRUE(store_->GetTable("users").Put("somebody", "secret").ok());
  const std::string id = store_->store_id();
  const BackupInfo made = Backup("first");
  EXPECT_EQ(made.commit_sequence, store_->Stats().commit_sequence);
  EXPECT_EQ(made.copied_bytes, made.bytes);
  ASSERT_TRUE(Push(Series("later"), {{kStart, 1}}).ok());

  OpenRestored(options_.backup_directory + "/first");
  EXPECT_EQ(Read(Series("m")), points);
  EXPECT_EQ(store_->store_id(), id);
  EXPECT_EQ(store_->ProducerPosition(kDefaultTenant, "p"), 41);
  EXPECT_EQ(*store_->GetTable("users").Get("somebody"), "secret");
  EXPECT_FALSE(store_->FindSeries(kDefaultTenant, {"later", {}}));
  // The log is there too, so that subscribers can resume.
  int64_t commits = 0;
  ASSERT_TRUE(store_
                  ->ReadCommits(0, 100,
                                [&commits](const CommittedBatch&) {
                                  ++commits;
                                  return absl::OkStatus();
                                })
                  .ok());
  EXPECT_EQ(commits, made.commit_sequence);
  ASSERT_TRUE(Push(Series("m"), {{kStart - 1, 5}}).ok());
}

TEST_F(BackupTest, LetsPushesThroughWhileItCopies) {
  Open();
  const Points before = Fill();
  Points after = before;
  int pushed = 0;
  const BackupInfo made = Backup("busy", [&](const BackupProgress&) {
    const int64_t time = kStart - ++pushed * kNanosPerSecond;
    EXPECT_TRUE(Push(Series("m"), {{time, -1}}).ok());
    after.insert(after.begin(), {time, -1});
    EXPECT_TRUE(store_->Checkpoint().ok());  // frees and seals beneath the copying
    return absl::OkStatus();
  });
  EXPECT_GT(pushed, 3);
  EXPECT_EQ(Read(Series("m")), after);
  EXPECT_TRUE(Check("busy").empty());
  OpenRestored(options_.backup_directory);
  EXPECT_EQ(store_->Stats().commit_sequence, made.commit_sequence);
  EXPECT_EQ(Read(Series("m")), before);
}

TEST_F(BackupTest, CopiesTablesOnceAndKeepsOthersWholeWhenPruned) {
  Open();
  Points points = Fill();
  SealAll();
  const BackupInfo first = Backup("first");
  const std::set<std::string> pool_of_first = Pool();
  points.emplace_back(kStart + 5'000 * kNanosPerSecond, 1);
  ASSERT_TRUE(Push(Series("m"), {points.back()}).ok());
  SealAll();
  const BackupInfo second = Backup("second");
  const auto first_manifest = ReadBackupManifest(options_.backup_directory, "first");
  const auto second_manifest = ReadBackupManifest(options_.backup_directory, "second");
  ASSERT_TRUE(first_manifest.ok() && second_manifest.ok());
  std::set<std::string> in_first;
  for (const BackupFile& file : first_manifest->files) in_first.insert(file.path + file.sha256);
  int shared_tables = 0;
  for (const BackupFile& file : second_manifest->files) {
    if (file.path.ends_with(".sst")) shared_tables += in_first.contains(file.path + file.sha256);
  }
  EXPECT_GT(shared_tables, 0);
  EXPECT_LT(second.copied_bytes, second.bytes);
  EXPECT_LT(Pool().size(), first_manifest->files.size() + second_manifest->files.size());

  const auto pruned = store_->operations().PruneBackups(1);
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  EXPECT_EQ(pruned->names, std::vector<std::string>{"first"});
  EXPECT_GT(pruned->freed_bytes, 0);
  EXPECT_EQ(Names(), std::vector<std::string>{"second"});
  EXPECT_TRUE(Check("second").empty());
  EXPECT_EQ(store_->operations().PruneBackups(1)->freed_bytes, 0);
  OpenRestored(options_.backup_directory);
  EXPECT_EQ(Read(Series("m")), points);
}

TEST_F(BackupTest, RestoredStoreGoesOnInTheSameFolder) {
  Open();
  const Points points = Fill();
  Backup("first");
  // The old store and the restored one both go on from here: equal file names, different contents.
  ASSERT_TRUE(Push(Series("m"), {{kStart - 5, 5}}).ok());
  SealAll();
  Backup("old");
  OpenRestored(options_.backup_directory + "/first");
  ASSERT_TRUE(Push(Series("m"), {{kStart - 6, 6}}).ok());
  SealAll();
  Backup("new");
  OpenRestored(options_.backup_directory + "/old");
  EXPECT_EQ(Read(Series("m"), {kStart - 10, kStart}), (Points{{kStart - 5, 5}}));
  OpenRestored(options_.backup_directory + "/new");
  EXPECT_EQ(Read(Series("m"), {kStart - 10, kStart}), (Points{{kStart - 6, 6}}));
}

TEST_F(BackupTest, ProcessKilledAtAnyStepLeavesOnlyWholeBackups) {
  Open();
  Fill();
  Backup("whole");
  ASSERT_TRUE(Push(Series("m"), {{kStart - 1, 1}}).ok());
  SealAll();
  std::vector<std::string> images;
  Backup("second", [&](const BackupProgress&) {
    images.push_back(dir_.path() + "/image" + std::to_string(images.size()));
    fs::copy(options_.backup_directory, images.back(), fs::copy_options::recursive);
    return absl::OkStatus();
  });
  ASSERT_GT(images.size(), 3u);
  for (const std::string& image : images) {
    store_.reset();
    options_.backup_directory = image;
    Open();
    EXPECT_EQ(Names(), std::vector<std::string>{"whole"}) << image;
    Backup("again");
    EXPECT_TRUE(Check("whole").empty());
    EXPECT_TRUE(Check("again").empty());
    const auto pool = Pool();
    EXPECT_FALSE(pool.contains("copying.part"));
    fs::remove_all(image);
  }
}

TEST_F(BackupTest, FullDiskIsSaidAndHarmsNothing) {
  OpenFaulty();
  const Points points = Fill();
  Backup("whole");
  const auto pool = Pool();
  ASSERT_TRUE(Push(Series("m"), {{kStart - 1, 1}}).ok());
  SealAll();
  const auto failed = store_->operations().CreateBackup("second", [this](const BackupProgress&) {
    files_.FailWrites(ENOSPC);
    return absl::OkStatus();
  });
  files_.FailWrites(0);
  EXPECT_TRUE(HasReason(failed.status(), ErrorReason::kDiskFull)) << failed.status();
  EXPECT_EQ(Names(), std::vector<std::string>{"whole"});
  EXPECT_EQ(Pool(), pool);
  EXPECT_TRUE(store_->Health().ok()) << store_->Health();
  ASSERT_TRUE(Push(Series("m"), {{kStart - 2, 2}}).ok());
  EXPECT_TRUE(Check("whole").empty());
  Backup("second");
  EXPECT_TRUE(Check("second").empty());
}

TEST_F(BackupTest, StopsWhenItsWatcherSaysSo) {
  Open();
  Fill();
  const auto stopped =
      store_->operations().CreateBackup("never", [](const BackupProgress&) { return absl::CancelledError("enough"); });
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Names().empty());
  EXPECT_TRUE(Pool().empty());
  EXPECT_FALSE(fs::exists(options_.directory + "/backup.staging"));
}

TEST_F(BackupTest, NamesTheDamagedFileAndRefusesToRestoreIt) {
  Open();
  Fill();
  Backup("b");
  const auto manifest = ReadBackupManifest(options_.backup_directory, "b");
  ASSERT_TRUE(manifest.ok());
  for (const BackupFile& file : manifest->files) {
    const std::string path = options_.backup_directory + "/files/" + file.sha256;
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(file.bytes / 2);
    const char was = static_cast<char>(stream.get());
    stream.seekp(file.bytes / 2);
    stream.put(static_cast<char>(was ^ 4));
    stream.close();
    const auto findings = Check("b");
    ASSERT_EQ(findings.size(), 1u) << file.path;
    EXPECT_EQ(findings[0].file, "files/" + file.sha256);
    const std::string target = dir_.path() + "/target";
    const auto restored = RestoreBackup(options_.backup_directory + "/b", target, nullptr);
    EXPECT_TRUE(HasReason(restored.status(), ErrorReason::kBackupDamaged)) << restored.status();
    EXPECT_NE(StatusMessage(restored.status()).find(file.path), std::string::npos);
    EXPECT_FALSE(fs::exists(target));
    EXPECT_FALSE(fs::exists(target + ".restoring"));
    std::fstream repair(path, std::ios::in | std::ios::out | std::ios::binary);
    repair.seekp(file.bytes / 2);
    repair.put(was);
  }
  EXPECT_TRUE(Check("b").empty());
}

TEST_F(BackupTest, DamagedManifestIsNoBackup) {
  Open();
  Fill();
  Backup("b");
  const std::string path = options_.backup_directory + "/b/MANIFEST";
  const auto size = fs::file_size(path);
  for (uintmax_t cut = 0; cut < size; cut += 7) {
    fs::resize_file(path, size);  // zeros behind, which is damage too
    fs::resize_file(path, cut);
    EXPECT_EQ(Names(), std::vector<std::string>{"b!"}) << cut;
  }
  const auto restored = RestoreBackup(options_.backup_directory + "/b", dir_.path() + "/target", nullptr);
  EXPECT_TRUE(HasReason(restored.status(), ErrorReason::kBackupDamaged)) << restored.status();
  EXPECT_TRUE(HasReason(RestoreBackup(options_.backup_directory, dir_.path() + "/target", nullptr).status(),
                        ErrorReason::kBackupNotFound));
  ASSERT_EQ(Check("b").size(), 1u);
  // What it names is not known: nothing is removed.
  const auto pool = Pool();
  EXPECT_FALSE(store_->operations().PruneBackups(1).ok());
  EXPECT_EQ(Pool(), pool);
}

TEST_F(BackupTest, ManifestThatLeadsOutOfTheDirectoryIsRefused) {
  BackupManifest manifest;
  manifest.name = "b";
  manifest.store_id = "00";
  manifest.files.push_back({"db/1.sst", 3, std::string(64, 'a'), ""});
  ASSERT_TRUE(ParseManifest(EncodeManifest(manifest), "M").ok());
  EXPECT_EQ(EncodeManifest(*ParseManifest(EncodeManifest(manifest), "M")), EncodeManifest(manifest));
  for (const std::string path :
       {"", "/etc/passwd", "../x", "db/../../x", "db//x", "db/", ".hidden", "db/.x", "a b", "a\nb"}) {
    manifest.files[0].path = path;
    EXPECT_FALSE(ParseManifest(EncodeManifest(manifest), "M").ok()) << path;
  }
  manifest.files[0].path = "db/1.sst";
  manifest.files[0].sha256 = "../../../etc/passwd" + std::string(45, 'a');
  EXPECT_FALSE(ParseManifest(EncodeManifest(manifest), "M").ok());
  manifest.files[0].sha256 = std::string(64, 'a');
  manifest.files.push_back(manifest.files[0]);
  EXPECT_FALSE(ParseManifest(EncodeManifest(manifest), "M").ok());
}

TEST_F(BackupTest, RefusesNamesThatAreNoNames) {
  Open();
  for (const std::string name : {"files", "LOCK", ".", "..", "../x", "a/b", ".new", "-x", "a b", "ü", "a\n"}) {
    EXPECT_TRUE(HasReason(store_->operations().CreateBackup(name, nullptr).status(), ErrorReason::kBadField)) << name;
    EXPECT_TRUE(HasReason(store_->operations().VerifyBackup(name, {}).status(), ErrorReason::kBadField)) << name;
  }
  EXPECT_TRUE(
      HasReason(store_->operations().CreateBackup(std::string(65, 'a'), nullptr).status(), ErrorReason::kBadField));
  EXPECT_TRUE(HasReason(store_->operations().VerifyBackup("unknown", {}).status(), ErrorReason::kBackupNotFound));
  EXPECT_TRUE(HasReason(store_->operations().PruneBackups(0).status(), ErrorReason::kBadField));
  Backup("taken");
  EXPECT_TRUE(HasReason(store_->operations().CreateBackup("taken", nullptr).status(), ErrorReason::kBackupExists));
  EXPECT_EQ(Backup("").name, "20231114T221322Z");
}

TEST_F(BackupTest, OneOperationAtATime) {
  Open();
  Fill();
  absl::Status second;
  Backup("b", [&](const BackupProgress&) {
    second = store_->operations().PruneBackups(1).status();
    return absl::OkStatus();
  });
  EXPECT_TRUE(HasReason(second, ErrorReason::kStorageBusy)) << second;
  EXPECT_TRUE(GetErrorDetail(second)->retry_after_ms.has_value());
  EXPECT_TRUE(store_->operations().PruneBackups(1).ok());
}

TEST_F(BackupTest, OverwritesNothingWhenRestoring) {
  Open();
  Fill();
  Backup("b");
  const std::string target = dir_.path() + "/target";
  fs::create_directories(target);
  std::ofstream(target + "/precious") << "x";
  EXPECT_EQ(RestoreBackup(options_.backup_directory, target, nullptr).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(target + "/precious"));
  fs::remove(target + "/precious");
  EXPECT_TRUE(RestoreBackup(options_.backup_directory + "/", target, nullptr).ok());
  for (const auto& entry : fs::recursive_directory_iterator(target)) {
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, fs::perms::none) << entry.path();
  }
  for (const auto& entry : fs::recursive_directory_iterator(options_.backup_directory)) {
    if (entry.path().filename() == "LOCK") continue;
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, fs::perms::none) << entry.path();
  }
}

TEST_F(BackupTest, IsOffWithoutADirectory) {
  options_.backup_directory.clear();
  Open();
  EXPECT_TRUE(HasReason(store_->operations().CreateBackup("b", nullptr).status(), ErrorReason::kBackupsOff));
  EXPECT_TRUE(HasReason(store_->operations().ListBackups().status(), ErrorReason::kBackupsOff));
  EXPECT_TRUE(HasReason(store_->operations().PruneBackups(1).status(), ErrorReason::kBackupsOff));
  EXPECT_TRUE(HasReason(store_->operations().VerifyBackup("b", {}).status(), ErrorReason::kBackupsOff));
}

}  // namespace
}  // namespace pulseboard
