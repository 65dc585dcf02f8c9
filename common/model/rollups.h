// Rollups: what is kept of the samples of one series in one bucket of time, and columns of them. Plain values; how they
// are made and merged: common/analysis/rollup.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace pulseboard {

// Samples that are NaN ("no value") are counted and otherwise left out: sum, min, max, first, last and their times are
// of the other samples, the numbers. A bucket with nothing but NaN has count 0, sum 0, resets 0, NaN in min, max, first
// and last, and the times of its first and last NaN.
struct Rollup {
  int64_t count = 0;      // numbers
  int64_t nan_count = 0;  // NaNs
  double sum = 0;         // see RollupFold for how it is rounded
  double min = 0;
  double max = 0;
  double first = 0;
  double last = 0;
  // Counters: the sum of the values from which the counter fell, that is, started anew from zero. Always 0 for gauges.
  double resets = 0;
  int64_t first_time = 0;  // unix nanoseconds, as the samples had them
  int64_t last_time = 0;
  int64_t min_time = 0;  // of the first of the smallest
  int64_t max_time = 0;  // of the first of the greatest

  // Exact increase of a counter from the first to the last number of the bucket.
  double Increase() const { return (last - first) + resets; }
};

// A set of columns, one bit each. The bucket's start is always there.
enum class RollupField : uint32_t {
  kCount = 1 << 0,
  kNanCount = 1 << 1,
  kSum = 1 << 2,
  kMin = 1 << 3,
  kMax = 1 << 4,
  kFirst = 1 << 5,
  kLast = 1 << 6,
  kResets = 1 << 7,
  kFirstTime = 1 << 8,
  kLastTime = 1 << 9,
  kMinTime = 1 << 10,
  kMaxTime = 1 << 11,
};
class RollupFields {
 public:
  constexpr RollupFields() = default;
  constexpr RollupFields(RollupField field) : bits_(static_cast<uint32_t>(field)) {}  // NOLINT: one is a set, too
  constexpr RollupFields operator|(RollupFields other) const { return RollupFields(bits_ | other.bits_); }
  constexpr bool Has(RollupField field) const { return (bits_ & static_cast<uint32_t>(field)) != 0; }
  constexpr bool operator==(const RollupFields&) const = default;
  constexpr uint32_t bits() const { return bits_; }

 private:
  constexpr explicit RollupFields(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};
constexpr RollupFields operator|(RollupField a, RollupField b) { return RollupFields(a) | RollupFields(b); }
inline constexpr RollupFields kLineFields = RollupField::kFirst | RollupField::kLast | RollupField::kMin |
                                            RollupField::kMax | RollupField::kFirstTime | RollupField::kLastTime |
                                            RollupField::kMinTime | RollupField::kMaxTime | RollupField::kNanCount;
inline constexpr RollupFields kAllRollupFields =
    kLineFields | RollupField::kCount | RollupField::kSum | RollupField::kResets;

// Parallel columns of buckets that hold at least one sample, ascending. Columns that were not asked for are empty.
struct RollupColumns {
  std::vector<int64_t> starts;  // of the buckets, unix nanoseconds, whole multiples of the bucket length
  std::vector<int64_t> counts, nan_counts;
  std::vector<double> sums, mins, maxs, firsts, lasts, resets;
  std::vector<int64_t> first_times, last_times, min_times, max_times;

  size_t size() const { return starts.size(); }
  bool empty() const { return starts.empty(); }
  void clear() { *this = RollupColumns(); }
  // REQUIRES: all columns are there.
  void push_back(int64_t start, const Rollup& rollup) {
    starts.push_back(start);
    counts.push_back(rollup.count);
    nan_counts.push_back(rollup.nan_count);
    sums.push_back(rollup.sum);
    mins.push_back(rollup.min);
    maxs.push_back(rollup.max);
    firsts.push_back(rollup.first);
    lasts.push_back(rollup.last);
    resets.push_back(rollup.resets);
    first_times.push_back(rollup.first_time);
    last_times.push_back(rollup.last_time);
    min_times.push_back(rollup.min_time);
    max_times.push_back(rollup.max_time);
  }
  // 0 in what was not asked for.
  Rollup Get(size_t i) const {
    const auto at = [i](const auto& column) {
      using T = typename std::decay_t<decltype(column)>::value_type;
      return column.empty() ? T{} : column[i];
    };
    return {at(counts), at(nan_counts), at(sums),        at(mins),       at(maxs),      at(firsts),
            at(lasts),  at(resets),     at(first_times), at(last_times), at(min_times), at(max_times)};
  }
  // Calls visit(field, column) for each column but the starts.
  template <typename Columns, typename Visit>
  static void VisitColumns(Columns& columns, const Visit& visit) {
    visit(RollupField::kCount, columns.counts);
    visit(RollupField::kNanCount, columns.nan_counts);
    visit(RollupField::kSum, columns.sums);
    visit(RollupField::kMin, columns.mins);
    visit(RollupField::kMax, columns.maxs);
    visit(RollupField::kFirst, columns.firsts);
    visit(RollupField::kLast, columns.lasts);
    visit(RollupField::kResets, columns.resets);
    visit(RollupField::kFirstTime, columns.first_times);
    visit(RollupField::kLastTime, columns.last_times);
    visit(RollupField::kMinTime, columns.min_times);
    visit(RollupField::kMaxTime, columns.max_times);
  }
  // Empties the columns that are not in `fields`.
  void Keep(RollupFields fields) {
    VisitColumns(*this, [fields](RollupField field, auto& column) {
      if (!fields.Has(field)) column.clear();
    });
  }
};

}  // namespace pulseboard
