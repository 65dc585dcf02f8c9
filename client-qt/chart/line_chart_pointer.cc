// LineChart under the pointer: crosshair, card, selecting, zooming, keys.
#include <QDateTime>
#include <QWheelEvent>
#include <algorithm>

#include "client-qt/chart/line_chart.h"
#include "common/base/clock.h"

namespace pulseboard::qt {
namespace {

constexpr double kMinSelectionPixels = 6;
constexpr double kZoomStep = 0.8;
constexpr double kEventReach = 6;  // px from an event's mark

QString labelWords(const QVector<LabelItem>& labels) {
  QStringList words;
  for (const LabelItem& label : labels) words << label.name + QLatin1Char('=') + label.value;
  return words.join(QStringLiteral("  "));
}

}  // namespace

void LineChart::hoverAt(const QPointF& position) {
  if (!scale_.usable() || position.x() < scale_.plot.left() - 2 || position.x() > scale_.plot.right() + kRightMargin) {
    crosshair_.moveTo(std::nullopt);
    return;
  }
  crosshair_.moveTo(scale_.timeAt(std::clamp(position.x(), scale_.plot.left(), scale_.plot.right())));
}

void LineChart::onCrosshairMoved() {
  hover_ = crosshair_.time() ? data_.valuesAt(*crosshair_.time()) : QVector<HoverValue>();
  if (mouse_ && crosshair_.time()) {
    showCard();
  } else {
    hideCard();
  }
  // Only what the crosshair covered and covers: it moves in all panels at the pace of the mouse.
  const QRect covered = crosshairArea();
  viewport()->update(covered_);
  viewport()->update(covered);
  covered_ = covered;
}

QRect LineChart::crosshairArea() const {
  if (!crosshair_.time() || !scale_.usable()) return {};
  double left = scale_.x(*crosshair_.time());
  double right = left;
  for (const HoverValue& value : hover_) {
    left = std::min(left, scale_.x(value.time));
    right = std::max(right, scale_.x(value.time));
  }
  if (const EventMark* mark = hoveredEvent()) {
    left = std::min(left, scale_.x(mark->time));
    right = std::max(right, scale_.x(mark->time));
  }
  return QRectF(left, scale_.plot.top(), right - left, scale_.plot.height())
      .toAlignedRect()
      .adjusted(-kCrosshairMargin, -kCrosshairMargin, kCrosshairMargin, kCrosshairMargin);
}

QString LineChart::timeText(qint64 time, bool with_zone) const {
  const QDateTime at = QDateTime::fromMSecsSinceEpoch(time / kNanosPerMilli, zone_);
  const bool days = wanted_.end - wanted_.start > kNanosPerDay;
  const QString words = at.toString(days ? QStringLiteral("d MMM HH:mm:ss.zzz") : QStringLiteral("HH:mm:ss.zzz"));
  return with_zone ? words + QLatin1Char(' ') + zone_.abbreviation(at) : words;
}

// The nearest mark, no further away than a finger's breadth.
const EventMark* LineChart::hoveredEvent() const {
  if (!mouse_ || selecting_from_) return nullptr;
  const EventMark* best = nullptr;
  double reach = kEventReach;
  for (const EventMark& mark : event_marks_) {
    const double away = std::abs(scale_.x(mark.time) - mouse_->x());
    if (away > reach) continue;
    reach = away;
    best = &mark;
  }
  return best;
}

void LineChart::addEvents(const EventMark& mark, HoverCard::Content* content) const {
  for (const EventItem* event : events_->eventsOf(mark)) {
    if (content->events.size() == HoverCard::kMaxEvents) break;
    content->events.append(
        {event->severity, event->source, timeText(event->time, false), event->text, labelWords(event->labels)});
  }
  content->hidden_events = mark.count - static_cast<int>(content->events.size());
}

void LineChart::showCard() {
  if (!card_) {
    card_ = new HoverCard(window());
    card_->setChartStyle(style_);
  }
  HoverCard::Content content;
  double largest = 0;
  for (const HoverValue& value : hover_) largest = std::max(largest, std::abs(value.value));
  const UnitScale scale = unitScale(largest, unit());
  for (const HoverValue& value : hover_) {
    if (content.rows.size() == HoverCard::kMaxRows) break;
    content.rows.append({style_.line(value.slot).color, value.name, scale.text(value.value)});
  }
  content.hidden_rows = static_cast<int>(hover_.size() - content.rows.size());
  // The card tells the time of the sample the rings are on; between samples, that of the mouse.
  content.time = timeText(hover_.isEmpty() ? *crosshair_.time() : hover_.first().time, true);
  if (const EventMark* mark = hoveredEvent()) addEvents(*mark, &content);
  card_->showAt(viewport()->mapTo(window(), mouse_->toPoint()), content);
}

void LineChart::hideCard() {
  if (card_) card_->hide();
}

void LineChart::mouseMoveEvent(QMouseEvent* event) {
  mouse_ = event->position();
  hoverAt(*mouse_);
  if (selecting_from_) viewport()->update();
}

void LineChart::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || !scale_.plot.contains(event->position())) return;
  mouse_ = event->position();
  selecting_from_ = event->position().x();
}

void LineChart::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || !selecting_from_) return;
  const double from =
      std::clamp(std::min(*selecting_from_, event->position().x()), scale_.plot.left(), scale_.plot.right());
  const double to =
      std::clamp(std::max(*selecting_from_, event->position().x()), scale_.plot.left(), scale_.plot.right());
  selecting_from_.reset();
  viewport()->update();
  if (to - from >= kMinSelectionPixels) Q_EMIT rangeSelected(scale_.timeAt(from), scale_.timeAt(to));
}

void LineChart::wheelEvent(QWheelEvent* event) {
  if (!(event->modifiers() & Qt::ControlModifier) || event->angleDelta().y() == 0 || !scale_.usable()) {
    event->ignore();  // the page scrolls
    return;
  }
  event->accept();
  Q_EMIT zoomRequested(event->angleDelta().y() > 0 ? kZoomStep : 1 / kZoomStep, scale_.timeAt(event->position().x()));
}

// As if the mouse were there: who uses keys reads the same card.
void LineChart::pointAt(qint64 time) {
  mouse_ = QPointF(scale_.x(time), scale_.plot.center().y());
  crosshair_.moveTo(time);
}

void LineChart::focusOutEvent(QFocusEvent* event) {
  QChartView::focusOutEvent(event);
  if (underMouse()) return;
  mouse_.reset();
  crosshair_.moveTo(std::nullopt);
}

void LineChart::keyPressEvent(QKeyEvent* event) {
  const qint64 center = crosshair_.time().value_or(scale_.timeAt(scale_.plot.center().x()));
  const qint64 step = (scale_.range.end - scale_.range.start) / 60;
  switch (event->key()) {
    case Qt::Key_Left:
      return pointAt(std::max<qint64>(center - step, scale_.range.start));
    case Qt::Key_Right:
      return pointAt(std::min<qint64>(center + step, scale_.range.end));
    case Qt::Key_Plus:
    case Qt::Key_Equal:
      Q_EMIT zoomRequested(kZoomStep, center);
      return;
    case Qt::Key_Minus:
      Q_EMIT zoomRequested(1 / kZoomStep, center);
      return;
    default:
      event->ignore();
  }
}

void LineChart::leaveEvent(QEvent* event) {
  QChartView::leaveEvent(event);
  mouse_.reset();
  selecting_from_.reset();
  crosshair_.moveTo(std::nullopt);
}

void LineChart::hideEvent(QHideEvent* event) {
  QChartView::hideEvent(event);
  mouse_.reset();
  hideCard();
}

}  // namespace pulseboard::qt
