#include "client-qt/chart/hover_card.h"

#include <QPainter>
#include <algorithm>

#include "client-qt/chart/event_painter.h"

namespace pulseboard::qt {
namespace {

constexpr int kPadding = 12;
constexpr int kRowHeight = 18;
constexpr int kSwatch = 8;
constexpr int kGap = 8;
constexpr int kColumnGap = 24;
constexpr int kMaxNameWidth = 260;
constexpr int kDistance = 16;
constexpr int kEventWidth = 300;
constexpr int kMaxTextLines = 3;
constexpr int kMaxTextLength = 400;
constexpr int kEventGap = 6;
constexpr int kIndent = kEventFlag + kGap - 2;

QString moreWords(int count) { return QStringLiteral("and %1 more").arg(count); }

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

void HoverCard::showAt(const QPoint& point, const Content& content) {
  const bool same_shape =
      content.rows.size() == content_.rows.size() && content.events.size() == content_.events.size();
  content_ = content;
  for (Event& event : content_.events) event.text = event.text.simplified().left(kMaxTextLength);
  // Grows with its figures but does not shrink while shown: a card must not tremble.
  const QSize wanted = wantedSize();
  resize(isVisible() && same_shape ? QSize(std::max(width(), wanted.width()), wanted.height()) : wanted);
  place(point);
  show();
  raise();
  update();
}

int HoverCard::textWidth() const { return std::min(kEventWidth, parentWidget()->width() - 4 * kPadding); }

int HoverCard::textHeight(const Event& event) const {
  const QFontMetrics metrics(style_.base);
  const int wide = textWidth() - kIndent;
  const int wanted = metrics.boundingRect(QRect(0, 0, wide, 1'000), Qt::TextWordWrap, event.text).height();
  return std::clamp(wanted, metrics.height(), kMaxTextLines * metrics.lineSpacing());
}

int HoverCard::eventsHeight() const {
  if (content_.events.isEmpty()) return 0;
  int height = 0;
  for (const Event& event : content_.events) {
    height += kRowHeight + textHeight(event) + (event.labels.isEmpty() ? 0 : kRowHeight) + kEventGap;
  }
  return height + (content_.hidden_events > 0 ? kRowHeight : 0) + (content_.rows.isEmpty() ? 0 : kEventGap);
}

QSize HoverCard::wantedSize() const {
  const QFontMetrics names(style_.base);
  const QFontMetrics figures(style_.figures);
  int name_width = 0;
  int value_width = 0;
  for (const Row& row : content_.rows) {
    name_width = std::max(name_width, std::min(names.horizontalAdvance(row.name), kMaxNameWidth));
    value_width = std::max(value_width, figures.horizontalAdvance(row.value));
  }
  int wide = std::max(kSwatch + kGap + name_width + kColumnGap + value_width, figures.horizontalAdvance(content_.time));
  if (!content_.events.isEmpty()) wide = std::max(wide, textWidth());
  const int lines = 1 + static_cast<int>(content_.rows.size()) + (content_.hidden_rows > 0 ? 1 : 0);
  return {2 * kPadding + wide, 2 * kPadding - 4 + eventsHeight() + lines * kRowHeight};
}

void HoverCard::place(const QPoint& point) {
  const QRect room = parentWidget()->rect().adjusted(4, 4, -4, -4);
  int x = point.x() + kDistance;
  if (x + width() > room.right()) x = point.x() - kDistance - width();
  const int y = std::clamp(point.y() - height() / 2, room.top(), std::max(room.top(), room.bottom() - height()));
  move(std::clamp(x, room.left(), std::max(room.left(), room.right() - width())), y);
}

// Moves `line` below them.
void HoverCard::paintEvents(QPainter& painter, QRect* line) const {
  const QFontMetrics captions(style_.caption);
  for (const Event& event : content_.events) {
    paintEventFlag(painter, event.severity, QPointF(line->left() + kEventFlag / 2.0, line->center().y() + 0.5), style_);
    const QRect head = line->adjusted(kIndent, 0, 0, 0);
    painter.setFont(style_.figures);
    painter.setPen(style_.secondary);
    painter.drawText(head, Qt::AlignRight | Qt::AlignVCenter, event.time);
    const int time_width = QFontMetrics(style_.figures).horizontalAdvance(event.time) + kGap;
    painter.setFont(style_.caption);
    const QString words = severityWord(event.severity) + QStringLiteral(" · ") + event.source;
    painter.drawText(head, Qt::AlignLeft | Qt::AlignVCenter,
                     captions.elidedText(words, Qt::ElideRight, head.width() - time_width));
    const int height = textHeight(event);
    painter.setFont(style_.base);
    painter.setPen(style_.text);
    painter.setClipRect(QRect(head.left(), head.bottom() + 1, head.width(), height));
    painter.drawText(QRect(head.left(), head.bottom() + 1, textWidth() - kIndent, height), Qt::TextWordWrap,
                     event.text);
    painter.setClipping(false);
    line->translate(0, kRowHeight + height);
    if (!event.labels.isEmpty()) {
      painter.setFont(style_.caption);
      painter.setPen(style_.secondary);
      painter.drawText(line->adjusted(kIndent, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                       captions.elidedText(event.labels, Qt::ElideRight, line->width() - kIndent));
      line->translate(0, kRowHeight);
    }
    line->translate(0, kEventGap);
  }
  if (content_.hidden_events > 0) {
    painter.setFont(style_.caption);
    painter.setPen(style_.secondary);
    painter.drawText(line->adjusted(kIndent, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                     moreWords(content_.hidden_events));
    line->translate(0, kRowHeight);
  }
  if (content_.events.isEmpty() || content_.rows.isEmpty()) return;
  painter.setPen(style_.border);
  painter.drawLine(QPointF(line->left(), line->top() + 0.5), QPointF(line->right() + 1, line->top() + 0.5));
  line->translate(0, kEventGap);
}

void HoverCard::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(style_.border);
  painter.setBrush(style_.raised);
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);

  QRect line(kPadding, kPadding - 2, width() - 2 * kPadding, kRowHeight);
  paintEvents(painter, &line);
  painter.setFont(style_.figures);
  painter.setPen(style_.secondary);
  painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, content_.time);
  const QFontMetrics names(style_.base);
  const QFontMetrics figures(style_.figures);
  for (const Row& row : content_.rows) {
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
  if (content_.hidden_rows > 0) {
    line.translate(0, kRowHeight);
    painter.setPen(style_.secondary);
    painter.setFont(style_.caption);
    painter.drawText(line.adjusted(kSwatch + kGap, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                     moreWords(content_.hidden_rows));
  }
}

}  // namespace pulseboard::qt
