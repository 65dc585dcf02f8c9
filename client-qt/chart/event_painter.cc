#include "client-qt/chart/event_painter.h"

#include <QPolygonF>
#include <cmath>

namespace pulseboard::qt {
namespace {

constexpr double kHalf = 4.5;
constexpr float kLineOpacity = 0.55F;
constexpr int kMaxCount = 99;
constexpr int kCountPixels = 10;

double lineX(const EventMark& mark, const PlotScale& scale) { return std::floor(scale.x(mark.time)) + 0.5; }

QPointF flagCenter(const EventMark& mark, const PlotScale& scale) {
  return {lineX(mark, scale), scale.plot.top() - kEventFlag / 2.0};
}

void drawLine(QPainter& painter, const EventMark& mark, const PlotScale& scale, const QPen& pen) {
  const double x = lineX(mark, scale);
  painter.setRenderHint(QPainter::Antialiasing, false);
  painter.setPen(pen);
  painter.drawLine(QPointF(x, scale.plot.top()), QPointF(x, scale.plot.bottom()));
}

}  // namespace

QColor eventColor(EventSeverity severity, const ChartStyle& style) {
  switch (severity) {
    case EventSeverity::Debug:
      return style.muted;
    case EventSeverity::Info:
      return style.accent;
    case EventSeverity::Warning:
      return style.warning;
    case EventSeverity::Error:
    case EventSeverity::Critical:
      return style.critical;
  }
  return style.muted;
}

void paintEventFlag(QPainter& painter, EventSeverity severity, const QPointF& center, const ChartStyle& style) {
  painter.setRenderHint(QPainter::Antialiasing, true);
  painter.setPen(Qt::NoPen);
  painter.setBrush(eventColor(severity, style));
  const double x = center.x();
  const double y = center.y();
  switch (severity) {
    case EventSeverity::Debug:
    case EventSeverity::Info:
      painter.drawPolygon(QPolygonF({{x - kHalf, y - kHalf + 1}, {x + kHalf, y - kHalf + 1}, {x, y + kHalf}}));
      break;
    case EventSeverity::Warning:
      painter.drawPolygon(
          QPolygonF({{x - kHalf - 0.5, y + kHalf - 0.5}, {x + kHalf + 0.5, y + kHalf - 0.5}, {x, y - kHalf}}));
      break;
    case EventSeverity::Error:
      painter.drawPolygon(
          QPolygonF({{x - kHalf - 0.5, y}, {x, y - kHalf - 0.5}, {x + kHalf + 0.5, y}, {x, y + kHalf + 0.5}}));
      break;
    case EventSeverity::Critical:
      painter.drawEllipse(center, kHalf + 0.5, kHalf + 0.5);
      painter.setPen(QPen(style.panel, 1.75, Qt::SolidLine, Qt::RoundCap));
      painter.drawLine(QPointF(x - 2, y), QPointF(x + 2, y));
      break;
  }
}

void paintEventLines(QPainter& painter, const QVector<EventMark>& marks, const PlotScale& scale,
                     const ChartStyle& style) {
  for (const EventMark& mark : marks) {
    QColor color = eventColor(mark.severity, style);
    color.setAlphaF(kLineOpacity);
    drawLine(painter, mark, scale, QPen(color, 1));
  }
}

void paintEventFlags(QPainter& painter, const QVector<EventMark>& marks, const PlotScale& scale,
                     const ChartStyle& style) {
  QFont font = style.caption;
  font.setPixelSize(kCountPixels);
  font.setWeight(QFont::DemiBold);
  for (const EventMark& mark : marks) {
    const QPointF center = flagCenter(mark, scale);
    paintEventFlag(painter, mark.severity, center, style);
    if (mark.count < 2) continue;
    painter.setFont(font);
    painter.setPen(style.text);
    const QString words = mark.count > kMaxCount ? QStringLiteral("%1+").arg(kMaxCount) : QString::number(mark.count);
    painter.drawText(QRectF(center.x() + kHalf + 2.5, center.y() - 7, 24, 14), Qt::AlignLeft | Qt::AlignVCenter, words);
  }
}

void paintHoveredEvent(QPainter& painter, const EventMark& mark, const PlotScale& scale, const ChartStyle& style) {
  drawLine(painter, mark, scale, QPen(eventColor(mark.severity, style), 2));
}

}  // namespace pulseboard::qt
