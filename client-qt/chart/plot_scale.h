// PlotScale: from time and value to pixels of one chart. Plain value.
#pragma once

#include <QPointF>
#include <QRectF>
#include <algorithm>
#include <cmath>

#include "common/model/samples.h"

namespace pulseboard::qt {

struct PlotScale {
  TimeRange range;
  double min = 0;
  double max = 1;
  QRectF plot;

  double x(qint64 unix_nanos) const { return xOfMillis(static_cast<double>(unix_nanos) / 1e6); }
  double xOfMillis(double unix_millis) const {
    const double start = static_cast<double>(range.start) / 1e6;
    return plot.left() + (unix_millis - start) * 1e6 / static_cast<double>(range.end - range.start) * plot.width();
  }
  double y(double value) const { return plot.bottom() - (value - min) / (max - min) * plot.height(); }
  qint64 timeAt(double pixel_x) const {
    const double share = (pixel_x - plot.left()) / plot.width();
    return range.start + static_cast<qint64>(share * static_cast<double>(range.end - range.start));
  }
  qint64 nanosOf(double pixels) const {
    return static_cast<qint64>(pixels / std::max(1.0, plot.width()) * static_cast<double>(range.end - range.start));
  }
  bool usable() const { return !range.empty() && max > min && plot.width() >= 1 && plot.height() >= 1; }

  // The range shown to the pixel: start and end on whole multiples of one pixel's time, so that the pixel columns that
  // samples are reduced to stay the same while the data scrolls, and a repaint is due only once per pixel.
  static TimeRange onPixels(TimeRange wanted, int pixel_width);
};

}  // namespace pulseboard::qt
