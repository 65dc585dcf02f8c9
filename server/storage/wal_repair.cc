#include "server/storage/wal_repair.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/storage/meta_keys.h"
#include "server/storage/rocks.h"
#include "server/storage/wal_rewrite.h"
#include "server/storage/wal_scan.h"

namespace pulseboard {
namespace {

class NoLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// What RocksDB says about the log.
struct StoreFacts {
  std::string store_id;
  int64_t checkpoint = 0;
  std::vector<bool> defined;  // by series id: its definition does not need the log
};

void Define(SeriesId id, std::vector<bool>* defined) {
  if (id >= defined->size()) defined->resize(static_cast<size_t>(id) * 2 + 64);
  (*defined)[static_cast<size_t>(id)] = true;
}

absl::StatusOr<StoreFacts> ReadFacts(const WalRepairOptions& options) {
  rocksdb::DBOptions db_options;
  if (options.env != nullptr) db_options.env = options.env;
  db_options.info_log = std::make_shared<NoLogger>();  // reading leaves no trace
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "meta", "series"}) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const std::string path = options.directory + "/db";
  PB_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::OpenForReadOnly(db_options, path, families, &handles, &raw), "read " + path));
  std::shared_ptr<rocksdb::DB> db(raw);
  std::vector<FamilyPtr> owned;
  for (rocksdb::ColumnFamilyHandle* handle : handles) owned.emplace_back(handle, ReleaseFamily{db});
  StoreFacts facts;
  std::string value;
  PB_RETURN_IF_ERROR(FromRocks(db->Get({}, owned[1].get(), kStoreIdKey, &facts.store_id), "read the store's id"));
  const rocksdb::Status checkpoint = db->Get({}, owned[1].get(), kCheckpointKey, &value);
  if (!checkpoint.IsNotFound()) {
    PB_RETURN_IF_ERROR(FromRocks(checkpoint, "read the checkpoint"));
    if (value.size() != sizeof(int64_t)) return MakeError(ErrorReason::kBlockCorrupt, "the checkpoint is not readable");
    facts.checkpoint = GetLittleEndian<int64_t>(value);
  }
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}, owned[2].get()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (it->key().size() == sizeof(SeriesId)) Define(GetBigEndian<SeriesId>(ToView(it->key())), &facts.defined);
  }
  PB_RETURN_IF_ERROR(FromRocks(it->status(), "read series"));
  return facts;
}

// Fills a report.
class Inspector final : public SegmentVisitor {
 public:
  Inspector(StoreFacts* facts, WalReport* report) : facts_(facts), report_(report) {}

  void Begin(WalSegmentReport* segment) { segment_ = segment; }

  absl::Status OnRecord(const WalRecord& record, std::string_view) override {
    ++segment_->records;
    segment_->samples += static_cast<int64_t>(record.batch.size());
    for (const auto& info : record.definitions) Define(info->id, &facts_->defined);
    if (record.commit_sequence <= facts_->checkpoint) return absl::OkStatus();
    for (const SeriesId id : record.batch.series) {
      if (id < facts_->defined.size() && facts_->defined[static_cast<size_t>(id)]) continue;
      orphans_.insert(id);
      ++report_->orphan_samples;
      segment_->needs_rewriting = true;
    }
    return absl::OkStatus();
  }
  absl::Status OnGap(const CommitRange& gap) override {
    report_->declared.push_back(gap);
    return absl::OkStatus();
  }
  absl::Status OnMissing(const CommitRange& missing) override {
    report_->missing.push_back(missing);
    segment_->needs_rewriting = true;
    return absl::OkStatus();
  }
  absl::Status OnDamage(int64_t offset, int64_t end, std::string_view what) override {
    report_->damage.push_back({segment_->file, offset, end, std::string(what), {}});
    segment_->needs_rewriting = true;
    return absl::OkStatus();
  }
  const std::set<SeriesId>& orphans() const { return orphans_; }

 private:
  StoreFacts* const facts_;
  WalReport* const report_;
  WalSegmentReport* segment_ = nullptr;
  std::set<SeriesId> orphans_;
};

// One inspection, and the repair after it.
class Repair {
 public:
  explicit Repair(const WalRepairOptions& options)
      : options_(options), directory_(options.directory + "/wal"), inspector_(&facts_, &report_) {}

  absl::Status Inspect() {
    // Only the store's own files: a mistyped directory is not made.
    PB_RETURN_IF_ERROR(options_.files->List(directory_).status());
    PB_ASSIGN_OR_RETURN(lock_, options_.files->Lock(options_.directory + "/LOCK"));
    if (lock_ == nullptr) {
      return absl::FailedPreconditionError(options_.directory + " is in use by another process: stop the server first");
    }
    PB_ASSIGN_OR_RETURN(facts_, ReadFacts(options_));
    report_.checkpoint = facts_.checkpoint;
    PB_ASSIGN_OR_RETURN(std::vector<std::string> names, options_.files->List(directory_));
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (const std::optional<int64_t> first = ParseSegmentName(name)) segments_.push_back({name, *first, 0});
    }
    int64_t last = segments_.empty() ? 0 : std::min(segments_.front().named_commit - 1, facts_.checkpoint);
    for (size_t i = 0; i < segments_.size(); ++i) {
      segments_[i].last_before = last;
      WalSegmentReport report;
      report.file = directory_ + "/" + segments_[i].name;
      report.first_commit = segments_[i].named_commit;
      inspector_.Begin(&report);
      PB_RETURN_IF_ERROR(WithContext(ScanOne(i, &last, &inspector_, &report.file_bytes), report.file));
      report.last_commit = last;
      report_.segments.push_back(std::move(report));
    }
    report_.orphan_series.assign(inspector_.orphans().begin(), inspector_.orphans().end());
    if (segments_.empty() && facts_.checkpoint > 0) report_.missing.push_back({1, facts_.checkpoint});
    return absl::OkStatus();
  }

  absl::Status Mend() {
    if (report_.is_whole()) return absl::OkStatus();
    SegmentRewriter rewriter(options_.files, options_.directory, facts_.store_id);
    PB_RETURN_IF_ERROR(rewriter.RemoveLeftovers());
    rewriter.LeaveOut(inspector_.orphans(), facts_.checkpoint);
    if (segments_.empty()) {
      // All that is known is that everything up to the checkpoint is sealed.
      PB_RETURN_IF_ERROR(rewriter.Begin(facts_.checkpoint + 1));
      PB_RETURN_IF_ERROR(rewriter.Finish(""));
    }
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (report_.segments[i].needs_rewriting) PB_RETURN_IF_ERROR(Rewrite(i, &rewriter));
    }
    report_.repaired = true;
    return absl::OkStatus();
  }

  WalReport TakeReport() { return std::move(report_); }

 private:
  struct Listed {
    std::string name;
    int64_t named_commit = 0;
    int64_t last_before = 0;
  };

  absl::Status ScanOne(size_t i, int64_t* last, SegmentVisitor* visitor, int64_t* file_bytes) {
    const bool is_last = i + 1 == segments_.size();
    PB_ASSIGN_OR_RETURN(const SuspectSegment segment, OpenSuspect(options_.files, directory_ + "/" + segments_[i].name,
                                                                  segments_[i].named_commit, facts_.store_id));
    *file_bytes = segment.file_bytes;
    std::optional<int64_t> next;
    if (!is_last) next = segments_[i + 1].named_commit;
    PB_ASSIGN_OR_RETURN(const int64_t torn, ScanSegment(segment, next, last, visitor));
    if (!is_last) return absl::OkStatus();
    report_.torn_bytes = torn;
    if (*last < facts_.checkpoint) {
      PB_RETURN_IF_ERROR(visitor->OnMissing({*last + 1, facts_.checkpoint}));
      *last = facts_.checkpoint;
    }
    return absl::OkStatus();
  }

  absl::Status Rewrite(size_t i, SegmentRewriter* rewriter) {
    const std::string path = directory_ + "/" + segments_[i].name;
    for (WalDamage& damage : report_.damage) {
      if (damage.file != path) continue;
      PB_ASSIGN_OR_RETURN(damage.quarantine, rewriter->Quarantine(segments_[i].name, damage.offset, damage.end));
    }
    int64_t last = segments_[i].last_before;
    int64_t file_bytes = 0;
    PB_RETURN_IF_ERROR(rewriter->Begin(last + 1));
    PB_RETURN_IF_ERROR(WithContext(ScanOne(i, &last, rewriter, &file_bytes), path));
    return rewriter->Finish(segments_[i].name);
  }

  const WalRepairOptions options_;
  const std::string directory_;
  std::unique_ptr<FileLock> lock_;
  StoreFacts facts_;
  WalReport report_;
  Inspector inspector_;
  std::vector<Listed> segments_;
};

}  // namespace

absl::StatusOr<WalReport> InspectWal(const WalRepairOptions& options) {
  Repair repair(options);
  PB_RETURN_IF_ERROR(repair.Inspect());
  return repair.TakeReport();
}

absl::StatusOr<WalReport> RepairWal(const WalRepairOptions& options) {
  Repair repair(options);
  PB_RETURN_IF_ERROR(repair.Inspect());
  PB_RETURN_IF_ERROR(repair.Mend());
  return repair.TakeReport();
}

}  // namespace pulseboard
