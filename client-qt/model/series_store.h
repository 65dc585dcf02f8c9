// SeriesStore: the samples one panel holds of one series: sorted, bounded, with its learnt interval.
#pragma once

#include <QPointF>
#include <QVector>
#include <QtGlobal>
#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "common/model/samples.h"

namespace pulseboard::qt {

// Not thread-safe. Times are unix nanoseconds, strictly ascending inside.
class SeriesStore {
 public:
  explicit SeriesStore(size_t max_samples) : max_samples_(max_samples) {}

  // Appends; an older time is inserted where it belongs, an equal one replaces the value.
  void add(const std::vector<qint64>& times, const std::vector<double>& values);
  // Puts sorted samples in place of all in [range). `column_nanos`: pixel columns they were reduced to, 0 for raw.
  void replace(TimeRange range, const std::vector<qint64>& times, const std::vector<double>& values,
               qint64 column_nanos);
  void trim(qint64 oldest);
  void clear();

  bool empty() const { return size() == 0; }
  size_t size() const { return times_.size() - head_; }
  qint64 time(size_t i) const { return times_[head_ + i]; }
  double value(size_t i) const { return values_[head_ + i]; }
  // Index of the first sample not before `time`.
  size_t lowerBound(qint64 time) const;

  // Median time between samples, learnt from the newest ones; 0 before the second sample.
  qint64 interval() const { return interval_; }
  // Whether the line breaks between the samples i and i + 1: a hole of more than 3 intervals (and, where the samples
  // were reduced to pixel columns, of more than 2 columns), or a NaN on either side.
  bool breaksAfter(size_t i) const;
  // How long nothing may arrive before it is a hole, for samples after `time`.
  qint64 holeAfter(qint64 time) const;

  // Runs of at most 4 points per pixel column for [range), one sample beyond each edge included.
  QVector<QVector<QPointF>> runs(TimeRange range, int pixel_width) const;
  // Holes that touch [range), not clipped. The time before the first sample is no hole.
  std::vector<TimeRange> holes(TimeRange range) const;
  // Nearest sample within 3 intervals that is not NaN.
  std::optional<Sample> nearest(qint64 time) const;

 private:
  void compact();
  void learn(qint64 delta);

  size_t max_samples_;
  std::vector<qint64> times_;
  std::vector<double> values_;
  size_t head_ = 0;  // trimmed samples still in front
  static constexpr size_t kDeltas = 32;
  std::array<qint64, kDeltas> deltas_{};  // ring of the newest times between samples
  size_t delta_count_ = 0;
  qint64 interval_ = 0;
  TimeRange reduced_;  // where samples are pixel columns
  qint64 column_nanos_ = 0;
};

}  // namespace pulseboard::qt
