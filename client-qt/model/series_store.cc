#include "client-qt/model/series_store.h"

#include <algorithm>
#include <cmath>

#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr qint64 kHoleIntervals = 3;
constexpr qint64 kHoleColumns = 2;
constexpr size_t kCompactAbove = 1'024;

QPointF toPoint(qint64 time, double value) {
  const qint64 micros = time / kNanosPerMicro;
  return {static_cast<double>(micros) / 1'000.0, value};
}

// Gathers the samples of one pixel column and gives back its first, smallest, largest and last.
class Column {
 public:
  void add(size_t i, double value) {
    if (empty_) {
      first_ = last_ = min_ = max_ = i;
      min_value_ = max_value_ = value;
      empty_ = false;
      return;
    }
    last_ = i;
    if (value < min_value_) {
      min_ = i;
      min_value_ = value;
    }
    if (value > max_value_) {
      max_ = i;
      max_value_ = value;
    }
  }
  void flush(const SeriesStore& store, QVector<QPointF>* out) {
    if (empty_) return;
    std::array<size_t, 4> picked = {first_, std::min(min_, max_), std::max(min_, max_), last_};
    size_t count = 0;
    for (const size_t i : picked) {
      if (count > 0 && i == picked[count - 1]) continue;
      picked[count++] = i;
      out->push_back(toPoint(store.time(i), store.value(i)));
    }
    empty_ = true;
  }

 private:
  bool empty_ = true;
  size_t first_ = 0, last_ = 0, min_ = 0, max_ = 0;
  double min_value_ = 0, max_value_ = 0;
};

}  // namespace

void SeriesStore::add(const std::vector<qint64>& times, const std::vector<double>& values) {
  for (size_t i = 0; i < std::min(times.size(), values.size()); ++i) {
    if (empty() || times[i] > times_.back()) {
      if (!empty()) learn(times[i] - times_.back());
      times_.push_back(times[i]);
      values_.push_back(values[i]);
      continue;
    }
    const auto at = std::lower_bound(times_.begin() + static_cast<ptrdiff_t>(head_), times_.end(), times[i]);
    const auto value_at = values_.begin() + (at - times_.begin());
    if (*at == times[i]) {
      *value_at = values[i];
    } else {
      values_.insert(value_at, values[i]);
      times_.insert(at, times[i]);
    }
  }
  compact();
}

void SeriesStore::replace(TimeRange range, const std::vector<qint64>& times, const std::vector<double>& values,
                          qint64 column_nanos) {
  const ptrdiff_t from = static_cast<ptrdiff_t>(head_ + lowerBound(range.start));
  const ptrdiff_t to = static_cast<ptrdiff_t>(head_ + lowerBound(range.end));
  const size_t count = std::min(times.size(), values.size());
  times_.erase(times_.begin() + from, times_.begin() + to);
  values_.erase(values_.begin() + from, values_.begin() + to);
  times_.insert(times_.begin() + from, times.begin(), times.begin() + static_cast<ptrdiff_t>(count));
  values_.insert(values_.begin() + from, values.begin(), values.begin() + static_cast<ptrdiff_t>(count));
  for (size_t i = count > kDeltas ? count - kDeltas : 1; i < count; ++i) learn(times[i] - times[i - 1]);
  if (column_nanos > 0) {
    // Chunks of one backfill follow each other: together they are the reduced range.
    const bool joins = column_nanos_ == column_nanos && !reduced_.empty();
    reduced_ = joins ? TimeRange{std::min(reduced_.start, range.start), std::max(reduced_.end, range.end)} : range;
    column_nanos_ = column_nanos;
  }
  compact();
}

void SeriesStore::trim(qint64 oldest) {
  head_ += lowerBound(oldest);
  compact();
}

void SeriesStore::clear() {
  times_.clear();
  values_.clear();
  head_ = 0;
  delta_count_ = 0;
  interval_ = 0;
  reduced_ = {};
  column_nanos_ = 0;
}

void SeriesStore::compact() {
  if (size() > max_samples_) head_ += size() - max_samples_;
  if (head_ < kCompactAbove || head_ < times_.size() / 2) return;
  times_.erase(times_.begin(), times_.begin() + static_cast<ptrdiff_t>(head_));
  values_.erase(values_.begin(), values_.begin() + static_cast<ptrdiff_t>(head_));
  head_ = 0;
}

void SeriesStore::learn(qint64 delta) {
  deltas_[delta_count_++ % kDeltas] = delta;
  std::array<qint64, kDeltas> sorted = deltas_;
  const auto end = sorted.begin() + static_cast<ptrdiff_t>(std::min(delta_count_, kDeltas));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  interval_ = *middle;
}

size_t SeriesStore::lowerBound(qint64 time) const {
  const auto begin = times_.begin() + static_cast<ptrdiff_t>(head_);
  return static_cast<size_t>(std::lower_bound(begin, times_.end(), time) - begin);
}

qint64 SeriesStore::holeAfter(qint64 time) const {
  const qint64 by_column = reduced_.Contains(time) ? kHoleColumns * column_nanos_ : 0;
  return std::max(kHoleIntervals * interval_, by_column);
}

bool SeriesStore::breaksAfter(size_t i) const {
  if (std::isnan(value(i)) || std::isnan(value(i + 1))) return true;
  const qint64 limit = holeAfter(time(i));
  return limit > 0 && time(i + 1) - time(i) > limit;
}

QVector<QVector<QPointF>> SeriesStore::runs(TimeRange range, int pixel_width) const {
  QVector<QVector<QPointF>> out;
  if (empty() || range.empty() || pixel_width <= 0) return out;
  size_t from = lowerBound(range.start);
  size_t to = lowerBound(range.end);
  if (from > 0) --from;
  if (to < size()) ++to;
  const bool reduce = to - from > 4 * static_cast<size_t>(pixel_width);
  const double columns_per_nano = pixel_width / static_cast<double>(range.end - range.start);

  QVector<QPointF> run;
  Column column;
  double column_number = -1;
  for (size_t i = from; i < to; ++i) {
    if (!std::isnan(value(i))) {
      const double number = std::floor(static_cast<double>(time(i) - range.start) * columns_per_nano);
      if (!reduce || number != column_number) column.flush(*this, &run);
      column_number = number;
      column.add(i, value(i));
    }
    if (i + 1 < to && breaksAfter(i)) {
      column.flush(*this, &run);
      if (!run.isEmpty()) out.push_back(std::move(run));
      run = {};
    }
  }
  column.flush(*this, &run);
  if (!run.isEmpty()) out.push_back(std::move(run));
  return out;
}

std::vector<TimeRange> SeriesStore::holes(TimeRange range) const {
  std::vector<TimeRange> out;
  size_t i = lowerBound(range.start);
  if (i > 0) --i;
  for (; i + 1 < size() && time(i) < range.end; ++i) {
    if (!breaksAfter(i)) continue;
    if (!out.empty() && out.back().end == time(i) && std::isnan(value(i))) {
      out.back().end = time(i + 1);  // several NaN are one hole
    } else {
      out.push_back({time(i), time(i + 1)});
    }
  }
  return out;
}

std::optional<Sample> SeriesStore::nearest(qint64 wanted) const {
  const qint64 learnt = holeAfter(wanted);
  const qint64 reach = learnt > 0 ? learnt : kNanosPerSecond;
  std::optional<Sample> best;
  size_t i = lowerBound(wanted);
  if (i > 0) --i;
  for (const size_t end = std::min(size(), i + 2); i < end; ++i) {
    const qint64 distance = std::abs(time(i) - wanted);
    if (std::isnan(value(i)) || distance > reach) continue;
    if (!best || distance < std::abs(best->time_unix_nanos - wanted)) best = Sample{time(i), value(i)};
  }
  return best;
}

}  // namespace pulseboard::qt
