// WindowReader: one series of a view for windows of time, from rollups where the plan says so. What comes of it is what
// all samples would give: buckets that an edge of a window cuts are divided.
//
// Often that takes no reading. Where samples lie on the edges themselves (the whole seconds of regular data) an edge is
// the bucket's first sample, which belongs to the earlier window, and what remains of the bucket without it follows
// from the rollup: its count, sum, last value, mostly its extremes, and what the counter grew by since.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "common/model/labels.h"
#include "common/model/rollups.h"
#include "server/query/expression/window_plan.h"
#include "server/query/expression/windows.h"
#include "server/storage/store.h"

namespace pulseboard::expression {

// Not thread-safe. View, plan and info must outlive it.
class WindowReader {
 public:
  // Called after each piece (a day of samples, some thousand rollups, a divided bucket) with what was read for it, as
  // the view counts.
  using Progress = std::function<absl::Status(int64_t samples, int64_t rollups)>;

  WindowReader(ReadView& view, const WindowPlan& plan, const SeriesInfo& info, Progress progress);
  absl::Status Read(WindowInput* input);

 private:
  absl::Status ReadStep(const LineStep& step);
  // Those that begin from `from` on, which may be before the piece.
  absl::Status ReadBuckets(TimeRange piece, int64_t bucket_ns, int64_t from);
  // Adds a bucket, in parts where an edge cuts it.
  absl::Status Take(int64_t start, int64_t bucket_ns, const Rollup& rollup);
  absl::Status Divide(int64_t start, int64_t bucket_ns, const Rollup& rollup);
  // Whether a sample follows the first one of the bucket within the longest gap that counts.
  absl::StatusOr<bool> IsFollowed(const Rollup& rollup, int64_t bucket_ns);
  absl::Status Flush();
  absl::Status NoteProgress();

  ReadView& view_;
  const WindowPlan& plan_;
  const SeriesInfo& info_;
  const Windows windows_;
  const RollupFields fields_;
  const Progress progress_;
  WindowInput* input_ = nullptr;
  ReadStats noted_;
  int64_t taken_up_to_ = INT64_MIN;  // end of the last bucket: a coarse one may reach into the next step
  RollupColumns out_;                // not handed over yet
  int64_t reach_ns_ = 0;
  RollupColumns near_;  // of the finest tier, for IsFollowed
  TimeRange near_range_;
};

}  // namespace pulseboard::expression
