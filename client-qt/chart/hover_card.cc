#include "client-qt/chart/hover_card.h"

#include <QPainter>
#include <algorithm>

namespace pulseboard::qt {
namespace {

constexpr int kPadding = 12;
constexpr int kRowHeight = 18;
constexpr int kSwatch = 8;
constexpr int kGap = 8;
constexpr int kColumnGap = 24;
constexpr int kMaxNameWidth = 260;
constexpr int kDistance = 16;

}  // namespace

HoverCard::HoverCard(QWidget* window) : QWidget(window) {
  setAttribute(Qt::WA_TransparentForMouseEvents);
  setObjectName(QStringLiteral("hoverCard"));
  hide();
}

void HoverCard::setChartStyle(const ChartStyle& style) {
  style_ = style;
  update();
}

void HoverCard::showAt(const QPoint& point, const QString& time, const QVector<Row>& rows, int hidden_rows) {
  time_ = time;
  rows_ = rows;
  hidden_rows_ = hidden_rows;
  // Grows with its figures but does not shrink while shown: a card must not tremble.
  const QSize wanted = wantedSize();
  resize(isVisible() && rows_.size() * kRowHeight <= height()
             ? QSize(std::max(width(), wanted.width()), wanted.height())
             : wanted);
  place(point);
  show();
  raise();
  update();
}

QSize HoverCard::wantedSize() const {
  const QFontMetrics names(style_.base);
  const QFontMetrics figures(style_.figures);
  int name_width = 0;
  int value_width = 0;
  for (const Row& row : rows_) {
    name_width = std::max(name_width, std::min(names.horizontalAdvance(row.name), kMaxNameWidth));
    value_width = std::max(value_width, figures.horizontalAdvance(row.value));
  }
  const int row_width = kSwatch + kGap + name_width + kColumnGap + value_width;
  const int time_width = QFontMetrics(style_.figures).horizontalAdvance(time_);
  const int lines = 1 + static_cast<int>(rows_.size()) + (hidden_rows_ > 0 ? 1 : 0);
  return {2 * kPadding + std::max(row_width, time_width), 2 * kPadding - 4 + lines * kRowHeight};
}

void HoverCard::place(const QPoint& point) {
  const QRect room = parentWidget()->rect().adjusted(4, 4, -4, -4);
  int x = point.x() + kDistance;
  if (x + width() > room.right()) x = point.x() - kDistance - width();
  const int y = std::clamp(point.y() - height() / 2, room.top(), std::max(room.top(), room.bottom() - height()));
  move(std::clamp(x, room.left(), std::max(room.left(), room.right() - width())), y);
}

void HoverCard::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(style_.border);
  painter.setBrush(style_.raised);
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);

  QRect line(kPadding, kPadding - 2, width() - 2 * kPadding, kRowHeight);
  painter.setFont(style_.figures);
  painter.setPen(style_.secondary);
  painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, time_);
  const QFontMetrics names(style_.base);
  const QFontMetrics figures(style_.figures);
  for (const Row& row : rows_) {
    line.translate(0, kRowHeight);
    painter.setPen(Qt::NoPen);
    painter.setBrush(row.color);
    painter.drawRoundedRect(QRectF(line.left(), line.center().y() - kSwatch / 2.0 + 0.5, kSwatch, kSwatch), 2, 2);
    painter.setPen(style_.text);
    painter.setFont(style_.base);
    const int value_width = figures.horizontalAdvance(row.value);
    const QRect name = line.adjusted(kSwatch + kGap, 0, -value_width - kGap, 0);
    painter.drawText(name, Qt::AlignLeft | Qt::AlignVCenter, names.elidedText(row.name, Qt::ElideMiddle, name.width()));
    painter.setFont(style_.figures);
    painter.drawText(line, Qt::AlignRight | Qt::AlignVCenter, row.value);
  }
  if (hidden_rows_ > 0) {
    line.translate(0, kRowHeight);
    painter.setPen(style_.secondary);
    painter.setFont(style_.caption);
    painter.drawText(line.adjusted(kSwatch + kGap, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                     QStringLiteral("and %1 more").arg(hidden_rows_));
  }
}

}  // namespace pulseboard::qt
