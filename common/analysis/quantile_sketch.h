// QuantileSketch: quantiles of any number of values in bounded memory, with a known error.
//
// Up to kExactValues values are kept as they are: quantiles are exact. Beyond, values are counted in bins that grow by
// a fixed ratio (after DDSketch: Masson, Rim, Lee, VLDB 2019): each rank is then known to within kRelativeError of its
// value, whatever the distribution. Sketches merge, in any order, to what all the values together would have given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace pulseboard {

// Not thread-safe.
class QuantileSketch {
 public:
  static constexpr size_t kExactValues = 4'096;
  static constexpr double kRelativeError = 0.005;

  // NaN is left out.
  void Add(double value);
  void Merge(const QuantileSketch& other);
  void clear();

  int64_t count() const { return count_; }
  bool exact() const { return bins_.empty(); }
  // 0, or kRelativeError.
  double relative_error() const { return exact() ? 0 : kRelativeError; }
  // The φ-quantile, interpolated between the two neighbouring ranks; -Inf below 0, Inf above 1, NaN of nothing.
  // Reorders what it holds.
  double Quantile(double phi);
  // Of what is held.
  size_t bytes() const { return values_.capacity() * sizeof(double) + bins_.size() * 64; }

 private:
  void AddToBins(double value, int64_t count);
  double AtRank(int64_t rank) const;

  int64_t count_ = 0;
  std::vector<double> values_;       // while exact
  std::map<int32_t, int64_t> bins_;  // by bin, ascending by value: negative values, zero, positive ones, infinity
  double min_ = 0;
  double max_ = 0;
};

}  // namespace pulseboard
