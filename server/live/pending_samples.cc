#include "server/live/pending_samples.h"

#include <algorithm>
#include <utility>

namespace pulseboard {

std::vector<LiveColumn> ToColumns(std::vector<PendingRow>* rows) {
  const auto by_ref_and_time = [](const PendingRow& a, const PendingRow& b) {
    return a.ref != b.ref ? a.ref < b.ref : a.time_unix_nanos < b.time_unix_nanos;
  };
  std::stable_sort(rows->begin(), rows->end(), by_ref_and_time);
  std::vector<LiveColumn> columns;
  for (const PendingRow& row : *rows) {
    if (columns.empty() || columns.back().ref != row.ref) columns.push_back({row.ref, {}});
    SampleColumns& samples = columns.back().samples;
    if (!samples.empty() && samples.times.back() == row.time_unix_nanos) {
      samples.values.back() = row.value;
    } else {
      samples.push_back(row.time_unix_nanos, row.value);
    }
  }
  rows->clear();
  return columns;
}

SplitColumns ToSplitColumns(std::vector<PendingRow>* rows) {
  std::vector<PendingRow> late;
  if (std::any_of(rows->begin(), rows->end(), [](const PendingRow& row) { return row.late; })) {
    const auto first_late =
        std::stable_partition(rows->begin(), rows->end(), [](const PendingRow& row) { return !row.late; });
    late.assign(first_late, rows->end());
    rows->erase(first_late, rows->end());
  }
  SplitColumns columns;
  columns.samples = ToColumns(rows);
  columns.amends = ToColumns(&late);
  return columns;
}

int64_t CountSamples(const std::vector<LiveColumn>& columns) {
  int64_t count = 0;
  for (const LiveColumn& column : columns) count += static_cast<int64_t>(column.samples.size());
  return count;
}

int64_t PendingSamples::Bytes(size_t rows, size_t marks) {
  return static_cast<int64_t>(rows * sizeof(PendingRow) + marks * sizeof(Mark));
}

int64_t PendingSamples::bytes() const { return Bytes(rows_.size(), marks_.size()); }

void PendingSamples::Push(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows) {
  if (rows.empty()) return;
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  marks_.push_back({commit_sequence, rows.size(), times});
}

void PendingSamples::DropOldest() {
  const int64_t time = rows_.front().time_unix_nanos;
  if (gap_.dropped_sample_count == 0) {
    gap_.start_time_unix_nanos = gap_.end_time_unix_nanos = time;
  } else {
    gap_.start_time_unix_nanos = std::min(gap_.start_time_unix_nanos, time);
    gap_.end_time_unix_nanos = std::max(gap_.end_time_unix_nanos, time);
  }
  ++gap_.dropped_sample_count;
  rows_.pop_front();
  if (--marks_.front().rows == 0) marks_.pop_front();
}

int64_t PendingSamples::Append(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows,
                               int64_t max_bytes) {
  const int64_t dropped_before = gap_.dropped_sample_count;
  Push(commit_sequence, times, rows);
  while (bytes() > max_bytes && rows_.size() > 1) DropOldest();
  return gap_.dropped_sample_count - dropped_before;
}

bool PendingSamples::TryAppend(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows,
                               int64_t max_bytes) {
  if (Bytes(rows_.size() + rows.size(), marks_.size() + 1) > max_bytes) return false;
  Push(commit_sequence, times, rows);
  return true;
}

void PendingSamples::Clear() {
  rows_.clear();
  marks_.clear();
  gap_ = {};
}

std::optional<LiveGap> PendingSamples::TakeGap() {
  if (!has_gap()) return std::nullopt;
  return std::exchange(gap_, {});
}

PendingSamples::Frame PendingSamples::TakeFrame(size_t target_rows) {
  Frame frame;
  frame.times = marks_.front().times;
  std::vector<PendingRow> taken;
  while (!marks_.empty() && (taken.empty() || taken.size() + marks_.front().rows <= target_rows)) {
    const auto end = rows_.begin() + static_cast<ptrdiff_t>(marks_.front().rows);
    taken.insert(taken.end(), rows_.begin(), end);
    rows_.erase(rows_.begin(), end);
    frame.last_commit = marks_.front().commit_sequence;
    marks_.pop_front();
  }
  frame.columns = ToSplitColumns(&taken);
  frame.sample_count = CountSamples(frame.columns.samples) + CountSamples(frame.columns.amends);
  return frame;
}

}  // namespace pulseboard
