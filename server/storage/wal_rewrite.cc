#include "server/storage/wal_rewrite.h"

#include <algorithm>
#include <random>
#include <vector>

#include "common/base/errors.h"

namespace pulseboard {
namespace {

constexpr std::string_view kHalfWritten = ".repair";
constexpr size_t kFlushBytes = 1 << 20;
constexpr size_t kCopyBytes = 1 << 20;

// The record without the samples of some series.
WalRecord Without(const WalRecord& record, const std::set<SeriesId>& left_out) {
  WalRecord out = record;
  AppendBatch& batch = out.batch;
  out.late.clear();
  auto late = record.late.begin();
  size_t kept = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    const bool is_late = late != record.late.end() && *late == i;
    if (is_late) ++late;
    if (left_out.contains(batch.series[i])) continue;
    batch.series[kept] = batch.series[i];
    batch.times[kept] = batch.times[i];
    batch.values[kept] = batch.values[i];
    if (is_late) out.late.push_back(static_cast<uint32_t>(kept));
    ++kept;
  }
  batch.series.resize(kept);
  batch.times.resize(kept);
  batch.values.resize(kept);
  return out;
}

}  // namespace

absl::Status SegmentRewriter::RemoveLeftovers() {
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(wal_));
  for (const std::string& name : names) {
    if (name.ends_with(kHalfWritten)) PB_RETURN_IF_ERROR(files_->Remove(wal_ + "/" + name));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SegmentRewriter::Quarantine(const std::string& segment, int64_t offset, int64_t end) {
  const std::string folder = directory_ + "/quarantine";
  PB_RETURN_IF_ERROR(files_->CreateDirectory(folder));
  PB_RETURN_IF_ERROR(files_->SyncDirectory(directory_));
  PB_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(folder));
  const std::string stem = segment + "." + std::to_string(offset) + "-" + std::to_string(end);
  std::string name = stem;
  for (int n = 2; std::find(names.begin(), names.end(), name) != names.end(); ++n) {
    name = stem + "." + std::to_string(n);
  }
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<LogFile> from, files_->Open(wal_ + "/" + segment, false));
  PB_ASSIGN_OR_RETURN(const std::unique_ptr<LogFile> to, files_->Open(folder + "/" + name, true));
  std::string bytes;
  for (int64_t at = offset; at < end; at += static_cast<int64_t>(bytes.size())) {
    PB_RETURN_IF_ERROR(from->ReadAt(at, static_cast<size_t>(std::min<int64_t>(kCopyBytes, end - at)), &bytes));
    if (bytes.empty()) break;
    PB_RETURN_IF_ERROR(to->WriteAt(at - offset, bytes));
  }
  PB_RETURN_IF_ERROR(to->Sync());
  PB_RETURN_IF_ERROR(files_->SyncDirectory(folder));
  return folder + "/" + name;
}

absl::Status SegmentRewriter::Begin(int64_t first_commit) {
  std::random_device device;
  header_ = {device(), first_commit, store_id_};
  path_ = wal_ + "/" + SegmentName(first_commit) + std::string(kHalfWritten);
  PB_ASSIGN_OR_RETURN(file_, files_->Open(path_, true));
  buffer_ = EncodeSegmentHeader(header_);
  written_ = 0;
  frames_ = 0;
  return absl::OkStatus();
}

absl::Status SegmentRewriter::OnRecord(const WalRecord& record, std::string_view payload) {
  const auto is_left_out = [this](SeriesId id) { return left_out_.contains(id); };
  if (record.commit_sequence <= checkpoint_ || left_out_.empty() ||
      std::none_of(record.batch.series.begin(), record.batch.series.end(), is_left_out)) {
    return AddFrame(FrameType::kCommit, payload);
  }
  const WalRecord fewer = Without(record, left_out_);
  std::string bytes;
  EncodeWalRecord(fewer.commit_sequence, fewer.committed_unix_nanos, fewer.batch, fewer.definitions, fewer.late,
                  &bytes);
  return AddFrame(FrameType::kCommit, bytes);
}

absl::Status SegmentRewriter::OnGap(const CommitRange& gap) { return AddFrame(FrameType::kGap, EncodeGap(gap)); }

absl::Status SegmentRewriter::AddFrame(FrameType type, std::string_view payload) {
  const size_t at = buffer_.size();
  // The segment becomes visible only once all of it is on the disk, so what is before this frame is.
  const int64_t offset = written_ + static_cast<int64_t>(at);
  ReserveFrame(&buffer_);
  buffer_.append(payload);
  FinishFrame(buffer_.data() + at, type, static_cast<uint32_t>(payload.size()), header_.salt, offset);
  ++frames_;
  return buffer_.size() < kFlushBytes ? absl::OkStatus() : Flush();
}

absl::Status SegmentRewriter::Flush() {
  PB_RETURN_IF_ERROR(file_->WriteAt(written_, buffer_));
  written_ += static_cast<int64_t>(buffer_.size());
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status SegmentRewriter::Finish(const std::string& replaced) {
  PB_RETURN_IF_ERROR(Flush());
  PB_RETURN_IF_ERROR(file_->Sync());
  file_.reset();
  const std::string name = SegmentName(header_.first_commit);
  if (frames_ == 0 && name != replaced && !replaced.empty()) {
    PB_RETURN_IF_ERROR(files_->Remove(path_));
  } else {
    PB_RETURN_IF_ERROR(files_->Rename(path_, wal_ + "/" + name));
    PB_RETURN_IF_ERROR(files_->SyncDirectory(wal_));
  }
  if (name == replaced || replaced.empty()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(files_->Remove(wal_ + "/" + replaced));
  return files_->SyncDirectory(wal_);
}

}  // namespace pulseboard
