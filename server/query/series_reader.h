// SeriesReader: one series of a view in pieces, a day of samples or some thousand rollups each, reduced to pixel
// columns where asked, so that memory is bounded by a piece and not by the range.
//
// Reduced lines come from rollup tiers where the plan says so: the first, last, smallest and greatest samples of the
// buckets, at their true times, make exactly the line that all samples would. A bucket that holds NaN between values is
// read as samples (while there are any), so that the breaks stay where they are; so is a series with no more samples
// than fit the answer as they are.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/analysis/m4.h"
#include "common/model/labels.h"
#include "common/model/rollups.h"
#include "common/model/samples.h"
#include "server/query/line_plan.h"
#include "server/storage/store.h"

namespace pulseboard {

// Thread-compatible. The view must outlive it.
class SeriesReader {
 public:
  SeriesReader(ReadView& view, SeriesId series, std::shared_ptr<const LinePlan> plan);

  bool done() const { return step_ == plan_->steps.size(); }
  // The next piece, possibly empty; a reduced series comes with the last one. REQUIRES: !done().
  absl::StatusOr<SampleColumns> Next();
  // Read so far, as the view counts them.
  int64_t scanned_samples() const { return scanned_samples_; }
  int64_t scanned_rollups() const { return scanned_rollups_; }

 private:
  void Start(std::shared_ptr<const LinePlan> plan);
  absl::StatusOr<SampleColumns> ReadPiece(const LineStep& step, TimeRange piece);
  absl::StatusOr<SampleColumns> ReadSamples(TimeRange range);
  // REQUIRES: there are pixel columns.
  absl::Status AppendBuckets(const RollupColumns& rollups, int64_t bucket_ns, TimeRange piece, SampleColumns* out);
  // Adds a bucket to the reducer at once, after what is in `out`, when it lies within one pixel column.
  bool FoldBucket(const RollupColumns& rollups, size_t at, TimeRange bucket, TimeRange piece, SampleColumns* out);
  // Whether the answer would hold all samples as they are, but was read from rollups.
  bool ShouldReadSamplesInstead() const;

  ReadView& view_;
  const SeriesId series_;
  std::shared_ptr<const LinePlan> plan_;
  std::unique_ptr<M4Reducer> reducer_;
  size_t step_ = 0;
  int64_t read_up_to_ = 0;
  int64_t samples_ = 0;         // in the range, also those that only rollups know of
  bool left_out_some_ = false;  // samples that only rollups know of
  bool without_tiers_ = false;  // in the second round, from samples
  int64_t scanned_samples_ = 0;
  int64_t scanned_rollups_ = 0;
};

}  // namespace pulseboard
