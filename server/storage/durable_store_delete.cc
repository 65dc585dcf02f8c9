// Deleting samples: decided by one flushed row (DeleteRecord), then taken out of the blocks; FORMAT.md, "Deleting".
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/block_eraser.h"
#include "server/storage/durable_store.h"
#include "server/storage/meta_keys.h"

namespace pulseboard {
namespace {

constexpr size_t kMaxBatchBytes = 8 << 20;
// Records wait for the log to forget the deleted samples; beyond so many, the oldest are given up when only subscribers
// that resume could still meet those.
constexpr size_t kMaxRecords = 256;

absl::Status WriteBatch(Rocks* rocks, rocksdb::WriteBatch* batch) {
  const absl::Status status = rocks->Write(batch, "delete samples");
  batch->Clear();
  return status;
}

}  // namespace

absl::Status DurableStore::LoadDeletes() {
  auto records = std::make_shared<DeleteRecords>();
  const RowCursor it = rocks_->Iterate("meta");
  for (it->Seek(kDeleteKeyPrefix); it->Valid() && it->key().starts_with(kDeleteKeyPrefix); it->Next()) {
    DeleteRecord record;
    if (!ParseDeleteRecord(ToView(it->key()), ToView(it->value()), &record)) {
      return MakeError(ErrorReason::kBlockCorrupt,
                       "family meta: row " + Printable(ToView(it->key())) + " is not readable");
    }
    records->push_back(std::move(record));
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "load deletes"));
  SetDeletes(std::move(records));
  return FinishDeletes();
}

DeleteRecordsPtr DurableStore::Deletes() const {
  MutexLock lock(&commit_mu_);
  return deletes_;
}

void DurableStore::SetDeletes(DeleteRecordsPtr records) {
  MutexLock lock(&commit_mu_);
  deletes_ = std::move(records);
}

absl::StatusOr<DeleteResult> DurableStore::DeleteSamples(const DeleteRequest& request) {
  DeleteRecord record;
  record.tenant = request.tenant;
  record.range = request.range;
  record.series = index_->Select(request.tenant, request.selector);
  MutexLock lock(&maintenance_mu_);
  PB_RETURN_IF_ERROR(FinishDeletes());
  // What these series have in memory becomes blocks, so that all that is to go stands in one place.
  size_t sealing = 0;
  {
    MutexLock commit_lock(&commit_mu_);
    for (const SeriesId id : record.series) head_.SealWithin(id, record.range);
    record.commit_sequence = last_commit_;
    sealing = head_.sealing_count();
  }
  PB_RETURN_IF_ERROR(SealOldest(sealing));
  DeleteResult result;
  if (request.dry_run) {
    PB_ASSIGN_OR_RETURN(result, EraseBlocks(record, /*dry_run=*/true));
    return result;
  }
  // The numbers of the commits before must not be given out again after a power cut (they could be with fsync off).
  PB_RETURN_IF_ERROR(wal_->Sync());
  PB_ASSIGN_OR_RETURN(const DeleteRecord* decided, DecideDelete(std::move(record)));
  return EraseDecided(*decided);
}

// Once this is on the disk the samples are as good as gone. If it does not get there, the asker is told of an error and
// it will be done all the same, as soon as RocksDB works again. The pointer lives until the records change.
absl::StatusOr<const DeleteRecord*> DurableStore::DecideDelete(DeleteRecord record) {
  const DeleteRecordsPtr before = Deletes();
  auto records = before == nullptr ? std::make_shared<DeleteRecords>() : std::make_shared<DeleteRecords>(*before);
  record.number = records->empty() ? 1 : records->back().number + 1;
  rocksdb::WriteBatch batch;
  while (records->size() >= kMaxRecords && records->front().commit_sequence <= saved_checkpoint_) {
    PB_RETURN_IF_ERROR(
        FromRocks(batch.Delete(rocks_->fixed("meta").get(), DeleteRecordKey(records->front().number)), "delete"));
    records->erase(records->begin());
  }
  if (records->size() >= kMaxRecords) {
    return WithRetryAfterMs(
        MakeError(ErrorReason::kStorageBusy,
                  "the log still holds samples of " + std::to_string(kMaxRecords) + " earlier deletions"),
        options_.seal_age_ns / kNanosPerMilli);
  }
  PB_RETURN_IF_ERROR(
      FromRocks(batch.Put(rocks_->fixed("meta").get(), DeleteRecordKey(record.number), EncodeDeleteRecord(record)),
                "delete samples"));
  PB_RETURN_IF_ERROR(WriteBatch(rocks_.get(), &batch));
  records->push_back(std::move(record));
  const DeleteRecord* decided = &records->back();
  SetDeletes(std::move(records));
  PB_RETURN_IF_ERROR(Flush());
  return decided;
}

absl::StatusOr<DeleteResult> DurableStore::EraseDecided(const DeleteRecord& record) {
  PB_ASSIGN_OR_RETURN(const DeleteResult result, EraseBlocks(record, /*dry_run=*/false));
  {
    MutexLock lock(&commit_mu_);
    for (const SeriesId id : record.series) head_.ForgetLatest(id, record.range);
    ++erasures_;
  }
  auto records = std::make_shared<DeleteRecords>(*Deletes());
  for (DeleteRecord& one : *records) one.erased |= one.number == record.number;
  PB_LOG(Info, "storage", "deleted samples={} series={} tenant={} from={} to={} up_to_commit={}", result.samples,
         result.series, record.tenant, record.range.start, record.range.end, record.commit_sequence);
  SetDeletes(std::move(records));
  return result;
}

// In batches, a series' raw blocks and rollups always in the same one; the last one says that it is done. A crash in
// between is made good at the next start, before the log is replayed.
absl::StatusOr<DeleteResult> DurableStore::EraseBlocks(const DeleteRecord& record, bool dry_run) {
  DeleteResult result;
  result.commit_sequence = record.commit_sequence;
  rocksdb::WriteBatch batch;
  BlockEraser eraser(*blocks_);
  for (const SeriesId id : record.series) {
    PB_ASSIGN_OR_RETURN(const int64_t samples,
                        eraser.Erase(record.tenant, id, record.range, dry_run ? nullptr : &batch));
    result.samples += samples;
    if (samples > 0) ++result.series;
    if (!dry_run) PB_RETURN_IF_ERROR(EraseRollups(record, id, &batch));
    if (batch.GetDataSize() > kMaxBatchBytes) PB_RETURN_IF_ERROR(WriteBatch(rocks_.get(), &batch));
  }
  if (dry_run) return result;
  DeleteRecord erased = record;
  erased.erased = true;
  PB_RETURN_IF_ERROR(
      FromRocks(batch.Put(rocks_->fixed("meta").get(), DeleteRecordKey(record.number), EncodeDeleteRecord(erased)),
                "delete samples"));
  PB_RETURN_IF_ERROR(WriteBatch(rocks_.get(), &batch));
  return result;
}

absl::Status DurableStore::EraseRollups(const DeleteRecord& record, SeriesId id, rocksdb::WriteBatch* batch) {
  sealer_->ForgetTail(id);
  const std::optional<SeriesBrief> brief = index_->Brief(id);
  if (!brief) return absl::OkStatus();  // forgotten with all it had
  return rollups_->Erase({id, record.tenant, brief->kind == MetricKind::kCounter}, record.range, batch);
}

// What a crash or an error interrupted. Nothing may be sealed before: a later sample in a block could not be told from
// one that is to go.
absl::Status DurableStore::FinishDeletes() {
  const DeleteRecordsPtr records = Deletes();
  if (records == nullptr) return absl::OkStatus();
  for (const DeleteRecord& record : *records) {
    if (!record.erased) PB_RETURN_IF_ERROR(EraseDecided(record).status());
  }
  return absl::OkStatus();
}

// Records whose samples the log holds no more.
absl::Status DurableStore::ForgetDeletes() {
  const DeleteRecordsPtr before = Deletes();
  if (before == nullptr || before->empty()) return absl::OkStatus();
  const std::vector<LogPart> log = wal_->Parts();
  if (log.empty()) return absl::OkStatus();
  auto records = std::make_shared<DeleteRecords>();
  rocksdb::WriteBatch batch;
  for (const DeleteRecord& record : *before) {
    if (!record.erased || record.commit_sequence >= log.front().first_commit) {
      records->push_back(record);
      continue;
    }
    PB_RETURN_IF_ERROR(
        FromRocks(batch.Delete(rocks_->fixed("meta").get(), DeleteRecordKey(record.number)), "forget delete"));
  }
  if (records->size() == before->size()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(WriteBatch(rocks_.get(), &batch));
  SetDeletes(std::move(records));
  return absl::OkStatus();
}

}  // namespace pulseboard
