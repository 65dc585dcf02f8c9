// M4: reduces a line to its first, last, smallest and largest sample per pixel column, at their true times, so that the
// drawn line is the line of all samples. U. Jugel, Z. Jerzak, G. Hackenbroich, V. Markl: "M4: A Visualization-Oriented
// Time Series Data Aggregation", PVLDB 7(10), 2014.
//
// NaN means "no value" and breaks the line. A column keeps the NaNs that break the line at its edges; where NaN lies
// between values, the column keeps the part before it and the part after it apart, each with its own four samples
// (breaks past the first within one column are not told apart). So a column gives at most 4 samples, or 11 where it
// holds NaN.
#pragma once

#include <cstdint>

#include "common/model/samples.h"

namespace pulseboard {

// One pass over sorted samples in as many pieces as one likes. Not thread-safe.
class M4Reducer {
 public:
  // Columns are `range` cut into `columns` equal parts, counted from range.start. REQUIRES: range not empty, columns
  // >= 1.
  M4Reducer(TimeRange range, int64_t columns);

  // Samples go on where the last ones ended. Times outside `range` fall into further columns of the same width.
  void Add(const SampleColumns& sorted);
  // The same for samples of which only the first, the smallest, the greatest and the last are known, numbers all, when
  // they fall into the column that is open: many at the price of one. False, and nothing done, when they do not.
  bool AddWithinColumn(Sample first, Sample min, Sample max, Sample last);
  // From now on columns, however few samples there are: for samples that stand for more than themselves.
  void StartReducing();
  // Whether so many samples would be answered as they are.
  bool FitsAsItIs(int64_t samples) const;
  // All samples as they were added when they are no more than 4 per column (of the range), else the reduced ones,
  // sorted. Ends the use of the object.
  SampleColumns Finish();
  int64_t added() const { return added_; }

 private:
  // Values between two breaks: up to four samples.
  struct Run {
    bool empty = true;
    Sample first, last, min, max;

    // From sorted[from], a number, up to the first NaN or time at or after `end`. Returns where that is.
    size_t Add(const SampleColumns& sorted, size_t from, int64_t end);
    void AppendTo(SampleColumns* out) const;
    void Fold(Sample other_min, Sample other_max, Sample other_last);
  };
  struct Column {
    Run before;                   // up to the first break within the column
    Run after;                    // all that follows it
    bool leading_break = false;   // NaN came before any value
    bool inner_break = false;     // NaN between values, or at the end until a value follows
    bool trailing_break = false;  // NaN is the last sample
    Sample leading, inner, trailing;
  };

  void Reduce(const SampleColumns& sorted);
  void AddBreak(Sample sample);
  void OpenColumn(int64_t time);
  void CloseColumn();
  // First instant after the column that holds `time`.
  int64_t ColumnEnd(int64_t time) const;

  const TimeRange range_;
  const int64_t columns_;
  int64_t added_ = 0;
  bool reducing_ = false;
  SampleColumns raw_;      // until there are too many
  SampleColumns reduced_;  // closed columns
  Column column_;
  bool column_open_ = false;
  int64_t column_end_ = 0;  // first instant after the open column
};

// The whole of the above in one call.
SampleColumns ReduceM4(const SampleColumns& sorted, TimeRange range, int64_t columns);

}  // namespace pulseboard
