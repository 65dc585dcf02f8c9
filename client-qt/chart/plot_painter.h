// Paints what is inside the plot area: lines, areas, stacks, gaps, live edge. Pure functions over a QPainter.
//
// Qt Charts' own QLineSeries costs 1-2 us per point and frame; painting reduced points here costs a tenth (LIMITS.md
// D).
#pragma once

#include <QPainter>
#include <QVector>

#include "client-qt/chart/chart_style.h"
#include "client-qt/chart/plot_scale.h"
#include "client-qt/model/panel_data.h"

namespace pulseboard::qt {

inline constexpr double kAreaOpacity = 0.12;
inline constexpr double kStackOpacity = 0.70;

// Layers of a stacked chart: for each series in slot order its upper and lower edge on shared instants.
struct StackLayer {
  quint64 series_id = 0;
  int slot = 0;
  // One run per stretch with data; x in unix milliseconds.
  QVector<QVector<QPointF>> upper;
  QVector<QVector<QPointF>> lower;
};
// Sums the lines on shared instants (linear between samples); at most two instants per pixel.
QVector<StackLayer> stackLines(const QVector<SeriesLine>& lines, TimeRange range, int pixel_width);
// Largest sum; 0 without data.
double stackTop(const QVector<StackLayer>& layers);

// Below each line, in its colour down to the next lower one. First of all in a picture: takes the place of what is
// there.
void paintAreas(QPainter& painter, const QVector<SeriesLine>& lines, const PlotScale& scale, const ChartStyle& style);
// `highlighted`: the other series are dimmed; 0 for none. Equal lines do not hide each other: they are
// dashes of all their colours.
void paintLines(QPainter& painter, const QVector<SeriesLine>& lines, const PlotScale& scale, const ChartStyle& style,
                quint64 highlighted);
void paintStack(QPainter& painter, const QVector<StackLayer>& layers, const PlotScale& scale, const ChartStyle& style,
                quint64 highlighted);
// Hatched spans with their length in words, where there is room for words.
void paintGaps(QPainter& painter, const QVector<GapItem>& gaps, const PlotScale& scale, const ChartStyle& style);
// Dot with a soft halo on the last value of each series. `stacked`: values are summed in slot order first.
void paintLiveEdge(QPainter& painter, const QVector<HoverValue>& edge, const PlotScale& scale, const ChartStyle& style,
                   bool stacked);
// Hollow points.
void paintAmends(QPainter& painter, const QVector<AmendMark>& amends, const PlotScale& scale, const ChartStyle& style,
                 quint64 highlighted);
// Dashed line and ringed points.
void paintCrosshair(QPainter& painter, qint64 time, const QVector<HoverValue>& values, const PlotScale& scale,
                    const ChartStyle& style, bool stacked);
// The stretch being selected with the mouse.
void paintSelection(QPainter& painter, double from_x, double to_x, const PlotScale& scale, const ChartStyle& style);

}  // namespace pulseboard::qt
