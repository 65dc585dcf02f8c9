#include "client-qt/chart/plot_painter.h"

#include <QPolygonF>
#include <algorithm>

#include "client-qt/model/units.h"

namespace pulseboard::qt {
namespace {

constexpr double kDimmed = 0.25;
constexpr int kMaxHalos = 12;
constexpr double kAmendRadius = 2.75;
constexpr double kMinGapPixels = 2;
constexpr int kMaxSeams = 8;       // more layers would be mostly seams
constexpr double kTurnPixels = 7;  // of each colour, where lines are equal
constexpr double kSamePixels = 0.75;
constexpr qsizetype kMinCoveredPoints = 3;  // lines that only cross cover nothing
constexpr qsizetype kMaxComparedPoints = 12'000;

QColor faded(QColor color, double opacity) {
  color.setAlphaF(static_cast<float>(color.alphaF() * opacity));
  return color;
}

// Into a buffer that keeps its memory between runs and frames.
const QPolygonF& toPixels(const QVector<QPointF>& run, const PlotScale& scale) {
  thread_local QPolygonF points;
  points.resize(run.size());
  const double start = static_cast<double>(scale.range.start) / 1e6;
  const double per_ms = scale.plot.width() * 1e6 / static_cast<double>(scale.range.end - scale.range.start);
  const double per_value = scale.plot.height() / (scale.max - scale.min);
  for (qsizetype i = 0; i < run.size(); ++i) {
    points[i] = QPointF(scale.plot.left() + (run[i].x() - start) * per_ms,
                        scale.plot.bottom() - (run[i].y() - scale.min) * per_value);
  }
  return points;
}

qsizetype pointCount(const SeriesLine& line) {
  qsizetype count = 0;
  for (const auto& run : line.runs) count += run.size();
  return count;
}

void paintRuns(QPainter& painter, const SeriesLine& line, const PlotScale& scale, const QPen& pen) {
  painter.setRenderHint(QPainter::Antialiasing, true);
  for (const auto& run : line.runs) {
    const QPolygonF& points = toPixels(run, scale);
    if (points.size() == 1) {  // a lonely sample between two holes
      painter.setPen(Qt::NoPen);
      painter.setBrush(pen.color());
      painter.drawEllipse(points.first(), 1.75, 1.75);
      continue;
    }
    painter.setPen(pen);
    painter.setBrush(Qt::NoBrush);
    painter.drawPolyline(points);
  }
}

// Value of a line at x, or nothing where it has a hole. `run` and `at` remember where the last call ended.
struct LineCursor {
  const SeriesLine* line;
  qsizetype run = 0;
  qsizetype at = 0;

  std::optional<double> valueAt(double x) {
    const auto& runs = line->runs;
    while (run < runs.size() && (runs[run].isEmpty() || runs[run].last().x() < x)) {
      ++run;
      at = 0;
    }
    if (run == runs.size() || runs[run].first().x() > x) return std::nullopt;
    const auto& points = runs[run];
    while (at + 1 < points.size() && points[at + 1].x() < x) ++at;
    if (at + 1 == points.size() || points[at].x() >= x) return points[at].y();
    const double share = (x - points[at].x()) / (points[at + 1].x() - points[at].x());
    return points[at].y() + share * (points[at + 1].y() - points[at].y());
  }
};

double meanOf(const SeriesLine& line) {
  double sum = 0;
  for (const auto& run : line.runs) {
    for (const QPointF& point : run) sum += point.y();
  }
  return sum / static_cast<double>(std::max<qsizetype>(1, pointCount(line)));
}

// Where a line lies below later ones that show the same values.
struct CoveredStretch {
  int lines = 1;  // that are equal, this one counted
  int above = 0;  // of them that are painted later
  QVector<QPointF> points;
};

std::vector<CoveredStretch> coveredStretches(const QVector<SeriesLine>& lines, qsizetype index,
                                             const PlotScale& scale) {
  const double same = kSamePixels * (scale.max - scale.min) / scale.plot.height();
  std::vector<LineCursor> cursors;
  for (const SeriesLine& line : lines) cursors.push_back({&line});
  std::vector<CoveredStretch> out;
  CoveredStretch open;
  const auto finish = [&] {
    if (open.above > 0 && open.points.size() >= kMinCoveredPoints) out.push_back(open);
    open = {};
  };
  for (const auto& run : lines[index].runs) {
    for (const QPointF& point : run) {
      int equal = 1;
      int above = 0;
      for (size_t j = 0; j < cursors.size(); ++j) {
        if (static_cast<qsizetype>(j) == index) continue;
        const std::optional<double> value = cursors[j].valueAt(point.x());
        if (!value || std::abs(*value - point.y()) >= same) continue;
        ++equal;
        above += static_cast<qsizetype>(j) > index ? 1 : 0;
      }
      if (equal != open.lines || above != open.above) {
        if (!open.points.isEmpty() && open.above > 0 && above == 0) open.points.append(point);
        finish();
        open.lines = equal;
        open.above = above;
      }
      open.points.append(point);
    }
    finish();
  }
  return out;
}

// Equal lines take turns: what shows is made of dashes of all their colours.
void paintCovered(QPainter& painter, const CoveredStretch& covered, const PlotScale& scale, QPen pen) {
  const double dash = kTurnPixels / pen.widthF();  // in widths of the pen, as Qt counts
  pen.setDashPattern({dash, dash * (covered.lines - 1)});
  pen.setDashOffset(dash * covered.above);
  painter.setRenderHint(QPainter::Antialiasing, true);
  painter.setPen(pen);
  painter.setBrush(Qt::NoBrush);
  painter.drawPolyline(toPixels(covered.points, scale));
}

std::vector<double> sharedInstants(const QVector<SeriesLine>& lines, TimeRange range, int pixel_width) {
  std::vector<double> xs;
  for (const SeriesLine& line : lines) {
    for (const auto& run : line.runs) {
      for (const QPointF& point : run) xs.push_back(point.x());
    }
  }
  std::sort(xs.begin(), xs.end());
  xs.erase(std::unique(xs.begin(), xs.end()), xs.end());
  const size_t limit = static_cast<size_t>(pixel_width) * 2;
  if (xs.size() <= limit) return xs;
  const double first = std::max(xs.front(), static_cast<double>(range.start) / 1e6);
  const double last = std::min(xs.back(), static_cast<double>(range.end) / 1e6);
  std::vector<double> grid(static_cast<size_t>(pixel_width));
  for (size_t i = 0; i < grid.size(); ++i) {
    grid[i] = first + (last - first) * static_cast<double>(i) / static_cast<double>(grid.size() - 1);
  }
  return grid;
}

// Where each value stands: itself, or on top of the series below it.
std::vector<double> standing(const QVector<HoverValue>& values, bool stacked) {
  std::vector<double> out(static_cast<size_t>(values.size()));
  for (qsizetype i = 0; i < values.size(); ++i) {
    double sum = values[i].value;
    if (stacked) {
      for (const HoverValue& below : values) sum += below.slot < values[i].slot ? below.value : 0;
    }
    out[static_cast<size_t>(i)] = sum;
  }
  return out;
}

}  // namespace

QVector<StackLayer> stackLines(const QVector<SeriesLine>& lines, TimeRange range, int pixel_width) {
  QVector<StackLayer> layers;
  if (lines.isEmpty() || pixel_width < 2) return layers;
  const std::vector<double> xs = sharedInstants(lines, range, pixel_width);
  std::vector<LineCursor> cursors;
  for (const SeriesLine& line : lines) {
    cursors.push_back({&line});
    layers.append({line.series_id, line.slot, {}, {}});
  }
  std::vector<std::optional<double>> values(cursors.size());
  std::vector<qsizetype> run_before(cursors.size(), -1);  // run of each line at the instant before; -1 none
  for (const double x : xs) {
    bool any = false;
    bool open = false;  // some line goes on from the instant before: no hole between
    for (size_t i = 0; i < cursors.size(); ++i) {
      values[i] = cursors[i].valueAt(x);
      any = any || values[i].has_value();
      open = open || (values[i] && cursors[i].run == run_before[i]);
      run_before[i] = values[i] ? cursors[i].run : -1;
    }
    double sum = 0;
    for (size_t i = 0; any && i < cursors.size(); ++i) {
      StackLayer& layer = layers[static_cast<qsizetype>(i)];
      if (!open) {
        layer.upper.append(QVector<QPointF>());
        layer.lower.append(QVector<QPointF>());
      }
      layer.lower.last().append(QPointF(x, sum));
      sum += values[i].value_or(0);
      layer.upper.last().append(QPointF(x, sum));
    }
  }
  return layers;
}

double stackTop(const QVector<StackLayer>& layers) {
  double top = 0;
  for (const StackLayer& layer : layers) {
    for (const auto& run : layer.upper) {
      for (const QPointF& point : run) top = std::max(top, point.y());
    }
  }
  return top;
}

void paintAreas(QPainter& painter, const QVector<SeriesLine>& lines, const PlotScale& scale, const ChartStyle& style) {
  std::vector<std::pair<double, const SeriesLine*>> order;
  for (const SeriesLine& line : lines) order.emplace_back(meanOf(line), &line);
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  painter.save();
  painter.setPen(Qt::NoPen);
  painter.setRenderHint(QPainter::Antialiasing, false);  // the line above hides the edge
  // The lower area takes the place of the higher one below it: two colours on one another would be a third.
  painter.setCompositionMode(QPainter::CompositionMode_Source);
  const double base = std::clamp(scale.y(0), scale.plot.top(), scale.plot.bottom());
  for (const auto& [mean, line] : order) {
    painter.setBrush(faded(style.line(line->slot).color, kAreaOpacity));
    for (const auto& run : line->runs) {
      if (run.size() < 2) continue;
      QPolygonF area = toPixels(run, scale);
      area.append(QPointF(area.last().x(), base));
      area.append(QPointF(area.first().x(), base));
      painter.drawPolygon(area);
    }
  }
  painter.restore();
}

void paintLines(QPainter& painter, const QVector<SeriesLine>& lines, const PlotScale& scale, const ChartStyle& style,
                quint64 highlighted) {
  qsizetype all_points = 0;
  for (const SeriesLine& line : lines) all_points += pointCount(line);
  const auto penOf = [&](const SeriesLine& line) {
    const ChartStyle::Line how = style.line(line.slot);
    const bool dim = highlighted != 0 && highlighted != line.series_id;
    // More than a point per pixel: a thin line says the same and costs less.
    const bool dense = static_cast<double>(pointCount(line)) > scale.plot.width();
    return QPen(dim ? faded(how.color, kDimmed) : how.color, dense ? 1.0 : 1.5, how.dash, Qt::FlatCap,
                dense ? Qt::BevelJoin : Qt::RoundJoin);
  };
  for (const SeriesLine& line : lines) paintRuns(painter, line, scale, penOf(line));
  if (lines.size() > kMaxSeams || all_points > kMaxComparedPoints || highlighted != 0) return;
  for (qsizetype i = lines.size() - 2; i >= 0; --i) {
    for (const CoveredStretch& covered : coveredStretches(lines, i, scale)) {
      paintCovered(painter, covered, scale, penOf(lines[i]));
    }
  }
}

void paintStack(QPainter& painter, const QVector<StackLayer>& layers, const PlotScale& scale, const ChartStyle& style,
                quint64 highlighted) {
  for (const StackLayer& layer : layers) {
    const QColor color = style.line(layer.slot).color;
    const bool dim = highlighted != 0 && highlighted != layer.series_id;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setPen(Qt::NoPen);
    painter.setBrush(faded(color, dim ? kDimmed : kStackOpacity));
    for (qsizetype run = 0; run < layer.upper.size(); ++run) {
      QPolygonF area = toPixels(layer.upper[run], scale);
      QPolygonF below = toPixels(layer.lower[run], scale);
      std::reverse(below.begin(), below.end());
      area += below;
      painter.drawPolygon(area);
    }
    if (layers.size() > kMaxSeams) continue;
    painter.setRenderHint(QPainter::Antialiasing, true);
    painter.setPen(QPen(dim ? faded(color, kDimmed) : color, 1));  // an edge keeps neighbours apart for every eye
    painter.setBrush(Qt::NoBrush);
    for (const auto& run : layer.upper) painter.drawPolyline(toPixels(run, scale));
  }
}

void paintGaps(QPainter& painter, const QVector<GapItem>& gaps, const PlotScale& scale, const ChartStyle& style) {
  painter.setFont(style.caption);
  const QFontMetricsF metrics(style.caption);
  double words_end = scale.plot.left();
  for (const GapItem& gap : gaps) {
    const double left = std::max(scale.x(gap.start_unix_nanos), scale.plot.left());
    const double right = std::min(scale.x(gap.end_unix_nanos), scale.plot.right());
    if (right - left < kMinGapPixels) continue;
    const QRectF span(left, scale.plot.top(), right - left, scale.plot.height());
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(span, faded(style.border, 0.25));
    painter.fillRect(span, QBrush(faded(style.muted, 0.45), Qt::BDiagPattern));

    const qint64 length = gap.end_unix_nanos - gap.start_unix_nanos;
    const QString words = QStringLiteral("no data ") + formatDuration(length);
    const double width = metrics.horizontalAdvance(words) + 8;
    const double x = std::clamp(span.center().x() - width / 2, scale.plot.left(), scale.plot.right() - width);
    if (width > scale.plot.width() || x < words_end) continue;
    const QRectF place(x, scale.plot.top() + 2, width, metrics.height() + 2);
    painter.setRenderHint(QPainter::Antialiasing, true);
    painter.setPen(Qt::NoPen);
    painter.setBrush(faded(style.panel, 0.85));
    painter.drawRoundedRect(place, 3, 3);
    painter.setPen(style.secondary);
    painter.drawText(place, Qt::AlignCenter, words);
    words_end = x + width + 4;
  }
}

void paintLiveEdge(QPainter& painter, const QVector<HoverValue>& edge, const PlotScale& scale, const ChartStyle& style,
                   bool stacked) {
  if (stacked && edge.size() > kMaxSeams) return;
  painter.setRenderHint(QPainter::Antialiasing, true);
  painter.setPen(Qt::NoPen);
  const bool halo = edge.size() <= kMaxHalos;
  const std::vector<double> values = standing(edge, stacked);
  for (qsizetype i = 0; i < edge.size(); ++i) {
    const QPointF at(scale.x(edge[i].time), scale.y(values[static_cast<size_t>(i)]));
    if (!scale.plot.adjusted(-2, -2, 2, 2).contains(at)) continue;
    const QColor color = style.line(edge[i].slot).color;
    bool covered = false;
    for (qsizetype j = i + 1; j < edge.size(); ++j) {
      covered = covered || std::abs(scale.y(values[static_cast<size_t>(j)]) - at.y()) < kSamePixels;
    }
    if (covered) continue;  // dots on one another would be a blot
    if (halo) {
      painter.setBrush(faded(color, 0.25));
      painter.drawEllipse(at, 6, 6);
    }
    painter.setBrush(color);
    painter.drawEllipse(at, halo ? 2.75 : 2, halo ? 2.75 : 2);
  }
}

void paintAmends(QPainter& painter, const QVector<AmendMark>& amends, const PlotScale& scale, const ChartStyle& style,
                 quint64 highlighted) {
  painter.setRenderHint(QPainter::Antialiasing, true);
  painter.setBrush(style.panel);
  for (const AmendMark& amend : amends) {
    const QPointF at(scale.x(amend.time), scale.y(amend.value));
    if (!scale.plot.contains(at)) continue;
    const bool dimmed = highlighted != 0 && amend.series_id != highlighted;
    const QColor color = style.line(amend.slot).color;
    painter.setPen(QPen(dimmed ? faded(color, kDimmed) : color, 1.25));
    painter.drawEllipse(at, kAmendRadius, kAmendRadius);
  }
}

void paintCrosshair(QPainter& painter, qint64 time, const QVector<HoverValue>& values, const PlotScale& scale,
                    const ChartStyle& style, bool stacked) {
  const double x = std::round(scale.x(time)) + 0.5;
  if (x < scale.plot.left() || x > scale.plot.right() + 1) return;
  painter.setRenderHint(QPainter::Antialiasing, false);
  QPen pen(faded(style.text, 0.7), 1);
  pen.setDashPattern({3, 3});
  painter.setPen(pen);
  painter.drawLine(QPointF(x, scale.plot.top()), QPointF(x, scale.plot.bottom()));
  painter.setRenderHint(QPainter::Antialiasing, true);
  const std::vector<double> heights = standing(values, stacked);
  for (qsizetype i = 0; i < values.size(); ++i) {
    const QPointF at(scale.x(values[i].time), scale.y(heights[static_cast<size_t>(i)]));
    painter.setPen(QPen(style.line(values[i].slot).color, 1.5));
    painter.setBrush(style.panel);
    painter.drawEllipse(at, 3.5, 3.5);
  }
}

void paintSelection(QPainter& painter, double from_x, double to_x, const PlotScale& scale, const ChartStyle& style) {
  const double left = std::clamp(std::min(from_x, to_x), scale.plot.left(), scale.plot.right());
  const double right = std::clamp(std::max(from_x, to_x), scale.plot.left(), scale.plot.right());
  const QRectF span(left, scale.plot.top(), right - left, scale.plot.height());
  painter.setRenderHint(QPainter::Antialiasing, false);
  painter.fillRect(span, faded(style.accent, 0.14));
  painter.setPen(style.accent);
  painter.drawLine(span.topLeft(), span.bottomLeft());
  painter.drawLine(span.topRight(), span.bottomRight());
}

}  // namespace pulseboard::qt
