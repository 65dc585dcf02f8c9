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

void PendingSamples::Append(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows) {
  if (rows_.empty()) {
    times_ = times;
    first_commit_ = commit_sequence;
  }
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  last_commit_ = commit_sequence;
}

LiveFramePtr PendingSamples::TakeFrame(std::atomic<int64_t>& held) {
  SplitColumns columns = ToSplitColumns(&rows_);
  return std::make_shared<LiveFrame>(std::move(columns.samples), std::move(columns.amends), times_, first_commit_,
                                     last_commit_, held);
}

}  // namespace pulseboard
