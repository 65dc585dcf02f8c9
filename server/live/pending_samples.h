// PendingSamples: what committed since the last frame, in commit order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/live/live_frame.h"

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

// A value; not thread-safe.
class PendingSamples {
 public:
  // Adds one commit.
  void Append(int64_t commit_sequence, const LiveTimes& times, std::span<const PendingRow> rows);
  // Makes a frame of all there is. REQUIRES: !empty().
  LiveFramePtr TakeFrame(std::atomic<int64_t>& held);

  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  int64_t first_commit() const { return first_commit_; }

 private:
  std::vector<PendingRow> rows_;
  LiveTimes times_;  // of the first commit
  int64_t first_commit_ = 0;
  int64_t last_commit_ = 0;
};

}  // namespace pulseboard
