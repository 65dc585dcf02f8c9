// PendingSamples: what committed and was not sent yet to one subscription, in commit order and bounded in bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "server/live/live_sink.h"

namespace pulseboard {

struct PendingRow {
  uint32_t ref = 0;
  bool late = false;
  int64_t time_unix_nanos = 0;
  double value = 0;
};

// Sorted columns from rows in commit order; of equal ref and time the later row wins. `rows` is used up.
std::vector<LiveColumn> ToColumns(std::vector<PendingRow>* rows);
// The same, apart: what is in order, and what is late. A late row comes after the row in order that it replaces, so
// whoever applies the first and then the second has the newest values.
struct SplitColumns {
  std::vector<LiveColumn> samples;
  std::vector<LiveColumn> amends;
};
SplitColumns ToSplitColumns(std::vector<PendingRow>* rows);
int64_t CountSamples(const std::vector<LiveColumn>& columns);

// A value; not thread-safe.
class PendingSamples {
 public:
  struct Frame {
    SplitColumns columns;
    LiveTimes times;
    int64_t last_commit = 0;
    int64_t sample_count = 0;
  };

  // Adds one commit. When more than `max_bytes` would be held, the oldest rows are dropped into the gap (of a commit
  // that is too large by itself the newest rows stay). Returns how many were dropped.
  int64_t Append(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows, int64_t max_bytes);
  // Adds one commit if it fits; false leaves all as it was.
  bool TryAppend(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows, int64_t max_bytes);
  // Forgets rows and gap.
  void Clear();

  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  int64_t bytes() const;
  // Everything dropped since the last call, as one gap. It is older than all rows held.
  std::optional<LiveGap> TakeGap();
  bool has_gap() const { return gap_.dropped_sample_count > 0; }
  // The oldest commits, whole ones, until `target_rows` are reached. REQUIRES: !empty().
  Frame TakeFrame(size_t target_rows);

 private:
  // A commit with rows held; `rows` of them.
  struct Mark {
    int64_t commit_sequence = 0;
    size_t rows = 0;
    LiveTimes times;
  };

  static int64_t Bytes(size_t rows, size_t marks);
  void Push(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows);
  void DropOldest();

  std::deque<PendingRow> rows_;
  std::deque<Mark> marks_;
  LiveGap gap_;
};

}  // namespace pulseboard
