#include "client-qt/chart/legend_view.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace pulseboard::qt {
namespace {

constexpr int kRowHeight = 18;
constexpr int kHeaderHeight = 16;
constexpr int kSwatch = 8;
constexpr int kGap = 8;
constexpr int kCellGap = 24;
constexpr int kScrollRoom = 16;
constexpr int kMinName = 48;
constexpr int kMaxName = 176;
constexpr int kMinCell = 132;
constexpr int kMaxFullLines = 3;
constexpr int kMaxLines = 4;
constexpr int kMaxTableLines = 5;
constexpr int kMinFigure = 40;

}  // namespace

LegendView::LegendView(QWidget* parent) : QAbstractScrollArea(parent) {
  setFrameShape(QFrame::NoFrame);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  viewport()->setMouseTracking(true);
  viewport()->setAutoFillBackground(false);
  setAccessibleName(QStringLiteral("Legend"));
  verticalScrollBar()->setSingleStep(kRowHeight);
}

void LegendView::setChartStyle(const ChartStyle& style) {
  style_ = style;
  measure();
  viewport()->update();
}

void LegendView::setRows(const QVector<LegendRow>& rows, const QString& unit, int hidden_series) {
  const bool count_changed = rows.size() != rows_.size() || (hidden_series > 0) != (hidden_series_ > 0);
  rows_ = rows;
  unit_ = unit;
  hidden_series_ = hidden_series;
  measure();
  if (count_changed) updateScrollBar();
  viewport()->update();
}

// One scale for all figures of the panel, so that they compare at a glance; the width only grows.
void LegendView::measure() {
  double largest = 0;
  for (const LegendRow& row : rows_) {
    for (const double value : {row.last, row.min, row.max}) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
  }
  scale_ = unitScale(largest, unit_);
  const QFontMetrics figures(style_.figures);
  figure_width_ = std::max({figure_width_, kMinFigure, figures.horizontalAdvance(scale_.number(-largest)) + kGap});
  const QFontMetrics names(style_.base);
  name_width_ = kMinName;
  for (const LegendRow& row : rows_) name_width_ = std::max(name_width_, names.horizontalAdvance(row.name) + 4);
  name_width_ = std::min(name_width_, kMaxName);
}

void LegendView::setBeside(bool beside) {
  if (beside == beside_) return;
  beside_ = beside;
  updateScrollBar();
  viewport()->update();
}

int LegendView::widthBeside() const { return kSwatch + kGap + name_width_ + 3 * figure_width_ + kScrollRoom; }

LegendView::Grid LegendView::gridFor(int width) const {
  Grid grid;
  const int count = static_cast<int>(rows_.size());
  if (count == 0) return grid;
  grid.figure_width = figure_width_;
  if (beside_) {
    grid.lines = count;
    grid.cell_width = width;
    return grid;
  }
  const int full = kSwatch + kGap + name_width_ + 3 * figure_width_ + kCellGap;
  grid.columns = std::clamp(width / full, 1, count);
  const bool table = count > kCompactSeries;
  const bool too_many = !table && (count + grid.columns - 1) / grid.columns > kMaxFullLines;
  if (width < full || too_many) {
    // Columns of names with the newest value alone serve better than scrolling.
    grid.figures = 1;
    grid.columns =
        std::clamp(width / std::max(kMinCell, kSwatch + kGap + name_width_ + figure_width_ + kCellGap), 1, count);
  }
  grid.lines = (count + grid.columns - 1) / grid.columns;
  if (!table && grid.lines > kMaxLines) {
    // All names without figures, rather than some that have to be scrolled for; the tip has the figures.
    grid.figures = 0;
    grid.columns = std::clamp(width / (kSwatch + kGap + name_width_ + kGap), grid.columns, count);
    grid.lines = (count + grid.columns - 1) / grid.columns;
  }
  grid.columns = (count + grid.lines - 1) / grid.lines;
  grid.cell_width = width / grid.columns;
  return grid;
}

int LegendView::heightFor(int width) const {
  if (rows_.isEmpty()) return 0;
  const Grid grid = gridFor(width);
  const int max_lines = rows_.size() > kCompactSeries ? kMaxTableLines : kMaxLines;
  const int header = grid.figures > 1 ? kHeaderHeight : 0;
  return header + std::min(grid.lines, max_lines) * kRowHeight + (hidden_series_ > 0 ? kRowHeight : 0);
}

void LegendView::updateScrollBar() {
  const Grid grid = gridFor(viewport()->width());
  const int header = grid.figures > 1 ? kHeaderHeight : 0;
  const int content = grid.lines * kRowHeight + (hidden_series_ > 0 ? kRowHeight : 0);
  verticalScrollBar()->setPageStep(viewport()->height() - header);
  verticalScrollBar()->setRange(0, std::max(0, content - (viewport()->height() - header)));
}

void LegendView::resizeEvent(QResizeEvent* event) {
  QAbstractScrollArea::resizeEvent(event);
  updateScrollBar();
}

void LegendView::paintCell(QPainter& painter, const Grid& grid, const QRect& cell, const LegendRow& row,
                           bool hovered) const {
  ChartStyle::Line line = style_.line(row.slot);
  if (row.stale) line.color = style_.muted;
  const double middle = cell.center().y() + 0.5;
  painter.setRenderHint(QPainter::Antialiasing, line.dash == Qt::SolidLine);
  if (line.dash == Qt::SolidLine) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(line.color);
    painter.drawRoundedRect(QRectF(cell.left(), middle - kSwatch / 2.0, kSwatch, kSwatch), 2, 2);
  } else {
    painter.setPen(QPen(line.color, 2, line.dash, Qt::FlatCap));
    painter.drawLine(QPointF(cell.left() - 1, middle), QPointF(cell.left() + kSwatch + 2, middle));
  }
  const int figures = grid.figures * grid.figure_width;
  QRect name = cell.adjusted(kSwatch + kGap, 0, -figures - 4, 0);
  if (row.stale) {
    painter.setFont(style_.caption);
    painter.setPen(style_.secondary);
    const QString word = QStringLiteral("stale");
    painter.drawText(name, Qt::AlignRight | Qt::AlignVCenter, word);
    name.setRight(name.right() - QFontMetrics(style_.caption).horizontalAdvance(word) - 4);
  }
  painter.setFont(style_.base);
  painter.setPen(hovered ? style_.text : style_.secondary);
  painter.drawText(name, Qt::AlignLeft | Qt::AlignVCenter,
                   QFontMetrics(style_.base).elidedText(row.name, Qt::ElideMiddle, name.width()));
  painter.setFont(style_.figures);
  const double values[] = {row.last, row.min, row.max};
  for (int i = 0; i < grid.figures; ++i) {
    const QRect place(cell.right() - figures + i * grid.figure_width + 1, cell.top(), grid.figure_width, cell.height());
    painter.setPen(i == 0 && !row.stale ? style_.text : style_.secondary);
    painter.drawText(place, Qt::AlignRight | Qt::AlignVCenter, scale_.number(values[i]));
  }
}

void LegendView::paintEvent(QPaintEvent*) {
  if (rows_.isEmpty()) return;
  QPainter painter(viewport());
  const Grid grid = gridFor(viewport()->width());
  const int header = grid.figures > 1 ? kHeaderHeight : 0;
  const auto cellAt = [&](int column, int y, int height) {
    const int gap = column + 1 < grid.columns ? kCellGap : 4;
    return QRect(column * grid.cell_width, y, grid.cell_width - gap, height);
  };
  painter.setClipRect(0, header, viewport()->width(), viewport()->height() - header);
  for (int i = 0; i < rows_.size(); ++i) {
    const int y = header + (i % grid.lines) * kRowHeight - verticalScrollBar()->value();
    if (y + kRowHeight < header || y > viewport()->height()) continue;
    paintCell(painter, grid, cellAt(i / grid.lines, y, kRowHeight), rows_[i], i == hovered_);
  }
  if (hidden_series_ > 0) {
    painter.setFont(style_.caption);
    painter.setPen(style_.secondary);
    const int y = header + grid.lines * kRowHeight - verticalScrollBar()->value();
    painter.drawText(QRect(kSwatch + kGap, y, viewport()->width(), kRowHeight), Qt::AlignLeft | Qt::AlignVCenter,
                     QStringLiteral("%1 more series match; narrow the selector to see them").arg(hidden_series_));
  }
  painter.setClipping(false);
  if (header == 0) return;
  painter.setFont(style_.caption);
  painter.setPen(style_.secondary);
  static const char* const kTitles[] = {"last", "min", "max"};
  for (int column = 0; column < grid.columns; ++column) {
    const QRect cell = cellAt(column, 0, kHeaderHeight);
    for (int i = 0; i < grid.figures; ++i) {
      const int left = cell.right() - (grid.figures - i) * grid.figure_width + 1;
      painter.drawText(QRect(left, 0, grid.figure_width, kHeaderHeight), Qt::AlignRight | Qt::AlignVCenter,
                       QLatin1String(kTitles[i]));
    }
  }
}

int LegendView::rowAt(const QPoint& position) const {
  const Grid grid = gridFor(viewport()->width());
  const int header = grid.figures > 1 ? kHeaderHeight : 0;
  if (grid.lines == 0 || position.y() < header) return -1;
  const int line = (position.y() - header + verticalScrollBar()->value()) / kRowHeight;
  const int row = position.x() / std::max(1, grid.cell_width) * grid.lines + line;
  return line < grid.lines && row < rows_.size() ? row : -1;
}

void LegendView::mouseMoveEvent(QMouseEvent* event) {
  const int row = rowAt(event->pos());
  if (row == hovered_) return;
  hovered_ = row;
  Q_EMIT highlighted(row < 0 ? 0 : rows_[row].series_id);
  viewport()->update();
}

bool LegendView::viewportEvent(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QAbstractScrollArea::viewportEvent(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  const int at = rowAt(help->pos());
  if (at < 0) {
    QToolTip::hideText();
    return true;
  }
  const LegendRow& row = rows_[at];
  QString words = QStringLiteral("%1\nlast %2, min %3, max %4")
                      .arg(row.name, scale_.text(row.last), scale_.text(row.min), scale_.text(row.max));
  if (row.stale) words += QStringLiteral("\nstale: it has stopped sending");
  QToolTip::showText(help->globalPos(), words, viewport());
  return true;
}

void LegendView::leaveEvent(QEvent*) {
  hovered_ = -1;
  Q_EMIT highlighted(0);
  viewport()->update();
}

}  // namespace pulseboard::qt
