#include <optional>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "server/storage/meta_keys.h"
#include "server/storage/verify_pass.h"
#include "server/storage/wal_scan.h"

namespace pulseboard {
namespace {

constexpr char kLog[] = "log";

VerifyFinding InFile(const std::string& file, int64_t offset, std::string description) {
  VerifyFinding finding;
  finding.family = kLog;
  finding.file = file;
  finding.offset = offset;
  finding.description = std::move(description);
  return finding;
}

class LogPass final : public SegmentVisitor {
 public:
  LogPass(VerifyPass* pass, int64_t checkpoint) : pass_(pass), checkpoint_(checkpoint) {}
  void Begin(const std::string& file) { file_ = file; }

  absl::Status OnRecord(const WalRecord& record, std::string_view payload) override {
    ++pass_->summary().log_commits;
    for (const std::shared_ptr<const SeriesInfo>& info : record.definitions) {
      const VerifyPass::KnownSeries* known = pass_->FindSeries(info->id);
      if (known != nullptr && known->tenant != info->tenant) {
        pass_->Find(InFile(file_, 0,
                           "commit " + std::to_string(record.commit_sequence) + " defines series " +
                               std::to_string(info->id) + " anew, for another tenant"));
      }
      pass_->AddSeries(info->id, {info->tenant, info->metadata.kind == MetricKind::kCounter});
    }
    // Before the checkpoint it may be of series that are forgotten.
    if (record.commit_sequence > checkpoint_) CheckSeries(record);
    return pass_->Spend(kLog, payload.size() + kFrameHeaderBytes);
  }
  absl::Status OnGap(const CommitRange&) override { return absl::OkStatus(); }  // left by a repair, and said so
  absl::Status OnMissing(const CommitRange& missing) override {
    pass_->Find(InFile(
        file_, 0, "commits " + std::to_string(missing.first) + " to " + std::to_string(missing.last) + " are missing"));
    return absl::OkStatus();
  }
  absl::Status OnDamage(int64_t offset, int64_t end, std::string_view what) override {
    pass_->Find(InFile(file_, offset, std::string(what) + " up to offset " + std::to_string(end)));
    return absl::OkStatus();
  }

 private:
  void CheckSeries(const WalRecord& record) {
    for (const SeriesId id : record.batch.series) {
      const VerifyPass::KnownSeries* known = pass_->FindSeries(id);
      if (known != nullptr && known->tenant == record.batch.tenant) continue;
      pass_->Find(InFile(file_, 0,
                         "commit " + std::to_string(record.commit_sequence) + " has samples of series " +
                             std::to_string(id) + ", which its tenant does not have"));
      return;  // one per commit
    }
  }

  VerifyPass* const pass_;
  const int64_t checkpoint_;
  std::string file_;
};

// -1 when it is not readable.
int64_t ReadCheckpoint(const VerifyPass& pass) {
  rocksdb::ReadOptions options;
  options.snapshot = pass.snapshot();
  for (const auto& [name, handle] : pass.source().tables) {
    std::string value;
    if (name != "meta") continue;
    const rocksdb::Status status = pass.source().db->Get(options, handle.get(), kCheckpointKey, &value);
    if (status.IsNotFound()) return 0;
    return status.ok() && value.size() == sizeof(int64_t) ? GetLittleEndian<int64_t>(value) : -1;
  }
  return -1;
}

}  // namespace

absl::Status VerifyLog(VerifyPass* pass) {
  const std::vector<SuspectSegment>& log = pass->source().log;
  const int64_t checkpoint = ReadCheckpoint(*pass);
  if (checkpoint < 0) pass->Find(InFile("", 0, "the checkpoint in family meta is not readable"));
  if (log.empty()) {
    if (checkpoint > 0) pass->Find(InFile("", 0, "there is no log, but a checkpoint"));
    return absl::OkStatus();
  }
  if (log.front().named_commit > checkpoint + 1) {
    pass->Find(InFile(log.front().path, 0, "it begins behind the checkpoint, " + std::to_string(checkpoint)));
  }
  LogPass visitor(pass, checkpoint);
  int64_t last = log.front().named_commit - 1;
  for (size_t i = 0; i < log.size(); ++i) {
    visitor.Begin(log[i].path);
    std::optional<int64_t> next;
    if (i + 1 < log.size()) next = log[i + 1].named_commit;
    const auto torn = ScanSegment(log[i], next, &last, &visitor);
    PB_RETURN_IF_ERROR(torn.status());
  }
  if (last < checkpoint) {
    pass->Find(InFile(
        log.back().path, log.back().file_bytes,
        "it ends with commit " + std::to_string(last) + ", before the checkpoint " + std::to_string(checkpoint)));
  }
  return absl::OkStatus();
}

}  // namespace pulseboard
