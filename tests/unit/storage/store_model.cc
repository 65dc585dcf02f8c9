#include "tests/unit/storage/store_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <future>
#include <set>
#include <thread>

#include "common/base/errors.h"
#include "server/storage/durable_store.h"
#include "server/storage/families.h"
#include "tests/unit/storage/simulated_env.h"
#include "tests/unit/storage/store_model_series.h"

namespace pulseboard {
namespace {

constexpr std::array<std::string_view, kStepKinds> kStepNames = {
    "push",    "push_several", "push_again", "read",   "read_commits", "checkpoint", "seal_all",  "pass_time",
    "restart", "kill",         "cut_power",  "delete", "verify",       "fail_sync",  "fill_disk", "fail_rocks"};
// How often each kind is drawn; the last three only in runs with faults, which have to wait for the store's retries.
constexpr std::array<int, kStepKinds> kWeights = {50, 10, 6, 14, 4, 6, 4, 4, 3, 3, 4, 5, 2, 1, 1, 2};
constexpr int kFaultKinds = 3;
int FaultKindsWanted() {
  const char* wanted = std::getenv("PULSEBOARD_MODEL_FAULTS");
  return wanted != nullptr ? std::clamp(std::atoi(wanted), 0, kFaultKinds) : 1;
}
// One seed of eight has faults.
bool HasFaults(uint64_t seed) { return seed / 4 % 8 == 0; }

template <typename Condition>
bool BecomesTrue(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

std::vector<Step> DrawSteps(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  const bool has_faults = HasFaults(seed);
  std::vector<int> wheel;
  const int left_out = has_faults ? kFaultKinds - FaultKindsWanted() : kFaultKinds;
  for (int kind = 0; kind < kStepKinds - left_out; ++kind) {
    wheel.insert(wheel.end(), static_cast<size_t>(kWeights[static_cast<size_t>(kind)]), kind);
  }
  std::vector<Step> steps;
  for (size_t i = 0; i < count; ++i) {
    steps.push_back({static_cast<StepKind>(wheel[random() % wheel.size()]), random()});
  }
  return steps;
}

StoreOptions DrawModelOptions(uint64_t seed) {
  std::mt19937_64 random(~seed);
  const auto pick = [&random](uint64_t n) { return static_cast<int64_t>(random() % n); };
  StoreOptions options;
  options.directory = "/store";
  options.block_samples = static_cast<int32_t>(int64_t{16} << pick(7));
  options.wal_segment_bytes = 4096 + pick(3) * pick(32'000);
  options.wal_retain_bytes = pick(64'000);
  options.min_free_bytes = 0;  // full disks are to be met, not kept away from
  options.verify_rate = 0;
  options.buffered_sync_interval_ns = 3600 * kNanosPerSecond;  // a run's chances are its seed's alone
  if (pick(3) == 0) options.head_bytes = 4096;
  if (pick(3) == 0) options.wal_recovery_bytes = 16'000;
  options.seal_age_ns = (1 + pick(600)) * kNanosPerSecond;
  options.checkpoint_interval_ns = 3600 * kNanosPerSecond;  // runs checkpoint themselves
  options.raw_retention_ns = (2 + pick(2) * pick(28)) * kNanosPerDay;
  const int64_t tiers = pick(4);
  if (tiers == 0) options.tiers.clear();
  if (tiers == 1) options.tiers = ParseTiers("5m:40d,6h:50d", options.raw_retention_ns).value();
  return options;
}

bool DrawMixedAcks(uint64_t seed) { return seed / 4 % 4 == 1; }

std::string DescribeOptions(const StoreOptions& options) {
  return fmt::format(
      "block_samples={} wal_segment_bytes={} wal_retain_bytes={} head_bytes={} wal_recovery_bytes={} "
      "seal_age={}s raw_retention={}d tiers={}",
      options.block_samples, options.wal_segment_bytes, options.wal_retain_bytes, options.head_bytes,
      options.wal_recovery_bytes, options.seal_age_ns / kNanosPerSecond, options.raw_retention_ns / kNanosPerDay,
      FormatTiers(options.tiers));
}

ModelRun::ModelRun(uint64_t seed, const SimulatedDisk& fresh)
    : options_(DrawModelOptions(seed)), mixed_acks_(DrawMixedAcks(seed)), has_faults_(HasFaults(seed)) {
  options_.clock = &clock_;
  disk_.CopyFrom(fresh);
  env_ = MakeSimulatedEnv(&disk_);
}

ModelRun::~ModelRun() { store_.reset(); }

absl::Status ModelRun::Run(std::span<const Step> steps) {
  story_.push_back("open:");
  PB_RETURN_IF_ERROR(Open());
  for (const Step& step : steps) {
    random_.seed(step.seed);
    story_.push_back(std::string(kStepNames[static_cast<size_t>(step.kind)]) + ":");
    const absl::Status status = Do(step);
    if (!disk_.has_power()) {
      Tell("the power is gone");
      PB_RETURN_IF_ERROR(AfterCrash(true));
    } else if (has_faults_ && HasReason(status, ErrorReason::kStoreReadOnly)) {
      PB_RETURN_IF_ERROR(LeaveReadOnly());
    } else if (has_faults_ &&
               (HasReason(status, ErrorReason::kWriteStalled) || HasReason(status, ErrorReason::kDiskFull))) {
      PB_RETURN_IF_ERROR(Heal());  // an error that was met in the background and told of now
    } else if (!status.ok()) {
      return status;
    }
  }
  story_.push_back("end:");
  disk_.CutPowerBefore(SimulatedDisk::kForEver);
  const absl::Status reopened = Reopen();
  if (has_faults_ && HasReason(reopened, ErrorReason::kStoreReadOnly)) return LeaveReadOnly();
  PB_RETURN_IF_ERROR(reopened);
  return CheckAll();
}

// Errors of the disk that hit the log need a restart.
absl::Status ModelRun::LeaveReadOnly() {
  Tell("read-only");
  disk_.Heal();
  disk_.CutPower();
  return AfterCrash(false);
}

absl::Status ModelRun::Do(const Step& step) {
  switch (step.kind) {
    case StepKind::kPush:
      return Push({DrawBatch()});
    case StepKind::kPushSeveral: {
      std::vector<Batch> batches;
      for (uint64_t n = 2 + Pick(5); n > 0; --n) {
        batches.push_back(DrawBatch());
        // Numbered as if the ones before were through already.
        if (!batches.back().producer.empty()) {
          for (const Batch& before : batches) {
            if (&before != &batches.back() && before.producer == batches.back().producer) {
              batches.back().sequence = std::max(batches.back().sequence, before.sequence + 1);
            }
          }
        }
      }
      return Push(std::move(batches));
    }
    case StepKind::kPushAgain:
      return PushAgain();
    case StepKind::kRead: {
      const int name = static_cast<int>(Pick(kNames));
      const int64_t start = clock_.NowUnixNanos() - static_cast<int64_t>(Pick(4 * 86'400)) * kNanosPerSecond;
      PB_RETURN_IF_ERROR(CheckSeries(name, {start, start + static_cast<int64_t>(Pick(2 * 86'400)) * kNanosPerSecond}));
      return CheckLatest(name);
    }
    case StepKind::kReadCommits:
      return CheckCommits();
    case StepKind::kCheckpoint:
    case StepKind::kSealAll:
      if (step.kind == StepKind::kSealAll) clock_.Advance(options_.seal_age_ns + 1);
      return Checkpoint(/*flush=*/Pick(2) == 0);
    case StepKind::kPassTime:
      clock_.Advance(static_cast<int64_t>(Pick(2) == 0 ? Pick(7'200) : Pick(3 * 86'400)) * kNanosPerSecond);
      return absl::OkStatus();
    case StepKind::kRestart:
      PB_RETURN_IF_ERROR(Reopen());
      return Pick(3) == 0 ? CheckAll() : absl::OkStatus();
    case StepKind::kKill:
      disk_.CutPower();
      PB_RETURN_IF_ERROR(AfterCrash(false));
      return CheckAll();
    case StepKind::kCutPower: {
      const auto later = static_cast<int64_t>(Pick(2) == 0 ? Pick(20) : Pick(400));
      Tell(fmt::format("{} changes later", later));
      disk_.CutPowerBefore(disk_.changes() + later);
      return absl::OkStatus();
    }
    case StepKind::kFillDisk:
      return FillDisk();
    case StepKind::kDelete:
      return Delete();
    case StepKind::kVerify:
      return Verify();
    case StepKind::kFailSync:
    case StepKind::kFailRocks: {
      SimulatedDisk::Fault fault;
      fault.op =
          step.kind == StepKind::kFailSync || Pick(2) == 0 ? SimulatedDisk::Op::kSync : SimulatedDisk::Op::kWrite;
      fault.path_part =
          step.kind == StepKind::kFailSync ? "/wal/" : std::array{"/db/", ".log", "MANIFEST", ".sst"}[Pick(4)];
      fault.error = Pick(2) == 0 ? EIO : ENOSPC;
      fault.times = 1;
      Tell(fmt::format("{} {} error {}", fault.path_part, fault.op == SimulatedDisk::Op::kSync ? "sync" : "write",
                       fault.error));
      disk_.Inject(fault);
      (void)Push({DrawBatch()}).ok();
      (void)store_->Checkpoint().ok();  // these meet the error, or not
      return Heal();
    }
  }
  return absl::OkStatus();
}

// Without `flush` most of what is sealed is in memory only.
absl::Status ModelRun::Checkpoint(bool flush) {
  return OnceThereIsRoom(
      [&] { return flush ? store_->Checkpoint() : static_cast<DurableStore*>(store_.get())->CheckpointWhenDue(); });
}

// An error of a full disk, met in the background, may be told when there is room again.
absl::Status ModelRun::OnceThereIsRoom(const std::function<absl::Status()>& act) {
  absl::Status status;
  BecomesTrue([&] {
    status = act();
    const bool may_pass = HasReason(status, ErrorReason::kDiskFull) || HasReason(status, ErrorReason::kWriteStalled);
    return !has_faults_ || !may_pass || !disk_.has_power();
  });
  return status;
}

absl::Status ModelRun::Open() {
  auto opened = DurableStore::Open(options_, nullptr, &disk_, env_.get());
  PB_RETURN_IF_ERROR(WithContext(opened.status(), "open"));
  store_ = *std::move(opened);
  return absl::OkStatus();
}

absl::Status ModelRun::Reopen() {
  if (store_ != nullptr) {
    const absl::Status closed = store_->Close();
    // An error that is told late costs the last flush only: the log has it all.
    const bool late = HasReason(closed, ErrorReason::kDiskFull) || HasReason(closed, ErrorReason::kWriteStalled);
    if (!has_faults_ || !late) PB_RETURN_IF_ERROR(WithContext(closed, "close"));
  }
  store_.reset();
  PB_RETURN_IF_ERROR(Open());
  const int64_t commits = store_->Stats().commit_sequence;
  if (commits != static_cast<int64_t>(commits_.size())) {
    return Wrong(fmt::format("{} commits after a restart, {} before", commits, commits_.size()));
  }
  uncertain_.clear();
  return absl::OkStatus();
}

absl::Status ModelRun::AfterCrash(bool power_was_cut) {
  store_.reset();
  disk_.Heal();
  while (true) {
    power_was_cut ? disk_.PowerOn(Pick(~uint64_t{0})) : disk_.PowerOnWithNothingLost();
    if (Pick(3) == 0) disk_.CutPowerBefore(disk_.changes() + static_cast<int64_t>(Pick(60)));  // also while recovering
    const absl::Status opened = Open();
    if (disk_.has_power() && !opened.ok()) return Wrong("does not open: " + StatusMessage(opened));
    if (disk_.has_power()) break;
    power_was_cut = true;
    store_.reset();
  }
  disk_.CutPowerBefore(SimulatedDisk::kForEver);
  const int64_t commits = store_->Stats().commit_sequence;
  const auto acknowledged = static_cast<int64_t>(commits_.size());
  const auto possible = acknowledged + static_cast<int64_t>(uncertain_.size());
  Tell(fmt::format("commits={} acknowledged={} possible={}", commits, acknowledged, possible));
  if (commits > possible) return Wrong("more commits than were ever sent");
  if (commits < fsynced_) return Wrong("commits are lost that were acknowledged as fsynced");
  if (commits < acknowledged && !power_was_cut) return Wrong("commits are lost that the operating system had");
  fsynced_ = commits;  // what recovery has read is on the disk
  PB_RETURN_IF_ERROR(ResolveDelete());
  if (power_was_cut && mixed_acks_) return AdoptAfterLoss(commits);
  for (int64_t i = acknowledged; i < commits; ++i) Commit(uncertain_[static_cast<size_t>(i - acknowledged)]);
  uncertain_.clear();
  return CheckAll();
}

// A power cut may have taken buffered commits from the log whose samples were sealed already: any of their values
// may be there or not. Everything of the commits that are left must be.
absl::Status ModelRun::AdoptAfterLoss(int64_t commits) {
  std::vector<Batch> lost = std::exchange(uncertain_, {});
  const auto left = static_cast<size_t>(commits);
  if (left < commits_.size()) {
    lost.insert(lost.end(), commits_.begin() + commits, commits_.end());
    commits_.resize(left);
  } else {
    const auto kept = lost.begin() + static_cast<std::ptrdiff_t>(left - commits_.size());
    for (auto it = lost.begin(); it != kept; ++it) Commit(*it);
  }
  std::map<std::pair<int, int64_t>, std::vector<double>> possible;
  lost_.insert(lost_.end(), lost.begin(), lost.end());  // what a loss has left behind may come to light at a later one
  for (const Batch& batch : lost_) {
    for (size_t i = 0; i < batch.names.size(); ++i) {
      possible[{batch.names[i], batch.times[i]}].push_back(batch.values[i]);
    }
  }
  positions_.clear();
  std::map<int, Samples> certain;
  for (const Batch& batch : commits_) {
    if (!batch.producer.empty()) positions_[batch.producer] = batch.sequence;
    for (size_t i = 0; i < batch.names.size(); ++i) certain[batch.names[i]][batch.times[i]] = batch.values[i];
  }
  for (int name = 0; name < kNames; ++name) {
    PB_ASSIGN_OR_RETURN(const SampleColumns read, ReadAll(name, kAllTime));
    Samples& adopted = model_[name];
    const Samples before = std::exchange(adopted, certain[name]);
    for (size_t i = 0; i < read.size(); ++i) {
      const int64_t time = read.times[i];
      const auto matches = [&](double value) { return SameBits(value, read.values[i]); };
      const auto was = before.find(time);
      const auto maybe = possible.find({name, time});
      const auto sure = certain[name].find(time);
      if (!(was != before.end() && matches(was->second)) && !(sure != certain[name].end() && matches(sure->second)) &&
          !(maybe != possible.end() && std::any_of(maybe->second.begin(), maybe->second.end(), matches)) &&
          DayOf(time) >= OldestKept()) {
        return Wrong(fmt::format("m{} has a value at {} that was never pushed", name, time));
      }
      adopted[time] = read.values[i];
    }
    for (const auto& [time, value] : certain[name]) {
      if (DayOf(time) < OldestKept() || std::binary_search(read.times.begin(), read.times.end(), time)) continue;
      return Wrong(fmt::format("m{} has lost its sample at {}, of a commit that is in the log", name, time));
    }
  }
  return CheckAll();
}

double ModelRun::DrawValue() {
  switch (Pick(8)) {
    case 0:
      return std::bit_cast<double>(random_() | 0x7ff0'0000'0000'0001);  // NaNs of all kinds
    case 1:
      return std::array{-0.0,
                        0.0,
                        std::numeric_limits<double>::infinity(),
                        -std::numeric_limits<double>::infinity(),
                        std::numeric_limits<double>::denorm_min(),
                        std::numeric_limits<double>::max()}[Pick(6)];
    case 2:
      return std::bit_cast<double>(random_());
    case 3:
      return 42;
    default:
      return static_cast<double>(Pick(100'000)) / 100;
  }
}

ModelRun::Batch ModelRun::DrawBatch() {
  Batch batch;
  if (mixed_acks_ && Pick(4) != 0) batch.ack_mode = AckMode::kBuffered;
  if (Pick(2) == 0) {
    batch.producer = "p" + std::to_string(Pick(3));
    batch.sequence = positions_[batch.producer] + 1 + static_cast<int64_t>(Pick(3));
  }
  clock_.Advance(static_cast<int64_t>(Pick(40)) * kNanosPerSecond);
  const int64_t now = clock_.NowUnixNanos();
  const size_t count = Pick(10) == 0 ? Pick(600) : Pick(60);
  const bool one_series = Pick(4) == 0;
  const int first = static_cast<int>(Pick(kNames));
  for (size_t i = 0; i < count; ++i) {
    const int name = one_series ? first : static_cast<int>(Pick(kNames));
    int64_t time = now + static_cast<int64_t>(i) * kNanosPerSecond;
    if (Pick(6) == 0) time -= static_cast<int64_t>(Pick(3 * 86'400)) * kNanosPerSecond;  // late, up to three days
    const Samples& samples = model_[name];
    if (Pick(10) == 0 && !samples.empty()) {
      const auto again = samples.lower_bound(time - static_cast<int64_t>(Pick(86'400)) * kNanosPerSecond);
      time = again == samples.end() ? samples.rbegin()->first : again->first;  // overwrites
    }
    batch.names.push_back(name);
    batch.times.push_back(time);
    batch.values.push_back(DrawValue());
  }
  return batch;
}

absl::StatusOr<AppendBatch> ModelRun::ToAppend(const Batch& batch) {
  AppendBatch out;
  out.tenant = kDefaultTenant;
  out.ack_mode = batch.ack_mode;
  out.producer_id = batch.producer;
  out.sequence = batch.sequence;
  out.times = batch.times;
  out.values = batch.values;
  for (const int name : batch.names) {
    PB_ASSIGN_OR_RETURN(const SeriesId id,
                        store_->FindOrCreateSeries(kDefaultTenant, KeyOf(name), MetadataOf(name), nullptr));
    out.series.push_back(id);
  }
  return out;
}

absl::Status ModelRun::Push(std::vector<Batch> batches) {
  using Receipt = absl::StatusOr<CommitReceipt>;
  std::vector<std::promise<Receipt>> promises(batches.size());
  for (size_t i = 0; i < batches.size(); ++i) {
    Tell(fmt::format("{}{}", batches[i].names.size(), batches[i].producer.empty() ? "" : "*"));
    absl::StatusOr<AppendBatch> append = ToAppend(batches[i]);
    if (append.ok()) batches[i].ids = append->series;
    absl::Status queued = append.status();
    if (queued.ok()) {
      queued = store_->Append(*std::move(append),
                              [promise = &promises[i]](const Receipt& receipt) { promise->set_value(receipt); });
    }
    if (!queued.ok()) promises[i].set_value(queued);
  }
  absl::Status failed;
  for (size_t i = 0; i < batches.size(); ++i) {
    const Receipt receipt = promises[i].get_future().get();
    if (!receipt.ok()) {
      failed.Update(receipt.status());
      uncertain_.push_back(std::move(batches[i]));
      continue;
    }
    if (receipt->duplicate) return Wrong("a new batch is taken for a duplicate");
    uncertain_.clear();
    if (batches[i].ack_mode == AckMode::kFsynced && !receipt->fsynced) return Wrong("a batch is less safe than asked");
    if (receipt->fsynced) fsynced_ = receipt->commit_sequence;
    Commit(batches[i]);
    if (receipt->commit_sequence != static_cast<int64_t>(commits_.size())) {
      return Wrong(fmt::format("commit {} is numbered {}", commits_.size(), receipt->commit_sequence));
    }
  }
  return failed;
}

void ModelRun::Commit(const Batch& batch) {
  for (size_t i = 0; i < batch.names.size(); ++i) model_[batch.names[i]][batch.times[i]] = batch.values[i];
  if (!batch.producer.empty()) positions_[batch.producer] = batch.sequence;
  commits_.push_back(batch);
}

absl::Status ModelRun::PushAgain() {
  std::vector<size_t> sent;
  for (size_t i = 0; i < commits_.size(); ++i) {
    if (!commits_[i].producer.empty()) sent.push_back(i);
  }
  if (sent.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(AppendBatch batch, ToAppend(commits_[sent[Pick(sent.size())]]));
  for (double& value : batch.values) value = 13;  // would show, were it applied
  std::promise<absl::StatusOr<CommitReceipt>> promise;
  PB_RETURN_IF_ERROR(store_->Append(std::move(batch), [&promise](const auto& receipt) { promise.set_value(receipt); }));
  const absl::StatusOr<CommitReceipt> receipt = promise.get_future().get();
  PB_RETURN_IF_ERROR(receipt.status());
  return receipt->duplicate ? absl::OkStatus() : Wrong("a duplicate is applied");
}

absl::Status ModelRun::Delete() {
  // A power cut may take unsynced commits, and with them what was to be deleted: no way to tell then what has happened.
  if (mixed_acks_) disk_.CutPowerBefore(SimulatedDisk::kForEver);
  Deletion deletion;
  const bool all = Pick(4) == 0;
  for (int name = 0; name < kNames; ++name) {
    if (all || name == static_cast<int>(Pick(kNames))) deletion.names.push_back(name);
  }
  if (deletion.names.empty()) deletion.names.push_back(0);
  const int64_t start = clock_.NowUnixNanos() - static_cast<int64_t>(Pick(4 * 86'400)) * kNanosPerSecond;
  const auto seconds = static_cast<int64_t>(std::array<uint64_t, 3>{1, 600, 3 * 86'400}[Pick(3)]);
  deletion.range = Pick(8) == 0 ? kAllTime : TimeRange{start, start + seconds * kNanosPerSecond};
  std::string names;
  for (const int name : deletion.names) names += (names.empty() ? "" : "|") + KeyOf(name).metric;
  DeleteRequest request;
  request.tenant = kDefaultTenant;
  PB_ASSIGN_OR_RETURN(request.selector, Selector::Parse("{__name__=~\"" + names + "\"}"));
  request.range = deletion.range;
  request.dry_run = Pick(3) == 0;
  Tell(fmt::format("{} {} to {}{}", names, request.range.start, request.range.end, request.dry_run ? " dry" : ""));
  deletion_ = std::move(deletion);
  for (const int name : deletion_->names) NoteUnknown(name);
  const std::optional<int64_t> expected = CountToDelete();
  if (request.dry_run) deletion_.reset();
  int tries = 0;
  DeleteResult result;
  PB_RETURN_IF_ERROR(OnceThereIsRoom([&] {
    ++tries;
    absl::StatusOr<DeleteResult> got = store_->operations().Delete(request);
    if (got.ok()) result = *got;
    return got.status();
  }));
  if (expected && tries == 1 && result.samples != *expected) {
    return Wrong(fmt::format("{} samples deleted instead of {}", result.samples, *expected));
  }
  if (!request.dry_run) ApplyDelete();
  for (int name = 0; name < kNames; ++name) {
    PB_RETURN_IF_ERROR(CheckSeries(name, kAllTime));
    PB_RETURN_IF_ERROR(CheckLatest(name));
  }
  return absl::OkStatus();
}

std::optional<int64_t> ModelRun::CountToDelete() const {
  int64_t count = 0;
  for (const int name : deletion_->names) {
    const auto samples = model_.find(name);
    if (samples == model_.end()) continue;
    const auto end = samples->second.lower_bound(deletion_->range.end);
    for (auto it = samples->second.lower_bound(deletion_->range.start); it != end; ++it, ++count) {
      if (DayOf(it->first) < OldestKept()) return std::nullopt;
    }
  }
  return count;
}

absl::Status ModelRun::ResolveDelete() {
  if (!deletion_) return absl::OkStatus();
  int64_t left = 0;
  for (const int name : deletion_->names) {
    PB_ASSIGN_OR_RETURN(const SampleColumns read, ReadAll(name, deletion_->range));
    left += static_cast<int64_t>(read.size());
  }
  Tell(left == 0 ? "deletion done" : "deletion not begun");
  if (left == 0) {
    // Or there was nothing to delete, and the log still has what was expired or overwritten: who knows.
    deletion_->unknown.insert(deletion_->names.begin(), deletion_->names.end());
    ApplyDelete();
  }
  deletion_.reset();
  return absl::OkStatus();  // whether all of it is left is checked next
}

void ModelRun::ApplyDelete() {
  const TimeRange range = deletion_->range;
  const std::set<int> names(deletion_->names.begin(), deletion_->names.end());
  for (const int name : names) {
    Samples& samples = model_[name];
    samples.erase(samples.lower_bound(range.start), samples.lower_bound(range.end));
  }
  for (const int name : deletion_->names) NoteUnknown(name);
  for (Batch& batch : commits_) {
    Batch left = batch;
    left.names.clear();
    left.times.clear();
    left.values.clear();
    left.optional.clear();
    left.ids.clear();
    for (size_t i = 0; i < batch.names.size(); ++i) {
      const bool within = names.contains(batch.names[i]) && range.Contains(batch.times[i]);
      const bool selected =
          !deletion_->unknown.contains(batch.names[i]) && !IsOfForgotten(batch.names[i], batch.ids[i]);
      if (within && selected) continue;
      left.names.push_back(batch.names[i]);
      left.times.push_back(batch.times[i]);
      left.values.push_back(batch.values[i]);
      left.optional.push_back(within || batch.IsOptional(i));
      left.ids.push_back(batch.ids[i]);
    }
    batch = std::move(left);
  }
  deletion_.reset();
}

// A series that was forgotten is not selected for deletion: what the log still has of it stays there, seen by nobody.
void ModelRun::NoteUnknown(int name) {
  if (!store_->FindSeries(kDefaultTenant, KeyOf(name))) deletion_->unknown.insert(name);
}

// Pushed before the series of this name was forgotten: now another one has it.
bool ModelRun::IsOfForgotten(int name, SeriesId id) const {
  return store_->FindSeries(kDefaultTenant, KeyOf(name)) != id;
}

absl::Status ModelRun::FillDisk() {
  disk_.LimitBytes(disk_.used_bytes() + static_cast<int64_t>(Pick(20'000)));
  for (uint64_t n = 1 + Pick(6); n > 0; --n) {
    const absl::Status status = Pick(4) == 0 ? store_->Checkpoint() : Push({DrawBatch()});
    const bool refused = HasReason(status, ErrorReason::kDiskFull) || HasReason(status, ErrorReason::kWriteStalled);
    if (!status.ok() && !refused) return status;
    PB_RETURN_IF_ERROR(CheckSeries(static_cast<int>(Pick(kNames)), kAllTime));  // reads go on
  }
  return Heal();
}

absl::Status ModelRun::Heal() {
  disk_.Heal();
  // Full disks and errors of RocksDB are left behind without help; errors of the log need a restart.
  absl::Status pushed;
  const bool decided = BecomesTrue([&] {
    const std::string told = story_.back();
    pushed = Push({Batch()});
    story_.back() = told;  // it may take hundreds
    return pushed.ok() || HasReason(pushed, ErrorReason::kStoreReadOnly) || !disk_.has_power();
  });
  if (!decided) return Wrong("still refuses writes with room again: " + StatusMessage(pushed));
  if (pushed.ok() && store_->Health().ok()) return CheckAll();
  if (StatusMessage(pushed).find("RocksDB") != std::string::npos)
    return Wrong("stays failed: " + StatusMessage(pushed));
  return LeaveReadOnly();
}

}  // namespace pulseboard
