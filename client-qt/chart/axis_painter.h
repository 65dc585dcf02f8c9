// Labels of both axes. Pure functions; LineChart decides where the plot is.
#pragma once

#include <QPainter>
#include <QVector>

#include "client-qt/chart/chart_style.h"
#include "client-qt/chart/plot_scale.h"
#include "client-qt/model/axis_ticks.h"

namespace pulseboard::qt {

inline constexpr int kAxisLabelGap = 8;  // between labels and plot

// How the figures of a value axis are written: scaled, with the fewest decimals that tell all ticks exactly.
struct ValueLabels {
  double divisor = 1;
  int decimals = 0;

  static ValueLabels of(const ValueAxis& axis, double divisor);
  QString text(double tick) const { return QString::number(tick / divisor, 'f', decimals); }
  int widest(const ValueAxis& axis, const QFont& font) const;
};

// Right-aligned at the left of the plot. A low plot shows every second label, or only top and bottom.
void paintValueLabels(QPainter& painter, const ValueAxis& axis, const ValueLabels& labels, const PlotScale& scale,
                      const ChartStyle& style);
// Centred below their instants; those that would be cut at `right_edge` or run into the value labels are left out.
void paintTimeLabels(QPainter& painter, const QVector<TimeTick>& ticks, const PlotScale& scale, double right_edge,
                     const ChartStyle& style);

}  // namespace pulseboard::qt
