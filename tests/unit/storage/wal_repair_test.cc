// Damage of all kinds at random places of a real log, repaired: everything that was not hit is there afterwards.
#include "server/storage/wal_repair.h"

#include <gtest/gtest.h>

#include <bit>
#include <future>
#include <map>
#include <random>
#include <set>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"
#include "tests/unit/storage/simulated_env.h"

namespace pulseboard {
namespace {

constexpr int64_t kStart = 1'700'000'000 * kNanosPerSecond;
constexpr int kNames = 6;

// Where a commit's record lies.
struct Place {
  std::string file;
  int64_t offset = 0;
  int64_t end = 0;
};

struct Pushed {
  std::vector<int> names;
  std::vector<int64_t> times;
  std::vector<double> values;
};

class WalRepairTest : public ::testing::Test {
 protected:
  WalRepairTest() {
    spdlog::set_level(spdlog::level::off);
    options_.directory = "/store";
    options_.clock = &clock_;
    options_.wal_segment_bytes = 4096;
    options_.block_samples = 10'000;  // sealed by Checkpoint only, so that exactly the checkpoint says what is
    options_.checkpoint_interval_ns = 3600 * kNanosPerSecond;
  }

  absl::Status Open() {
    store_.reset();
    auto opened = DurableStore::Open(options_, nullptr, &disk_, env_.get());
    if (!opened.ok()) return opened.status();
    store_ = *std::move(opened);
    return absl::OkStatus();
  }
  SeriesKey KeyOf(int name) const { return {"m" + std::to_string(name), {}}; }

  void Push(size_t samples) {
    AppendBatch batch;
    Pushed pushed;
    for (size_t i = 0; i < samples; ++i) {
      // New series come all the time, so that some are defined in records that get damaged.
      const int name = static_cast<int>(random_() % (1 + std::min<size_t>(kNames - 1, pushes_.size() / 8)));
      batch.series.push_back(store_->FindOrCreateSeries(kDefaultTenant, KeyOf(name), {}, nullptr).value());
      pushed.names.push_back(name);
      pushed.times.push_back(kStart + static_cast<int64_t>(random_() % 3000) * kNanosPerSecond);
      pushed.values.push_back(static_cast<double>(random_() % 1000));
    }
    batch.tenant = kDefaultTenant;
    batch.times = pushed.times;
    batch.values = pushed.values;
    std::promise<absl::StatusOr<CommitReceipt>> promise;
    ASSERT_TRUE(store_->Append(std::move(batch), [&](const auto& receipt) { promise.set_value(receipt); }).ok());
    const auto receipt = promise.get_future().get();
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    ASSERT_EQ(receipt->commit_sequence, static_cast<int64_t>(pushes_.size()) + 1);
    pushes_.push_back(std::move(pushed));
  }

  // A store with some dozen commits over several segments, the first of them sealed now and then.
  void Fill() {
    ASSERT_TRUE(Open().ok());
    const size_t count = 20 + random_() % 60;
    const size_t sealed_at = random_() % 3 == 0 ? random_() % count : count;
    for (size_t i = 0; i < count; ++i) {
      Push(1 + random_() % 30);
      if (i != sealed_at) continue;
      clock_.Advance(options_.seal_age_ns + 1);
      ASSERT_TRUE(store_->Checkpoint().ok());
      checkpoint_ = static_cast<int64_t>(pushes_.size());
    }
    ASSERT_TRUE(store_->Close().ok());
    store_.reset();
    FindPlaces();
  }

  void FindPlaces() {
    WalRecord record;
    for (const std::string& path : disk_.Paths(".wal")) {
      const std::string contents = disk_.Contents(path).value();
      const auto header = DecodeSegmentHeader(contents);
      ASSERT_TRUE(header.has_value());
      const auto file = disk_.Open(path, false).value();
      FrameReader reader(*file, header->salt, kSegmentHeaderBytes, static_cast<int64_t>(contents.size()));
      for (auto frame = reader.Next(); frame.ok() && frame->has_value(); frame = reader.Next()) {
        ASSERT_TRUE(DecodeWalRecord((*frame)->payload, &record));
        places_[record.commit_sequence] = {path, (*frame)->offset, (*frame)->end()};
      }
    }
  }

  // Commits with a byte in [offset, end) of the file; with its header gone as well if nothing tells its salt.
  void Hit(const std::string& path, int64_t offset, int64_t end) {
    for (const auto& [commit, place] : places_) {
      if (place.file == path && place.offset < end && offset < place.end) hit_.insert(commit);
    }
  }

  void Damage() {
    const std::vector<std::string> paths = disk_.Paths(".wal");
    const std::string& path = paths[random_() % paths.size()];
    const auto size = static_cast<int64_t>(disk_.Contents(path)->size());
    const auto at = static_cast<int64_t>(random_() % static_cast<uint64_t>(size));
    switch (random_() % 9) {
      case 8:
        SwapRecords(path);
        break;
      case 0:  // the file is gone
        ASSERT_TRUE(disk_.Remove(path).ok());
        Hit(path, 0, size);
        break;
      case 1:  // cut short
        ASSERT_TRUE(disk_.Open(path, false).value()->Truncate(at).ok());
        Hit(path, at, size);
        break;
      case 2:  // the header
        disk_.Zero(path, 0, kSegmentHeaderBytes);
        break;
      case 3:
      case 4: {  // a page of zeros
        const int64_t zeros = 1 + static_cast<int64_t>(random_() % 1024);
        disk_.Zero(path, static_cast<size_t>(at), static_cast<size_t>(zeros));
        Hit(path, at, std::min(size, at + zeros));
        break;
      }
      default:  // a bit
        disk_.Flip(path, static_cast<size_t>(at), static_cast<char>(1 << random_() % 8));
        Hit(path, at, at + 1);
    }
    HitUnknowableSegments();
  }

  // Two records that stand in each other's place: only these are lost, not those between them.
  void SwapRecords(const std::string& path) {
    std::vector<std::pair<int64_t, Place>> in_file;
    for (const auto& [commit, place] : places_) {
      if (place.file == path && !hit_.contains(commit)) in_file.emplace_back(commit, place);
    }
    std::string contents = disk_.Contents(path).value();
    if (in_file.size() < 5 || !DecodeSegmentHeader(contents)) return;
    // Not next to each other, and not the last one, so that what stands behind proves that both were on the disk.
    const size_t a = random_() % (in_file.size() - 4);
    const size_t b = a + 2 + random_() % (in_file.size() - a - 3);
    const Place first = in_file[a].second, second = in_file[b].second;
    if (static_cast<size_t>(second.end) > contents.size()) return;
    const auto bytes = [&contents](int64_t from, int64_t to) {
      return contents.substr(static_cast<size_t>(from), static_cast<size_t>(to - from));
    };
    const std::string swapped =
        bytes(second.offset, second.end) + bytes(first.end, second.offset) + bytes(first.offset, first.end);
    ASSERT_TRUE(disk_.Open(path, false).value()->WriteAt(first.offset, swapped).ok());
    has_swapped_ = true;
    hit_.insert(in_file[a].first);
    hit_.insert(in_file[b].first);
    const int64_t moved_by = (second.end - second.offset) - (first.end - first.offset);
    for (size_t i = a + 1; i < b; ++i) {
      places_[in_file[i].first].offset += moved_by;
      places_[in_file[i].first].end += moved_by;
    }
  }

  // Without its header a segment is read by the salt that two whole records agree on.
  void HitUnknowableSegments() {
    for (const std::string& path : disk_.Paths(".wal")) {
      if (DecodeSegmentHeader(*disk_.Contents(path))) continue;
      std::set<int64_t> whole;
      for (const auto& [commit, place] : places_) {
        if (place.file == path && !hit_.contains(commit)) whole.insert(commit);
      }
      if (whole.size() < 2) hit_.insert(whole.begin(), whole.end());
    }
  }

  std::map<std::string, std::string> LogFiles() const {
    std::map<std::string, std::string> files;
    for (const std::string& path : disk_.Paths("/wal/")) files[path] = disk_.Contents(path).value();
    return files;
  }

  void CheckSamples(int64_t commits, const std::set<int64_t>& lost) {
    std::map<int, std::map<int64_t, double>> expected;
    for (int64_t commit = 1; commit <= commits; ++commit) {
      if (lost.contains(commit)) continue;
      const Pushed& pushed = pushes_[static_cast<size_t>(commit) - 1];
      for (size_t i = 0; i < pushed.names.size(); ++i) {
        // What is left of a series whose definition was hit can't be told from anything.
        if (!store_->FindSeries(kDefaultTenant, KeyOf(pushed.names[i]))) continue;
        expected[pushed.names[i]][pushed.times[i]] = pushed.values[i];
      }
    }
    for (int name = 0; name < kNames; ++name) {
      const auto id = store_->FindSeries(kDefaultTenant, KeyOf(name));
      if (!id) {
        EXPECT_TRUE(lost.contains(FirstUse(name)) || FirstUse(name) > commits) << "m" << name << " is forgotten";
        continue;
      }
      const SeriesId ids[] = {*id};
      const auto read = store_->OpenView(ids, kAllTime, nullptr).value()->Read(*id, kAllTime);
      ASSERT_TRUE(read.ok()) << read.status();
      std::map<int64_t, double> found;
      for (size_t i = 0; i < read->size(); ++i) found[read->times[i]] = read->values[i];
      EXPECT_EQ(found, expected[name]) << "m" << name;
    }
  }
  // Series whose definitions were hit begin anew, without what they had.
  void ForgetUndefined() {
    for (int name = 0; name < kNames; ++name) {
      if (store_->FindSeries(kDefaultTenant, KeyOf(name))) continue;
      for (Pushed& pushed : pushes_) std::replace(pushed.names.begin(), pushed.names.end(), name, kNames);
    }
  }
  int64_t FirstUse(int name) const {
    for (size_t i = 0; i < pushes_.size(); ++i) {
      const auto& names = pushes_[i].names;
      if (std::find(names.begin(), names.end(), name) != names.end()) return static_cast<int64_t>(i) + 1;
    }
    return static_cast<int64_t>(pushes_.size()) + 1;
  }

  void CheckCommits(int64_t commits, const WalReport& report) {
    int64_t after = 0;
    const auto visit = [&](const CommittedBatch& batch) {
      EXPECT_EQ(batch.commit_sequence, ++after);
      return absl::OkStatus();
    };
    absl::Status status = store_->ReadCommits(0, commits, visit);
    if (HasReason(status, ErrorReason::kResumeTokenExpired)) {
      const int64_t oldest = std::stoll(GetErrorDetail(status)->metadata.at("oldestCommitSequence"));
      // A reader is sent behind the last hole and never across one.
      for (const CommitRange& missing : report.missing) EXPECT_GT(oldest, missing.last);
      after = oldest - 1;
      status = store_->ReadCommits(after, commits, visit);
    }
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(after, commits);
  }

  std::mt19937_64 random_;
  SimulatedDisk disk_;
  std::unique_ptr<rocksdb::Env> env_ = MakeSimulatedEnv(&disk_);
  ManualClock clock_{kStart};
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  std::vector<Pushed> pushes_;  // by commit - 1
  int64_t checkpoint_ = 0;
  std::map<int64_t, Place> places_;
  bool has_swapped_ = false;
  std::set<int64_t> hit_;
};

class WalRepairSeeds : public WalRepairTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(WalRepairSeeds, KeepsWhatWasNotHit) {
  random_.seed(GetParam());
  Fill();
  ASSERT_FALSE(HasFailure());
  for (uint64_t n = 1 + random_() % 3; n > 0 && !disk_.Paths(".wal").empty(); --n) Damage();
  const WalRepairOptions repair{options_.directory, &disk_, env_.get()};

  const auto before = LogFiles();
  const auto inspected = InspectWal(repair);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_EQ(LogFiles(), before) << "an inspection changes nothing";
  // Serve refuses what the inspection calls damaged, and nothing else. (Recovery removes what is torn, so last.)
  if (inspected->is_whole()) {
    EXPECT_TRUE(Open().ok());
    ASSERT_TRUE(store_ != nullptr);
  } else {
    const absl::Status refused = Open();
    EXPECT_TRUE(HasReason(refused, ErrorReason::kBlockCorrupt)) << refused;
    EXPECT_NE(StatusMessage(refused).find("pulseboardd wal repair"), std::string::npos) << refused;
  }
  store_.reset();

  const auto repaired = RepairWal(repair);
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(repaired->repaired, !inspected->is_whole());
  for (const WalDamage& damage : repaired->damage) {
    EXPECT_EQ(disk_.Contents(damage.quarantine)->size(), static_cast<size_t>(damage.end - damage.offset));
    EXPECT_EQ(*disk_.Contents(damage.quarantine),
              before.at(damage.file)
                  .substr(static_cast<size_t>(damage.offset), static_cast<size_t>(damage.end - damage.offset)));
  }
  const auto again = InspectWal(repair);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->is_whole());

  const absl::Status opened = Open();
  ASSERT_TRUE(opened.ok()) << opened;
  const int64_t commits = store_->Stats().commit_sequence;
  std::set<int64_t> lost;  // of those that only the log had
  for (const CommitRange& missing : repaired->missing) {
    for (int64_t commit = missing.first; commit <= missing.last; ++commit) lost.insert(commit);
  }
  for (int64_t commit = commits + 1; commit <= static_cast<int64_t>(pushes_.size()); ++commit) lost.insert(commit);
  std::erase_if(lost, [this](int64_t commit) { return commit <= checkpoint_; });
  std::erase_if(hit_, [this](int64_t commit) { return commit <= checkpoint_; });
  // Of few records that changed places, which ones did is anyone's guess; not how many.
  EXPECT_EQ(lost.size(), hit_.size());
  if (!has_swapped_) {
    EXPECT_EQ(lost, hit_);
  }
  CheckSamples(commits, lost);
  CheckCommits(commits, *repaired);

  // It goes on, and what comes now survives with what was saved.
  pushes_.resize(static_cast<size_t>(commits));
  std::erase_if(lost, [commits](int64_t commit) { return commit > commits; });
  ForgetUndefined();
  Push(5);
  ASSERT_TRUE(Open().ok());
  CheckSamples(commits + 1, lost);
}

INSTANTIATE_TEST_SUITE_P(Damage, WalRepairSeeds, ::testing::Range(uint64_t{1}, uint64_t{201}));

TEST_F(WalRepairTest, AnInterruptedRepairIsDoneAgain) {
  random_.seed(8);
  Fill();
  const std::vector<std::string> paths = disk_.Paths(".wal");
  ASSERT_GE(paths.size(), 3u);
  for (size_t i = 0; i < 3; ++i) disk_.Zero(paths[i], 100, 300);
  SimulatedDisk damaged;
  damaged.CopyFrom(disk_);
  for (int64_t change = 0;; ++change) {
    SimulatedDisk disk;
    disk.CopyFrom(damaged);
    const auto env = MakeSimulatedEnv(&disk);
    const WalRepairOptions repair{options_.directory, &disk, env.get()};
    disk.CutPowerBefore(change);
    const bool done = RepairWal(repair).ok();
    if (!disk.has_power()) disk.PowerOn(static_cast<uint64_t>(change));
    disk.CutPowerBefore(SimulatedDisk::kForEver);
    const auto repaired = RepairWal(repair);
    ASSERT_TRUE(repaired.ok()) << "power cut before change " << change << ": " << repaired.status();
    const auto opened = DurableStore::Open(options_, nullptr, &disk, env.get());
    ASSERT_TRUE(opened.ok()) << "power cut before change " << change << ": " << opened.status();
    EXPECT_EQ((*opened)->Stats().commit_sequence, static_cast<int64_t>(pushes_.size()));
    if (done) break;
  }
}

TEST_F(WalRepairTest, RefusesALogThatIsInUseOrNotThere) {
  Fill();
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(InspectWal({options_.directory, &disk_, env_.get()}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  store_.reset();
  EXPECT_FALSE(InspectWal({"/nowhere", &disk_, env_.get()}).ok());
  EXPECT_TRUE(disk_.Paths("/nowhere").empty());
}

}  // namespace
}  // namespace pulseboard
