// Paints the marks of events: a thin line across the plot with a small flag on top. What kind it is can be told by the
// flag's shape as well as by its colour. Pure functions over a QPainter.
#pragma once

#include <QPainter>
#include <QVector>

#include "client-qt/chart/chart_style.h"
#include "client-qt/chart/plot_scale.h"
#include "client-qt/model/event_log.h"

namespace pulseboard::qt {

inline constexpr int kEventFlag = 10;       // height above the plot, and width
inline constexpr int kEventMarkPitch = 24;  // px: closer ones are one mark with a count

QColor eventColor(EventSeverity severity, const ChartStyle& style);
// Info: a pennant pointing down. Warning: a triangle pointing up. Error: a diamond. Critical: a disc with a bar.
void paintEventFlag(QPainter& painter, EventSeverity severity, const QPointF& center, const ChartStyle& style);
// Below the data.
void paintEventLines(QPainter& painter, const QVector<EventMark>& marks, const PlotScale& scale,
                     const ChartStyle& style);
// Above the plot.
void paintEventFlags(QPainter& painter, const QVector<EventMark>& marks, const PlotScale& scale,
                     const ChartStyle& style);
// The mark under the mouse, again and stronger.
void paintHoveredEvent(QPainter& painter, const EventMark& mark, const PlotScale& scale, const ChartStyle& style);

}  // namespace pulseboard::qt
