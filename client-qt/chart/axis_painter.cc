#include "client-qt/chart/axis_painter.h"

#include <algorithm>
#include <cmath>

namespace pulseboard::qt {
namespace {

constexpr int kMinTickPitch = 16;
constexpr int kMaxDecimals = 3;
constexpr int kTimeLabelTop = 6;

bool allExact(const ValueAxis& axis, double factor) {
  return std::all_of(axis.ticks.begin(), axis.ticks.end(), [factor](double tick) {
    const double scaled = tick * factor;
    return std::abs(scaled - std::round(scaled)) < 1e-6 * std::max(1.0, std::abs(scaled));
  });
}

// Every n-th label, counted from the top, which is always shown.
int labelStep(double pitch, qsizetype ticks) {
  if (pitch >= kMinTickPitch) return 1;
  if (pitch * 2 >= kMinTickPitch && ticks % 2 == 1) return 2;  // then the lowest is shown too
  return static_cast<int>(ticks) - 1;
}

}  // namespace

ValueLabels ValueLabels::of(const ValueAxis& axis, double divisor) {
  ValueLabels labels{divisor, 0};
  while (labels.decimals < kMaxDecimals && !allExact(axis, std::pow(10.0, labels.decimals) / divisor))
    ++labels.decimals;
  return labels;
}

int ValueLabels::widest(const ValueAxis& axis, const QFont& font) const {
  const QFontMetrics metrics(font);
  int widest = 0;
  for (const double tick : axis.ticks) widest = std::max(widest, metrics.horizontalAdvance(text(tick)));
  return widest;
}

void paintValueLabels(QPainter& painter, const ValueAxis& axis, const ValueLabels& labels, const PlotScale& scale,
                      const ChartStyle& style) {
  const qsizetype count = axis.ticks.size();
  if (count < 2) return;
  const int step = std::max(1, labelStep(scale.plot.height() / static_cast<double>(count - 1), count));
  painter.setFont(style.caption);
  painter.setPen(style.secondary);
  for (qsizetype i = count - 1; i >= 0; i -= step) {
    const QRectF place(0, scale.y(axis.ticks[i]) - 8, scale.plot.left() - kAxisLabelGap, 16);
    painter.drawText(place, Qt::AlignRight | Qt::AlignVCenter, labels.text(axis.ticks[i]));
  }
}

void paintTimeLabels(QPainter& painter, const QVector<TimeTick>& ticks, const PlotScale& scale, double right_edge,
                     const ChartStyle& style) {
  const QFontMetricsF metrics(style.caption);
  painter.setFont(style.caption);
  painter.setPen(style.secondary);
  for (const TimeTick& tick : ticks) {
    const double x = scale.x(tick.unix_nanos);
    const double half = metrics.horizontalAdvance(tick.text) / 2;
    if (x - half < scale.plot.left() - kAxisLabelGap || x + half > right_edge) continue;
    painter.drawText(QPointF(x - half, scale.plot.bottom() + kTimeLabelTop + metrics.ascent()), tick.text);
  }
}

}  // namespace pulseboard::qt
