// Folding samples into buckets, and buckets into longer ones. There is one way to fold, so that a bucket folded again
// from the same samples is the same, bit for bit.
#pragma once

#include <cstdint>
#include <span>

#include "common/model/rollups.h"

namespace pulseboard {

// One bucket in the making: samples, or rollups of shorter buckets, ascending by time. Not thread-safe.
//
// The sum is compensated (Neumaier): the error of each addition is summed as well and added at the end, once. So sums
// of decimals come out as the decimal they should be, nearly always. A tier's sum is the fold of the sums of the tier
// below.
class RollupFold {
 public:
  // `is_counter`: keep account of falls (Rollup::resets). `with_sum` false: sums stay 0, which is faster.
  explicit RollupFold(bool is_counter, bool with_sum = true) : is_counter_(is_counter), with_sum_(with_sum) {}

  bool empty() const { return rollup_.count == 0 && rollup_.nan_count == 0; }
  void AddSample(int64_t time, double value);
  // The same for all that lies within the bucket from `start` on, as sorted[from] does. Returns the first place behind.
  size_t AddSamples(std::span<const int64_t> times, std::span<const double> values, size_t from, int64_t start,
                    int64_t bucket_ns);
  // The same for samples that all lie within the bucket, faster: sums (and resets) are right but for the last bits, not
  // folded in the one way, and the times of the smallest and the greatest value are not kept. For answers, not for
  // tiers.
  void AddRun(std::span<const int64_t> times, std::span<const double> values);
  void AddRollup(const Rollup& rollup);
  // The rollup of all that was added; the fold is empty after. REQUIRES: not empty.
  Rollup Take();

 private:
  // From a number up to the first NaN or `end`.
  size_t AddNumbers(std::span<const int64_t> times, std::span<const double> values, size_t from, size_t end);
  void AddToSum(double value);

  const bool is_counter_;
  const bool with_sum_;
  double lost_ = 0;  // what rounding has left out of the sum so far
  Rollup rollup_;
};

// What AddRun of an empty fold of no counter and Take would give, in place; false, and `out` unspecified, when there is
// a NaN. REQUIRES: not empty.
bool FoldRun(std::span<const int64_t> times, std::span<const double> values, bool with_sum, Rollup* out);

// Start of the bucket that holds `time`.
int64_t BucketStart(int64_t time, int64_t bucket_ns);

// What has to be there of shorter buckets to fold them into longer ones, of which `fields` are asked for.
RollupFields FieldsToFold(RollupFields fields);

// Appends the buckets of sorted samples, all columns; only those of `fields` must be right. Buckets that are split over
// two calls must not be.
void FoldSamples(std::span<const int64_t> times, std::span<const double> values, int64_t bucket_ns, bool is_counter,
                 RollupColumns* out, RollupFields fields = kAllRollupFields);
// The same from shorter buckets, which have the columns FieldsToFold(fields). REQUIRES: bucket_ns is a multiple of
// their length.
void FoldRollups(const RollupColumns& finer, int64_t bucket_ns, bool is_counter, RollupColumns* out,
                 RollupFields fields = kAllRollupFields);

// The rollup of two neighbouring stretches of time. Associative but for the rounding of the sums, which are added
// plainly. For counters the fall from the one to the other is included.
Rollup MergeRollups(const Rollup& earlier, const Rollup& later, bool is_counter);

}  // namespace pulseboard
