// Opening and closing.
#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/durable_store.h"
#include "server/storage/families.h"
#include "server/storage/memory_budget.h"
#include "server/storage/meta_keys.h"
#include "server/storage/store_operations.h"

namespace pulseboard {
namespace {

// Chunks that pile up while the log is replayed are sealed at this point, to bound memory.
constexpr size_t kMaxReplayedChunks = 4096;
// Openings whose resume tokens are still known.
constexpr size_t kMaxEpochs = 1024;
constexpr size_t kEpochBytes = sizeof(uint64_t) + sizeof(int64_t);

std::string RandomBytes(size_t count) {
  std::random_device device;
  std::string bytes;
  while (bytes.size() < count) PutLittleEndian(&bytes, static_cast<uint32_t>(device()));
  bytes.resize(count);
  return bytes;
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

absl::Status CorruptRow(std::string_view family, std::string_view key) {
  return MakeError(ErrorReason::kBlockCorrupt,
                   "family " + std::string(family) + ": row " + Printable(key) + " is not readable");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> DurableStore::Open(StoreOptions options, CommitObserver* observer,
                                                          LogFileSystem* files, rocksdb::Env* env) {
  std::unique_ptr<DurableStore> store(new DurableStore(std::move(options), observer, files, env));
  PB_RETURN_IF_ERROR(CheckTiers(store->options_.tiers, store->options_.raw_retention_ns));
  PB_RETURN_IF_ERROR(store->LockDirectory());
  PB_RETURN_IF_ERROR(store->OpenRocks());
  PB_RETURN_IF_ERROR(store->LoadIdentity());
  PB_RETURN_IF_ERROR(store->LoadSeries());
  PB_RETURN_IF_ERROR(store->LoadSeriesAges());
  PB_RETURN_IF_ERROR(store->LoadRetention());
  PB_RETURN_IF_ERROR(store->LoadProducers());
  PB_RETURN_IF_ERROR(store->ReplayLog());
  PB_RETURN_IF_ERROR(store->BeginEpoch());
  store->operations_ = MakeStoreOperations(store.get());
  store->StartThreads();
  return std::unique_ptr<Store>(std::move(store));
}

absl::Status DurableStore::LockDirectory() {
  PB_RETURN_IF_ERROR(WithContext(files_->CreateDirectory(options_.directory), "open store"));
  const std::string parent = std::filesystem::absolute(options_.directory).lexically_normal().parent_path().string();
  PB_RETURN_IF_ERROR(WithContext(files_->SyncDirectory(parent), "open store"));
  const std::string path = options_.directory + "/LOCK";
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files_->Lock(path);
  if (!lock.ok()) return WithContext(lock.status(), "open store");
  lock_ = *std::move(lock);
  if (lock_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError("open store: " + options_.directory +
                                       " is in use by another process (it holds the lock on " + path + ")");
}

absl::Status DurableStore::OpenRocks() {
  RocksOptions rocks_options;
  rocks_options.directory = options_.directory + "/db";
  const MemoryShares shares = ShareMemory(options_.memory_bytes, options_.decoded_bytes);
  rocks_options.cache_bytes = shares.cache;
  rocks_options.write_buffer_bytes = shares.write_buffers;
  decoded_ = std::make_unique<DecodedBlocks>(shares.decoded);
  rocks_options.env = env_;
  rocks_options.on_failed = [this](const absl::Status& error) {
    NoteRocksFailure(error);
    WakeMaintainer();
  };
  PB_ASSIGN_OR_RETURN(rocks_, Rocks::Open(std::move(rocks_options)));
  for (const FixedFamily& family : kFixedFamilies) {
    if (family.is_table) tables_.emplace(std::string(family.name), MakeRocksTable(rocks_.get(), family.name));
  }
  blocks_ = std::make_unique<BlockStore>(rocks_.get());
  PB_RETURN_IF_ERROR(blocks_->Load());
  compactor_ = std::make_unique<RangeCompactor>(rocks_.get());
  std::vector<int64_t> on_disk = blocks_->Partitions()->Buckets();
  std::erase(on_disk, kRawBucket);
  tiers_ = LayOutTiers(options_.raw_retention_ns, options_.tiers, on_disk);
  return absl::OkStatus();
}

absl::Status DurableStore::LoadIdentity() {
  PB_ASSIGN_OR_RETURN(const std::string format, ReadMeta(kFormatKey));
  if (format.empty()) {
    std::string value;
    PutLittleEndian(&value, kStoreFormat);
    PB_RETURN_IF_ERROR(PutMeta(kStoreIdKey, RandomBytes(kStoreIdBytes)));
    PB_RETURN_IF_ERROR(SaveMeta(kFormatKey, value));
  } else if (format.size() != sizeof(kStoreFormat) || GetLittleEndian<uint32_t>(format) > kStoreFormat) {
    return absl::FailedPreconditionError("open store: " + options_.directory + " has a newer format than " +
                                         std::to_string(kStoreFormat) + ", the newest this version knows");
  } else if (GetLittleEndian<uint32_t>(format) < kStoreFormat) {
    std::string value;
    PutLittleEndian(&value, kStoreFormat);
    PB_RETURN_IF_ERROR(SaveMeta(kFormatKey, value));  // what is written from now on, an older version cannot read
  }
  PB_ASSIGN_OR_RETURN(const std::string id, ReadMeta(kStoreIdKey));
  if (id.size() != kStoreIdBytes) return CorruptRow("meta", kStoreIdKey);
  store_id_ = Hex(id);
  return absl::OkStatus();
}

absl::Status DurableStore::LoadSeries() {
  PB_ASSIGN_OR_RETURN(const std::string next, ReadMeta(kNextSeriesIdKey));
  if (!next.empty() && next.size() != sizeof(SeriesId)) return CorruptRow("meta", kNextSeriesIdKey);
  const SeriesId next_id = next.empty() ? 1 : GetLittleEndian<SeriesId>(next);
  index_ = std::make_unique<SeriesIndex>(next_id, [this](SeriesId limit) {
    std::string value;
    PutLittleEndian(&value, limit);
    return SaveMeta(kNextSeriesIdKey, value);
  });
  const RowCursor it = rocks_->Iterate("series");
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    SeriesInfoPtr info = DecodeSeriesInfo(ToView(it->value()));
    if (info == nullptr || !index_->Add(*info)) return CorruptRow("series", ToView(it->key()));
    MutexLock lock(&group_mu_);
    defined_.resize(std::max<size_t>(defined_.size(), static_cast<size_t>(info->id) + 1));
    defined_[static_cast<size_t>(info->id)] = true;
  }
  return FromRocks(it->status(), "load series");
}

absl::Status DurableStore::LoadSeriesAges() {
  PB_ASSIGN_OR_RETURN(const std::string saved, ReadMeta(kSeriesAgesKey));
  MutexLock lock(&ages_mu_);
  // They are for people's eyes: damage costs the answer to "since when", nothing else.
  if (!saved.empty() && !series_ages_.Decode(saved)) {
    PB_LOG(Warning, "storage", "dropped unreadable ages of series");
    series_ages_ = SeriesAges();
  }
  series_ages_.Note(options_.clock->NowUnixNanos(), index_->next_id());
  return absl::OkStatus();
}

absl::Status DurableStore::LoadProducers() {
  std::vector<ProducerTable::Change> rows;
  const RowCursor it = rocks_->Iterate("producers");
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    ProducerTable::Change row;
    if (!ProducerTable::Parse(ToView(it->key()), ToView(it->value()), &row)) {
      return CorruptRow("producers", ToView(it->key()));
    }
    rows.push_back(std::move(row));
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "load producers"));
  // By age, so that the longest silent is the first to be forgotten.
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.position.commit_sequence < b.position.commit_sequence; });
  MutexLock lock(&commit_mu_);
  for (const ProducerTable::Change& row : rows) producers_.Load(row.tenant, row.producer_id, row.position);
  return absl::OkStatus();
}

absl::Status DurableStore::ReplayLog() {
  PB_ASSIGN_OR_RETURN(const std::string saved, ReadMeta(kCheckpointKey));
  if (!saved.empty() && saved.size() != sizeof(int64_t)) return CorruptRow("meta", kCheckpointKey);
  PB_ASSIGN_OR_RETURN(const std::string id, ReadMeta(kStoreIdKey));
  WalOptions wal_options;
  wal_options.directory = options_.directory + "/wal";
  wal_options.store_id = id;
  wal_options.segment_bytes = options_.wal_segment_bytes;
  wal_options.retain_bytes = options_.wal_retain_bytes;
  wal_options.buffered_sync_interval_ns = options_.buffered_sync_interval_ns;
  wal_options.clock = options_.clock;
  wal_options.files = files_;
  wal_options.on_space = [this] { health_.SetLog(absl::OkStatus()); };
  wal_options.on_broken = [this](const absl::Status& status) { health_.SetLog(status); };
  PB_ASSIGN_OR_RETURN(const std::string newest, ReadMeta(kNewestTimeKey));
  if (newest.size() == sizeof(int64_t)) {
    MutexLock group_lock(&group_mu_);
    newest_.SetCeiling(GetLittleEndian<int64_t>(newest));
    MutexLock commit_lock(&commit_mu_);
    newest_time_ = GetLittleEndian<int64_t>(newest);
  } else if (!newest.empty()) {
    return CorruptRow("meta", kNewestTimeKey);
  }

  MutexLock lock(&maintenance_mu_);
  closer_ = std::make_unique<WindowCloser>(rocks_.get());
  PB_RETURN_IF_ERROR(closer_->Start());
  rollups_ = std::make_unique<RollupKeeper>(blocks_.get(), index_.get(), &tiers_);
  sealer_ = std::make_unique<Sealer>(blocks_.get(), index_.get(), &tiers_, rollups_.get(), options_.block_samples);
  saved_checkpoint_ = flushed_checkpoint_ = saved.empty() ? 0 : GetLittleEndian<int64_t>(saved);
  PB_RETURN_IF_ERROR(LoadDeletes());
  DeletedFilter deleted(Deletes());
  WalRecovery recovery;
  const int64_t began = options_.clock->MonotonicNanos();
  PB_ASSIGN_OR_RETURN(wal_, Wal::Open(
                                std::move(wal_options), saved_checkpoint_,
                                [this, &deleted](const WalRecord& record) PB_NO_THREAD_SAFETY_ANALYSIS {
                                  return ReplayRecord(record, deleted.Apply(record.View()));
                                },
                                &recovery));
  {
    MutexLock commit_lock(&commit_mu_);
    last_commit_ = std::max(recovery.last_commit, saved_checkpoint_);
    counters_.recovered_samples = recovery.replayed_samples;
    counters_.truncated_wal_bytes = recovery.truncated_bytes;
    PB_LOG(Info, "storage", "opened store directory={} id={} commit={} series={} replayed_samples={} cut_bytes={}",
           options_.directory, store_id_, last_commit_, index_->Count(), recovery.replayed_samples,
           recovery.truncated_bytes);
    PB_LOG(Info, "storage", "recovered {} samples in {:.3f} s", recovery.replayed_samples,
           static_cast<double>(options_.clock->MonotonicNanos() - began) / kNanosPerSecond);
  }
  return TendWindows();
}

absl::Status DurableStore::ReplayRecord(const WalRecord& record, const CommittedBatch& left) {
  const AppendBatch& batch = record.batch;
  bool too_many_chunks = false;
  {
    MutexLock group_lock(&group_mu_);
    MutexLock lock(&commit_mu_);
    for (const SeriesInfoPtr& info : record.definitions) {
      if (!index_->Add(*info)) {
        return MakeError(ErrorReason::kBlockCorrupt, "log: commit " + std::to_string(record.commit_sequence) +
                                                         " defines series " + std::to_string(info->id) + " anew");
      }
      unsaved_series_.push_back(info->id);
      defined_.resize(std::max<size_t>(defined_.size(), static_cast<size_t>(info->id) + 1));
      defined_[static_cast<size_t>(info->id)] = true;
    }
    for (const SeriesId id : batch.series) {
      if (id < defined_.size() && defined_[static_cast<size_t>(id)]) continue;
      return MakeError(ErrorReason::kBlockCorrupt, "log: commit " + std::to_string(record.commit_sequence) +
                                                       " has samples of series " + std::to_string(id) +
                                                       ", which is not defined");
    }
    head_.Apply(record.commit_sequence, options_.clock->MonotonicNanos(), left.series, left.times, left.values);
    newest_.Replay(batch.series, batch.times);
    for (const int64_t time : batch.times) newest_time_ = std::max(newest_time_, time);
    if (!batch.producer_id.empty()) {
      producers_.Advance(batch.tenant, batch.producer_id, {batch.sequence, record.commit_sequence});
    }
    too_many_chunks = head_.sealing_count() >= kMaxReplayedChunks;
  }
  return too_many_chunks ? SealPending() : absl::OkStatus();
}

// From here on commits are of a new epoch. All that was replayed has been synced, so what earlier epochs had beyond it
// is lost.
absl::Status DurableStore::BeginEpoch() {
  PB_ASSIGN_OR_RETURN(const std::string saved, ReadMeta(kEpochsKey));
  if (saved.size() % kEpochBytes != 0) return CorruptRow("meta", kEpochsKey);
  for (size_t at = 0; at < saved.size(); at += kEpochBytes) {
    const std::string_view row = std::string_view(saved).substr(at, kEpochBytes);
    epochs_.push_back({GetLittleEndian<uint64_t>(row), GetLittleEndian<int64_t>(row.substr(sizeof(uint64_t)))});
  }
  {
    MutexLock lock(&commit_mu_);
    epochs_.push_back({GetLittleEndian<uint64_t>(RandomBytes(sizeof(uint64_t))), last_commit_ + 1});
  }
  if (epochs_.size() > kMaxEpochs) epochs_.erase(epochs_.begin(), epochs_.end() - kMaxEpochs);
  std::string value;
  for (const Epoch& epoch : epochs_) {
    PutLittleEndian(&value, epoch.id);
    PutLittleEndian(&value, epoch.first_commit);
  }
  return SaveMeta(kEpochsKey, value);
}

void DurableStore::StartThreads() {
  space_ = std::make_unique<SpaceWatch>(files_, options_.directory, options_.min_free_bytes,
                                        [this](const absl::Status& status) { health_.SetSpace(status); });
  committer_ = std::thread([this] { CommitLoop(); });
  completer_ = std::thread([this] { CompletionLoop(); });
  maintainer_ = std::thread([this] { MaintainLoop(); });
}

absl::Status DurableStore::Close() {
  MutexLock close_lock(&close_mu_);
  if (std::exchange(closed_, true)) return close_status_;
  {
    MutexLock lock(&queue_mu_);
    closing_ = true;
    queue_changed_.NotifyAll();
  }
  if (committer_.joinable()) committer_.join();
  {
    MutexLock lock(&done_mu_);
    done_closing_ = true;
    done_changed_.NotifyAll();
  }
  if (completer_.joinable()) completer_.join();
  {
    MutexLock lock(&wake_mu_);
    stop_maintainer_ = true;
    wake_changed_.NotifyAll();
  }
  if (maintainer_.joinable()) maintainer_.join();
  if (wal_ == nullptr) return absl::OkStatus();  // never got open
  close_status_ = wal_->Sync();
  // Ids reserved and not handed out need not be lost.
  std::string next_id;
  PutLittleEndian(&next_id, index_->next_id());
  MutexLock lock(&maintenance_mu_);
  if (close_status_.ok() && rocks_->failed()) close_status_ = ReopenRocks();
  if (close_status_.ok()) close_status_ = WriteCheckpoint();
  if (close_status_.ok()) close_status_ = PutMeta(kNextSeriesIdKey, next_id);
  if (close_status_.ok()) close_status_ = Flush();
  PB_LOG(Info, "storage", "closed store directory={} ok={}", options_.directory, close_status_.ok());
  return close_status_;
}

DurableStore::~DurableStore() {
  if (const absl::Status status = Close(); !status.ok()) {
    PB_LOG(Error, "storage", "failed closing store error={}", StatusMessage(status));
  }
  wal_.reset();  // stops its thread, which may report to health_
  if (rocks_ != nullptr) rocks_->CancelCompactions();
  closer_.reset();
  compactor_.reset();
  tables_.clear();
  blocks_.reset();
  rocks_.reset();
  lock_.reset();  // last: whoever gets the lock finds everything let go
}

absl::Status DurableStore::PutMeta(std::string_view key, std::string_view value) {
  rocksdb::WriteBatch batch;
  PB_RETURN_IF_ERROR(FromRocks(batch.Put(rocks_->fixed("meta").get(), ToSlice(key), ToSlice(value)), "write meta"));
  return rocks_->Write(&batch, "write meta");
}

absl::Status DurableStore::SaveMeta(std::string_view key, std::string_view value) {
  PB_RETURN_IF_ERROR(PutMeta(key, value));
  return rocks_->Flush();
}

absl::StatusOr<std::string> DurableStore::ReadMeta(std::string_view key) const {
  std::string value;
  const rocksdb::Status status = rocks_->Get("meta", key, &value);
  if (status.IsNotFound()) return std::string();
  if (!status.ok()) return FromRocks(status, "read meta");
  return value;
}

}  // namespace pulseboard
