#include "common/analysis/m4.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace pulseboard {
namespace {

__extension__ typedef __int128 Wide;  // products of two times

constexpr int64_t kSamplesPerColumn = 4;
constexpr int64_t kFewColumns = int64_t{1} << 30;  // so few that the product of two such numbers fits 64 bits

int64_t Subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// Number of the column that holds `time`, rounded towards minus infinity.
Wide ColumnOf(int64_t time, TimeRange range, int64_t columns) {
  const Wide width = Wide{range.end} - range.start;
  const Wide offset = (Wide{time} - range.start) * columns;
  Wide index = offset / width;
  if (offset % width < 0) --index;
  return index;
}

// First instant that belongs to column `index` or a later one.
int64_t ColumnStart(Wide index, TimeRange range, int64_t columns) {
  const Wide width = Wide{range.end} - range.start;
  const Wide scaled = index * width;
  Wide offset = scaled / columns;
  if (scaled % columns > 0) ++offset;
  const Wide start = offset + range.start;
  constexpr Wide kMax = std::numeric_limits<int64_t>::max();
  return start > kMax ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(start);
}

}  // namespace

size_t M4Reducer::Run::Add(const SampleColumns& sorted, size_t from, int64_t end) {
  const auto at = [&sorted](size_t i) { return Sample{sorted.times[i], sorted.values[i]}; };
  if (empty) first = last = min = max = at(from);
  empty = false;
  double low = min.value, high = max.value;
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  size_t lowest = kNone, highest = kNone;
  size_t i = from;
  for (; i < sorted.size() && sorted.times[i] < end; ++i) {
    const double value = sorted.values[i];
    if (std::isnan(value)) break;
    if (value < low) {
      low = value;
      lowest = i;
    }
    if (value > high) {
      high = value;
      highest = i;
    }
  }
  last = at(i - 1);
  if (lowest != kNone) min = at(lowest);
  if (highest != kNone) max = at(highest);
  return i;
}

void M4Reducer::Run::AppendTo(SampleColumns* out) const {
  if (empty) return;
  std::array<Sample, 4> kept = {first, min, max, last};
  std::sort(kept.begin(), kept.end(),
            [](const Sample& a, const Sample& b) { return a.time_unix_nanos < b.time_unix_nanos; });
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i > 0 && kept[i].time_unix_nanos == kept[i - 1].time_unix_nanos) continue;
    out->push_back(kept[i].time_unix_nanos, kept[i].value);
  }
}

void M4Reducer::Run::Fold(Sample other_min, Sample other_max, Sample other_last) {
  if (other_min.value < min.value) min = other_min;
  if (other_max.value > max.value) max = other_max;
  last = other_last;
}

M4Reducer::M4Reducer(TimeRange range, int64_t columns) : range_(range), columns_(columns) {}

void M4Reducer::Add(const SampleColumns& sorted) {
  added_ += static_cast<int64_t>(sorted.size());
  if (!reducing_) {
    raw_.times.insert(raw_.times.end(), sorted.times.begin(), sorted.times.end());
    raw_.values.insert(raw_.values.end(), sorted.values.begin(), sorted.values.end());
    if (!FitsAsItIs(added_)) StartReducing();
    return;
  }
  Reduce(sorted);
}

bool M4Reducer::AddWithinColumn(Sample first, Sample min, Sample max, Sample last) {
  if (!reducing_ || !column_open_ || column_.trailing_break || last.time_unix_nanos >= column_end_) return false;
  Run& run = column_.inner_break ? column_.after : column_.before;
  if (run.empty || first.time_unix_nanos <= run.last.time_unix_nanos) return false;
  run.Fold(min, max, last);
  return true;
}

bool M4Reducer::FitsAsItIs(int64_t samples) const { return samples <= kSamplesPerColumn * columns_; }

void M4Reducer::StartReducing() {
  if (reducing_) return;
  reducing_ = true;
  Reduce(raw_);
  raw_ = {};
}

void M4Reducer::Reduce(const SampleColumns& sorted) {
  for (size_t i = 0; i < sorted.size();) {
    const Sample sample = {sorted.times[i], sorted.values[i]};
    if (!column_open_ || sample.time_unix_nanos >= column_end_) {
      CloseColumn();
      OpenColumn(sample.time_unix_nanos);
    }
    if (std::isnan(sample.value)) {
      AddBreak(sample);
      ++i;
    } else {
      column_.trailing_break = false;
      i = (column_.inner_break ? column_.after : column_.before).Add(sorted, i, column_end_);
    }
  }
}

void M4Reducer::AddBreak(Sample sample) {
  Column& column = column_;
  if (column.before.empty) {
    if (!column.leading_break) column.leading = sample;
    column.leading_break = true;
    return;
  }
  if (!column.inner_break) {
    column.inner_break = true;
    column.inner = sample;
  }
  column.trailing_break = true;
  column.trailing = sample;
}

void M4Reducer::OpenColumn(int64_t time) {
  column_ = {};
  column_open_ = true;
  column_end_ = ColumnEnd(time);
}

int64_t M4Reducer::ColumnEnd(int64_t time) const {
  const int64_t width = Subtract(range_.end, range_.start);
  if (!range_.Contains(time) || width < 0 || columns_ > kFewColumns) {
    return ColumnStart(ColumnOf(time, range_, columns_) + 1, range_, columns_);
  }
  // The same without wide divisions, of which there would be four for each column: a guess, and from there the column
  // whose start and end enclose the time. start(i) = ceil(i * width / columns).
  const int64_t whole = width / columns_, rest = width % columns_;
  const auto start = [&](int64_t i) { return i * whole + (i * rest + columns_ - 1) / columns_; };
  const int64_t offset = time - range_.start;
  const double guess = static_cast<double>(offset) * static_cast<double>(columns_) / static_cast<double>(width);
  int64_t column = std::clamp(static_cast<int64_t>(guess), int64_t{0}, columns_ - 1);
  while (start(column) > offset) --column;
  while (start(column + 1) <= offset) ++column;
  return range_.start + start(column + 1);
}

void M4Reducer::CloseColumn() {
  if (!column_open_) return;
  const Column& column = column_;
  if (column.leading_break) reduced_.push_back(column.leading.time_unix_nanos, column.leading.value);
  column.before.AppendTo(&reduced_);
  if (column.inner_break) reduced_.push_back(column.inner.time_unix_nanos, column.inner.value);
  column.after.AppendTo(&reduced_);
  if (column.trailing_break && column.trailing.time_unix_nanos != column.inner.time_unix_nanos) {
    reduced_.push_back(column.trailing.time_unix_nanos, column.trailing.value);
  }
}

SampleColumns M4Reducer::Finish() {
  if (!reducing_) return std::move(raw_);
  CloseColumn();
  column_open_ = false;
  return std::move(reduced_);
}

SampleColumns ReduceM4(const SampleColumns& sorted, TimeRange range, int64_t columns) {
  M4Reducer reducer(range, columns);
  reducer.Add(sorted);
  return reducer.Finish();
}

}  // namespace pulseboard
