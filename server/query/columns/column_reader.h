// ColumnReader: one series of a view, folded into columns of time, from rollup tiers where they hold whole columns.
//
// A tier serves when every bound between two columns is one of its buckets' and the shortest column has four of them
// (of an hour or longer: one); the ends of the range come from finer tiers, at last from samples. What is older than
// finer tiers are kept comes from coarser ones: such a bucket counts whole, to the column in which it begins. Count,
// min, max, first, last and the growth of counters are then the same as from samples; sums may differ in their last
// bits.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "common/analysis/rollup.h"
#include "common/model/labels.h"
#include "common/model/samples.h"
#include "server/query/columns/aggregates.h"
#include "server/query/columns/time_columns.h"
#include "server/query/line_plan.h"
#include "server/storage/store.h"

namespace pulseboard {

// What the reading of columns depends on, beside the series.
struct ColumnRequest {
  TimeColumns columns;  // bounds as they are named
  TimeRange range;      // what is read of them
  AggregateNeeds needs;
  int64_t now_unix_nanos = 0;
  int64_t raw_retention_ns = 0;
  int64_t longest_retention_ns = 0;
  int64_t lookback_ns = 0;
};

// The way to read `request`, shared by all series.
class ColumnPlan {
 public:
  ColumnPlan(ColumnRequest request, std::span<const TierOptions> tiers);

  const TimeColumns& columns() const { return request_.columns; }
  const AggregateNeeds& needs() const { return request_.needs; }
  // All that is read, the samples before the range too.
  TimeRange readable() const { return readable_; }
  // Bucket length of the tier, kRawBucket for samples.
  int64_t bucket_ns() const { return from_tiers_.bucket_ns; }
  // The steps for a series of this kind: gauges that are asked for their growth are read as samples.
  const LinePlan& StepsFor(MetricKind kind) const;

 private:
  friend class ColumnReader;
  LinePlan PlanFrom(int64_t bucket_ns, std::span<const TierOptions> tiers) const;

  const ColumnRequest request_;
  TimeRange readable_;
  LinePlan from_tiers_;
  LinePlan from_samples_;
};

// Not thread-safe. View, plan and info must outlive it.
class ColumnReader {
 public:
  // Called for each column that holds a sample, ascending. The state lives during the call.
  using Visit = std::function<void(size_t column, const ColumnState& state)>;
  // Called after each piece (a day of samples, some thousand rollups) with what was read for it, as the view counts.
  using Progress = std::function<absl::Status(int64_t samples, int64_t rollups)>;

  ColumnReader(ReadView& view, const ColumnPlan& plan, const SeriesInfo& info);
  absl::Status Read(const Visit& visit, const Progress& progress);
  // Every number in the range, by column, when the plan needs values; null otherwise. To be set before Read.
  void SetValueVisit(std::function<void(size_t column, double value)> visit) { value_visit_ = std::move(visit); }

 private:
  absl::Status ReadPiece(const LineStep& step, TimeRange piece);
  void AddSamples(const SampleColumns& samples);
  // Tells a column whose samples are all there, without a fold; false when it takes one.
  bool TellWhole(std::span<const int64_t> times, std::span<const double> values);
  // Of the open column, one by one.
  void AddValues(std::span<const double> values);
  // Buckets that begin before `from` were read before, or begin outside of what is asked for.
  void AddRollups(const RollupColumns& rollups, int64_t from);
  // Ends the columns before the one that holds `time`.
  void Advance(int64_t time);
  void EndColumn();

  ReadView& view_;
  const ColumnPlan& plan_;
  const SeriesInfo& info_;
  const std::vector<int64_t>& bounds_;
  const Visit* visit_ = nullptr;
  std::function<void(size_t, double)> value_visit_;

  size_t column_ = 0;
  int64_t column_end_ = 0;  // of the open one; of time before the first column, its beginning
  bool before_first_ = true;
  RollupFold fold_;
  ColumnState whole_;  // of TellWhole
  bool falls_known_ = true;
  bool values_known_ = true;
  QuantileSketch sketch_;
  bool any_number_ = false;
  int64_t last_time_ = 0;  // the last number so far
  double last_ = 0;
};

}  // namespace pulseboard
